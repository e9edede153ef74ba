//! What a driver is started with, and why it could not be.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use outboard_hba::Path;
use outboard_hba::control::ControlError;
use outboard_sandbox::{Launcher, Mode, SandboxError};
use outboard_slots::{Region, RegionConfig};

use super::activation::{ActivationError, Offer};
use super::log::LogSink;

/// How long a control call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Debug, Default)]
pub struct Launch {
    /// the driver program
    pub program: PathBuf,
    /// its arguments
    pub arguments: Vec<String>,
    /// its options
    pub options: serde_json::Value,
    /// what else a packaged driver is given, and held to
    pub offer: Offer,
    /// its resources' descriptors; the host's copies are closed once they are sent
    pub descriptors: Vec<OwnedFd>,
    /// the region of a predecessor that is gone for certain (fenced), with the tasks' data; `None`
    /// makes a new one
    pub region: Option<Region>,
    /// where its output goes
    pub log: LogSink,
    /// how it is confined; `None`: an ordinary process of this user, for a look at a driver alone
    pub sandbox: Option<Sandbox>,
}

/// How a driver is confined (`docs/sandbox.md`).
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// who starts it
    pub launcher: Launcher,
    /// how much of the sandbox there must be
    pub mode: Mode,
    /// the folder of its package, which it sees
    pub package: Option<PathBuf>,
    /// bytes of memory of its own
    pub memory_bytes: u64,
    /// threads
    pub threads: u32,
    /// for a debugger
    pub debug: bool,
}

/// How to attach it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// how tasks reach it; whether it declines the bundled path,
    /// [`Driver::declined`](super::Driver::declined) tells
    pub path: Path,
    /// I/O queues
    pub queues: u32,
    /// slots of each queue, at most what the driver reports
    pub slots_per_queue: u32,
    /// bytes of the buffer pool
    pub pool_bytes: u64,
    /// spin while tasks are outstanding
    pub spin: bool,
    /// how long each control call may take
    pub timeout: Duration,
}

impl Options {
    /// One queue of `slots` slots with `pool_bytes` of buffers.
    pub fn new(path: Path, slots: u32, pool_bytes: u64) -> Self {
        Self {
            path,
            queues: 1,
            slots_per_queue: slots,
            pool_bytes,
            spin: true,
            timeout: CALL_TIMEOUT,
        }
    }

    /// Bytes of scratch memory for each of a driver's queues.
    pub(crate) const SCRATCH_BYTES: u64 = 4 << 20;

    /// The region for a controller that takes `maximum_task_count` tasks.
    pub(crate) fn region(&self, maximum_task_count: u32) -> RegionConfig {
        let each = (maximum_task_count / self.queues.max(1)).max(1);
        RegionConfig {
            slots_per_queue: self.slots_per_queue.min(each),
            queues: self.queues,
            pool_bytes: self.pool_bytes,
            scratch_bytes: Self::SCRATCH_BYTES,
        }
    }
}

/// Why a driver could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// the program
    #[error("cannot start driver {program:?}: {source}; check the path and that it is executable")]
    Spawn {
        /// as given
        program: PathBuf,
        /// the kernel's answer
        source: io::Error,
    },
    /// its sandbox
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// what it said
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// it ended
    #[error(
        "the driver ended ({status}) in {step}; its messages are above, run it alone to see more"
    )]
    Ended {
        /// the step
        step: &'static str,
        /// how it ended
        status: String,
    },
    /// it hangs
    #[error(
        "the driver has not answered {step} within {seconds} s and was ended; a driver must not block in {step}"
    )]
    Hung {
        /// the step
        step: &'static str,
        /// the limit
        seconds: f32,
    },
    /// the region
    #[error(transparent)]
    Region(#[from] outboard_slots::RegionError),
    /// a successor that cannot hold its predecessor's tasks
    #[error(
        "the driver takes {tasks} tasks at a time and its predecessor had {slots}: raise its maximum_task_count to {slots}, or stop the host before the change"
    )]
    FewerTasks {
        /// what it reports
        tasks: u32,
        /// slots of the region
        slots: u32,
    },
    /// the socket
    #[error(transparent)]
    Control(#[from] ControlError),
    /// the resident path has no process
    #[error("the resident path runs inside the host; attach it with attach_resident")]
    Resident,
}

/// A driver that did not come up, and what its process has left. The process is gone.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unstarted {
    /// why
    #[source]
    pub error: LaunchError,
    /// its process id, if there was a process
    pub pid: Option<u32>,
    /// how that ended
    pub ended: Option<ExitStatus>,
    /// the last lines that it wrote
    pub log: Vec<String>,
}

impl From<LaunchError> for Unstarted {
    fn from(error: LaunchError) -> Self {
        Self { error, pid: None, ended: None, log: Vec::new() }
    }
}
