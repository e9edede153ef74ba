//! What an array adds to its member: nanoseconds per request that one member holds, and per request
//! that goes to all of them.
//!
//! `cargo bench -p outboard-raid`

#![allow(clippy::expect_used, reason = "a bench that cannot start says so")]

use std::hint::black_box;
use std::time::Instant;

use outboard_disk::testkit::limits;
use outboard_disk::{Completion, Disk, Engine, Limits, Op, Rejected, Request, Segment};
use outboard_raid::{Array, ArraySpec};
use outboard_slots::Memory;

const DEPTH: u64 = 32;
const ROUNDS: u64 = 200_000;

/// Ends every request at the next poll.
struct Null {
    limits: Limits,
    held: Vec<u64>,
}

impl Disk for Null {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn submit(&mut self, _: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.held.push(request.tag);
        Ok(())
    }

    fn poll(&mut self, _: &mut Engine, done: &mut Vec<Completion>) {
        done.extend(self.held.drain(..).map(|tag| Completion { tag, result: Ok(()) }));
    }

    fn in_flight(&self) -> u32 {
        self.held.len() as u32
    }
}

fn null() -> Box<dyn Disk> {
    let limits = limits(512, 512 << 24);
    Box::new(Null { limits, held: Vec::with_capacity(2 * DEPTH as usize) })
}

fn array(members: usize) -> Box<dyn Disk> {
    let spec = ArraySpec { chunk: 64 << 10, ..ArraySpec::default() };
    let members = (0..members).map(|_| null()).collect();
    Box::new(Array::new(&spec, members, DEPTH as u32).expect("null disks make an array"))
}

/// Nanoseconds per request of `len` bytes at random places, the best of several runs.
fn cost(mut disk: Box<dyn Disk>, len: u64) -> f64 {
    let memory = Memory::create("bench", 4096).expect("a page of memory");
    let mut engine = Engine::simulated(memory);
    let mut done = Vec::with_capacity(2 * DEPTH as usize);
    let segments = [Segment { offset: 0, len: len as u32 }];
    let places = disk.limits().len_bytes() / len - 1;
    let mut best = f64::MAX;
    for _ in 0..7 {
        let mut seed = 1_u64;
        let start = Instant::now();
        for _ in 0..ROUNDS {
            for tag in 0..DEPTH {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let offset = ((u128::from(seed) * u128::from(places)) >> 64) as u64 * len;
                let request = Request { tag, op: Op::Read, offset, len, segments: &segments };
                let _ = black_box(disk.submit(&mut engine, request));
            }
            disk.poll(&mut engine, &mut done);
            assert_eq!(done.len() as u64, DEPTH);
            done.clear();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / (ROUNDS * DEPTH) as f64);
    }
    best
}

fn main() {
    let alone = cost(null(), 4096);
    println!("4 KiB on one disk alone          {alone:6.1} ns");
    for members in [1, 2, 3, 4] {
        let there = cost(array(members), 4096);
        println!("4 KiB on an array of {members}           {there:6.1} ns, + {:.1}", there - alone);
    }
    println!("256 KiB (4 chunks) on an array of 2 {:6.1} ns", cost(array(2), 256 << 10));
}
