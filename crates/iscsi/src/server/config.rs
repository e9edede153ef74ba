//! Bounds and times of a target's sessions.

use core::time::Duration;

/// Bytes of PDUs that wait on one connection before its input stalls; data in the region is bounded
/// by the backend's buffers.
pub(super) const OUTPUT_BOUND: usize = 1 << 20;
/// Immediate commands that a session may have beyond its window.
pub(super) const MAX_IMMEDIATE: u32 = 16;
/// Task management functions of one session at a time.
pub(super) const MAX_FUNCTIONS: u32 = 16;
/// Tasks of all sessions: a task's index is half of its Target Transfer Tags.
pub(super) const MAX_TASKS: usize = 0xFFFF;
/// A segment's rest that is at least so long is received straight into the region.
pub(super) const DIRECT_MIN: u32 = 4096;
/// The largest command window; CmdSNs are compared by serial arithmetic.
pub(super) const MAX_WINDOW: u32 = 4096;

/// Commands that a session below its depth may always send, however short the backend is of room:
/// some buffers that hold answers now will be free when the commands come, the others wait.
pub(super) const MIN_WINDOW: u32 = 16;

const _: () = assert!(MIN_WINDOW <= MAX_WINDOW);
const _: () = assert!(MAX_WINDOW as usize <= MAX_TASKS);

/// What bounds the sessions of one target.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// the target's iSCSI name, for SendTargets
    pub target_name: String,
    /// its addresses as `address:port,portal group tag`, for SendTargets
    pub addresses: Vec<String>,
    /// sessions at a time
    pub max_sessions: usize,
    /// commands of a session at a time: the command window
    pub queue_depth: u32,
    /// bytes of commands and data that a session may leave waiting for their turn or for room
    pub held_bytes: usize,
    /// how long a connection may be silent before it is asked for a sign of life
    pub nop_interval: Duration,
    /// how long it may take to give one
    pub nop_timeout: Duration,
    /// how long the data of a write, or a missing CmdSN, may take to come
    pub data_timeout: Duration,
    /// how long a connection that is to be closed may take to receive its last PDUs
    pub close_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            target_name: String::new(),
            addresses: Vec::new(),
            max_sessions: 64,
            queue_depth: 128,
            held_bytes: 4 << 20,
            nop_interval: Duration::from_secs(15),
            nop_timeout: Duration::from_secs(30),
            data_timeout: Duration::from_secs(25),
            close_timeout: Duration::from_secs(5),
        }
    }
}
