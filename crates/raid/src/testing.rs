//! What the tests of this crate share.

use std::sync::{Arc, Mutex};

use outboard_disk::contract::TAG_LIMIT;
use outboard_disk::{Completion, Disk, DiskError, Engine, Limits, Op, Rejected, Request, Segment};

/// Limits of a plain disk of `len` bytes.
pub(crate) fn limits(block_size: u32, len: u64) -> Limits {
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
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    /// True `percent` times of 100.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How often a [`TestDisk`] does what, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// requests refused as busy
    pub(crate) busy: u64,
    /// requests that fail; half of them with a medium error, and a write may be half done
    pub(crate) fail: u64,
    /// requests held back at a poll
    pub(crate) hold: u64,
}

/// What a test sees of a [`TestDisk`] that an array owns.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) submitted: u64,
    pub(crate) flushes: u64,
    pub(crate) in_flight: u32,
}

/// A memory disk that answers in any order and fails by the dice.
pub(crate) struct TestDisk {
    limits: Limits,
    seen: Arc<Mutex<Seen>>,
    held: Vec<Held>,
    faults: Faults,
    dice: Dice,
}

struct Held {
    tag: u64,
    op: Op,
    offset: u64,
    len: u64,
    segments: Vec<Segment>,
}

impl TestDisk {
    pub(crate) fn new(limits: Limits, faults: Faults, seed: u64) -> (Self, Arc<Mutex<Seen>>) {
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

    fn end(&mut self, engine: &Engine, held: &Held) -> Result<(), DiskError> {
        let fails = self.dice.chance(self.faults.fail);
        // A write that fails may have reached a part of its range.
        let len = if fails { self.dice.below(held.len / 512 + 1) * 512 } else { held.len };
        let mut seen = self.seen.lock().unwrap();
        let range = held.offset as usize..(held.offset + len) as usize;
        let mut bytes = &mut seen.bytes[range];
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
            Op::Flush => seen.flushes += 1,
            _ => bytes.fill(0),
        }
        match fails {
            true if held.len > 0 && self.dice.chance(50) => {
                Err(DiskError::Medium { at: held.offset + self.dice.below(held.len / 512) * 512 })
            }
            true => Err(DiskError::Gone),
            false => Ok(()),
        }
    }
}

impl Disk for TestDisk {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn submit(&mut self, _: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        let Request { tag, op, offset, len, segments } = request;
        assert!(tag < TAG_LIMIT, "members see ordinary tags");
        assert!(self.held.iter().all(|held| held.tag != tag), "tags are unique");
        if matches!(op, Op::Discard) {
            assert!(self.limits.discard.is_some_and(|discard| len <= discard.max_bytes));
        }
        if self.dice.chance(self.faults.busy) {
            return Err(Rejected { tag, error: DiskError::Busy });
        }
        self.held.push(Held { tag, op, offset, len, segments: segments.to_vec() });
        let mut seen = self.seen.lock().unwrap();
        seen.submitted += 1;
        seen.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        let mut ready = Vec::new();
        for _ in 0..self.held.len() {
            let next = self.dice.below(self.held.len() as u64) as usize;
            if !self.dice.chance(self.faults.hold) {
                ready.push(self.held.swap_remove(next));
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
}
