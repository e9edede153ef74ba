//! The I/O threads: each with its targets, all started before the first connection, ended together.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use outboard_host::stack::{Stack, TargetNames};
use outboard_iscsi::server::Server;
use outboard_scsi::Lun;

use super::ServeError;
use super::resources::serves;
use crate::config::{Config, Target as TargetConfig};
use crate::io::mailbox::{Message, Post, mailbox};
use crate::io::plan::Plan;
use crate::io::portal::Place;
use crate::io::reservations::Folder;
use crate::io::supervisor;
use crate::io::target::Target;
use crate::io::thread::{IoThread, Settings};
use crate::offer;
use crate::report::Reports;

/// How long tasks may take when the server ends.
const DRAIN: Duration = Duration::from_secs(10);

/// The I/O threads with their targets.
pub(super) struct Threads {
    handles: Vec<JoinHandle<()>>,
    pub(super) posts: Vec<Post>,
    pub(super) places: HashMap<String, Place>,
}

impl Threads {
    pub(super) fn start(config: &Config) -> Result<Self, ServeError> {
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

    pub(super) fn drain(self) {
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
