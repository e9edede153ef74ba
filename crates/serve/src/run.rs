//! The running server: puts configuration, drivers, I/O threads and control together, and takes them
//! apart again in order.

mod in_force;
mod resources;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use outboard_ext::Store;
use outboard_ext::servers::{self, Announced};
use outboard_host::stack::{Stack, StackError, TargetNames};
use outboard_iscsi::server::Server;
use outboard_scsi::Lun;
use tokio::sync::oneshot;

use self::in_force::in_force;
use self::resources::{for_log_ins, holds, serves, sizes};
use crate::api::{self, ApiError};
use crate::cli::Start;
use crate::config::{Config, Target as TargetConfig};
use crate::control::{Control, ExtensionReport, ReloadError, ReloadReport, TargetOutcome, Traced};
use crate::io::listen;
use crate::io::mailbox::{Addresses, Message, Post, mailbox};
use crate::io::plan::{Plan, Serves};
use crate::io::portal::{Bounds, LoginThread, Place, Portal};
use crate::io::reservations::{Folder, StateError};
use crate::io::supervisor::{self, StartError};
use crate::io::target::{LunReport, Target};
use crate::io::thread::{IoThread, Settings};
use crate::notify;
use crate::offer::{self, OfferError};
use crate::report::Reports;
use crate::status::{self, DriverState, Status};
use crate::trace::{TraceError, Wanted};

/// How long tasks may take when the server ends.
const DRAIN: Duration = Duration::from_secs(10);
/// How long an I/O thread may take to answer a question.
const ANSWER: Duration = Duration::from_secs(2);
/// How long the replacement of a driver may take.
const REPLACE: Duration = Duration::from_secs(60);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// a portal
    #[error(
        "portal {address}: {source}; another server has it, or it is no address of this machine: name another with --iscsi or [iscsi] portals"
    )]
    Listen {
        /// the portal
        address: SocketAddr,
        /// the kernel's answer
        source: io::Error,
    },
    /// a driver
    #[error("target {target}: {source}")]
    Driver {
        /// the target
        target: String,
        /// what is wrong
        source: Box<StartError>,
    },
    /// what a driver reports
    #[error("target {target}: {source}")]
    Stack {
        /// the target
        target: String,
        /// what is wrong
        source: StackError,
    },
    /// reservations
    #[error("target {target}: {source}")]
    State {
        /// the target
        target: String,
        /// what is wrong
        source: StateError,
    },
    /// secrets
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// control thread
    #[error(transparent)]
    Api(#[from] ApiError),
    /// threads and descriptors
    #[error("the system gives no thread or descriptor: {0}; raise `ulimit -n` and `ulimit -u`")]
    System(#[from] io::Error),
}

/// Runs a server to its end.
///
/// # Errors
/// [`ServeError`] if it does not come up; afterwards it runs until it is asked to stop.
pub fn run(start: Start) -> Result<(), ServeError> {
    let Start { mut config, source, machine } = start;
    let listeners = listen(&mut config)?;
    let login = offer::login_config(&config)?;
    let threads = Threads::start(&config)?;
    let portal = Arc::new(Portal::new(login, threads.places.clone())?);
    let shared = Arc::new(Shared {
        begun: Instant::now(),
        portal: portal.clone(),
        extensions: config.extensions_of(&machine),
        posts: threads.posts.clone(),
        places: threads.places.clone(),
        state: Mutex::new(State {
            sizes: sizes(&config),
            uncertain: HashSet::new(),
            config: config.clone(),
            phase: status::ServerState::Starting,
            is_reloading: false,
            is_stopping: false,
        }),
        stopped: Condvar::new(),
    });
    let control = api::start(api::Setup {
        config: config.clone(),
        source,
        machine,
        control: shared.clone(),
        signals: true,
    })?;
    let congestion = config.iscsi.congestion_control.clone();
    let limits = &config.iscsi.limits;
    let bounds = Bounds {
        connections: limits.connections as usize,
        logins: limits.logins as usize,
        logins_per_address: limits.logins_per_address as usize,
    };
    let logins = LoginThread::new(portal.clone(), listeners, bounds, congestion)?;
    let logins =
        std::thread::Builder::new().name("login".to_owned()).spawn(move || logins.run())?;
    shared.lock().phase = status::ServerState::Ready;
    let _announced = announce(&config, &shared);
    if let Err(error) = notify::ready(&shared.as_told()) {
        tracing::warn!(%error, "readiness could not be told");
    }

    shared.wait_for_stop();
    shared.lock().phase = status::ServerState::Draining;
    notify::tell(notify::Phase::Stopping);
    portal.close();
    let _ = logins.join();
    threads.drain();
    control.stop();
    Ok(())
}

/// Lets `outboard ext` find this server, and catches up with what it did meanwhile.
fn announce(config: &Config, shared: &Shared) -> Option<Announced> {
    let by_identifier = |target: &TargetConfig| {
        target.extension.as_ref().is_some_and(|extension| extension.folder.is_none())
    };
    let is_used = config.targets.iter().any(by_identifier);
    if !is_used && config.state.directory.is_none() {
        return None;
    }
    let store = Store::new(&shared.extensions);
    let announced = match servers::announce(&store, config.api.socket.as_deref()) {
        Ok(announced) => announced,
        Err(error) => {
            tracing::warn!(%error, "`outboard ext` does not find this server");
            return None;
        }
    };
    if is_used && let Err(error) = shared.reload_extensions() {
        tracing::warn!(%error, "extensions are as they were");
    }
    Some(announced)
}

/// Takes every portal; port 0 becomes the one that the kernel chose.
fn listen(config: &mut Config) -> Result<Vec<TcpListener>, ServeError> {
    let mut listeners = Vec::new();
    for at in 0..config.iscsi.portals.len() {
        let Some(&address) = config.iscsi.portals.get(at) else { break };
        let fail = |source| ServeError::Listen { address, source };
        let listener = listen::listen(address, &config.iscsi.congestion_control).map_err(fail)?;
        let taken = listener.local_addr().map_err(fail)?;
        let portals = config.targets.iter_mut().flat_map(|target| &mut target.portals);
        for portal in portals.chain(&mut config.iscsi.portals).filter(|p| **p == address) {
            *portal = taken;
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

/// The I/O threads with their targets.
struct Threads {
    handles: Vec<JoinHandle<()>>,
    posts: Vec<Post>,
    places: HashMap<String, Place>,
}

impl Threads {
    fn start(config: &Config) -> Result<Self, ServeError> {
        let count = (config.io.threads.max(1) as usize).min(config.targets.len()).max(1);
        let mut of_thread: Vec<Vec<Target>> = (0..count).map(|_| Vec::new()).collect();
        let (mut mailboxes, mut posts) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (post, mailbox) = mailbox().map_err(io::Error::from)?;
            posts.push(post);
            mailboxes.push(mailbox);
        }
        let mut places = HashMap::new();
        for (number, target) in config.targets.iter().enumerate() {
            let (Some(targets), Some(post)) =
                (of_thread.get_mut(number % count), posts.get(number % count))
            else {
                continue;
            };
            let place = Place { post: post.clone(), index: targets.len() };
            targets.push(start_target(config, target)?);
            places.insert(target.name.clone(), place);
        }
        let mut handles = Vec::new();
        for (number, (targets, mailbox)) in of_thread.into_iter().zip(mailboxes).enumerate() {
            let Some(post) = posts.get(number) else { continue };
            let cpus = &config.io.cpus;
            let cpu = cpus.get(number % cpus.len().max(1)).copied();
            let settings = Settings { cpu, spin: config.io.spin };
            let thread = IoThread::new(targets, post.clone(), mailbox, settings)?;
            let named = std::thread::Builder::new().name(format!("io {number}"));
            handles.push(named.spawn(move || thread.run())?);
        }
        Ok(Self { handles, posts, places })
    }

    fn drain(self) {
        for post in &self.posts {
            let _ = post.send(Message::Drain { within: DRAIN });
        }
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("an I/O thread has panicked");
            }
        }
    }
}

fn start_target(config: &Config, target: &TargetConfig) -> Result<Target, ServeError> {
    let name = target.name.clone();
    let plan = Plan {
        serves: serves(config, target),
        driver: config.driver.clone(),
        kept: Arc::default(),
        target: name.clone(),
        reports: config.state.directory.as_deref().map(Reports::of),
        state: config.state.directory.clone(),
        erasures: Vec::new(),
    };
    let running = supervisor::start(&plan, None)
        .map_err(|source| ServeError::Driver { target: name.clone(), source: Box::new(source) })?;
    let driver = &running.driver;
    let tag = offer::portal_group_tag(config, target);
    let names = TargetNames::iscsi(&name, &[tag]);
    let target_id = driver.report().targets.first().map_or(0, |t| t.id);
    let mut stack =
        Stack::named(names, driver.report(), target_id, driver.identifiers(), driver.region(), 0)
            .map_err(|source| ServeError::Stack { target: name.clone(), source })?;
    stack.set_verify_replay(config.driver.verify_replay);
    plan.serves.tell_encrypted(stack.target_mut());
    stack.set_debug(config.driver.debug);
    if config.driver.debug {
        tracing::warn!(
            target = name,
            pid = driver.pid(),
            "debug mode: no deadline passes and no hang is found; take [driver] debug out before this server serves in earnest"
        );
    }
    let fail = |source| ServeError::State { target: name.clone(), source };
    let folder = match &config.state.directory {
        Some(folder) => Some(Folder::open(folder, &name).map_err(fail)?),
        None => None,
    };
    if let Some(folder) = &folder {
        let luns: Vec<Lun> = stack.target().luns().collect();
        for lun in luns {
            folder.restore(stack.target_mut(), lun).map_err(fail)?;
        }
    }
    tracing::info!(target = name, pid = driver.pid(), "driver started");
    let server = Server::new(offer::server_config(config, target));
    Ok(Target::new(name, server, stack, running, plan, folder))
}

/// What the control thread sees.
struct Shared {
    begun: Instant,
    portal: Arc<Portal>,
    /// the state directory of the extensions
    extensions: PathBuf,
    posts: Vec<Post>,
    places: HashMap<String, Place>,
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Clone)]
struct State {
    /// what the server goes by
    config: Config,
    sizes: HashMap<PathBuf, u64>,
    /// targets that may serve something else than the configuration says
    uncertain: HashSet<String>,
    phase: status::ServerState,
    is_reloading: bool,
    is_stopping: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_stop(&self) {
        let mut state = self.lock();
        while !state.is_stopping {
            state = self.stopped.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Asks all I/O threads the same; answers of those that gave one in time, in order.
    fn ask<T>(&self, question: impl Fn(std::sync::mpsc::Sender<T>) -> Message) -> Vec<Option<T>> {
        let answers: Vec<_> = self
            .posts
            .iter()
            .map(|post| {
                let (sender, receiver) = channel();
                let _ = post.send(question(sender));
                receiver
            })
            .collect();
        let until = Instant::now() + ANSWER;
        let wait = || until.saturating_duration_since(Instant::now());
        answers.into_iter().map(|answer| answer.recv_timeout(wait()).ok()).collect()
    }

    /// Makes the targets what `new` says, all or none; how long the members are then.
    fn change(
        &self,
        state: &State,
        new: &Config,
        report: &mut ReloadReport,
    ) -> Result<HashMap<PathBuf, u64>, ReloadError> {
        let login = offer::login_config(new).map_err(|e| ReloadError::Failed(e.to_string()))?;
        let grown = sizes(new);
        let reports = self.ask(Message::Report).into_iter().flatten().flatten();
        let down: Vec<String> =
            reports.filter(|r| r.state != DriverState::Running).map(|r| r.name).collect();
        // Who takes something from another target comes after that one has let go of it.
        let takes = |target: &TargetConfig| {
            let others = state.config.targets.iter().filter(|other| other.name != target.name);
            let wanted = holds(new, target);
            let mut theirs = others.flat_map(|other| holds(&state.config, other));
            theirs.any(|held| wanted.contains(&held))
        };
        let mut order: Vec<&TargetConfig> = new.targets.iter().collect();
        order.sort_by_key(|target| takes(target));
        let mut undo = Vec::new();
        for target in order {
            let Some(place) = self.places.get(&target.name) else { continue };
            let Some(old) = state.config.target(&target.name) else { continue };
            let (before, after) = (serves(&state.config, old), serves(new, target));
            let has_grown =
                after.paths().iter().any(|path| grown.get(path) != state.sizes.get(path));
            let is_stale = state.uncertain.contains(&target.name) || down.contains(&target.name);
            if before == after && !has_grown && !is_stale {
                continue;
            }
            let package = after.installed().map(|installed| {
                format!("{} {}", installed.package.identifier(), installed.package.version())
            });
            match self.replace(place, &target.name, after) {
                Ok(changes) if changes.is_empty() => report.changes.push(match package {
                    Some(package) => format!("{}: served by {package} now", target.name),
                    None => format!("{}: its driver was replaced", target.name),
                }),
                Ok(changes) => report.changes.extend(changes),
                Err(reason) => {
                    for (place, name, before) in undo {
                        if let Err(reason) = self.replace(place, name, before) {
                            tracing::error!(target = name, reason, "a reload is not undone");
                        }
                    }
                    return Err(ReloadError::Failed(reason));
                }
            }
            undo.push((place, &target.name, before));
        }
        if for_log_ins(&state.config) != for_log_ins(new) || state.config.iscsi != new.iscsi {
            report.changes.push("log-ins go by the new configuration".to_owned());
        }
        self.portal.reconfigure(login);
        Ok(grown)
    }

    /// Something else for one target, and the wait for it.
    fn replace(&self, place: &Place, name: &str, serves: Serves) -> Result<Vec<String>, String> {
        let (done, outcome) = channel();
        let message = Message::Replace { target: place.index, serves, done };
        place.post.send(message).map_err(|_| format!("{name}: its I/O thread has ended"))?;
        match outcome.recv_timeout(REPLACE) {
            Ok(outcome) => {
                self.lock().uncertain.remove(name);
                outcome
            }
            Err(_) => {
                // It may come yet; the next reload does not rely on what it serves.
                self.lock().uncertain.insert(name.to_owned());
                Err(format!("{name}: its driver is not replaced yet"))
            }
        }
    }
}

impl Shared {
    /// What is in force; nobody else changes it until [`Self::end_reload`].
    fn begin_reload(&self) -> Result<State, ReloadError> {
        let mut state = self.lock();
        if state.is_stopping {
            return Err(ReloadError::Busy("the end of the server"));
        }
        if std::mem::replace(&mut state.is_reloading, true) {
            return Err(ReloadError::Busy("another reload"));
        }
        Ok(state.clone())
    }

    fn end_reload(
        &self,
        config: Config,
        outcome: Result<HashMap<PathBuf, u64>, ReloadError>,
    ) -> Result<(), ReloadError> {
        let mut state = self.lock();
        state.is_reloading = false;
        state.sizes = outcome?;
        state.config = config;
        Ok(())
    }

    /// The configuration with the LUNs that extensions report.
    fn as_told(&self) -> Config {
        let mut config = self.lock().config.clone();
        let reports: Vec<_> = self.ask(Message::Report).into_iter().flatten().flatten().collect();
        for target in config.targets.iter_mut().filter(|target| target.extension.is_some()) {
            let Some(report) = reports.iter().find(|r| r.name == target.name) else { continue };
            let array = target.extension.as_ref().map(|e| e.identifier.clone()).unwrap_or_default();
            let lun = |lun: &LunReport| crate::config::Lun { lun: lun.lun, array: array.clone() };
            target.luns = report.luns.iter().map(lun).collect();
        }
        config
    }
}

impl Control for Shared {
    fn status(&self) -> Status {
        let reports = self.ask(Message::Report);
        let addresses: Vec<Option<Vec<Addresses>>> = self.ask(Message::Addresses);
        let threads: Vec<_> = reports
            .into_iter()
            .zip(addresses)
            .map(|(reports, addresses)| {
                (reports.unwrap_or_default(), addresses.unwrap_or_default())
            })
            .collect();
        let state = self.lock();
        let uptime = self.begun.elapsed();
        status::gather(&state.config, state.phase, uptime, &self.portal.figures, &threads)
    }

    fn reload(&self, config: Config) -> Result<ReloadReport, ReloadError> {
        let before = self.begin_reload()?;
        let mut report = ReloadReport::default();
        let config = in_force(&before.config, config, &mut report);
        let outcome = self.change(&before, &config, &mut report);
        self.end_reload(config, outcome)?;
        Ok(report)
    }

    fn reload_extensions(&self) -> Result<ExtensionReport, ReloadError> {
        let before = self.begin_reload()?;
        let mut config = before.config.clone();
        let mut report = ExtensionReport::default();
        for target in &mut config.targets {
            let Some(extension) = &mut target.extension else { continue };
            if let Err(reason) = extension.resolve(&self.extensions) {
                tracing::warn!(target = target.name, reason, "its extension stays as it is");
            }
            let was = before.config.target(&target.name).and_then(|t| t.extension.as_ref());
            let version = |extension: &crate::config::Extension| {
                let installed = extension.installed.as_ref();
                installed.map(|i| i.package.version().to_owned()).unwrap_or_default()
            };
            report.targets.push(TargetOutcome {
                target: target.name.clone(),
                identifier: extension.identifier.clone(),
                version: version(extension),
                replaced: was.filter(|was| *was != extension).map(version),
            });
        }
        let mut reload = ReloadReport::default();
        let outcome = self.change(&before, &config, &mut reload);
        self.end_reload(config, outcome)?;
        report.changes = reload.changes;
        Ok(report)
    }

    fn trace(&self, target: &str, wanted: Wanted) -> Result<Traced, TraceError> {
        let place = self.places.get(target);
        let place = place.ok_or_else(|| TraceError::NoTarget(target.to_owned()))?;
        let (done, traced) = oneshot::channel();
        let message = Message::Trace { target: place.index, wanted, done };
        place.post.send(message).map_err(|_| TraceError::Gone(target.to_owned()))?;
        Ok(traced)
    }

    fn stop(&self) {
        self.lock().is_stopping = true;
        self.stopped.notify_all();
    }

    fn health(&self) -> Result<(), String> {
        let answers = self.ask(Message::Report);
        match answers.iter().position(Option::is_none) {
            Some(number) => Err(format!("I/O thread {number} does not answer")),
            None => Ok(()),
        }
    }
}
