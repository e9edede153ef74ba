//! A logical unit over an array whose members are busy: what must be written whole is.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::sync::{Arc, Mutex};

use outboard_disk::testkit::{Faults, Seen, TestDisk, limits};
use outboard_disk::{Disk, DiskError, Engine, Limits};
use outboard_raid::{Array, ArraySpec};
use outboard_sbc::{BufferRange, LogicalUnit, Outcome, ScratchRange, TaskIn};
use outboard_scsi::Status;
use outboard_scsi::command::build::{self, Cdb};
use outboard_slots::Memory;

const CHUNK: u64 = 4096;
const SCRATCH: u64 = 64 << 10;
const MEMORY: u64 = 1 << 20;

struct Rig {
    engine: Engine,
    unit: LogicalUnit,
    members: Vec<Arc<Mutex<Seen>>>,
}

impl Rig {
    /// A unit over two striped members that take one request at a time.
    fn new() -> Self {
        let memory = Memory::create("busy members", MEMORY as usize).unwrap();
        let one = Limits { max_transfer: CHUNK, ..limits(512, 16 * CHUNK) };
        let faults = Faults { depth: 1, ..Faults::default() };
        let (mut disks, mut members) = (Vec::<Box<dyn Disk>>::new(), Vec::new());
        for seed in 0..2 {
            let (disk, seen) = TestDisk::new(one, faults, seed);
            disks.push(Box::new(disk));
            members.push(seen);
        }
        let spec = ArraySpec { chunk: CHUNK as u32, ..ArraySpec::default() };
        let array = Box::new(Array::new(&spec, disks, 8).unwrap());
        let scratch = ScratchRange { offset: MEMORY - SCRATCH, len: SCRATCH };
        let unit = LogicalUnit::new(array, scratch, 4).unwrap();
        Self { engine: Engine::simulated(memory), unit, members }
    }

    /// Begins a task whose buffer, of 64 KiB, holds `byte`.
    fn start(&mut self, id: u16, cdb: Cdb, byte: u8) -> Vec<Outcome> {
        let buffer = BufferRange { offset: u64::from(id) << 16, len: 1 << 16 };
        self.engine.memory().fill(buffer.offset, 1 << 16, byte).unwrap();
        let mut out = Vec::new();
        self.unit
            .start(&mut self.engine, TaskIn { id, cdb: cdb.as_slice(), buffer }, &mut out)
            .unwrap();
        out
    }

    fn poll(&mut self) -> Vec<Outcome> {
        let mut out = Vec::new();
        self.unit.poll(&mut self.engine, &mut out);
        out
    }

    fn drain(&mut self) -> Vec<Outcome> {
        let mut out = Vec::new();
        while !self.unit.is_idle() {
            out.extend(self.poll());
        }
        out
    }

    /// Whether each member's first chunk holds nothing but `byte`.
    fn holds(&self, byte: u8) -> [bool; 2] {
        let all = |n: usize| {
            let seen = self.members[n].lock().unwrap();
            seen.bytes[..CHUNK as usize].iter().all(|&there| there == byte)
        };
        [all(0), all(1)]
    }
}

#[test]
fn an_atomic_write_waits_for_the_member_that_had_no_room() {
    let mut rig = Rig::new();
    rig.members[1].lock().unwrap().stopped = true;
    // The second member has all it takes.
    assert_eq!(rig.start(0, build::read_10(8, 8), 0), []);
    assert_eq!(rig.start(1, build::write_atomic_16(0, 16, 0), 7), []);
    for _ in 0..3 {
        assert_eq!(rig.poll(), [], "a part is written, the other is not");
    }
    assert_eq!(rig.holds(7), [true, false]);
    rig.members[1].lock().unwrap().stopped = false;
    let out = rig.drain();
    assert!(out.len() == 2 && out.iter().all(|outcome| outcome.status == Status::Good), "{out:?}");
    assert_eq!(rig.holds(7), [true, true]);
}

#[test]
fn a_member_short_of_memory_is_asked_again() {
    let mut rig = Rig::new();
    // It read the one half of what is compared, and wrote nothing of its half.
    rig.members[1].lock().unwrap().results.extend([None, Some(DiskError::Busy)]);
    let cdb = build::compare_and_write(0, 16);
    let buffer = BufferRange { offset: 0, len: 4 * CHUNK };
    rig.engine.memory().fill(2 * CHUNK, 2 * CHUNK as usize, 7).unwrap();
    let mut out = Vec::new();
    let task = TaskIn { id: 0, cdb: cdb.as_slice(), buffer };
    rig.unit.start(&mut rig.engine, task, &mut out).unwrap();
    out.extend(rig.drain());
    assert!(matches!(out[..], [Outcome { status: Status::Good, .. }]), "{out:?}");
    assert_eq!(rig.holds(7), [true, true]);
    assert!(rig.members[1].lock().unwrap().results.is_empty());
}
