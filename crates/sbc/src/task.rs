//! Tasks: how they come and how they end.

use outboard_scsi::{Sense, Status};

/// A task as it comes.
#[derive(Clone, Copy, Debug)]
pub struct TaskIn<'a> {
    /// its slot: below the unit's capacity, and no other task in flight has it
    pub id: u16,
    /// the CDB; longer than the command does not matter
    pub cdb: &'a [u8],
    /// its data
    pub buffer: BufferRange,
}

/// A contiguous range of the engine's memory. It is the unit's until the task's outcome.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BufferRange {
    /// first byte, a multiple of 512
    pub offset: u64,
    /// bytes; no more than these are transferred, whatever the CDB says
    pub len: u64,
}

/// How a task ended. There is exactly one for each task that was started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// its slot, free again
    pub id: u16,
    /// SCSI status: GOOD, CHECK CONDITION, BUSY or TASK ABORTED
    pub status: Status,
    /// sense data, exactly with CHECK CONDITION
    pub sense: Option<Sense>,
    /// bytes of the buffer that were read or filled. After an error: those before the first
    /// request that failed.
    pub bytes_transferred: u64,
}

impl Outcome {
    pub(crate) const fn good(id: u16, bytes_transferred: u64) -> Self {
        Self { id, status: Status::Good, sense: None, bytes_transferred }
    }

    pub(crate) const fn check(id: u16, sense: Sense) -> Self {
        Self { id, status: Status::CheckCondition, sense: Some(sense), bytes_transferred: 0 }
    }

    pub(crate) const fn aborted(id: u16) -> Self {
        Self { id, status: Status::TaskAborted, sense: None, bytes_transferred: 0 }
    }
}
