//! Signals of the server: SIGHUP reloads, SIGTERM and SIGINT stop, and a second one of these ends it
//! at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// SIGHUP
    Reload,
    /// SIGTERM or SIGINT
    Stop,
}

/// The signals that are listened to, on a thread with a tokio runtime.
pub(crate) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the process does not end by them.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one. May be dropped at any time without losing a signal.
    pub(crate) async fn next(&mut self) -> Asked {
        std::future::poll_fn(|context| {
            use std::task::Poll::{Pending, Ready};
            if self.terminate.poll_recv(context).is_ready()
                || self.interrupt.poll_recv(context).is_ready()
            {
                return Ready(Asked::Stop);
            }
            match self.hangup.poll_recv(context) {
                Ready(_) => Ready(Asked::Reload),
                Pending => Pending,
            }
        })
        .await
    }
}
