//! Delay: a disk that answers late.

use serde::{Deserialize, Serialize};

use outboard_slots::Time;

use crate::contract::{Allocation, Completion, Disk, DiskError, Limits, Rejected, Request};
use crate::due::DueQueue;
use crate::engine::Engine;
use crate::rng::Rng;

/// How late.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DelaySpec {
    /// least delay in nanoseconds
    pub min_ns: u64,
    /// most delay in nanoseconds
    pub max_ns: u64,
    /// seed of the delays
    pub seed: u64,
}

/// Holds each completion of the disk inside for a seeded time, uniform between two bounds, from
/// the poll that saw it.
pub struct Delayed {
    inner: Box<dyn Disk>,
    spec: DelaySpec,
    rng: Rng,
    fresh: Vec<Completion>,
    waiting: DueQueue,
    depth: u32,
}

impl Delayed {
    /// `inner`, later.
    pub fn new(inner: Box<dyn Disk>, spec: DelaySpec, depth: u32) -> Self {
        let rng = Rng::new(spec.seed);
        let capacity = depth as usize;
        let fresh = Vec::with_capacity(capacity);
        Self { inner, spec, rng, fresh, waiting: DueQueue::with_capacity(capacity), depth }
    }
}

impl Disk for Delayed {
    fn limits(&self) -> &Limits {
        self.inner.limits()
    }

    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        if self.in_flight() >= self.depth {
            return Err(Rejected { tag: request.tag, error: DiskError::Busy });
        }
        self.inner.submit(engine, request)
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        self.inner.poll(engine, &mut self.fresh);
        let range = self.spec.max_ns.saturating_sub(self.spec.min_ns).saturating_add(1);
        for completion in self.fresh.drain(..) {
            let delay = self.spec.min_ns.saturating_add(self.rng.below(range));
            self.waiting.push(engine.now().plus_nanos(delay), completion);
        }
        self.waiting.take_due(engine.now(), done);
    }

    fn next_event(&self) -> Time {
        self.waiting.next().min(self.inner.next_event())
    }

    fn allocation(&self, offset: u64) -> Allocation {
        self.inner.allocation(offset)
    }

    fn in_flight(&self) -> u32 {
        self.inner.in_flight() + self.waiting.len()
    }
}
