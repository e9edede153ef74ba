//! What the tests of this crate share.

use std::sync::{Arc, Mutex};

use outboard_disk::testkit::{Faults, Seen, TestDisk};
use outboard_disk::{Engine, Limits, Op};
use outboard_scsi::command::build::Cdb;
use outboard_slots::Memory;

use crate::{BufferRange, LogicalUnit, Outcome, ScratchRange, TaskIn};

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
        assert_eq!(self.seen.lock().unwrap().empty, 0, "nothing is not asked for");
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
