//! What the tests of this crate share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use outboard_disk::contract::TAG_LIMIT;
use outboard_disk::{
    Allocation, Completion, Disk, DiskError, Engine, Limits, Op, Rejected, Request, Segment,
};
use outboard_scsi::command::build::Cdb;
use outboard_slots::Memory;

use crate::{BufferRange, LogicalUnit, Outcome, ScratchRange, TaskIn};

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

/// How often a [`TestDisk`] does what, in percent, and how much it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// requests refused as busy although there is room
    pub(crate) busy: u64,
    /// requests that fail; half of them with a medium error, and a write may be half done
    pub(crate) fail: u64,
    /// requests held back at a poll
    pub(crate) hold: u64,
    /// requests in flight
    pub(crate) depth: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self { busy: 0, fail: 0, hold: 0, depth: 64 }
    }
}

/// What a test sees of a [`TestDisk`] that a unit owns, and how it interferes.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    /// every accepted request: operation, offset, length
    pub(crate) asked: Vec<(Op, u64, u64)>,
    /// blocks of zeroes count as holes
    pub(crate) tells_holes: bool,
    /// nothing completes
    pub(crate) stopped: bool,
    /// the next requests that end fail with these; `None`: do not
    pub(crate) results: VecDeque<Option<DiskError>>,
}

/// A memory disk that checks the contract, answers in any order and fails by the dice.
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
        assert!(len > 0 || op == Op::Flush, "nothing is not asked for");
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
        self.seen.lock().unwrap().asked.push((op, offset, len));
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

/// Slots of a [`Bed`].
pub(crate) const SLOTS: u16 = 16;
/// Bytes of engine memory that each slot has for itself.
pub(crate) const BUFFER: u64 = 128 << 10;

/// A logical unit over a [`TestDisk`], with memory for each slot and scratch behind it.
pub(crate) struct Bed {
    pub(crate) engine: Engine,
    pub(crate) unit: LogicalUnit,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl Bed {
    pub(crate) fn new(limits: Limits, scratch: u64, faults: Faults, seed: u64) -> Self {
        let slots = BUFFER * u64::from(SLOTS);
        let memory = Memory::create("sbc test", (slots + scratch) as usize).unwrap();
        let (disk, seen) = TestDisk::new(limits, faults, seed);
        let range = ScratchRange { offset: slots, len: scratch };
        let unit = LogicalUnit::new(Box::new(disk), range, usize::from(SLOTS)).unwrap();
        Self { engine: Engine::simulated(memory), unit, seen }
    }

    /// Where a slot's memory begins.
    pub(crate) fn at(id: u16) -> u64 {
        u64::from(id) * BUFFER
    }

    pub(crate) fn start(&mut self, id: u16, cdb: Cdb, len: u64) -> Vec<Outcome> {
        let mut out = Vec::new();
        let buffer = BufferRange { offset: Self::at(id), len };
        let task = TaskIn { id, cdb: cdb.as_slice(), buffer };
        self.unit.start(&mut self.engine, task, &mut out).unwrap();
        out
    }

    pub(crate) fn poll(&mut self) -> Vec<Outcome> {
        let mut out = Vec::new();
        self.unit.poll(&mut self.engine, &mut out);
        out
    }

    /// Polls until nothing is in flight.
    pub(crate) fn drain(&mut self) -> Vec<Outcome> {
        let mut out = Vec::new();
        for _ in 0..100_000 {
            if self.unit.is_idle() {
                return out;
            }
            out.extend(self.poll());
        }
        panic!("tasks do not end: {} in flight", self.unit.in_flight());
    }

    /// One task in slot 0 to its end, with data-out.
    pub(crate) fn run(&mut self, cdb: Cdb, data_out: &[u8], len: u64) -> Outcome {
        self.engine.memory().write(0, data_out).unwrap();
        let mut out = self.start(0, cdb, len);
        out.extend(self.drain());
        assert_eq!(out.len(), 1, "exactly one outcome");
        out[0]
    }

    pub(crate) fn memory(&self, offset: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.engine.memory().read(offset, &mut bytes).unwrap();
        bytes
    }

    /// What has been asked of the disk since the last call.
    pub(crate) fn asked(&self) -> Vec<(Op, u64, u64)> {
        core::mem::take(&mut self.seen.lock().unwrap().asked)
    }
}
