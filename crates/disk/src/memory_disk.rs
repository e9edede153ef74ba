//! `mem:` - a disk in memory, as fast as memory is.

use outboard_slots::{Memory, Time};

use crate::content;
use crate::contract::{Allocation, Completion, Disk, DiskError, Limits, Rejected, Request};
use crate::engine::Engine;

/// Copies at submission and completes at the next poll. No volatile cache: what has completed
/// survives the driver process, because the host holds the content too.
#[derive(Debug)]
pub struct MemoryDisk {
    limits: Limits,
    content: Memory,
    ended: Vec<Completion>,
    depth: usize,
}

impl MemoryDisk {
    /// A disk over `content`, which is at least `limits.len_bytes()` long.
    pub fn new(limits: Limits, content: Memory, depth: u32) -> Self {
        let depth = depth as usize;
        Self { limits, content, ended: Vec::with_capacity(depth), depth }
    }
}

impl Disk for MemoryDisk {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    #[inline]
    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        if self.ended.len() >= self.depth {
            return Err(Rejected { tag: request.tag, error: DiskError::Busy });
        }
        let result = content::execute(&self.content, engine.memory(), &request);
        self.ended.push(Completion { tag: request.tag, result });
        Ok(())
    }

    #[inline]
    fn poll(&mut self, _engine: &mut Engine, done: &mut Vec<Completion>) {
        done.append(&mut self.ended);
    }

    fn next_event(&self) -> Time {
        if self.ended.is_empty() { Time::NEVER } else { Time::ZERO }
    }

    fn in_flight(&self) -> u32 {
        self.ended.len() as u32
    }

    fn allocation(&self, offset: u64) -> Allocation {
        content::allocation(&self.content, &self.limits, offset)
    }
}
