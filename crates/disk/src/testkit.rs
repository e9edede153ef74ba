//! For the tests of what is built over disks: a disk in memory that checks the contract, answers in
//! any order and fails by the dice.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "for tests: a panic ends one")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::contract::TAG_LIMIT;
use crate::{
    Allocation, Completion, Disk, DiskError, Engine, Limits, Op, Rejected, Request, Segment,
};

/// Limits of a plain disk of `len` bytes.
pub fn limits(block_size: u32, len: u64) -> Limits {
    Limits {
        block_size,
        physical_block_size: block_size,
        blocks: len / u64::from(block_size),
        max_transfer: 1 << 20,
        optimal_transfer: 0,
        read_only: false,
        volatile_cache: false,
        rotational: false,
        discard: None,
        write_zeroes: false,
    }
}

/// A small generator of numbers (xorshift), so that a seed is all a failing run needs.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of one seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    /// True `percent` times of 100.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How often a [`TestDisk`] does what, in percent, and how much it takes.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// requests refused as busy although there is room
    pub busy: u64,
    /// requests that fail; half of them with a medium error, and a write may be half done
    pub fail: u64,
    /// requests held back at a poll
    pub hold: u64,
    /// requests in flight
    pub depth: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self { busy: 0, fail: 0, hold: 0, depth: 64 }
    }
}

/// What a test sees of a [`TestDisk`] that somebody else owns, and how it interferes.
#[derive(Debug, Default)]
pub struct Seen {
    /// what is on it
    pub bytes: Vec<u8>,
    /// every accepted request: operation, offset, length
    pub asked: Vec<(Op, u64, u64)>,
    /// accepted requests that have not ended
    pub in_flight: u32,
    /// accepted requests for no bytes, flushes aside
    pub empty: u64,
    /// blocks of zeroes count as holes
    pub tells_holes: bool,
    /// nothing completes
    pub stopped: bool,
    /// the next requests that end fail with these; `None`: do not
    pub results: VecDeque<Option<DiskError>>,
}

/// A memory disk that checks the contract and does what its [`Faults`] say.
#[derive(Debug)]
pub struct TestDisk {
    limits: Limits,
    seen: Arc<Mutex<Seen>>,
    held: Vec<Held>,
    faults: Faults,
    dice: Dice,
}

#[derive(Debug)]
struct Held {
    tag: u64,
    op: Op,
    offset: u64,
    len: u64,
    segments: Vec<Segment>,
}

impl TestDisk {
    /// A disk full of zeroes, and what a test sees of it.
    pub fn new(limits: Limits, faults: Faults, seed: u64) -> (Self, Arc<Mutex<Seen>>) {
        let bytes = vec![0; limits.len_bytes() as usize];
        let seen = Arc::new(Mutex::new(Seen { bytes, ..Seen::default() }));
        let disk = Self {
            limits,
            seen: Arc::clone(&seen),
            held: Vec::new(),
            faults,
            dice: Dice::new(seed),
        };
        (disk, seen)
    }

    fn check(&self, engine: &Engine, request: &Request<'_>) {
        let Request { tag, op, offset, len, segments } = *request;
        assert!(tag < TAG_LIMIT, "tags are ordinary");
        assert!(self.held.iter().all(|held| held.tag != tag), "tags are unique");
        for Segment { offset, len } in segments {
            assert!(offset % 512 == 0 && len % self.limits.block_size == 0, "rule 2");
            assert!(engine.memory().contains(*offset, *len as usize), "segments are in memory");
        }
        if let (Op::Discard, Some(discard)) = (op, self.limits.discard) {
            let to_the_end = offset + len == self.limits.len_bytes();
            let whole =
                offset % discard.granularity == 0 && (to_the_end || len % discard.granularity == 0);
            assert!(whole && len <= discard.max_bytes, "discards are whole granules");
        }
    }

    fn end(&mut self, engine: &Engine, held: &Held) -> Result<(), DiskError> {
        let mut seen = self.seen.lock().unwrap();
        let told = seen.results.pop_front().flatten();
        let fails = told.is_some() || self.dice.chance(self.faults.fail);
        // A write that fails may have reached a part of its range.
        let len = if fails { self.dice.below(held.len / 512 + 1) * 512 } else { held.len };
        let mut bytes = &mut seen.bytes[held.offset as usize..(held.offset + len) as usize];
        match held.op {
            Op::Read | Op::Write { .. } => {
                for segment in &held.segments {
                    let (now, rest) = bytes.split_at_mut(bytes.len().min(segment.len as usize));
                    if held.op == Op::Read {
                        engine.memory().write(segment.offset, now).unwrap();
                    } else {
                        engine.memory().read(segment.offset, now).unwrap();
                    }
                    bytes = rest;
                }
            }
            Op::Flush => {}
            _ => bytes.fill(0),
        }
        match (told, fails) {
            (Some(error), _) => Err(error),
            (None, true) if held.op != Op::Flush && self.dice.chance(50) => {
                Err(DiskError::Medium { at: held.offset + self.dice.below(held.len / 512) * 512 })
            }
            (None, true) => Err(DiskError::Gone),
            (None, false) => Ok(()),
        }
    }
}

impl Disk for TestDisk {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        self.check(engine, &request);
        let Request { tag, op, offset, len, segments } = request;
        if self.held.len() >= self.faults.depth || self.dice.chance(self.faults.busy) {
            return Err(Rejected { tag, error: DiskError::Busy });
        }
        self.held.push(Held { tag, op, offset, len, segments: segments.to_vec() });
        let mut seen = self.seen.lock().unwrap();
        seen.asked.push((op, offset, len));
        seen.in_flight += 1;
        seen.empty += u64::from(len == 0 && op != Op::Flush);
        Ok(())
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        if self.seen.lock().unwrap().stopped {
            return;
        }
        let mut ready = Vec::new();
        for _ in 0..self.held.len() {
            // In order, unless the dice are asked for more.
            let any =
                if self.faults.hold == 0 { 0 } else { self.dice.below(self.held.len() as u64) };
            if !self.dice.chance(self.faults.hold) {
                ready.push(self.held.remove(any as usize));
            }
        }
        for held in ready {
            let result = self.end(engine, &held);
            self.seen.lock().unwrap().in_flight -= 1;
            done.push(Completion { tag: held.tag, result });
        }
    }

    fn in_flight(&self) -> u32 {
        self.held.len() as u32
    }

    fn allocation(&self, offset: u64) -> Allocation {
        let seen = self.seen.lock().unwrap();
        let block = self.limits.block_size as usize;
        let mut states = seen.bytes[offset as usize..]
            .chunks(block)
            .map(|block| !seen.tells_holes || block.iter().any(|&byte| byte != 0));
        let mapped = states.next().unwrap_or(true);
        let more = states.take_while(|&state| state == mapped).count();
        Allocation { mapped, len: ((more + 1) * block) as u64 }
    }
}
