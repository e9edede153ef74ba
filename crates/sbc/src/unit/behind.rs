//! The flush behind commands that were answered at once (IMMED).

use outboard_disk::{Completion, DiskError, Engine, Op, Request};
use outboard_scsi::Sense;

use super::LogicalUnit;
use crate::errors::{Access, status_of};

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Behind {
    Nothing,
    /// to be submitted
    Wanted,
    Flying,
    /// and one more, for commands that came meanwhile
    FlyingAndWanted,
}

/// Its tag: no slot has it.
pub(super) const TAG: u64 = u16::MAX as u64;
const _: () = assert!(super::MAX_CAPACITY as u64 <= TAG);

impl LogicalUnit {
    /// A command wants a flush behind it.
    pub(super) fn want_flush(&mut self, engine: &mut Engine) {
        match self.behind {
            Behind::Nothing | Behind::Wanted => {
                self.behind = Behind::Wanted;
                self.flush_behind(engine);
            }
            Behind::Flying | Behind::FlyingAndWanted => self.behind = Behind::FlyingAndWanted,
        }
    }

    /// A completion that is no slot's: of the flush behind answered commands, or a stray.
    #[cold]
    pub(super) fn complete_behind(&mut self, engine: &mut Engine, done: Completion) {
        let again = match self.behind {
            Behind::Flying if done.tag == TAG => false,
            Behind::FlyingAndWanted if done.tag == TAG => true,
            _ => {
                self.strays += 1;
                return;
            }
        };
        match done.result {
            // The next poll tries again, as it does when a busy disk refuses at once.
            Err(DiskError::Busy) => return self.behind = Behind::Wanted,
            Err(error) => self.defer(error),
            Ok(()) => {}
        }
        self.behind = if again { Behind::Wanted } else { Behind::Nothing };
        if again {
            self.flush_behind(engine);
        }
    }

    /// Submits the wanted flush; a busy disk is tried again at the next poll.
    pub(super) fn flush_behind(&mut self, engine: &mut Engine) {
        let request = Request { tag: TAG, op: Op::Flush, offset: 0, len: 0, segments: &[] };
        match self.disk.submit(engine, request) {
            Ok(()) => self.behind = Behind::Flying,
            Err(rejected) if rejected.error == DiskError::Busy => {}
            Err(rejected) => {
                self.behind = Behind::Nothing;
                self.defer(rejected.error);
            }
        }
    }

    /// Remembers an error that no command can be answered with any more.
    fn defer(&mut self, error: DiskError) {
        let (_, sense) = status_of(error, Access::Write, self.shape.block_size);
        let sense = sense.unwrap_or(Sense::INTERNAL_TARGET_FAILURE);
        if self.deferred.is_none() {
            self.deferred = Some(sense.deferred());
        }
    }
}
