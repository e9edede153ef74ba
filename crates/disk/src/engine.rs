//! One I/O queue's means: its io_uring, its memory, its clock.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Memory, MemoryError, Time};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::contract::DiskError;
use crate::uring::{Io, Ring, SetupError};

/// How an engine is made.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// requests that may be in flight on each of its disks, 1 to [`EngineConfig::DEPTH_LIMIT`]
    pub depth: u32,
}

impl EngineConfig {
    /// Deepest queue of one disk.
    pub const DEPTH_LIMIT: u32 = 65_536;
}

/// What can go wrong with an engine or with a disk's place on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The content of a disk in memory could not be mapped.
    #[error("the content of {disk} cannot be mapped: {source}")]
    Content {
        /// the disk's URL
        disk: String,
        /// why
        source: MemoryError,
    },
    /// A description of a disk and what came with it do not belong together.
    #[error("{disk} was handed over without its {missing}; hand over both parts of Opened")]
    Incomplete {
        /// the disk's URL
        disk: String,
        /// what is missing
        missing: &'static str,
    },
    /// A disk that needs the kernel was attached to a simulated engine.
    #[error("{disk} needs io_uring, and this engine is simulated; make it with Engine::new")]
    NoRing {
        /// the disk's URL
        disk: String,
    },
    /// The kernel refuses the ring.
    #[error(
        "io_uring is not available ({call}: {source}); it needs Linux 6.1, sysctl \
         kernel.io_uring_disabled=0 and a seccomp profile that allows it; mem:, null: and sim: \
         disks work without"
    )]
    Ring {
        /// the call
        call: &'static str,
        /// the kernel's answer
        source: Errno,
    },
    /// The ring has stopped working; what is in the kernel ends, but nobody hears of it.
    #[error("io_uring_enter failed: {source}; restart the driver")]
    RingLost {
        /// the kernel's answer
        source: Errno,
    },
    /// No room in the table of files.
    #[error("{disk} cannot be registered ({source}); a queue has room for {} files", Ring::FILES)]
    TooManyFiles {
        /// the disk's URL
        disk: String,
        /// the kernel's answer
        source: Errno,
    },
}

/// One I/O queue's means, lent to its disks call by call.
///
/// It may be made, and its disks attached, by any thread; it belongs to the thread that first turns
/// it or waits on it, and is dropped there.
pub struct Engine {
    ring: Option<Ring>,
    is_probing: bool,
    memory: Memory,
    now: Time,
    depth: u32,
    inboxes: Vec<Vec<Ended>>,
    undelivered: usize,
    notes: Vec<String>,
}

/// A disk's request that the kernel has ended: the disk's slot, and a count of bytes or a negative
/// errno value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) slot: u32,
    pub(crate) result: i32,
}

impl Engine {
    /// An engine with an io_uring on `memory`. `registered` is the range of it (offset and length
    /// in bytes) that requests will name: it is pinned once instead of once per request. Where that
    /// is refused the engine works without and says so in [`Engine::notes`].
    pub fn new(
        config: EngineConfig,
        memory: Memory,
        registered: Option<(u64, u64)>,
    ) -> Result<Self, EngineError> {
        let mut engine = Self::simulated_at_depth(memory, config.depth);
        let entries = engine.depth.saturating_mul(4);
        let ring = Ring::create(entries, engine.memory.clone(), registered, &mut engine.notes)
            .map_err(|SetupError { call, errno }| EngineError::Ring { call, source: errno })?;
        engine.ring = Some(ring);
        Ok(engine)
    }

    /// The same on the ring that a launcher has made ([`crate::launch::make`]): its descriptor and
    /// description. The disks' files must be those that the launcher has registered. It binds the ring to
    /// the calling thread: no other can use the engine.
    pub fn inherit(
        config: EngineConfig,
        memory: Memory,
        registered: Option<(u64, u64)>,
        ring: OwnedFd,
        described: &str,
    ) -> Result<Self, EngineError> {
        let mut engine = Self::simulated_at_depth(memory, config.depth);
        let memory = engine.memory.clone();
        let ring = Ring::inherit(ring, described, memory, registered, &mut engine.notes)
            .map_err(|SetupError { call, errno }| EngineError::Ring { call, source: errno })?;
        engine.ring = Some(ring);
        Ok(engine)
    }

    /// An engine that only sees whether disks can be attached, and does no I/O.
    pub fn probing(memory: Memory) -> Self {
        Self { is_probing: true, ..Self::simulated(memory) }
    }

    /// An engine without an io_uring: for disks that live in memory, and for virtual clocks. Its
    /// depth is [`Engine::SIMULATED_DEPTH`].
    pub fn simulated(memory: Memory) -> Self {
        Self::simulated_at_depth(memory, Self::SIMULATED_DEPTH)
    }

    /// [`Engine::simulated`] with another depth.
    pub fn simulated_at_depth(memory: Memory, depth: u32) -> Self {
        Self {
            ring: None,
            is_probing: false,
            memory,
            now: Time::ZERO,
            depth: depth.clamp(1, EngineConfig::DEPTH_LIMIT),
            inboxes: Vec::new(),
            undelivered: 0,
            notes: Vec::new(),
        }
    }

    /// The time of the requests that are submitted next, for disks with a clock; it never goes back.
    #[inline]
    pub fn set_now(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// One round: hands everything queued to the kernel and takes what has completed, in at most
    /// one system call, without waiting. `now` is the time of the round; it never goes back.
    #[inline]
    pub fn turn(&mut self, now: Time) {
        self.now = now;
        if let Some(ring) = &mut self.ring {
            let (inboxes, undelivered) = (&mut self.inboxes, &mut self.undelivered);
            ring.turn(|user_data, result| deliver(inboxes, undelivered, user_data, result));
        }
    }

    /// Sleeps until a disk completes, the doorbell rings or `until` (on `CLOCK_MONOTONIC`) has
    /// come, whichever is first; it may return early for no reason. The doorbell may stay armed in
    /// the kernel while the caller is awake: an engine has one doorbell for its life, and a
    /// [`Doorbell::Readable`] descriptor is not closed and reused under its number.
    ///
    /// It does not move [`Engine::now`]: turn the engine next.
    pub fn wait(&mut self, doorbell: Doorbell<'_>, until: Time) {
        if self.undelivered > 0 {
            return;
        }
        let timeout = until.since(Time::now()).min(Self::LONGEST_SLEEP);
        if timeout.is_zero() {
            return;
        }
        match &mut self.ring {
            Some(ring) if ring.must_wait() => {
                let (inboxes, undelivered) = (&mut self.inboxes, &mut self.undelivered);
                ring.wait(doorbell, timeout, |user_data, result| {
                    deliver(inboxes, undelivered, user_data, result);
                });
            }
            _ => sleep(doorbell, timeout),
        }
    }

    /// The memory that segments name.
    #[inline]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The time of this round.
    #[inline]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Requests that may be in flight on each disk.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Requests handed to the kernel (or queued for the next turn) and not ended.
    #[inline]
    pub fn in_kernel(&self) -> u32 {
        self.ring.as_ref().map_or(0, Ring::in_kernel)
    }

    /// Why the engine has stopped working, if it has: never on a healthy system. Its disks refuse
    /// new requests then, and those in flight do not complete.
    pub fn failed(&self) -> Option<EngineError> {
        let source = self.ring.as_ref()?.failed()?;
        Some(EngineError::RingLost { source })
    }

    /// What works less well here than it could, why, and the mend; for a human.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Registers a file and gives the disk its number and the file its index.
    pub(crate) fn add_file(
        &mut self,
        disk: &str,
        file: BorrowedFd<'_>,
    ) -> Result<(u32, u32), EngineError> {
        let file = match &mut self.ring {
            Some(ring) => ring
                .add_file(file)
                .map_err(|source| EngineError::TooManyFiles { disk: disk.to_owned(), source })?,
            None if self.is_probing => 0,
            None => return Err(EngineError::NoRing { disk: disk.to_owned() }),
        };
        self.inboxes.push(Vec::with_capacity(self.depth as usize));
        Ok((self.inboxes.len() as u32 - 1, file))
    }

    /// Queues a request of a disk for the next turn.
    #[inline]
    pub(crate) fn queue(&mut self, disk: u32, slot: u32, io: &Io<'_>) -> Result<(), DiskError> {
        let ring = self.ring.as_mut().ok_or(DiskError::Gone)?;
        ring.queue(io, u64::from(disk) << 32 | u64::from(slot))
    }

    /// Exchanges a disk's inbox for `empty`.
    #[inline]
    pub(crate) fn swap_inbox(&mut self, disk: u32, empty: &mut Vec<Ended>) {
        if let Some(inbox) = self.inboxes.get_mut(disk as usize) {
            std::mem::swap(inbox, empty);
            self.undelivered -= empty.len();
        }
    }

    /// Depth of [`Engine::simulated`].
    pub const SIMULATED_DEPTH: u32 = 256;
    const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
}

#[inline]
fn deliver(inboxes: &mut [Vec<Ended>], undelivered: &mut usize, user_data: u64, result: i32) {
    let slot = user_data as u32;
    if let Some(inbox) = inboxes.get_mut((user_data >> 32) as usize) {
        inbox.push(Ended { slot, result });
        *undelivered += 1;
    }
}

fn sleep(doorbell: Doorbell<'_>, timeout: Duration) {
    match doorbell {
        Doorbell::Flag(flag) => flag.sleep(timeout),
        Doorbell::Readable(fd) => {
            let timeout = rustix::event::Timespec {
                tv_sec: timeout.as_secs() as i64,
                tv_nsec: i64::from(timeout.subsec_nanos()),
            };
            // Interrupted or refused: the caller looks for itself.
            let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
            let _ = rustix::event::poll(&mut fds, Some(&timeout));
        }
    }
}
