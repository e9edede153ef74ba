//! The contract between a disk and who uses it, as rules.
//!
//! 1. **Units.** Offsets and lengths are bytes, and multiples of [`Limits::block_size`]. The caller
//!    guarantees `offset + len <= limits.len_bytes()` and `len <= limits.max_transfer`; a disk
//!    refuses what is outside ([`DiskError::OutOfRange`]) and never panics on it.
//! 2. **Memory.** [`Segment`]s are ranges of the engine's memory ([`Engine::memory`]); their lengths
//!    add up to `len` for [`Op::Read`] and [`Op::Write`], and there are none for the other
//!    operations. The list is borrowed for the call; the bytes belong to the disk until the
//!    completion. Each segment is a multiple of the block size long; its address is aligned to 512.
//! 3. **Submission.** [`Disk::submit`] never blocks. An accepted request ends exactly once, with a
//!    [`Completion`] of its tag from a later [`Disk::poll`], in any order. A refused request is
//!    handed back as [`Rejected`] and does not complete.
//! 4. **Batching.** Accepted requests may be held until the next [`Engine::turn`], which hands all of
//!    them to the kernel in one system call; the queue's owner turns the engine once a round,
//!    *then* polls.
//! 5. **Durability.** A write without `fua` may sit in a volatile cache until [`Op::Flush`]
//!    completes, which covers every write that completed before the flush was submitted. A write
//!    with `fua` is on the medium when it completes.
//! 6. **Tags** are the caller's: unique among its requests in flight on this disk, below
//!    [`TAG_LIMIT`]; the bits above are for disks that stack on others.
//! 7. **Order.** None between requests in flight: whoever needs order waits.
//! 8. **Capacity.** At least [`crate::engine::EngineConfig::depth`] requests may be in flight; beyond
//!    it `submit` may refuse with [`DiskError::Busy`].

use outboard_slots::Time;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// Tags of a caller are below this.
pub const TAG_LIMIT: u64 = 1 << 48;

/// A range of the engine's memory, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// first byte, as an offset in the engine's memory
    pub offset: u64,
    /// length in bytes
    pub len: u32,
}

/// What to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// medium to memory
    Read,
    /// memory to medium; with `fua` past any volatile cache
    Write {
        /// force unit access
        fua: bool,
    },
    /// the volatile cache to the medium; `offset` and `len` are advice
    Flush,
    /// gives the range back; it reads as zeroes afterwards if `Discard::reads_zeroes`
    Discard,
    /// makes the range read as zeroes; `may_unmap` allows giving it back
    WriteZeroes {
        /// the range may be deallocated
        may_unmap: bool,
    },
}

/// One request. See the module's rules for units and ownership.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// the caller's name for it
    pub tag: u64,
    /// what to do
    pub op: Op,
    /// first byte on the disk
    pub offset: u64,
    /// bytes on the disk
    pub len: u64,
    /// where the data is or goes, in order
    pub segments: &'a [Segment],
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Completion {
    /// the request's tag
    pub tag: u64,
    /// success, or what went wrong
    pub result: Result<(), DiskError>,
}

/// What a disk can fail with; a device server turns it into sense data.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// the medium cannot be read or written at this byte
    #[error("medium error at byte {at}")]
    Medium {
        /// first bad byte, as far as known
        at: u64,
    },
    /// a thin disk has no room left
    #[error("no space left on the disk's storage")]
    NoSpace,
    /// the disk has vanished
    #[error("the disk is gone")]
    Gone,
    /// the disk does not accept writes
    #[error("the disk is read-only")]
    ReadOnly,
    /// the operation is not available on this disk
    #[error("the disk cannot do this operation")]
    Unsupported,
    /// the range or its alignment breaks rule 1 or 2
    #[error("range outside of the disk or not aligned to its blocks")]
    OutOfRange,
    /// too many requests in flight; try again after a completion
    #[error("too many requests in flight")]
    Busy,
    /// the disk did not answer in time
    #[error("the disk did not answer in time")]
    Timeout,
    /// the way to the disk is broken; the disk itself may be well
    #[error("the disk cannot be reached")]
    Unreachable,
    /// what the disk holds at this byte contradicts its check data
    #[error("check data does not fit at byte {at}")]
    Integrity {
        /// first bad byte, as far as known
        at: u64,
    },
    /// anything else the kernel said
    #[error("system error {errno}")]
    System {
        /// errno value
        errno: i32,
    },
}

/// A refused request's tag, handed back with the reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("request {tag} refused: {error}")]
pub struct Rejected {
    /// the tag of the request
    pub tag: u64,
    /// why
    pub error: DiskError,
}

/// A stretch of a disk that is in one state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allocation {
    /// storage holds it; otherwise it is a hole, which reads as zeroes
    pub mapped: bool,
    /// bytes, a multiple of the block size; what follows may be in the same state
    pub len: u64,
}

/// How a disk gives ranges back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Discard {
    /// bytes; a discard should begin and end at multiples
    pub granularity: u64,
    /// most bytes in one request
    pub max_bytes: u64,
    /// discarded ranges read as zeroes
    pub reads_zeroes: bool,
}

/// What a disk is and can.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Limits {
    /// bytes of a logical block: 512 or 4096
    pub block_size: u32,
    /// bytes of a physical block, a multiple of the logical one
    pub physical_block_size: u32,
    /// logical blocks of the disk
    pub blocks: u64,
    /// most bytes in one request
    pub max_transfer: u64,
    /// bytes of a transfer that suits the disk well (a stripe, a track); 0 = no preference
    pub optimal_transfer: u64,
    /// writes are refused
    pub read_only: bool,
    /// writes may be lost before a flush
    pub volatile_cache: bool,
    /// a spinning disk
    pub rotational: bool,
    /// discard, if the disk can
    pub discard: Option<Discard>,
    /// write zeroes without data
    pub write_zeroes: bool,
}

impl Limits {
    /// The disk's length in bytes.
    pub const fn len_bytes(&self) -> u64 {
        self.blocks * self.block_size as u64
    }

    /// Rule 1 and the sum of rule 2, for implementers: call it first in `submit`.
    #[inline]
    pub fn check(&self, request: &Request<'_>) -> Result<(), Rejected> {
        let unaligned = u64::from(self.block_size) - 1; // a power of two
        let refuse = |error| Err(Rejected { tag: request.tag, error });
        let end = request.offset.checked_add(request.len);
        if end.is_none_or(|end| end > self.len_bytes())
            || (request.offset | request.len) & unaligned != 0
        {
            return refuse(DiskError::OutOfRange);
        }
        match request.op {
            Op::Flush => {}
            Op::Read | Op::Write { .. } => {
                let sum: u64 = request.segments.iter().map(|s| u64::from(s.len)).sum();
                if sum != request.len || request.len > self.max_transfer {
                    return refuse(DiskError::OutOfRange);
                }
            }
            Op::Discard | Op::WriteZeroes { .. } => {
                if !request.segments.is_empty() {
                    return refuse(DiskError::OutOfRange);
                }
            }
        }
        match request.op {
            Op::Read | Op::Flush => {}
            _ if self.read_only => return refuse(DiskError::ReadOnly),
            Op::Discard if self.discard.is_none() => return refuse(DiskError::Unsupported),
            Op::WriteZeroes { .. } if !self.write_zeroes => {
                return refuse(DiskError::Unsupported);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A disk. The rules are at the top of this module.
pub trait Disk: Send {
    /// What it is and can; constant while the disk is open.
    fn limits(&self) -> &Limits;

    /// Takes a request or hands it back.
    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected>;

    /// Appends to `done` every request that has ended by `engine.now()`.
    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>);

    /// When the disk next has something to do by its own clock (simulated and delayed disks);
    /// [`Time::NEVER`] if only the kernel can tell.
    fn next_event(&self) -> Time {
        Time::NEVER
    }

    /// Requests accepted and not yet ended.
    fn in_flight(&self) -> u32;

    /// Whether storage holds the byte at `offset`, and how far that goes. Rounded to blocks in
    /// favour of storage; a disk that does not know says that all of it is held. Never empty,
    /// except at the disk's end and beyond.
    ///
    /// It answers at once, from what the disk knows or can look up; requests in flight count or
    /// not, as it happens.
    fn allocation(&self, offset: u64) -> Allocation {
        let len = self.limits().len_bytes().saturating_sub(offset);
        Allocation { mapped: true, len }
    }
}
