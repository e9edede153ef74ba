//! The control thread: HTTP over a Unix socket, `/metrics` over TCP, signals, the service manager's
//! watchdog. It never touches a task.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | [`Status`](crate::status::Status) |
//! | `GET /v1/targets`, `GET /v1/targets/{name}` | targets with their LUNs |
//! | `POST /v1/targets/{name}/trace?tasks=N&seconds=S` | the life of single tasks: [`Trace`](crate::trace::Trace) |
//! | `GET /v1/sessions` | sessions |
//! | `GET /v1/extensions` | drivers by the targets they serve |
//! | `POST /v1/extensions/reload` | serves by the versions that are active now: [`ExtensionReport`](crate::control::ExtensionReport) |
//! | `GET /v1/config` | the configuration in force, secrets left out |
//! | `POST /v1/reload` | reads the file again: [`ReloadReport`](crate::control::ReloadReport) |
//! | `POST /v1/stop` | 202; the server drains and ends |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /healthz` | 200 if all threads make progress, else 503 |
//! | `GET /openapi.json` | the description of all this |
//!
//! What goes wrong is answered with an `application/problem+json` object (RFC 9457) that also has
//! the mend. Over TCP only `/metrics` and `/healthz` are there.

mod actions;
mod bounded;
mod problem;
mod routes;
mod socket;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::Notify;

use crate::config::{Config, Machine, Source};
use crate::control::Control;
use crate::notify;
use crate::signals::{Asked, Signals};
use actions::Shared;
use bounded::Bounded;
use socket::Socket;

pub use problem::ApiProblem;

/// Connections that one listener serves at a time.
const MAX_CONNECTIONS: usize = 32;
/// What answers have to leave when the thread ends.
const LAST_ANSWERS: Duration = Duration::from_millis(50);

/// Why there is no control thread.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Another server has the socket.
    #[error(
        "{path}: another server holds this control socket; stop it, or give this one its own with \
         --api PATH or [api] socket", path = path.display()
    )]
    Held {
        /// the socket
        path: PathBuf,
    },
    /// Something that is no socket is in its place.
    #[error("{path}: it is there and no socket; name another path, or move it away", path = path.display())]
    NoSocket {
        /// the path
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error(
        "{path}: {source}; name a path in a folder that this user may write to with --api PATH or \
         [api] socket", path = path.display()
    )]
    Socket {
        /// the socket
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// The address for metrics cannot be had.
    #[error("api.metrics_tcp {address}: {source}; name another address")]
    Metrics {
        /// the address
        address: SocketAddr,
        /// why
        source: io::Error,
    },
    /// The thread or its signals cannot be had.
    #[error("control thread: {0}")]
    Thread(#[from] io::Error),
}

/// The running control thread.
#[derive(Debug)]
pub struct ControlThread {
    end: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
    metrics: Option<SocketAddr>,
}

/// What the control thread is started with.
pub struct Setup {
    /// the configuration in force
    pub config: Config,
    /// where it came from
    pub source: Source,
    /// the machine
    pub machine: Machine,
    /// the running server
    pub control: Arc<dyn Control>,
    /// listen to SIGHUP, SIGTERM and SIGINT
    pub signals: bool,
}

/// Takes the socket and the addresses, then serves them on a thread of its own.
///
/// Signals are handled from here on, if asked for.
///
/// # Errors
/// Socket, address or thread cannot be had.
pub fn start(setup: Setup) -> Result<ControlThread, ApiError> {
    let Setup { config, source, machine, control, signals } = setup;
    let socket = config.api.socket.as_deref().map(Socket::take).transpose()?;
    let metrics = config.api.metrics_tcp.map(listen).transpose()?;
    let address = metrics.as_ref().and_then(|listener| listener.local_addr().ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_name("outboard-ask")
        .build()?;
    let signals = {
        let _inside = runtime.enter();
        signals.then(Signals::listen).transpose()?
    };
    let shared = Shared::new(config, source, machine, control);
    let end = Arc::new(Notify::new());
    let ended = Arc::clone(&end);
    let work = async move {
        // Each of them goes on until the end.
        tokio::select! {
            () = serve_socket(socket, shared.clone()) => {}
            () = serve_metrics(metrics, shared.clone()) => {}
            () = obey(signals, shared.clone()) => {}
            () = feed_watchdog(shared) => {}
            () = end_of(&ended) => {}
        }
    };
    let thread = Builder::new().name("outboard-ctl".to_owned()).spawn(move || {
        runtime.block_on(work);
        // A request that still waits for the server must not hold up the end.
        runtime.shutdown_background();
    })?;
    Ok(ControlThread { end, thread: Some(thread), metrics: address })
}

impl ControlThread {
    /// The address on which `/metrics` is served, if over TCP.
    pub const fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Ends it and removes the socket. To be called last, so that `outboard status` can watch the
    /// server drain.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.end.notify_one();
        if let Some(thread) = self.thread.take() {
            // a panic there has been reported there
            let _ = thread.join();
        }
    }
}

impl Drop for ControlThread {
    fn drop(&mut self) {
        self.end();
    }
}

/// Answers that are on their way still leave, as that to `POST /v1/stop`.
async fn end_of(end: &Notify) {
    end.notified().await;
    tokio::time::sleep(LAST_ANSWERS).await;
}

fn listen(address: SocketAddr) -> Result<TcpListener, ApiError> {
    TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|source| ApiError::Metrics { address, source })
}

async fn serve_socket(socket: Option<Socket>, shared: Shared) {
    let Some(mut socket) = socket else { return std::future::pending().await };
    let listener = match socket.listener().and_then(UnixListener::from_std) {
        Ok(listener) => listener,
        Err(error) => return never(&error).await,
    };
    let served = axum::serve(Bounded::new(listener, MAX_CONNECTIONS), routes::all(shared)).await;
    if let Err(error) = served {
        never(&error).await;
    }
}

async fn serve_metrics(listener: Option<TcpListener>, shared: Shared) {
    let Some(listener) = listener else { return std::future::pending().await };
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return never(&error).await,
    };
    let served =
        axum::serve(Bounded::new(listener, MAX_CONNECTIONS), routes::metrics(shared)).await;
    if let Err(error) = served {
        never(&error).await;
    }
}

/// A listener that broke: the others, and the server, go on.
async fn never(error: &io::Error) {
    tracing::error!(%error, "a control listener broke and is gone until the server is restarted");
    std::future::pending::<()>().await;
}

/// Does what signals ask for.
async fn obey(signals: Option<Signals>, shared: Shared) {
    let Some(mut signals) = signals else { return std::future::pending().await };
    let mut stopping = false;
    loop {
        match signals.next().await {
            Asked::Stop if stopping => {
                tracing::warn!("asked to stop again: ending at once, tasks are lost");
                std::process::exit(1);
            }
            Asked::Stop => {
                stopping = true;
                tracing::info!("asked to stop: draining");
                shared.stop().await;
            }
            // It may take long, and a stop must be heard meanwhile. The outcome is in the log.
            Asked::Reload => drop(tokio::spawn(reload(shared.clone()))),
        }
    }
}

async fn reload(shared: Shared) {
    let _ = shared.reload().await;
}

/// Feeds the service manager's watchdog as long as the server is healthy.
async fn feed_watchdog(shared: Shared) {
    let Some(interval) = notify::watchdog_interval() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match shared.health().await {
            Ok(()) => notify::tell(notify::Phase::Alive),
            Err(problem) => tracing::error!(reason = problem.detail, "the server hangs"),
        }
    }
}

#[cfg(test)]
mod tests;
