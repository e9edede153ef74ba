//! The fence: nothing of a dead driver reaches the disk any more.
//!
//! The death of a process is not the end of its I/O: the kernel finishes what is in flight. Each
//! driver's disks are fresh descriptions that hold `flock(LOCK_SH)`, and the description lives until
//! its last request has ended. So the host, which keeps no copy, takes `LOCK_EX` through another
//! description: as soon as it gets it, the old driver can neither write the disk nor read into its
//! memory. For a block device the exclusive claim (`O_EXCL`) says the same over all of its nodes.
//!
//! Whatever else keeps the description open (a child of the driver, a message not yet received)
//! delays the fence: it is late then, never wrong.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// Why a fence did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FenceError {
    /// The deadline has passed.
    #[error(
        "{path}: I/O of an earlier driver, or another Outboard, still holds it after {waited_ms} \
         ms; the disk is stuck or shared, and is not used until it lets go"
    )]
    Deadline {
        /// the disk
        path: PathBuf,
        /// milliseconds waited
        waited_ms: u64,
    },
    /// The disk cannot be opened or locked.
    #[error("{path}: {call} failed: {source}; the fence needs to open the disk for reading")]
    System {
        /// the disk
        path: PathBuf,
        /// the system call
        call: &'static str,
        /// the kernel's answer
        source: Errno,
    },
}

/// A fence that has come; while it is held nobody else gets the lock. Drop it before the disk is
/// opened for the successor.
#[derive(Debug)]
pub struct Fence {
    _description: OwnedFd,
}

impl Fence {
    /// Looks once: `None` if the disk is still held. Does not block.
    pub fn try_take(path: &Path) -> Result<Option<Self>, FenceError> {
        let fail = |call| move |source| FenceError::System { path: path.to_owned(), call, source };
        let stat = rustix::fs::stat(path).map_err(fail("stat"))?;
        let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let block_device = FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice;
        flags.set(OFlags::EXCL, block_device);
        let description = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(description) => description,
            Err(Errno::BUSY) => return Ok(None),
            Err(source) => return Err(fail("open")(source)),
        };
        match rustix::fs::flock(&description, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _description: description })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(source) => Err(fail("flock")(source)),
        }
    }
}

/// Waits up to `within` for the fence.
pub fn fence(path: &Path, within: Duration) -> Result<Fence, FenceError> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        if let Some(fence) = Fence::try_take(path)? {
            return Ok(fence);
        }
        let waited = start.elapsed();
        if waited >= within {
            let waited_ms = waited.as_millis() as u64;
            return Err(FenceError::Deadline { path: path.to_owned(), waited_ms });
        }
        thread::sleep(pause.min(within - waited));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

const LONGEST_PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::{OpenError, OpenOptions, open};

    #[test]
    fn it_comes_when_the_last_copy_of_the_description_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, [0; 8192]).unwrap();
        let spec = format!("{}?direct=off", path.display()).parse().unwrap();
        let opened = open(&spec, &OpenOptions::default()).unwrap();
        let copy = opened.fd().unwrap().try_clone_to_owned().unwrap();
        assert!(Fence::try_take(&path).unwrap().is_none());
        drop(opened);
        let early = fence(&path, Duration::from_millis(5)).unwrap_err();
        assert!(matches!(early, FenceError::Deadline { .. }), "{early}");
        drop(copy);
        let fence = fence(&path, Duration::from_millis(5)).unwrap();
        let busy = open(&spec, &OpenOptions::default()).unwrap_err();
        assert!(matches!(busy, OpenError::Busy { .. }), "{busy}");
        drop(fence);
        open(&spec, &OpenOptions::default()).unwrap();
    }
}
