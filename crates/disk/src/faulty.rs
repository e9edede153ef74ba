//! Faults: a disk that fails as told.

use serde::{Deserialize, Serialize};

use outboard_slots::Time;

use crate::contract::{Allocation, Completion, Disk, DiskError, Limits, Op, Rejected, Request};
use crate::engine::Engine;
use crate::rng::Rng;

/// What fails.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FaultSpec {
    /// share of reads and writes that fail, in parts per 10^9
    pub share_ppb: u32,
    /// seed of the choice
    pub seed: u64,
    /// what they fail with
    pub error: FaultKind,
    /// blocks that can never be read or written: first and one past the last
    pub bad_blocks: Option<(u64, u64)>,
}

/// The errors that can be asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// [`DiskError::Gone`]
    Gone,
    /// [`DiskError::Medium`] at the request's first byte
    Medium,
    /// [`DiskError::NoSpace`]
    NoSpace,
}

impl FaultKind {
    const fn at(self, offset: u64) -> DiskError {
        match self {
            Self::Gone => DiskError::Gone,
            Self::Medium => DiskError::Medium { at: offset },
            Self::NoSpace => DiskError::NoSpace,
        }
    }
}

/// Fails a seeded share of the reads and writes, and all that touch the bad blocks. A request that
/// fails never reaches the disk inside; it completes at the next poll.
pub struct Faulty {
    inner: Box<dyn Disk>,
    spec: FaultSpec,
    rng: Rng,
    failed: Vec<Completion>,
    depth: u32,
}

impl Faulty {
    /// `inner`, failing.
    pub fn new(inner: Box<dyn Disk>, spec: FaultSpec, depth: u32) -> Self {
        let rng = Rng::new(spec.seed);
        Self { inner, spec, rng, failed: Vec::with_capacity(depth as usize), depth }
    }

    fn fault(&mut self, request: &Request<'_>) -> Option<DiskError> {
        if !matches!(request.op, Op::Read | Op::Write { .. }) || request.len == 0 {
            return None;
        }
        if let Some((first, end)) = self.spec.bad_blocks {
            let block = u64::from(self.inner.limits().block_size);
            let (first, end) = (first.saturating_mul(block), end.saturating_mul(block));
            let overlap = request.offset.max(first);
            if overlap < end.min(request.offset + request.len) {
                return Some(DiskError::Medium { at: overlap });
            }
        }
        self.rng.chance(self.spec.share_ppb).then(|| self.spec.error.at(request.offset))
    }
}

impl Disk for Faulty {
    fn limits(&self) -> &Limits {
        self.inner.limits()
    }

    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits().check(&request)?;
        if self.in_flight() >= self.depth {
            return Err(Rejected { tag: request.tag, error: DiskError::Busy });
        }
        match self.fault(&request) {
            Some(error) => {
                self.failed.push(Completion { tag: request.tag, result: Err(error) });
                Ok(())
            }
            None => self.inner.submit(engine, request),
        }
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        done.append(&mut self.failed);
        self.inner.poll(engine, done);
    }

    fn next_event(&self) -> Time {
        if self.failed.is_empty() { self.inner.next_event() } else { Time::ZERO }
    }

    fn allocation(&self, offset: u64) -> Allocation {
        self.inner.allocation(offset)
    }

    fn in_flight(&self) -> u32 {
        self.inner.in_flight() + self.failed.len() as u32
    }
}
