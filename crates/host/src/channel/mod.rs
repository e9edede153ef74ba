//! Channels: how tasks reach a driver's queue and come back. One for each path that is compared.

mod bundled;
mod drained;
mod resident;
mod single;

use outboard_hba::Path;
use outboard_slots::doorbell::Doorbell;
use outboard_slots::spin::Advice;
use outboard_slots::{Entry, ParallelTask, ResponseHead, SENSE_BYTES, Time};

use crate::ledger::Violation;

pub use bundled::Bundled;
pub use drained::Drained;
pub(crate) use drained::drain;
pub use resident::Resident;
pub use single::{Single, SingleEnds};

/// A completion: the ring entry and a private copy of the response's head.
#[derive(Clone, Copy, Debug)]
pub struct Completed {
    /// which submission
    pub entry: Entry,
    /// its response
    pub head: ResponseHead,
}

/// What a driver's I/O thread says about itself. Nothing of it is a promise: a driver that lies here
/// is found by its tasks' deadlines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pulse {
    /// changes at least every [`HEARTBEAT_NS`](outboard_hba::HEARTBEAT_NS) while it has tasks
    pub progress: u32,
    /// submissions it has taken, as [`Channel::sequence`] counts them
    pub consumed: u32,
    /// its I/Os in the kernel
    pub in_kernel: u32,
}

/// Why a channel can no longer be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// the driver's end has gone
    #[error("the driver has gone")]
    Gone,
    /// the driver refused a task on the single path
    #[error(
        "the driver refused the task in slot {slot} with service response {response}; it must accept each task and complete it, failing if need be"
    )]
    Refused {
        /// the slot
        slot: u16,
        /// as answered
        response: u64,
    },
    /// a message is malformed
    #[error("single path: {0}")]
    Malformed(String),
    /// the completion ring is spoiled
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// One queue of a driver, seen from the host's I/O thread.
pub trait Channel: Send {
    /// Which path it is.
    fn path(&self) -> Path;

    /// Fills a command slot and queues it for the driver, who sees it with the next
    /// [`Self::publish`] at the latest.
    fn push(&mut self, entry: Entry, nexus: u32, task: &ParallelTask) -> Result<(), ChannelError>;

    /// Hands everything pushed to the driver: a bundle.
    fn publish(&mut self, now: Time) -> Result<(), ChannelError>;

    /// Takes what the driver has completed. What is in it is not yet checked.
    fn reap(&mut self, now: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError>;

    /// The sense buffer of a response just reaped.
    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]);

    /// The last reap found nothing: look again at once, or sleep until the driver completes
    /// something, at most until `until`. Without `outstanding` tasks there is nothing to spin for.
    fn idle(&mut self, now: Time, until: Time, outstanding: usize);

    /// The last reap found nothing: what [`Self::idle`] would do, for a caller that sleeps in a wait
    /// of its own. On [`Advice::Spin`] it has looked for a moment already.
    fn advise(&mut self, _now: Time, until: Time, _outstanding: usize) -> Advice {
        Advice::SleepUntil(until)
    }

    /// Begins a sleep in a wait of the caller's own, which covers more than this channel: what to
    /// wait for, or `None` if there is something to reap already (or the channel has no doorbell).
    /// [`Self::withdraw`] must follow.
    fn announce(&mut self) -> Option<Doorbell<'_>> {
        None
    }

    /// The caller is awake again.
    fn withdraw(&mut self) {}

    /// Submission sequence so far, for task management.
    fn sequence(&self) -> u32;

    /// How the driver's I/O thread is by its own word; `None` where it has no way to say so.
    fn pulse(&self) -> Option<Pulse> {
        None
    }
}
