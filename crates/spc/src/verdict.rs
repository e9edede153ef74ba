//! What the check of a command says.

use outboard_scsi::{Command, Direction, Lun, Sense, Status};

/// Who ends a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host: this is the answer.
    Answer(Response),
    /// The driver of the logical unit.
    Forward(Forwarded),
}

/// The host's own answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: Status,
    /// Sense data, present exactly with CHECK CONDITION.
    pub sense: Option<Sense>,
    /// Data-in, already cut to the allocation length.
    pub data: Vec<u8>,
}

/// A command that the driver executes. It has passed every check that the CDB alone allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The logical unit.
    pub lun: Lun,
    /// Which way the data goes.
    pub direction: Direction,
    /// Bytes of data-out or data-in, at most 4 GiB - 1.
    pub length: u32,
    /// The command.
    pub command: Command,
}

impl Verdict {
    /// An answer of GOOD status with `data` as data-in.
    #[must_use]
    pub const fn good(data: Vec<u8>) -> Self {
        Self::Answer(Response { status: Status::Good, sense: None, data })
    }

    /// An answer of CHECK CONDITION with `sense`.
    #[must_use]
    pub const fn check_condition(sense: Sense) -> Self {
        Self::Answer(Response {
            status: Status::CheckCondition,
            sense: Some(sense),
            data: Vec::new(),
        })
    }
}

impl From<Sense> for Verdict {
    fn from(sense: Sense) -> Self {
        Self::check_condition(sense)
    }
}
