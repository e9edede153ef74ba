//! What host and driver say to each other besides tasks: JSON messages over a socket pair, with
//! descriptors beside them. And the fixed messages of the single path.

use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use outboard_slots::{ParallelResponse, ParallelTask};

use crate::disks::DiskDescription;
use crate::manifest::Manifest;
use crate::report::HbaReport;

/// The newest version of this protocol that this side speaks.
///
/// Within a version messages may gain fields that the other side can do without: unknown ones are
/// ignored, missing ones have defaults. A message, a required field or a layout in the region that
/// is new or changed makes a new version. The layout itself is checked apart
/// (`outboard_slots::Region::attach`).
pub const PROTOCOL: u32 = 1;
/// The oldest version that this side still speaks.
pub const OLDEST_PROTOCOL: u32 = 1;

const _: () = assert!(OLDEST_PROTOCOL != 0 && OLDEST_PROTOCOL <= PROTOCOL);

/// Host and driver have no version in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the {other} speaks protocol {}, this {this} {}; {}",
    versions(*.theirs_from, *.theirs_to), versions(OLDEST_PROTOCOL, PROTOCOL), mend(*.theirs_to, .this, .other)
)]
pub struct ProtocolSkew {
    this: &'static str,
    other: &'static str,
    theirs_from: u32,
    theirs_to: u32,
}

fn versions(from: u32, to: u32) -> String {
    match from == to {
        true => format!("version {to}"),
        false => format!("versions {from} to {to}"),
    }
}

fn mend(theirs: u32, this: &str, other: &str) -> String {
    let older = if theirs < OLDEST_PROTOCOL { other } else { this };
    match older {
        "driver" => "build the driver with the SDK of the host's release".to_owned(),
        _ => "update the host to the release that the driver was built for".to_owned(),
    }
}

/// The version that both sides speak: the newest they have in common. `oldest` 0 stands for
/// `newest`, of a side that speaks one version alone.
fn agree(
    this: &'static str,
    other: &'static str,
    newest: u32,
    oldest: u32,
) -> Result<u32, ProtocolSkew> {
    let oldest = if oldest == 0 { newest } else { oldest };
    let agreed = newest.min(PROTOCOL);
    match agreed >= oldest && agreed >= OLDEST_PROTOCOL {
        true => Ok(agreed),
        false => Err(ProtocolSkew { this, other, theirs_from: oldest, theirs_to: newest }),
    }
}

/// The host's side of the agreement, with what the driver said.
///
/// # Errors
/// There is no version in common.
pub fn agree_with_driver(newest: u32, oldest: u32) -> Result<u32, ProtocolSkew> {
    agree("host", "driver", newest, oldest)
}

/// The driver's side of the agreement, with what the host said.
///
/// # Errors
/// There is no version in common.
pub fn agree_with_host(newest: u32, oldest: u32) -> Result<u32, ProtocolSkew> {
    agree("driver", "host", newest, oldest)
}

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
        /// the host's [`OLDEST_PROTOCOL`]; 0: as `protocol`
        #[serde(default)]
        oldest: u32,
    },
    /// descriptors of the driver's resources come with it
    Initialize {
        /// the driver's options
        options: serde_json::Value,
        /// what the descriptors are, if its configuration names disks
        #[serde(default)]
        disks: Vec<DiskDescription>,
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
        /// the driver's [`OLDEST_PROTOCOL`]; 0: as `protocol`
        #[serde(default)]
        oldest: u32,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_in_common_is_spoken() {
        assert_eq!(agree_with_driver(PROTOCOL, OLDEST_PROTOCOL), Ok(PROTOCOL));
        assert_eq!(agree_with_driver(PROTOCOL + 3, OLDEST_PROTOCOL), Ok(PROTOCOL), "newer driver");
        assert_eq!(agree_with_host(PROTOCOL + 3, PROTOCOL), Ok(PROTOCOL), "newer host");
        assert_eq!(agree_with_host(PROTOCOL, 0), Ok(PROTOCOL), "a host that says one version");
    }

    #[test]
    fn without_one_the_older_side_is_to_be_mended() {
        let newer_driver = agree_with_driver(PROTOCOL + 2, PROTOCOL + 1).unwrap_err().to_string();
        assert!(newer_driver.contains("update the host"), "{newer_driver}");
        let newer_host = agree_with_host(PROTOCOL + 2, PROTOCOL + 1).unwrap_err().to_string();
        assert!(newer_host.contains("build the driver"), "{newer_host}");
        let older_driver = agree_with_driver(0, 0).unwrap_err().to_string();
        assert!(older_driver.contains("build the driver"), "{older_driver}");
        let older_host = agree_with_host(0, 0).unwrap_err().to_string();
        assert!(older_host.contains("update the host"), "{older_host}");
    }

    /// What version 1 looks like on the socket; it stays readable.
    #[test]
    fn messages_of_version_1_are_understood() {
        let to_driver = [
            r#"{"type":"hello","protocol":1}"#,
            r#"{"type":"initialize","options":{"a":1}}"#,
            r#"{"type":"map","path":"bundled"}"#,
            r#"{"type":"start"}"#,
            r#"{"type":"manage","id":7,"function":{"function":"abort_task","slot":3,"generation":9},"target":0,"sequence":[12]}"#,
            r#"{"type":"stop"}"#,
        ];
        for text in to_driver {
            serde_json::from_str::<ToDriver>(text).unwrap();
        }
        let from_driver = [
            r#"{"type":"hello","protocol":1,"manifest":{"identifier":"com.example.ram","version":"1","queues":[{"name":"Q","kind":"serial"}],"bindings":[{"method":"start","queue":"Q"}]}}"#,
            r#"{"type":"mapped","declined":null,"identifiers":[1,2]}"#,
            r#"{"type":"started"}"#,
            r#"{"type":"managed","id":7,"response":0}"#,
            r#"{"type":"stopped"}"#,
            r#"{"type":"failed","step":"initialize","reason":"no device"}"#,
        ];
        for text in from_driver {
            serde_json::from_str::<FromDriver>(text).unwrap();
        }
    }

    #[test]
    fn fields_of_a_later_release_are_passed_over_and_messages_refused() {
        let hello = r#"{"type":"hello","protocol":2,"oldest":1,"features":["x"],"manifest":{"identifier":"a.b","version":"1","queues":[],"bindings":[],"licence":"MIT"}}"#;
        let message: FromDriver = serde_json::from_str(hello).unwrap();
        assert!(matches!(message, FromDriver::Hello { protocol: 2, oldest: 1, .. }));
        assert!(serde_json::from_str::<ToDriver>(r#"{"type":"suspend"}"#).is_err());
    }
}
