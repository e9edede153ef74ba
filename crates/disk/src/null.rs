//! `null:` - a disk without content: it measures everything but a disk.

use outboard_slots::Time;

use crate::contract::{Completion, Disk, DiskError, Limits, Rejected, Request};
use crate::engine::Engine;

/// Accepts everything in range and completes it at the next poll. A read leaves the memory as it
/// is; a write goes nowhere.
#[derive(Debug)]
pub struct NullDisk {
    limits: Limits,
    ended: Vec<Completion>,
    depth: usize,
}

impl NullDisk {
    /// A disk of these limits with up to `depth` requests in flight.
    pub fn new(limits: Limits, depth: u32) -> Self {
        Self { limits, ended: Vec::with_capacity(depth as usize), depth: depth as usize }
    }
}

impl Disk for NullDisk {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    #[inline]
    fn submit(&mut self, _engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        if self.ended.len() >= self.depth {
            return Err(Rejected { tag: request.tag, error: DiskError::Busy });
        }
        self.ended.push(Completion { tag: request.tag, result: Ok(()) });
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
}
