//! One I/O queue's means: its io_uring, its memory, its clock.

use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Memory, Time};

/// How an engine is made.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// requests that may be in flight on each of its disks
    pub depth: u32,
}

/// One I/O queue's means, lent to its disks call by call.
pub struct Engine {
    memory: Memory,
    now: Time,
    depth: u32,
}

impl Engine {
    /// An engine without an io_uring: for disks that live in memory, and for virtual clocks.
    pub fn simulated(memory: Memory) -> Self {
        Self { memory, now: Time::ZERO, depth: Self::SIMULATED_DEPTH }
    }

    /// Requests that may be in flight on each disk.
    pub fn depth(&self) -> u32 {
        self.depth
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

    /// One round: hands everything queued to the kernel and takes what has completed, in at most
    /// one system call, without waiting.
    #[inline]
    pub fn turn(&mut self, now: Time) {
        self.now = now;
    }

    /// Sleeps until a disk completes, the doorbell rings or `until` has come, whichever is first.
    pub fn wait(&mut self, _doorbell: Doorbell<'_>, _until: Time) {}

    /// Depth of [`Engine::simulated`].
    pub const SIMULATED_DEPTH: u32 = 256;
}
