//! The thread that reads a driver's control socket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use outboard_hba::control::{Control, ControlError};
use outboard_hba::protocol::FromDriver;
use outboard_slots::Region;

use super::launch::LaunchError;
use super::log::plain;

/// What has become of a driver that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DriverStatus {
    /// it runs
    Running,
    /// it said that it cannot go on
    Failed(String),
    /// its process has ended or closed its control socket
    Gone,
}

/// What the watcher thread has seen.
pub(super) struct Watch {
    pub(super) changed: AtomicBool,
    seen: Mutex<Seen>,
    region: Region,
}

pub(super) struct Seen {
    pub(super) status: DriverStatus,
    pub(super) managed: Vec<(u64, u32)>,
    stopped: bool,
}

impl Watch {
    pub(super) fn new(region: Region) -> Self {
        let seen = Seen { status: DriverStatus::Running, managed: Vec::new(), stopped: false };
        Self { changed: AtomicBool::new(false), seen: Mutex::new(seen), region }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread that reads the control socket and wakes the host's I/O threads when something
    /// has happened.
    pub(super) fn spawn(
        self: Arc<Self>,
        mut control: Control,
    ) -> Result<JoinHandle<()>, LaunchError> {
        std::thread::Builder::new()
            .name("driver watch".to_owned())
            .spawn(move || {
                loop {
                    let message = control.receive::<FromDriver>(None);
                    let mut seen = self.lock();
                    let more = match message {
                        Ok(Some((FromDriver::Managed { id, response }, _))) => {
                            seen.managed.push((id, response));
                            true
                        }
                        Ok(Some((FromDriver::Failed { step, reason }, _))) => {
                            seen.status = DriverStatus::Failed(plain(&format!("{step}: {reason}")));
                            true
                        }
                        Ok(Some((FromDriver::Stopped, _))) => {
                            seen.stopped = true;
                            true
                        }
                        Ok(_) | Err(ControlError::Malformed(_)) => {
                            let what = "a control message that makes no sense now".to_owned();
                            seen.status = DriverStatus::Failed(what);
                            true
                        }
                        Err(_) => {
                            if seen.status == DriverStatus::Running && !seen.stopped {
                                seen.status = DriverStatus::Gone;
                            }
                            false
                        }
                    };
                    drop(seen);
                    self.changed.store(true, Ordering::SeqCst);
                    self.wake();
                    if !more {
                        return;
                    }
                }
            })
            .map_err(|source| LaunchError::Spawn { program: "(watch thread)".into(), source })
    }

    fn wake(&self) {
        for queue in 0..self.region.layout().config.queues {
            if let Some(words) = self.region.queue(queue)
                && words.host_flag.must_ring()
            {
                words.host_flag.ring();
            }
        }
    }
}
