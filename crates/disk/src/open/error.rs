//! Why a disk cannot be opened: the disk, the rule, the mend.

use std::path::PathBuf;

use outboard_slots::MemoryError;
use rustix::io::Errno;

use crate::spec::DiskSpec;

/// What [`crate::open::open`] refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The block size asked for is below what the disk can do.
    #[error(
        "{path}: blocks of {asked} bytes are smaller than its {needed}; leave block={asked} out or \
         write block={needed}"
    )]
    BlockTooSmall {
        /// the disk
        path: PathBuf,
        /// bytes asked for
        asked: u32,
        /// bytes needed
        needed: u32,
    },
    /// Somebody uses it: a lock, a mount, a claim.
    #[error("{path} is busy: {by}; {mend}")]
    Busy {
        /// the disk
        path: PathBuf,
        /// who
        by: &'static str,
        /// what to do
        mend: &'static str,
    },
    /// The memory for a disk's content could not be had.
    #[error("no memory for the content of {disk}: {source}")]
    Content {
        /// the disk's URL
        disk: String,
        /// why
        source: MemoryError,
    },
    /// The file system or its mount does not allow it.
    #[error("{path} is read-only; open it for reading only or choose another disk")]
    ReadOnly {
        /// the disk
        path: PathBuf,
    },
    /// There is no such file.
    #[error("{path} does not exist; create it, for example with `truncate -s 64G {path}`")]
    Missing {
        /// the disk
        path: PathBuf,
    },
    /// `O_DIRECT` does not work there.
    #[error(
        "{path}: its file system has no direct I/O; add ?direct=off to go through the page cache, \
         or move it"
    )]
    NoDirect {
        /// the disk
        path: PathBuf,
    },
    /// More memory than the machine has.
    #[error(
        "{disk} needs {needed} bytes of memory and {available} are available; make it smaller{}",
        sparse_mend(disk)
    )]
    NoMemory {
        /// the disk's URL
        disk: String,
        /// bytes needed
        needed: u64,
        /// bytes available now
        available: u64,
    },
    /// Blocks could not be allocated up front.
    #[error("{path}: its file system has no room for {bytes} bytes; free some or make it smaller")]
    NoSpace {
        /// the disk
        path: PathBuf,
        /// bytes asked for
        bytes: u64,
    },
    /// Thin provisioning was asked for, and it cannot give ranges back.
    #[error(
        "{disk}: thin=on needs a disk that can give ranges back, and this one cannot; leave \
         thin=on out, or keep the file on a file system with holes (ext4, xfs, btrfs, tmpfs)"
    )]
    NotThin {
        /// the disk's URL
        disk: String,
    },
    /// There is data on it.
    #[error(
        "{path} is not empty (data near byte {at}) and would be overwritten; add --overwrite if \
         nobody needs it, or choose another disk"
    )]
    NotEmpty {
        /// the disk
        path: PathBuf,
        /// where data was found
        at: u64,
    },
    /// A directory, a socket, a terminal...
    #[error("{path} is a {what}; a disk is a regular file or a block device")]
    OddType {
        /// the disk
        path: PathBuf,
        /// what it is
        what: &'static str,
    },
    /// The user may not.
    #[error("{path}: permission denied; run as a user who may open it")]
    Permission {
        /// the disk
        path: PathBuf,
    },
    /// Anything else the kernel said.
    #[error("{disk}: {call} failed: {source}")]
    System {
        /// the disk
        disk: String,
        /// the system call
        call: &'static str,
        /// the kernel's answer
        source: Errno,
    },
    /// It is smaller than needed.
    #[error("{disk} has {len} bytes and needs {needed}; enlarge it or ask for less")]
    TooSmall {
        /// the disk's URL
        disk: String,
        /// its length in bytes
        len: u64,
        /// bytes needed
        needed: u64,
    },
    /// The range asked for is not on it.
    #[error(
        "{disk}: offset= and length= must name a range of whole blocks ({block_size} bytes) of its \
         {len} bytes; name one that is"
    )]
    Window {
        /// the disk's URL
        disk: String,
        /// its length in bytes
        len: u64,
        /// bytes of a block
        block_size: u32,
    },
}

impl OpenError {
    pub(super) fn too_small(spec: &DiskSpec, len: u64, needed: u64) -> Self {
        Self::TooSmall { disk: spec.to_string(), len, needed }
    }

    pub(super) fn no_memory(spec: &DiskSpec, needed: u64, available: u64) -> Self {
        Self::NoMemory { disk: spec.to_string(), needed, available }
    }
}

fn sparse_mend(disk: &str) -> &'static str {
    if disk.starts_with("sim:") { ", or add sparse=on if little of it is written" } else { "" }
}
