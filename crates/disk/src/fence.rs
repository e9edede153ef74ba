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
//!
//! A file may be renamed or removed while a driver has it, a device unplugged. So the host has opened
//! each disk beside the driver, without a lock ([`FencedDisk`]): the fence is for that, and its name
//! is asked for when a disk is taken ([`fence`]), never when it is given up.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// Another disk has the name of the one that was opened.
    #[error(
        "{path}: it names another disk than a moment ago, when it was opened for the driver; leave it alone while a driver starts, and start again"
    )]
    Another {
        /// the name
        path: PathBuf,
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
    description: Arc<OwnedFd>,
}

/// A disk that a driver is given: the host's own description of it, which has no lock and does no
/// I/O. Whatever becomes of its name, the fence is for what the driver has.
#[derive(Clone, Debug)]
pub struct FencedDisk {
    path: PathBuf,
    description: Arc<OwnedFd>,
}

impl FencedDisk {
    /// The disk that was `opened` for a driver by the name of `path`.
    pub fn beside(opened: BorrowedFd<'_>, path: &Path) -> Result<Self, FenceError> {
        let fail = |call| move |source| FenceError::System { path: path.to_owned(), call, source };
        // No claim on a block device, which is the driver's.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let description = rustix::fs::open(path, flags, Mode::empty()).map_err(fail("open"))?;
        let identity = |fd: BorrowedFd<'_>| {
            let stat = rustix::fs::fstat(fd).map_err(fail("fstat"))?;
            Ok((stat.st_dev, stat.st_ino))
        };
        if identity(description.as_fd())? != identity(opened)? {
            return Err(FenceError::Another { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), description: Arc::new(description) })
    }

    /// Looks once: `None` if a driver still has it. Does not block.
    pub fn try_fence(&self) -> Result<Option<Fence>, FenceError> {
        Fence::lock(&self.path, &self.description)
    }

    /// Waits up to `within` for the fence.
    pub fn fence(&self, within: Duration) -> Result<Fence, FenceError> {
        wait(&self.path, within, || self.try_fence())
    }
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
        Self::lock(path, &Arc::new(description))
    }

    fn lock(path: &Path, description: &Arc<OwnedFd>) -> Result<Option<Self>, FenceError> {
        match rustix::fs::flock(description, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { description: description.clone() })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(source) => Err(FenceError::System { path: path.to_owned(), call: "flock", source }),
        }
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.description, FlockOperation::NonBlockingUnlock);
    }
}

/// Waits up to `within` for nobody to have what `path` names.
pub fn fence(path: &Path, within: Duration) -> Result<Fence, FenceError> {
    wait(path, within, || Fence::try_take(path))
}

fn wait(
    path: &Path,
    within: Duration,
    mut try_take: impl FnMut() -> Result<Option<Fence>, FenceError>,
) -> Result<Fence, FenceError> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        if let Some(fence) = try_take()? {
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

    /// A file that a driver has, whatever is done to its name meanwhile.
    #[test]
    fn it_is_for_what_the_driver_has_and_not_for_what_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        for case in ["kept", "renamed", "removed", "replaced"] {
            let path = dir.path().join(case);
            std::fs::write(&path, [0; 8192]).unwrap();
            let spec = format!("{}?direct=off", path.display()).parse().unwrap();
            let opened = open(&spec, &OpenOptions::default()).unwrap();
            let disk = FencedDisk::beside(opened.fd().unwrap(), &path).unwrap();
            match case {
                "kept" => {}
                "renamed" => std::fs::rename(&path, dir.path().join("elsewhere")).unwrap(),
                _ => std::fs::remove_file(&path).unwrap(),
            }
            if case == "replaced" {
                std::fs::write(&path, [1; 8192]).unwrap();
                assert!(Fence::try_take(&path).unwrap().is_some(), "nobody has this one");
                let another = FencedDisk::beside(opened.fd().unwrap(), &path).unwrap_err();
                assert!(matches!(another, FenceError::Another { .. }), "{another}");
            }
            assert!(disk.try_fence().unwrap().is_none(), "{case}");
            let early = disk.fence(Duration::from_millis(5)).unwrap_err();
            assert!(matches!(early, FenceError::Deadline { .. }), "{early}");
            drop(opened);
            let fence = disk.fence(Duration::from_secs(5)).unwrap();
            if case == "kept" {
                assert!(Fence::try_take(&path).unwrap().is_none(), "it is locked");
                drop(fence);
                // The host's own description keeps nobody out.
                assert!(Fence::try_take(&path).unwrap().is_some());
                open(&spec, &OpenOptions::default()).unwrap();
            }
        }
    }
}
