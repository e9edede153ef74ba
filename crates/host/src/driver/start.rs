//! A driver on its way up: each step asked for, waited for, and checked.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use outboard_hba::Path;
use outboard_hba::control::{Control, ControlError, socket_pair};
use outboard_hba::protocol::FromDriver;
use outboard_slots::Region;

use super::activation::{Activation, ActivationError, Step};
use super::child::Child;
use super::launch::{LaunchError, Options, Unstarted};
use crate::channel::SingleEnds;

/// A driver on its way up.
pub(super) struct Start {
    pub(super) child: Child,
    pub(super) control: Control,
    pub(super) activation: Activation,
    pub(super) timeout: Duration,
}

impl Start {
    pub(super) fn call(&mut self, descriptors: &[BorrowedFd<'_>]) -> Result<(), LaunchError> {
        let step = self.activation.step();
        let Some(message) = self.activation.message() else { return Ok(()) };
        match self.control.send(&message, descriptors) {
            // A driver that has ended may have said why before.
            Ok(()) | Err(ControlError::Closed) => {}
            Err(e) => return Err(e.into()),
        }
        match self.control.receive::<FromDriver>(Some(self.timeout)) {
            Ok(Some((answer, _))) => {
                self.activation.answer(answer)?;
                Ok(())
            }
            Ok(None) => {
                let seconds = self.timeout.as_secs_f32();
                Err(LaunchError::Hung { step: step.name(), seconds })
            }
            Err(ControlError::Closed) => {
                Err(LaunchError::Ended { step: step.name(), status: self.exit_status() })
            }
            Err(e) => Err(e.into()),
        }
    }

    /// It does not come up: what is left of its process, which ends here.
    pub(super) fn gave_up(mut self, error: LaunchError) -> Unstarted {
        let pid = self.child.id();
        let ended = self.child.end().ok();
        Unstarted { error, pid: Some(pid), ended, log: self.child.log() }
    }

    fn exit_status(&mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(1);
        while !self.child.has_ended() {
            if Instant::now() >= deadline {
                return "it closed its control socket".to_owned();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.child.end().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

pub(super) fn out_of_turn(step: Step) -> LaunchError {
    ActivationError::OutOfTurn { step: step.name() }.into()
}

/// The sockets of the single paths: the host's ends, and the driver's in the order it expects.
pub(super) fn sockets(
    options: &Options,
    region: &Region,
) -> Result<(Vec<SingleEnds>, Vec<OwnedFd>), LaunchError> {
    let (mut ends, mut theirs) = (Vec::new(), Vec::new());
    if options.path != Path::Bundled {
        for _ in 0..region.layout().config.queues {
            let (requests, a) = socket_pair().map_err(ControlError::from)?;
            let (completions, b) = socket_pair().map_err(ControlError::from)?;
            ends.push(SingleEnds { requests, completions });
            theirs.extend([a, b]);
        }
    }
    Ok((ends, theirs))
}
