//! What the control thread sees of the server, and what it can ask of it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::config::Config;
use crate::control::{Control, ExtensionReport, ReloadError, ReloadReport, Traced};
use crate::io::mailbox::{Addresses, Message, Post};
use crate::io::portal::{Place, Portal};
use crate::io::target::LunReport;
use crate::status::{self, Status};
use crate::trace::{TraceError, Wanted};

/// How long an I/O thread may take to answer a question.
const ANSWER: Duration = Duration::from_secs(2);

/// What the control thread sees.
pub(super) struct Shared {
    pub(super) begun: Instant,
    pub(super) portal: Arc<Portal>,
    /// the state directory of the extensions
    pub(super) extensions: PathBuf,
    pub(super) posts: Vec<Post>,
    pub(super) places: HashMap<String, Place>,
    pub(super) state: Mutex<State>,
    pub(super) stopped: Condvar,
}

#[derive(Clone)]
pub(super) struct State {
    /// what the server goes by
    pub(super) config: Config,
    pub(super) sizes: HashMap<PathBuf, u64>,
    /// targets that may serve something else than the configuration says
    pub(super) uncertain: HashSet<String>,
    pub(super) phase: status::ServerState,
    pub(super) is_reloading: bool,
    pub(super) is_stopping: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait_for_stop(&self) {
        let mut state = self.lock();
        while !state.is_stopping {
            state = self.stopped.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Asks all I/O threads the same; answers of those that gave one in time, in order.
    pub(super) fn ask<T>(&self, question: impl Fn(Sender<T>) -> Message) -> Vec<Option<T>> {
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

    /// The configuration with the LUNs that extensions report.
    pub(super) fn as_told(&self) -> Config {
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
        self.reload_config(config)
    }

    fn reload_extensions(&self) -> Result<ExtensionReport, ReloadError> {
        self.reload_packages()
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
