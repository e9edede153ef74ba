//! Files and block devices over io_uring.
//!
//! A request is one kernel request, whatever its segments: `READ_FIXED`/`WRITE_FIXED` for one
//! segment of registered memory, the vectored forms for several. What the kernel ends short is
//! submitted again for the rest. `fua` is `RWF_DSYNC`, a flush is `fdatasync`, a discard punches a
//! hole; a block device understands the same calls.
//!
//! Where the holes of a file are is asked of the file system by `lseek`, on a descriptor of the same
//! description: io_uring has no such call. The file's position means nothing to anybody else.

use std::os::fd::OwnedFd;

use outboard_slots::Time;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::contract::{
    Allocation, Completion, Disk, DiskError, Limits, Op, Rejected, Request, Segment,
};
use crate::engine::{Ended, Engine};
use crate::uring::{Command, Io};

/// One queue's handle of a file or block device.
#[derive(Debug)]
pub struct FileDisk {
    limits: Limits,
    number: u32,
    file: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    inbox: Vec<Ended>,
    again: Vec<u32>,
    ended: Vec<Completion>,
    zero_range: bool,
    /// the file, where its holes can be looked for
    holes: Option<OwnedFd>,
}

/// A request in flight. Its vector keeps its room for the next one.
#[derive(Debug)]
struct Slot {
    tag: u64,
    op: Op,
    offset: u64,
    len: u64,
    done: u64,
    /// asked for as ZERO_RANGE, which keeps the blocks
    zero_range: bool,
    segments: Vec<Segment>,
}

impl FileDisk {
    /// The disk with this number on its engine, over the registered file of this index. With
    /// `holes`, a descriptor of the same file, it can tell what of it is mapped.
    pub(crate) fn new(
        limits: Limits,
        number: u32,
        file: u32,
        depth: u32,
        holes: Option<OwnedFd>,
    ) -> Self {
        let slot = |_| Slot {
            tag: 0,
            op: Op::Flush,
            offset: 0,
            len: 0,
            done: 0,
            zero_range: false,
            segments: Vec::with_capacity(SEGMENTS_KEPT),
        };
        Self {
            limits,
            number,
            file,
            slots: (0..depth).map(slot).collect(),
            free: (0..depth).rev().collect(),
            inbox: Vec::with_capacity(depth as usize),
            again: Vec::with_capacity(depth as usize),
            ended: Vec::with_capacity(depth as usize),
            zero_range: true,
            holes,
        }
    }

    fn queue(&self, engine: &mut Engine, slot: u32) -> Result<(), DiskError> {
        let Slot { op, offset, len, done, zero_range, segments, .. } = &self.slots[slot as usize];
        let command = match op {
            Op::Read => Command::Read,
            Op::Write { fua } => Command::Write { dsync: *fua },
            Op::Flush => Command::Sync,
            Op::WriteZeroes { .. } if *zero_range => {
                Command::Allocate(libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE)
            }
            Op::Discard | Op::WriteZeroes { .. } => {
                Command::Allocate(libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE)
            }
        };
        let (file, offset, len, skip) = (self.file, *offset, *len, *done);
        engine.queue(self.number, slot, &Io { file, command, offset, len, segments, skip })
    }

    /// What the kernel's answer means: ended, or to be submitted again (`None`).
    fn judge(&mut self, Ended { slot, result }: Ended) -> Option<Result<(), DiskError>> {
        let slot = &mut self.slots[slot as usize];
        if result < 0 {
            return match -result {
                libc::EAGAIN | libc::EINTR => None,
                // a file system without ZERO_RANGE: a hole reads as zeroes as well
                libc::EOPNOTSUPP if slot.zero_range => {
                    slot.zero_range = false;
                    self.zero_range = false;
                    None
                }
                errno => Some(Err(disk_error(errno, slot.op, slot.offset + slot.done))),
            };
        }
        if !matches!(slot.op, Op::Read | Op::Write { .. }) {
            return Some(Ok(()));
        }
        slot.done += u64::from(result.unsigned_abs());
        if slot.done >= slot.len {
            return Some(Ok(()));
        }
        // Nothing at all: the file has become shorter than the disk.
        (result == 0).then_some(Err(DiskError::Medium { at: slot.offset + slot.done }))
    }

    fn end(&mut self, slot: u32, result: Result<(), DiskError>, done: &mut Vec<Completion>) {
        done.push(Completion { tag: self.slots[slot as usize].tag, result });
        self.free.push(slot);
    }
}

impl Disk for FileDisk {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        let refuse = |error| Err(Rejected { tag: request.tag, error });
        if self.in_flight() as usize >= self.slots.len() {
            return refuse(DiskError::Busy);
        }
        if request.len == 0 && request.op != Op::Flush {
            self.ended.push(Completion { tag: request.tag, result: Ok(()) });
            return Ok(());
        }
        let Some(slot) = self.free.pop() else { return refuse(DiskError::Busy) };
        let place = &mut self.slots[slot as usize];
        (place.tag, place.op, place.done) = (request.tag, request.op, 0);
        (place.offset, place.len) = (request.offset, request.len);
        place.zero_range = self.zero_range && request.op == Op::WriteZeroes { may_unmap: false };
        place.segments.clear();
        place.segments.extend_from_slice(request.segments);
        self.queue(engine, slot).or_else(|error| {
            self.free.push(slot);
            refuse(error)
        })
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        done.append(&mut self.ended);
        let mut inbox = std::mem::take(&mut self.inbox);
        engine.swap_inbox(self.number, &mut inbox);
        for ended in inbox.drain(..) {
            match self.judge(ended) {
                Some(result) => self.end(ended.slot, result, done),
                None => self.again.push(ended.slot),
            }
        }
        self.inbox = inbox;
        // From the back: order among requests in flight means nothing.
        while let Some(slot) = self.again.pop() {
            match self.queue(engine, slot) {
                Ok(()) => {}
                Err(DiskError::Busy) => {
                    self.again.push(slot);
                    break;
                }
                Err(error) => self.end(slot, Err(error), done),
            }
        }
    }

    fn next_event(&self) -> Time {
        let waiting = !self.ended.is_empty() || !self.again.is_empty();
        if waiting { Time::ZERO } else { Time::NEVER }
    }

    fn in_flight(&self) -> u32 {
        (self.slots.len() - self.free.len() + self.ended.len()) as u32
    }

    fn allocation(&self, offset: u64) -> Allocation {
        let len = self.limits.len_bytes();
        let all = Allocation { mapped: true, len: len.saturating_sub(offset) };
        match &self.holes {
            Some(file) if offset < len => {
                hole_or_data(file, offset, len, u64::from(self.limits.block_size)).unwrap_or(all)
            }
            _ => all,
        }
    }
}

/// What `lseek` says of the byte at `offset` of a file of `len` bytes, in whole blocks: a block with
/// data in it is data.
fn hole_or_data(file: &OwnedFd, offset: u64, len: u64, block: u64) -> Result<Allocation, Errno> {
    let data = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data.min(len),
        // No data from there on.
        Err(Errno::NXIO) => len,
        Err(error) => return Err(error),
    };
    let hole = data / block * block;
    if hole > offset {
        return Ok(Allocation { mapped: false, len: hole - offset });
    }
    let end = rustix::fs::seek(file, SeekFrom::Hole(data))?.next_multiple_of(block).min(len);
    Ok(Allocation { mapped: true, len: end.saturating_sub(offset).max(block) })
}

/// What an errno value means for a request of this kind that failed at this byte.
fn disk_error(errno: i32, op: Op, at: u64) -> DiskError {
    let writes = !matches!(op, Op::Read | Op::Flush);
    match errno {
        libc::EIO | libc::EREMOTEIO | libc::ENODATA | libc::EUCLEAN => DiskError::Medium { at },
        libc::EILSEQ | libc::EBADMSG => DiskError::Integrity { at },
        libc::ENOSPC | libc::EDQUOT => DiskError::NoSpace,
        libc::ENODEV | libc::ENXIO | libc::ENOMEDIUM | libc::ESHUTDOWN | libc::ESTALE => {
            DiskError::Gone
        }
        libc::ETIMEDOUT | libc::ETIME => DiskError::Timeout,
        libc::ENOLINK | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ECONNRESET => {
            DiskError::Unreachable
        }
        // The machine is short of something for a while.
        libc::ENOMEM | libc::ENOBUFS | libc::EBUSY => DiskError::Busy,
        libc::EROFS => DiskError::ReadOnly,
        libc::EPERM | libc::EBADF | libc::EACCES if writes => DiskError::ReadOnly,
        libc::EOPNOTSUPP | libc::ENOSYS => DiskError::Unsupported,
        errno => DiskError::System { errno },
    }
}

/// Segments that a slot has room for from the start.
const SEGMENTS_KEPT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_kernel_have_a_meaning() {
        let write = Op::Write { fua: false };
        for (errno, op, error) in [
            (libc::EIO, Op::Read, DiskError::Medium { at: 4096 }),
            (libc::EIO, Op::Flush, DiskError::Medium { at: 4096 }),
            (libc::EILSEQ, Op::Read, DiskError::Integrity { at: 4096 }),
            (libc::ETIMEDOUT, Op::Read, DiskError::Timeout),
            (libc::ENOLINK, write, DiskError::Unreachable),
            (libc::ESTALE, Op::Read, DiskError::Gone),
            (libc::ENOMEM, write, DiskError::Busy),
            (libc::ENOSPC, write, DiskError::NoSpace),
            (libc::EDQUOT, write, DiskError::NoSpace),
            (libc::ENXIO, Op::Read, DiskError::Gone),
            (libc::EROFS, write, DiskError::ReadOnly),
            (libc::EBADF, Op::Discard, DiskError::ReadOnly),
            (libc::EBADF, Op::Read, DiskError::System { errno: libc::EBADF }),
            (libc::EOPNOTSUPP, Op::Discard, DiskError::Unsupported),
            (libc::EINVAL, Op::Read, DiskError::System { errno: libc::EINVAL }),
        ] {
            assert_eq!(disk_error(errno, op, 4096), error);
        }
    }
}
