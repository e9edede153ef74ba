//! The thread that reads a driver's control socket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use outboard_hba::control::{Control, ControlError};
use outboard_hba::protocol::FromDriver;
use outboard_hba::values::ServiceResponse;
use outboard_slots::Region;

use super::launch::LaunchError;
use super::log::plain;
use crate::stack::FUNCTIONS_MAX;

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
    /// answers that nobody has taken
    pub(super) managed: Vec<(u64, u32)>,
    /// the host wants its end
    pub(super) asked_to_stop: bool,
}

impl Seen {
    const NEW: Self =
        Self { status: DriverStatus::Running, managed: Vec::new(), asked_to_stop: false };

    /// Takes a message in. Whether more are wanted: none of a driver that must end.
    fn take(&mut self, message: Result<FromDriver, ControlError>) -> bool {
        let reason = match message {
            Ok(FromDriver::Managed { id, response }) => {
                match ServiceResponse::from_bits(response) {
                    Some(_) if self.managed.len() < FUNCTIONS_MAX => {
                        self.managed.push((id, response));
                        return true;
                    }
                    Some(_) => format!("more than {FUNCTIONS_MAX} answers at a time"),
                    None => format!("an answer to a function with response {response}"),
                }
            }
            Ok(FromDriver::Failed { step, reason }) => plain(&format!("{step}: {reason}")),
            Ok(FromDriver::Stopped) if self.asked_to_stop => return true,
            Ok(FromDriver::Stopped) => "that it has stopped, unasked".to_owned(),
            Ok(_) | Err(ControlError::Malformed(_)) => {
                "a control message that makes no sense now".to_owned()
            }
            Err(_) => {
                if self.status == DriverStatus::Running && !self.asked_to_stop {
                    self.status = DriverStatus::Gone;
                }
                return false;
            }
        };
        self.status = DriverStatus::Failed(reason);
        false
    }
}

impl Watch {
    pub(super) fn new(region: Region) -> Self {
        Self { changed: AtomicBool::new(false), seen: Mutex::new(Seen::NEW), region }
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
                    let message = match control.receive::<FromDriver>(None) {
                        Ok(Some((message, _))) => Ok(message),
                        // No time was set.
                        Ok(None) => continue,
                        Err(error) => Err(error),
                    };
                    let more = self.lock().take(message);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn managed(id: u64) -> Result<FromDriver, ControlError> {
        Ok(FromDriver::Managed { id, response: ServiceResponse::FunctionComplete as u32 })
    }

    fn reason(seen: &Seen) -> &str {
        match &seen.status {
            DriverStatus::Failed(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_kept_up_to_a_bound() {
        let mut seen = Seen::NEW;
        let wanted = (0..).take_while(|id| seen.take(managed(*id))).count();
        assert_eq!((wanted, seen.managed.len()), (FUNCTIONS_MAX, FUNCTIONS_MAX));
        assert!(reason(&seen).contains("answers at a time"), "{}", reason(&seen));
        // Those that are taken make room.
        let mut seen = Seen::NEW;
        for id in 0..3 * FUNCTIONS_MAX as u64 {
            assert!(seen.take(managed(id)));
            seen.managed.clear();
        }
    }

    #[test]
    fn what_makes_no_sense_ends_the_conversation() {
        for message in [
            Ok(FromDriver::Managed { id: 1, response: 6 }),
            Ok(FromDriver::Started),
            Err(ControlError::Malformed("x".to_owned())),
            Ok(FromDriver::Stopped),
            Ok(FromDriver::Failed { step: "a".to_owned(), reason: "b".to_owned() }),
        ] {
            let mut seen = Seen::NEW;
            assert!(!seen.take(message));
            reason(&seen);
        }
    }

    #[test]
    fn an_end_that_was_asked_for_is_none_that_has_to_be_told() {
        let mut seen = Seen { asked_to_stop: true, ..Seen::NEW };
        assert!(seen.take(Ok(FromDriver::Stopped)));
        assert!(!seen.take(Err(ControlError::Closed)));
        assert_eq!(seen.status, DriverStatus::Running);
        let mut seen = Seen::NEW;
        assert!(!seen.take(Err(ControlError::Closed)));
        assert_eq!(seen.status, DriverStatus::Gone);
    }
}
