//! Opening disks: the host opens and checks, the driver attaches.
//!
//! The host calls [`open`] with a parsed [`DiskSpec`]: it gets a *fresh* file description (locked,
//! for files) or a memfd with the content, and the disk's limits. [`Opened::into_parts`] separates
//! the description, which is serialisable, from the descriptor, which travels beside it to the
//! driver process. There [`Opened::from_parts`] joins them and [`Opened::attach`] makes one
//! [`Disk`] per I/O queue.
//!
//! The pages of a `mem:` disk are there from the beginning; those of a `sim:` disk come when they are
//! first touched ([`Opened::memory`] and [`Memory::populate`] change that).
//!
//! For files the host must keep no descriptor: the lock is the fence (see [`crate::fence`]), and
//! whoever holds the description holds the lock. Contents in memory outlive the driver because the
//! host does keep its memfd.

mod device;
mod error;
mod path;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use outboard_slots::{Memory, MemoryError};
use serde::{Deserialize, Serialize};

use crate::contract::{Discard, Disk, Limits};
use crate::delay::Delayed;
use crate::engine::{Engine, EngineError};
use crate::faulty::Faulty;
use crate::file::FileDisk;
use crate::memory_disk::MemoryDisk;
use crate::null::NullDisk;
use crate::sim::{Hdd, Model, SharedModel, SimDisk, Ssd};
use crate::spec::{DiskKind, DiskSpec};
use crate::window::Window;

pub use error::OpenError;

/// How a disk is opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenOptions {
    /// writes are wanted; otherwise the disk is read-only
    pub writable: bool,
    /// the lock that the new description holds
    pub lock: Lock,
    /// a disk with data on it is refused
    pub must_be_empty: bool,
    /// least length in bytes
    pub min_bytes: u64,
    /// a file's blocks are allocated up front, so that writes do not have to
    pub preallocate: bool,
}

impl Default for OpenOptions {
    /// Writable, shared lock, any content, any size.
    fn default() -> Self {
        Self {
            writable: true,
            lock: Lock::Shared,
            must_be_empty: false,
            min_bytes: 0,
            preallocate: false,
        }
    }
}

/// The `flock` of a file's description, and for a block device whether it is claimed (`O_EXCL`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Lock {
    /// nobody else may hold any: one Outboard, one driver, one array member
    Exclusive,
    /// none, and no claim on a block device: for a look at a disk that is in use
    None,
    /// no fence and no exclusive holder
    Shared,
}

/// An open disk: what it is, and the descriptor it needs.
#[derive(Debug)]
pub struct Opened {
    description: Description,
    fd: Option<OwnedFd>,
    content: OnceLock<Memory>,
    model: OnceLock<SharedModel>,
}

/// What an open disk is; the serialisable part of [`Opened`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Description {
    /// what was asked for
    pub spec: DiskSpec,
    /// what was found
    pub limits: Limits,
}

/// Opens and checks a disk.
pub fn open(spec: &DiskSpec, options: &OpenOptions) -> Result<Opened, OpenError> {
    let writable = options.writable && !spec.read_only;
    let options = &OpenOptions { writable, ..options.clone() };
    let (limits, fd) = match &spec.kind {
        DiskKind::File { path, direct } => {
            let (limits, fd) = path::open(path, *direct, spec.block_size, options)?;
            (limits, Some(fd))
        }
        DiskKind::Memory { len_bytes } | DiskKind::Null { len_bytes } => {
            (limits_in_memory(spec, *len_bytes, options), None)
        }
        DiskKind::Hdd { len_bytes, .. } => {
            let limits = limits_in_memory(spec, *len_bytes, options);
            let physical_block_size = 4096;
            (Limits { rotational: true, discard: None, physical_block_size, ..limits }, None)
        }
        DiskKind::Ssd { len_bytes, .. } => {
            let limits = limits_in_memory(spec, *len_bytes, options);
            (Limits { physical_block_size: 4096, ..limits }, None)
        }
    };
    if limits.blocks == 0 || limits.len_bytes() < options.min_bytes {
        let needed = options.min_bytes.max(u64::from(limits.block_size));
        return Err(OpenError::too_small(spec, limits.len_bytes(), needed));
    }
    if let (DiskKind::File { path, .. }, Some(fd)) = (&spec.kind, &fd) {
        path::prepare(path, fd, &limits, options)?;
    }
    let limits = windowed(spec, as_told(spec, limits)?, options)?;
    let opened = Opened {
        description: Description { spec: spec.clone(), limits },
        fd,
        content: OnceLock::new(),
        model: OnceLock::new(),
    };
    opened.with_content()
}

impl Opened {
    /// Joins what [`Opened::into_parts`] separated, in the process that will use the disk.
    pub fn from_parts(description: Description, fd: Option<OwnedFd>) -> Result<Self, EngineError> {
        let opened = Self { description, fd, content: OnceLock::new(), model: OnceLock::new() };
        let needs = match opened.description.spec.kind {
            DiskKind::File { .. } => Some("file descriptor"),
            DiskKind::Hdd { .. } | DiskKind::Memory { .. } | DiskKind::Ssd { .. } => Some("memfd"),
            DiskKind::Null { .. } => None,
        };
        match needs {
            Some(missing) if opened.fd.is_none() => {
                Err(EngineError::Incomplete { disk: opened.name(), missing })
            }
            _ => Ok(opened),
        }
    }

    /// The part to serialise and the part to send beside it.
    pub fn into_parts(self) -> (Description, Option<OwnedFd>) {
        (self.description, self.fd)
    }

    /// Makes the disk of one I/O queue. Called once per queue; the disks share the content, and a
    /// simulated disk's mechanics.
    ///
    /// Drop `self` when all queues have their disks: for a file the engines' tables keep the
    /// description, and so do the disks that can tell what of a file is mapped.
    pub fn attach(&self, engine: &mut Engine) -> Result<Box<dyn Disk>, EngineError> {
        let limits = self.whole();
        let depth = engine.depth();
        let mut disk: Box<dyn Disk> = match &self.description.spec.kind {
            DiskKind::File { .. } => {
                let fd = self.fd.as_ref().ok_or_else(|| EngineError::Incomplete {
                    disk: self.name(),
                    missing: "file descriptor",
                })?;
                let (number, file) = engine.add_file(&self.name(), fd.as_fd())?;
                // Without it the disk works, and says that all of it is mapped.
                let tells = self.description.spec.thin != Some(false);
                let holes = tells.then(|| fd.try_clone().ok()).flatten();
                Box::new(FileDisk::new(limits, number, file, depth, holes))
            }
            DiskKind::Memory { .. } => {
                let content = self.content()?;
                if content.len() <= POPULATED_AT_ATTACH {
                    content.populate().map_err(|source| self.content_error(source))?;
                }
                Box::new(MemoryDisk::new(limits, content, depth))
            }
            DiskKind::Null { .. } => Box::new(NullDisk::new(limits, depth)),
            DiskKind::Hdd { .. } | DiskKind::Ssd { .. } => {
                Box::new(SimDisk::new(limits, self.content()?, self.model(), depth))
            }
        };
        if let Some(window) = &self.description.spec.window {
            disk = Box::new(Window::new(disk, window.offset, self.description.limits));
        }
        if let Some(faults) = &self.description.spec.faults {
            disk = Box::new(Faulty::new(disk, faults.clone(), depth));
        }
        if let Some(delay) = &self.description.spec.delay {
            disk = Box::new(Delayed::new(disk, delay.clone(), depth));
        }
        Ok(disk)
    }

    /// What it is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What it can.
    pub fn limits(&self) -> &Limits {
        &self.description.limits
    }

    /// What was asked for.
    pub fn spec(&self) -> &DiskSpec {
        &self.description.spec
    }

    /// The file or the memfd, if the disk has one.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// The content of a disk that lives in memory, for verification; `None` for files and `null:`.
    pub fn memory(&self) -> Result<Option<Memory>, EngineError> {
        match self.description.spec.kind {
            DiskKind::File { .. } | DiskKind::Null { .. } => Ok(None),
            _ => self.content().map(Some),
        }
    }

    /// Creates the content of a disk that lives in memory.
    fn with_content(mut self) -> Result<Self, OpenError> {
        let populate = match self.description.spec.kind {
            DiskKind::File { .. } | DiskKind::Null { .. } => return Ok(self),
            DiskKind::Hdd { sparse: true, .. } | DiskKind::Ssd { sparse: true, .. } => None,
            DiskKind::Hdd { .. } | DiskKind::Ssd { .. } => Some(false),
            DiskKind::Memory { .. } => Some(true),
        };
        let len = self.whole().len_bytes();
        let available = device::available_memory();
        if populate.is_some() && len > available {
            return Err(OpenError::no_memory(self.spec(), len, available));
        }
        let refused = |source| OpenError::Content { disk: self.name(), source };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let content = Memory::create("outboard-disk", len).map_err(refused)?;
        if populate == Some(true) {
            content.populate().map_err(refused)?;
        }
        self.fd = Some(content.share().map_err(refused)?);
        self.content = OnceLock::from(content);
        Ok(self)
    }

    fn content(&self) -> Result<Memory, EngineError> {
        if let Some(content) = self.content.get() {
            return Ok(content.clone());
        }
        let fd = self
            .fd
            .as_ref()
            .and_then(|fd| fd.try_clone().ok())
            .ok_or_else(|| EngineError::Incomplete { disk: self.name(), missing: "memfd" })?;
        let content = Memory::attach(fd).map_err(|source| self.content_error(source))?;
        Ok(self.content.get_or_init(|| content).clone())
    }

    fn model(&self) -> SharedModel {
        let len = self.whole().len_bytes();
        let model = self.model.get_or_init(|| {
            SharedModel::new(match &self.description.spec.kind {
                DiskKind::Ssd { timing, .. } => Model::Ssd(Ssd::new(timing.clone())),
                DiskKind::Hdd { timing, .. } => Model::Hdd(Hdd::new(timing.clone(), len)),
                _ => Model::Ssd(Ssd::new(crate::sim::SsdTiming::default())),
            })
        });
        model.clone()
    }

    /// The limits of the disk up to the end of its window.
    fn whole(&self) -> Limits {
        let limits = self.description.limits;
        let before = self.description.spec.window.map_or(0, |window| window.offset);
        Limits { blocks: limits.blocks + before / u64::from(limits.block_size), ..limits }
    }

    fn content_error(&self, source: MemoryError) -> EngineError {
        EngineError::Content { disk: self.name(), source }
    }

    fn name(&self) -> String {
        self.description.spec.to_string()
    }
}

/// Content up to this many bytes is mapped page by page when a `mem:` disk is attached (20 ms for
/// all of it); of more, each page when it is first touched, so that a driver restarts quickly.
const POPULATED_AT_ATTACH: usize = 256 << 20;

/// Most bytes in one request, for every disk.
pub const MAX_TRANSFER: u64 = 64 << 20;

/// What the URL says in place of what the disk itself says.
fn as_told(spec: &DiskSpec, limits: Limits) -> Result<Limits, OpenError> {
    let physical = spec.physical_block_size.unwrap_or(limits.physical_block_size);
    let limits = Limits { physical_block_size: physical.max(limits.block_size), ..limits };
    match spec.thin {
        Some(false) => Ok(Limits { discard: None, ..limits }),
        // What cannot be written gives nothing back either, whatever it is.
        Some(true) if limits.discard.is_none() && !limits.read_only => {
            Err(OpenError::NotThin { disk: spec.to_string() })
        }
        _ => Ok(limits),
    }
}

/// The limits of the range that was asked for.
fn windowed(spec: &DiskSpec, limits: Limits, options: &OpenOptions) -> Result<Limits, OpenError> {
    let Some(window) = &spec.window else { return Ok(limits) };
    let outside = || OpenError::Window {
        disk: spec.to_string(),
        len: limits.len_bytes(),
        block_size: limits.block_size,
    };
    let limits = window.limits(&limits).ok_or_else(outside)?;
    if limits.len_bytes() < options.min_bytes {
        return Err(OpenError::too_small(spec, limits.len_bytes(), options.min_bytes));
    }
    Ok(limits)
}

fn limits_in_memory(spec: &DiskSpec, len_bytes: u64, options: &OpenOptions) -> Limits {
    let block_size = spec.block_size.unwrap_or(512);
    Limits {
        block_size,
        physical_block_size: block_size,
        blocks: len_bytes / u64::from(block_size),
        max_transfer: MAX_TRANSFER,
        optimal_transfer: 0,
        read_only: !options.writable,
        volatile_cache: false,
        rotational: false,
        discard: Some(Discard {
            granularity: u64::from(block_size),
            max_bytes: MAX_TRANSFER,
            reads_zeroes: true,
        }),
        write_zeroes: true,
    }
}

#[cfg(test)]
mod tests;
