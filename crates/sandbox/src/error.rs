//! What can go wrong.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::launch::DISKS_MAX;
use crate::message::MESSAGE_MAX;

/// Why a driver was not started, or a thread not restricted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// the launcher program
    #[error(
        "cannot start the launcher {program:?}: {source}; it must be an executable of this release"
    )]
    Launcher {
        /// as given
        program: PathBuf,
        /// the kernel's answer
        source: io::Error,
    },
    /// the launcher said nothing
    #[error(
        "the launcher {program:?} ended ({status}) before it made a process; its messages are above"
    )]
    LauncherEnded {
        /// as given
        program: PathBuf,
        /// how it ended
        status: String,
    },
    /// the new process said nothing
    #[error("the process of driver {program:?} ended ({status}) before it executed the program")]
    ProcessEnded {
        /// the driver program
        program: PathBuf,
        /// how it ended
        status: String,
    },
    /// a step that every driver needs
    #[error("cannot start driver {program:?}: {step}: {reason}")]
    Refused {
        /// the driver program
        program: PathBuf,
        /// what was tried
        step: String,
        /// why not, and the mend
        reason: String,
    },
    /// a measure that was required
    #[error(
        "cannot start driver {program:?}: the sandbox needs {measure}, which is refused: {reason}; allow it, or set the sandbox to \"best-effort\""
    )]
    Measure {
        /// the driver program
        program: PathBuf,
        /// the measure's name
        measure: String,
        /// why not
        reason: String,
    },
    /// it takes too long
    #[error(
        "driver {program:?} was not started within {seconds} s and was ended; the machine may be out of memory"
    )]
    TimedOut {
        /// the driver program
        program: PathBuf,
        /// the limit
        seconds: f32,
    },
    /// too many disks
    #[error("{0} disks for one driver; at most {DISKS_MAX}")]
    Disks(usize),
    /// the spec is too long
    #[error("program, arguments and environment of {0} bytes; at most {MESSAGE_MAX}")]
    TooLong(usize),
    /// what came is no message
    #[error(
        "message of the launcher not understood: {0}; host and launcher must be of one release"
    )]
    Malformed(#[from] serde_json::Error),
    /// a system call failed
    #[error("launcher socket: {0}")]
    System(#[from] Errno),
    /// no such mode
    #[error("{0:?} is no sandbox mode; use \"off\", \"best-effort\" or \"require\"")]
    Mode(String),
    /// nothing to add to
    #[error(
        "this process has no system call filter, so its I/O threads get none; start it through a launcher"
    )]
    NotFiltered,
    /// a filter
    #[error("system call filter: {0}")]
    Filter(String),
}
