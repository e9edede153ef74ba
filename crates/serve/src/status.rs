//! What a running server tells of itself: the body of `GET /v1/status`, the source of the metrics and
//! of the tables of `outboard status`.
//!
//! Times are in the unit their name ends with, counters begin at 0 when the server (a session) does.

mod gather;
mod latency;

use outboard_sandbox::Outcome;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use gather::gather;
pub(crate) use latency::upper_ns;
pub use latency::{LATENCY_BUCKETS, Latency, LatencyCounts};

/// Everything.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// the server itself
    pub server: Server,
    /// driver processes
    pub drivers: Vec<Driver>,
    /// targets with their LUNs, in the order of the configuration
    pub targets: Vec<Target>,
    /// sessions, oldest first
    pub sessions: Vec<Session>,
}

/// The server process.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = ServerStatus)]
pub struct Server {
    /// of the program
    pub version: String,
    /// process id
    pub pid: u32,
    /// since its start
    pub uptime_ms: u64,
    /// what it does
    pub state: ServerState,
    /// addresses it accepts on: `192.0.2.1:3260`, `[2001:db8::1]:3260`
    pub portals: Vec<String>,
    /// log-ins and connections
    pub logins: Logins,
}

/// What the server does.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// not all portals accept yet
    #[default]
    Starting,
    /// all portals accept
    Ready,
    /// no new sessions; tasks end
    Draining,
}

/// Connections and how they fared. All but the first two only grow.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Logins {
    /// connections that are open, log-ins under way included
    pub connections: u32,
    /// log-ins under way
    pub under_way: u32,
    /// log-ins that succeeded
    pub succeeded: u64,
    /// log-ins that were refused: wrong secret, unknown target, not allowed, bad text
    pub refused: u64,
    /// connections that ended or timed out before they were logged in
    pub abandoned: u64,
    /// connections closed at once because a limit was reached
    pub over_limit: u64,
}

/// A driver process.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = DriverStatus)]
pub struct Driver {
    /// its name: `array`, or that of its program
    pub name: String,
    /// reverse-DNS identifier: `org.outboard.array`, or that of the extension
    #[serde(default)]
    pub identifier: String,
    /// its version, as far as it is known
    #[serde(default)]
    pub version: String,
    /// process id; none while there is no process
    pub pid: Option<u32>,
    /// what it does
    pub state: DriverState,
    /// for a debugger: nothing of it is given up for being slow
    #[serde(default)]
    pub debug: bool,
    /// what bounds its process, and what could not
    #[serde(default)]
    pub sandbox: Vec<Measure>,
    /// how often it was replaced
    pub restarts: u64,
    /// completions that could not be
    pub violations: u64,
    /// why it was last replaced, or why it does not run
    pub last_reason: Option<String>,
    /// what its tasks waited when it was replaced: the last pauses, oldest first, at most 16
    pub pauses: Vec<Pause>,
    /// all pauses by length
    pub pause: Latency,
    /// tasks that it has, of the slots there are
    pub slots: Usage,
    /// bytes of the buffer pool
    pub pool: Usage,
}

/// Pauses that a status has of each driver.
pub const PAUSES_KEPT: usize = 16;

/// A pause: a driver was lost and replaced. Parts of several attempts are added up; what is missing to
/// the total are hand-overs between threads.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = DriverPause)]
pub struct Pause {
    /// 1 for the first
    pub number: u64,
    /// when the loss was known, on the machine's monotonic clock (`CLOCK_MONOTONIC`)
    pub lost_ns: u64,
    /// until its process was gone
    pub end_ns: u64,
    /// until the last of its I/O had ended
    pub fence_ns: u64,
    /// waited because drivers died one after the other
    pub back_off_ns: u64,
    /// until the successor's process took tasks
    pub start_ns: u64,
    /// from then to the first task that it completed
    pub replay_ns: u64,
    /// from the loss to that task
    pub total_ns: u64,
}

/// A measure that bounds a driver's process.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = DriverMeasure)]
pub struct Measure {
    /// what it is
    pub name: String,
    /// `applied`, or why it could not be
    pub outcome: String,
}

impl From<&outboard_sandbox::Measure> for Measure {
    fn from(measure: &outboard_sandbox::Measure) -> Self {
        let outcome = match &measure.outcome {
            Outcome::Applied => "applied".to_owned(),
            Outcome::Refused(reason) => reason.clone(),
        };
        Self { name: measure.name.clone(), outcome }
    }
}

/// An extension that serves a target.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ExtensionInUse {
    /// reverse-DNS identifier
    pub identifier: String,
    /// its version
    pub version: String,
    /// the target's iSCSI name
    pub target: String,
    /// process id; none while there is no process
    pub pid: Option<u32>,
    /// what the driver does
    pub state: DriverState,
    /// how often it was replaced
    pub restarts: u64,
    /// what bounds its process, and what could not
    pub sandbox: Vec<Measure>,
}

impl Status {
    /// The drivers by the targets they serve, the built-in one among them.
    pub fn extensions(&self) -> Vec<ExtensionInUse> {
        let in_use = |(target, driver): (&Target, &Driver)| ExtensionInUse {
            identifier: driver.identifier.clone(),
            version: driver.version.clone(),
            target: target.name.clone(),
            pid: driver.pid,
            state: driver.state,
            restarts: driver.restarts,
            sandbox: driver.sandbox.clone(),
        };
        self.targets.iter().zip(&self.drivers).map(in_use).collect()
    }
}

/// What a driver does.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriverState {
    /// being started
    #[default]
    Starting,
    /// serving tasks
    Running,
    /// being fenced and replaced; its tasks wait
    Replacing,
    /// cannot be started; its LUNs are not ready
    Failed,
    /// ended in order
    Stopped,
}

/// So much of so much.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Usage {
    /// now
    pub used: u64,
    /// at most
    pub total: u64,
}

/// A target.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = TargetStatus)]
pub struct Target {
    /// iSCSI name
    pub name: String,
    /// alias
    pub alias: Option<String>,
    /// addresses it is offered on
    pub portals: Vec<String>,
    /// whether initiators must prove who they are
    pub chap: bool,
    /// its LUNs in order
    pub luns: Vec<Lun>,
    /// sessions it has
    pub sessions: u32,
}

/// A LUN.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = LunStatus)]
pub struct Lun {
    /// its number
    pub lun: u16,
    /// the array under it; of an extension's LUN its identifier
    pub array: String,
    /// the driver that serves it, an index into `drivers`
    pub driver: u32,
    /// whether it takes commands
    pub state: LunState,
    /// unit serial number
    pub serial: String,
    /// logical blocks
    pub blocks: u64,
    /// bytes of a logical block
    pub block_size: u32,
    /// writes are refused
    pub read_only: bool,
    /// the medium can be ejected
    pub removable: bool,
    /// thin provisioned
    pub thin: bool,
    /// what it has done
    pub counters: Counters,
}

/// Whether a LUN takes commands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LunState {
    /// it does
    #[default]
    Ready,
    /// its driver is being replaced: commands wait
    Waiting,
    /// no medium, or stopped
    NotReady,
    /// being removed
    Removing,
}

/// What has been done, in tasks and bytes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Counters {
    /// reads that have ended
    pub reads: u64,
    /// writes that have ended
    pub writes: u64,
    /// all other commands that have ended
    pub others: u64,
    /// bytes read
    pub read_bytes: u64,
    /// bytes written
    pub written_bytes: u64,
    /// tasks that ended with another status than GOOD or CONDITION MET; unit attentions included
    pub errors: u64,
    /// tasks ended by task management or with their session
    pub aborted: u64,
    /// tasks that have not ended yet
    pub outstanding: u32,
    /// from reception of a command to its response, reads and writes
    pub latency: Latency,
}

/// A session: one I_T nexus.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = SessionStatus)]
pub struct Session {
    /// the target's name
    pub target: String,
    /// the initiator's name
    pub initiator: String,
    /// the initiator's alias
    pub initiator_alias: Option<String>,
    /// initiator session identifier, 12 hexadecimal digits
    pub isid: String,
    /// target session identifying handle
    pub tsih: u16,
    /// since the log-in of its first connection
    pub age_ms: u64,
    /// its connections
    pub connections: Vec<Connection>,
    /// commands received
    pub commands: u64,
    /// commands that have not ended yet
    pub outstanding: u32,
    /// bytes sent as Data-In
    pub read_bytes: u64,
    /// bytes received as Data-Out or immediate data
    pub written_bytes: u64,
}

/// A connection of a session.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = ConnectionStatus)]
pub struct Connection {
    /// connection identifier
    pub cid: u16,
    /// the initiator's address
    pub initiator: String,
    /// the address it came to
    pub portal: String,
    /// headers carry a CRC32C
    pub header_digest: bool,
    /// data carry a CRC32C
    pub data_digest: bool,
    /// number of the I/O thread that serves it
    pub thread: u32,
}
