//! What the check of a command says.

use outboard_scsi::{Command, Direction, Lun, Sense, Status};

use crate::nexus::NexusId;
use crate::{copy, sanitize};

/// Who ends a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host: this is the answer.
    Answer(Response),
    /// The driver of the logical unit.
    Forward(Forwarded),
    /// The host, once it has the parameter list: collect its bytes as data-out, keep the order of
    /// the task set, then call [`Target::parameters`](crate::Target::parameters).
    Data(Parameters),
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
    /// What it writes must be on the medium when it ends, as with FUA.
    pub through: bool,
    /// The command.
    pub command: Command,
}

/// A command of the host that comes with a parameter list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The logical unit.
    pub lun: Lun,
    /// Bytes of the parameter list, up to [`PARAMETER_LIST_MAX`]; 0 for a command without one that
    /// takes long all the same (SANITIZE).
    pub length: u32,
    /// The command.
    pub command: Command,
}

/// What a command of the host does beside its answer; see
/// [`Target::take_effects`](crate::Target::take_effects).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// All tasks of a nexus on a unit are to be aborted, except the command that causes it, which
    /// is answered only after they have ended (PERSISTENT RESERVE OUT, PREEMPT AND ABORT).
    AbortTasks {
        /// Whose tasks.
        nexus: NexusId,
        /// On which unit.
        lun: Lun,
    },
    /// Data is to be copied; the command that causes it is answered when the copy has ended
    /// (EXTENDED COPY). Tell of it by [`Target::copy_progress`](crate::Target::copy_progress) and
    /// [`Target::copy_ended`](crate::Target::copy_ended).
    Copy(Box<copy::Plan>),
    /// A unit is to be sanitized; its other tasks are to be ended first. Tell of it by
    /// [`Target::sanitize_progress`](crate::Target::sanitize_progress) and
    /// [`Target::sanitize_ended`](crate::Target::sanitize_ended).
    Sanitize(Box<sanitize::Plan>),
}

/// Most bytes of a parameter list that the host takes.
pub const PARAMETER_LIST_MAX: u32 = 64 << 10;

impl Forwarded {
    /// Whether the initiator sends as much as the command takes, where less or more than that
    /// cannot be right: COMPARE AND WRITE, ORWRITE, WRITE ATOMIC and WRITE SAME.
    ///
    /// A COMPARE AND WRITE of no blocks with data for some is one whose number of blocks does not
    /// fit its 8-bit field: it is not taken for nothing. `expected` and `block_size` are in bytes.
    #[must_use]
    pub const fn fits(&self, expected: u64, block_size: u32) -> bool {
        match (self.command, self.length) {
            (Command::CompareAndWrite(_), 0) => expected < 2 * block_size as u64,
            (_, 0) => true,
            (Command::WriteSame(_), length) => expected == length as u64,
            (command, length) => !command.is_exclusive() || expected == length as u64,
        }
    }
}

impl Response {
    /// GOOD with `data` as data-in.
    #[must_use]
    pub const fn good(data: Vec<u8>) -> Self {
        Self { status: Status::Good, sense: None, data }
    }

    /// CHECK CONDITION with `sense`.
    #[must_use]
    pub const fn check_condition(sense: Sense) -> Self {
        Self { status: Status::CheckCondition, sense: Some(sense), data: Vec::new() }
    }

    /// A status without sense data, such as RESERVATION CONFLICT.
    #[must_use]
    pub const fn of_status(status: Status) -> Self {
        Self { status, sense: None, data: Vec::new() }
    }
}

impl Verdict {
    /// An answer of GOOD status with `data` as data-in.
    #[must_use]
    pub const fn good(data: Vec<u8>) -> Self {
        Self::Answer(Response::good(data))
    }

    /// An answer of CHECK CONDITION with `sense`.
    #[must_use]
    pub const fn check_condition(sense: Sense) -> Self {
        Self::Answer(Response::check_condition(sense))
    }

    /// An answer of a status without sense data, such as RESERVATION CONFLICT.
    #[must_use]
    pub const fn of_status(status: Status) -> Self {
        Self::Answer(Response::of_status(status))
    }
}

impl From<Sense> for Response {
    fn from(sense: Sense) -> Self {
        Self::check_condition(sense)
    }
}

impl From<Result<(), Sense>> for Response {
    fn from(result: Result<(), Sense>) -> Self {
        match result {
            Ok(()) => Self::good(Vec::new()),
            Err(sense) => sense.into(),
        }
    }
}

impl From<Response> for Verdict {
    fn from(response: Response) -> Self {
        Self::Answer(response)
    }
}

impl From<Sense> for Verdict {
    fn from(sense: Sense) -> Self {
        Self::check_condition(sense)
    }
}
