//! The running server: puts configuration, drivers, I/O threads and control together, and takes them
//! apart again in order.

mod in_force;
mod reload;
mod resources;
mod shared;
mod threads;

use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use outboard_ext::Store;
use outboard_ext::servers::{self, Announced};
use outboard_host::stack::StackError;

use self::resources::sizes;
use self::shared::{Shared, State};
use self::threads::Threads;
use crate::api::{self, ApiError};
use crate::cli::Start;
use crate::config::{Config, Target as TargetConfig};
use crate::control::Control;
use crate::io::listen;
use crate::io::portal::{Bounds, LoginThread, Portal};
use crate::io::reservations::StateError;
use crate::io::supervisor::StartError;
use crate::notify;
use crate::offer::{self, OfferError};
use crate::status;

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
