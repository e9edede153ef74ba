//! What host and driver say to each other besides tasks: JSON messages over a socket pair, with
//! descriptors beside them. And the fixed messages of the single path.

use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use outboard_slots::{ParallelResponse, ParallelTask};

use crate::manifest::Manifest;
use crate::report::HbaReport;

/// Version of this protocol. Host and driver must speak the same.
pub const PROTOCOL: u32 = 1;

/// How tasks reach the driver.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// direct call in the host's own process: for comparison only
    Resident,
    /// one synchronous message a task
    Single,
    /// the same, and the buffer mapped and unmapped for each task
    SingleMap,
    /// slot indices in a ring, up to 32 at a time
    Bundled,
}

impl Path {
    /// All of them, the reference first.
    pub const ALL: [Self; 4] = [Self::Resident, Self::Single, Self::SingleMap, Self::Bundled];

    /// As written on a command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resident => "resident",
            Self::Single => "single",
            Self::SingleMap => "single-map",
            Self::Bundled => "bundled",
        }
    }
}

/// Host to driver.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToDriver {
    /// first message
    Hello {
        /// the host's [`PROTOCOL`]
        protocol: u32,
    },
    /// descriptors of the driver's resources come with it
    Initialize {
        /// the driver's options
        options: serde_json::Value,
    },
    /// the region's descriptor comes with it; on the single paths also one request socket and one
    /// completion socket for each queue
    Map {
        /// how tasks will come
        path: Path,
    },
    /// tasks come from now on
    Start,
    /// a task management function
    Manage(TaskManagement),
    /// end when every task has ended
    Stop,
}

/// Driver to host.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FromDriver {
    /// answers `Hello`
    Hello {
        /// the driver's [`PROTOCOL`]
        protocol: u32,
        /// who it is
        manifest: Manifest,
    },
    /// answers `Initialize`
    Initialized {
        /// what the controller is
        report: HbaReport,
        /// dispatch queues made
        queues: Vec<String>,
    },
    /// answers `Map`
    Mapped {
        /// why the bundled path was declined, if it was
        declined: Option<String>,
        /// task identifiers by slot
        identifiers: Vec<u32>,
    },
    /// answers `Start`: every I/O thread runs
    Started,
    /// answers `Manage`
    Managed {
        /// the function's number
        id: u64,
        /// value of a `ServiceResponse`
        response: u32,
    },
    /// answers `Stop`; the process ends after it
    Stopped,
    /// the driver cannot go on; the process ends after it
    Failed {
        /// what it was doing
        step: String,
        /// why, for the operator
        reason: String,
    },
}

/// A task management function (SAM-6 clause 7).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TaskManagement {
    /// number of the request, echoed by the answer
    pub id: u64,
    /// what to do
    pub function: ManagementFunction,
    /// the target
    pub target: u64,
    /// submission sequence of each queue: the driver consumes up to it before it answers, so that
    /// a task still in a ring is not missed
    pub sequence: Vec<u32>,
}

/// What a task management function does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "function", rename_all = "snake_case")]
pub enum ManagementFunction {
    /// ABORT TASK: the task in this slot of this generation
    AbortTask {
        /// slot
        slot: u16,
        /// generation of its submission
        generation: u64,
    },
    /// ABORT TASK SET: the nexus' tasks on the LUN
    AbortTaskSet {
        /// the LUN's bytes
        lun: [u8; 8],
        /// the nexus
        nexus: u64,
    },
    /// CLEAR TASK SET: everyone's tasks on the LUN
    ClearTaskSet {
        /// the LUN's bytes
        lun: [u8; 8],
    },
    /// LOGICAL UNIT RESET
    LogicalUnitReset {
        /// the LUN's bytes
        lun: [u8; 8],
    },
    /// TARGET RESET
    TargetReset,
}

impl ManagementFunction {
    /// The LUN it concerns; `None` for the whole target or for one task.
    pub const fn lun(&self) -> Option<[u8; 8]> {
        match *self {
            Self::AbortTaskSet { lun, .. }
            | Self::ClearTaskSet { lun }
            | Self::LogicalUnitReset { lun } => Some(lun),
            Self::AbortTask { .. } | Self::TargetReset => None,
        }
    }
}

/// The single path's request: one task by value.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct SingleRequest {
    /// slot and generation, as in a ring entry
    pub entry: u64,
    /// the nexus
    pub nexus: u64,
    /// the command
    pub task: ParallelTask,
}

/// The single path's reply to a request: accepted or not.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct SingleReply {
    /// as in the request
    pub entry: u64,
    /// value of a `ServiceResponse`
    pub response: u64,
}

/// The single path's completion: one response by value.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct SingleCompletion {
    /// as in the request
    pub entry: u64,
    /// the response
    pub response: ParallelResponse,
}
