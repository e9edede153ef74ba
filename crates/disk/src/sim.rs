//! `sim:hdd` and `sim:ssd` - disks with the timing of real ones, on any clock.
//!
//! The data is copied when a request is submitted, in order of submission; only its *completion*
//! waits until the timing model says so, so that the copy overlaps the simulated time. Everything
//! goes by [`Engine::now`]: on a virtual clock a run is exactly repeatable from its seed.
//!
//! The models are documented in [`hdd`] and [`ssd`]. Several queues of one disk share one model.

pub mod hdd;
pub mod ssd;

use std::sync::{Arc, Mutex, PoisonError};

use outboard_slots::{Memory, Time};

use crate::content;
use crate::contract::{Allocation, Completion, Disk, DiskError, Limits, Op, Rejected, Request};
use crate::due::DueQueue;
use crate::engine::Engine;

pub use hdd::{Hdd, HddTiming};
pub use ssd::{Ssd, SsdTiming};

/// What a simulated disk's queues have in common: its mechanics or flash channels.
#[derive(Clone, Debug)]
pub struct SharedModel(Arc<Mutex<Model>>);

impl SharedModel {
    /// A model at rest.
    pub fn new(model: Model) -> Self {
        Self(Arc::new(Mutex::new(model)))
    }

    fn completes_at(&self, now: Time, request: &Request<'_>) -> Time {
        // A panic elsewhere leaves times, not pointers: the model stays usable.
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Model::Hdd(hdd) => hdd.completes_at(now, request),
            Model::Ssd(ssd) => ssd.completes_at(now, request),
        }
    }
}

/// One of the timing models.
#[derive(Debug)]
#[non_exhaustive]
pub enum Model {
    /// a spinning disk
    Hdd(Hdd),
    /// flash
    Ssd(Ssd),
}

/// One queue's handle of a simulated disk.
#[derive(Debug)]
pub struct SimDisk {
    limits: Limits,
    content: Memory,
    model: SharedModel,
    waiting: DueQueue,
    depth: u32,
}

impl SimDisk {
    /// A handle on the disk with this content and model.
    pub fn new(limits: Limits, content: Memory, model: SharedModel, depth: u32) -> Self {
        let waiting = DueQueue::with_capacity(depth as usize);
        Self { limits, content, model, waiting, depth }
    }
}

impl Disk for SimDisk {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        let refuse = |error| Err(Rejected { tag: request.tag, error });
        if matches!(request.op, Op::Discard) && self.limits.discard.is_none() {
            return refuse(DiskError::Unsupported);
        }
        if self.waiting.len() >= self.depth {
            return refuse(DiskError::Busy);
        }
        let at = self.model.completes_at(engine.now(), &request);
        let result = content::execute(&self.content, engine.memory(), &request);
        self.waiting.push(at, Completion { tag: request.tag, result });
        Ok(())
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        self.waiting.take_due(engine.now(), done);
    }

    fn next_event(&self) -> Time {
        self.waiting.next()
    }

    fn in_flight(&self) -> u32 {
        self.waiting.len()
    }

    fn allocation(&self, offset: u64) -> Allocation {
        content::allocation(&self.content, &self.limits, offset)
    }
}

/// Nanoseconds that `bytes` take at `rate` bytes per second, rounded up.
fn transfer_nanos(bytes: u64, rate: u64) -> u64 {
    let nanos = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
