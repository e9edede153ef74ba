//! The io_uring of one engine: the only unsafe code of this crate.
//!
//! Why it is sound: the kernel is only ever given ranges of [`Memory`] that were checked against
//! it, and the ring holds a clone of that memory until every request has completed (see `Drop`), so
//! no request outlives the mapping it writes to. Lists of ranges live in `ranges` until the kernel
//! has consumed the entry that names them; from then on it works on a copy of its own
//! (`IORING_FEAT_SUBMIT_STABLE`, Linux 5.5).
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use io_uring::{IoUring, opcode, squeue, types};
use outboard_slots::doorbell::{Doorbell, SLEEPING};
use outboard_slots::{Memory, Time};
use rustix::io::Errno;

use crate::contract::{DiskError, Segment};

mod launched;
mod ranges;
mod setup;

pub(crate) use launched::make;
use ranges::{Buffers, Ranges};
pub(crate) use setup::SetupError;

/// What to do with a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Read,
    Write {
        dsync: bool,
    },
    /// `fdatasync`
    Sync,
    /// `fallocate` with this mode
    Allocate(i32),
}

/// One request to the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Io<'a> {
    /// index in the table of registered files
    pub(crate) file: u32,
    pub(crate) command: Command,
    /// byte of the file, before `skip`
    pub(crate) offset: u64,
    /// bytes, before `skip`
    pub(crate) len: u64,
    pub(crate) segments: &'a [Segment],
    /// bytes at the beginning that are done already
    pub(crate) skip: u64,
}

/// One io_uring and what it works on.
pub(crate) struct Ring {
    uring: IoUring,
    /// dropped after `uring`
    memory: Memory,
    buffers: Buffers,
    ranges: Ranges,
    bell: Bell,
    support: Support,
    files: u32,
    /// what a launcher has registered, and nobody has asked for yet; `None`: the table is ours
    registered: Option<Vec<Option<launched::Identity>>>,
    in_kernel: u32,
    enabled: bool,
    failed: Option<Errno>,
}

/// What the kernel can do.
#[derive(Clone, Copy, Debug)]
struct Support {
    /// `READV_FIXED` and `WRITEV_FIXED` (Linux 6.15)
    vectored_fixed: bool,
    /// `FUTEX_WAIT` (Linux 6.7)
    futex_wait: bool,
}

impl Ring {
    /// Puts a file into the table of registered files: its index. The table keeps the file's
    /// description open until the ring is gone; the descriptor itself may be closed.
    pub(crate) fn add_file(&mut self, file: BorrowedFd<'_>) -> Result<u32, Errno> {
        if let Some(registered) = &mut self.registered {
            return launched::index_of(registered, file);
        }
        if self.files >= Self::FILES {
            return Err(Errno::MFILE);
        }
        let fds = [file.as_raw_fd()];
        self.uring.submitter().register_files_update(self.files, &fds).map_err(|e| errno(&e))?;
        self.files += 1;
        Ok(self.files - 1)
    }

    /// Queues a request for the next [`Ring::turn`] or [`Ring::wait`]; its completion carries
    /// `user_data`, which is below [`Ring::USER_DATA_LIMIT`]. It may end short: it does so when it
    /// has more than [`Ranges::PER_REQUEST`] ranges.
    pub(crate) fn queue(&mut self, io: &Io<'_>, user_data: u64) -> Result<(), DiskError> {
        if let Some(errno) = self.failed {
            return Err(DiskError::System { errno: errno.raw_os_error() });
        }
        if self.uring.submission().is_full() || !self.ranges.have_room(io.segments.len()) {
            self.enter(0, None);
            if self.uring.submission().is_full() || !self.ranges.have_room(io.segments.len()) {
                return Err(DiskError::Busy);
            }
        }
        let entry = self.entry(io)?.user_data(user_data);
        // SAFETY: `entry` names ranges of `self.memory`, which outlives the request, and `ranges`
        // keeps its list until the entry has been consumed.
        if unsafe { self.uring.submission().push(&entry) }.is_err() {
            return Err(DiskError::Busy);
        }
        self.in_kernel += 1;
        Ok(())
    }

    /// Hands over what is queued and takes what has completed: no system call if neither is due.
    #[inline]
    pub(crate) fn turn(&mut self, sink: impl FnMut(u64, i32)) {
        if self.in_kernel == 0 && self.bell.armed.is_none() {
            return;
        }
        let queue = self.uring.submission();
        let due = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        if due {
            self.enter(0, None);
        }
        self.reap(sink);
    }

    /// Waits for a completion, the doorbell or the timeout, and takes what has completed.
    pub(crate) fn wait(
        &mut self,
        doorbell: Doorbell<'_>,
        timeout: Duration,
        sink: impl FnMut(u64, i32),
    ) {
        let timeout = if self.arm(doorbell) { timeout } else { timeout.min(Self::SLICE) };
        if self.uring.completion().is_empty() {
            self.enter(1, Some(timeout));
        }
        self.reap(sink);
    }

    /// Requests queued or in the kernel.
    #[inline]
    pub(crate) fn in_kernel(&self) -> u32 {
        self.in_kernel
    }

    /// Whether the ring itself must do the waiting: something is in the kernel, or a doorbell is
    /// armed in it (which would swallow a wake meant for another waiter).
    pub(crate) fn must_wait(&self) -> bool {
        self.in_kernel > 0 || self.bell.armed.is_some()
    }

    /// Why the ring has stopped working, if it has.
    pub(crate) fn failed(&self) -> Option<Errno> {
        self.failed
    }

    fn entry(&mut self, io: &Io<'_>) -> Result<squeue::Entry, DiskError> {
        let file = types::Fixed(io.file);
        let (write, flags) = match io.command {
            Command::Read => (false, 0),
            Command::Write { dsync } => (true, if dsync { libc::RWF_DSYNC } else { 0 }),
            Command::Sync => {
                let sync = opcode::Fsync::new(file).flags(types::FsyncFlags::DATASYNC);
                return Ok(sync.build());
            }
            Command::Allocate(mode) => {
                let allocate = opcode::Fallocate::new(file, io.len).offset(io.offset).mode(mode);
                return Ok(allocate.build());
            }
        };
        let (buffer, base) = self.buffers.of(io.segments, &self.memory);
        let list = self.ranges.add(io, &self.memory, base)?;
        let offset = io.offset + io.skip;
        let count = list.len() as u32;
        let at = list.as_ptr().cast::<libc::iovec>();
        Ok(match (list, buffer) {
            (&[range], Some(index)) => {
                let (to, len) = (range.base as *mut u8, range.len as u32);
                if write {
                    opcode::WriteFixed::new(file, to, len, index)
                        .offset(offset)
                        .rw_flags(flags)
                        .build()
                } else {
                    opcode::ReadFixed::new(file, to, len, index).offset(offset).build()
                }
            }
            (&[range], None) => {
                let (to, len) = (range.base as *mut u8, range.len as u32);
                if write {
                    opcode::Write::new(file, to, len).offset(offset).rw_flags(flags).build()
                } else {
                    opcode::Read::new(file, to, len).offset(offset).build()
                }
            }
            (_, Some(index)) if self.support.vectored_fixed && write => {
                opcode::WritevFixed::new(file, at, count, index)
                    .offset(offset)
                    .rw_flags(flags)
                    .build()
            }
            (_, Some(index)) if self.support.vectored_fixed => {
                opcode::ReadvFixed::new(file, at, count, index).offset(offset).build()
            }
            _ if write => {
                opcode::Writev::new(file, at, count).offset(offset).rw_flags(flags).build()
            }
            _ => opcode::Readv::new(file, at, count).offset(offset).build(),
        })
    }

    /// Arms the doorbell unless it is; `false` if the kernel cannot watch it.
    fn arm(&mut self, doorbell: Doorbell<'_>) -> bool {
        let key = match doorbell {
            Doorbell::Flag(_) if !self.support.futex_wait => return false,
            Doorbell::Flag(flag) => BellKey::Word(flag.word().as_ptr() as usize),
            Doorbell::Readable(fd) => BellKey::Descriptor(fd.as_raw_fd()),
        };
        if self.bell.armed == Some(key) {
            return true;
        }
        // A launcher's ring has no operation without a registered file.
        let flags = match self.registered {
            Some(_) if matches!(key, BellKey::Descriptor(_)) => return false,
            Some(_) => squeue::Flags::FIXED_FILE,
            None => squeue::Flags::empty(),
        };
        let disarm = self.bell.armed.map(|_| opcode::AsyncCancel::new(self.bell.user_data()));
        self.bell.generation = (self.bell.generation + 1) & Bell::GENERATIONS;
        let entry = match key {
            BellKey::Word(word) => opcode::FutexWait::new(
                word as *const u32,
                u64::from(SLEEPING),
                u64::from(u32::MAX),
                FUTEX2_SIZE_U32,
            )
            .build(),
            BellKey::Descriptor(fd) => {
                opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).build()
            }
        };
        let entries = [
            disarm.map(|cancel| cancel.build().user_data(Bell::CANCEL).flags(flags)),
            Some(entry.user_data(self.bell.user_data()).flags(flags)),
        ];
        for entry in entries.iter().flatten() {
            if self.uring.submission().is_full() {
                self.enter(0, None);
            }
            // SAFETY: the kernel reads the word once, when it takes the entry, and answers EFAULT
            // if it is gone by then; afterwards it keeps a key, not the address. Poll and cancel
            // name no memory.
            if unsafe { self.uring.submission().push(entry) }.is_err() {
                self.bell.armed = None;
                return false;
            }
        }
        self.bell.armed = Some(key);
        true
    }

    /// One `io_uring_enter` that submits everything queued.
    fn enter(&mut self, wait_for: u32, timeout: Option<Duration>) {
        self.enable();
        let queued = self.uring.submission().len() as u32;
        let submitter = self.uring.submitter();
        let result = match timeout {
            None => {
                // SAFETY: no argument beyond the numbers.
                unsafe { submitter.enter::<libc::sigset_t>(queued, wait_for, GET_EVENTS, None) }
            }
            Some(timeout) => {
                let time = types::Timespec::from(timeout);
                let args = types::SubmitArgs::new().timespec(&time);
                let flags = GET_EVENTS | EXT_ARG;
                // SAFETY: EXT_ARG announces the argument's type, and `time` lives for the call.
                unsafe { submitter.enter(queued, wait_for, flags, Some(&args)) }
            }
        };
        if let Err(error) = result {
            // What was not consumed stays queued. Anything but these is a ring that will not work
            // again: another thread's, or closed.
            match errno(&error) {
                Errno::INTR | Errno::AGAIN | Errno::BUSY | Errno::TIME | Errno::NOMEM => {}
                other => self.failed = Some(other),
            }
        }
        if self.uring.submission().is_empty() {
            self.ranges.clear();
        }
    }

    /// Binds the ring to this thread, once.
    fn enable(&mut self) {
        if !self.enabled {
            self.enabled = true;
            if let Err(error) = self.uring.submitter().register_enable_rings() {
                self.failed = Some(errno(&error));
            }
        }
    }

    fn reap(&mut self, mut sink: impl FnMut(u64, i32)) {
        for entry in self.uring.completion() {
            let user_data = entry.user_data();
            if user_data < Self::USER_DATA_LIMIT {
                self.in_kernel -= 1;
                sink(user_data, entry.result());
            } else if user_data == self.bell.user_data() {
                self.bell.armed = None;
            }
        }
    }

    /// Files a ring can hold.
    pub(crate) const FILES: u32 = 256;
    /// The caller's `user_data` is below this.
    pub(crate) const USER_DATA_LIMIT: u64 = 1 << 63;
    /// Longest sleep when the kernel cannot watch the doorbell.
    const SLICE: Duration = Duration::from_micros(200);
    /// How long a dropped ring waits for its requests.
    const PATIENCE: Duration = Duration::from_secs(2);
}

impl Drop for Ring {
    /// Requests in the kernel may still write to the memory: waits for them, and if they take too
    /// long leaves the mapping in place for ever rather than let them write to something else.
    fn drop(&mut self) {
        let until = Time::now() + Self::PATIENCE;
        while self.in_kernel > 0 && self.failed.is_none() && Time::now() < until {
            if self.uring.completion().is_empty() {
                self.enter(1, Some(Duration::from_millis(50)));
            }
            self.reap(|_, _| {});
        }
        if self.in_kernel > 0 {
            std::mem::forget(self.memory.clone());
        }
    }
}

/// The doorbell's place in the ring.
#[derive(Debug, Default)]
struct Bell {
    armed: Option<BellKey>,
    generation: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum BellKey {
    /// address of a futex word
    Word(usize),
    Descriptor(i32),
}

impl Bell {
    fn user_data(&self) -> u64 {
        Ring::USER_DATA_LIMIT | self.generation
    }

    const GENERATIONS: u64 = (1 << 32) - 1;
    const CANCEL: u64 = Ring::USER_DATA_LIMIT | (1 << 62);
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// A 32-bit futex that other processes share.
const FUTEX2_SIZE_U32: u32 = 2;
/// `IORING_ENTER_GETEVENTS`
const GET_EVENTS: u32 = 1;
/// `IORING_ENTER_EXT_ARG`
const EXT_ARG: u32 = 8;

#[cfg(test)]
mod tests;
