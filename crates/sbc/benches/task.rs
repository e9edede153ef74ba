//! What a READ or WRITE costs from CDB to outcome on a disk that does nothing: nanoseconds per task.
//!
//! `cargo bench -p outboard-sbc`

#![allow(clippy::expect_used, reason = "a bench that cannot start says so")]

use std::hint::black_box;
use std::time::Instant;

use outboard_disk::testkit::limits;
use outboard_disk::{Completion, Disk, Engine, Limits, Rejected, Request};
use outboard_sbc::{BufferRange, LogicalUnit, ScratchRange, TaskIn};
use outboard_scsi::Status;
use outboard_scsi::command::build::{Cdb, read_10, read_16, write_10, write_16};
use outboard_slots::Memory;

const DEPTH: u16 = 32;
const ROUNDS: u32 = 200_000;
const MEMORY: usize = 1 << 20;

/// Ends every request at the next poll.
struct Null {
    limits: Limits,
    held: Vec<Completion>,
}

impl Disk for Null {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn submit(&mut self, _: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.held.push(Completion { tag: request.tag, result: Ok(()) });
        Ok(())
    }

    fn poll(&mut self, _: &mut Engine, done: &mut Vec<Completion>) {
        done.append(&mut self.held);
    }

    fn in_flight(&self) -> u32 {
        self.held.len() as u32
    }
}

fn unit() -> LogicalUnit {
    let limits = limits(512, 512 << 24);
    let disk = Box::new(Null { limits, held: Vec::with_capacity(usize::from(DEPTH)) });
    let scratch = ScratchRange { offset: 0, len: 64 << 10 };
    LogicalUnit::new(disk, scratch, usize::from(DEPTH)).expect("a null disk makes a unit")
}

/// Nanoseconds per task, the best of several runs.
fn cost(cdb: Cdb) -> f64 {
    let memory = Memory::create("bench", MEMORY).expect("a megabyte of memory");
    let mut engine = Engine::simulated(memory);
    let mut unit = unit();
    let mut out = Vec::with_capacity(usize::from(DEPTH));
    let mut best = f64::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            for id in 0..DEPTH {
                let buffer = BufferRange { offset: (64 << 10) + u64::from(id) * 4096, len: 4096 };
                let task = TaskIn { id, cdb: black_box(cdb.as_slice()), buffer };
                unit.start(&mut engine, task, &mut out).expect("the slot is free");
            }
            unit.poll(&mut engine, &mut out);
            assert!(
                out.len() == usize::from(DEPTH) && out.iter().all(|o| o.status == Status::Good)
            );
            black_box(&out);
            out.clear();
        }
        let tasks = f64::from(ROUNDS) * f64::from(DEPTH);
        best = best.min(start.elapsed().as_nanos() as f64 / tasks);
    }
    best
}

fn main() {
    println!("READ(10)  4 KiB {:6.1} ns", cost(read_10(4096, 8)));
    println!("READ(16)  4 KiB {:6.1} ns", cost(read_16(4096, 8)));
    println!("WRITE(10) 4 KiB {:6.1} ns", cost(write_10(4096, 8)));
    println!("WRITE(16) 4 KiB {:6.1} ns", cost(write_16(4096, 8)));
}
