//! Simulated disks and decorators on a virtual clock: when requests end, and how.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panic")]

mod common;

use common::{DEPTH, Rig};
use outboard_disk::{Completion, DiskError, Engine, Op, OpenOptions, Request, Segment, open};
use outboard_slots::{Memory, Time};

fn rig(url: &str) -> Rig {
    Rig::new(open(&url.parse().unwrap(), &OpenOptions::default()).unwrap(), None)
}

fn write(tag: u64, offset: u64, segments: &[Segment]) -> Request<'_> {
    let len = segments.iter().map(|s| u64::from(s.len)).sum();
    Request { tag, op: Op::Write { fua: false }, offset, len, segments }
}

const MIB: u64 = 1 << 20;

/// Bytes per second of sequential 1 MiB writes at a constant depth, each completion answered at
/// once by the next request.
fn sequential(url: &str, depth: u64, count: u64) -> f64 {
    let mut engine = Engine::simulated(Memory::create("test", MIB as usize).unwrap());
    let opened = open(&url.parse().unwrap(), &OpenOptions::default()).unwrap();
    let mut disk = opened.attach(&mut engine).unwrap();
    let segments = [Segment { offset: 0, len: MIB as u32 }];
    let (mut next, mut ended, mut done) = (0, 0, Vec::<Completion>::new());
    let mut now = Time::ZERO;
    while ended < count {
        engine.turn(now);
        disk.poll(&mut engine, &mut done);
        ended += done.drain(..).filter(|c| c.result.is_ok()).count() as u64;
        while next < count && next - ended < depth {
            disk.submit(&mut engine, write(next, next * MIB, &segments)).unwrap();
            next += 1;
        }
        now = disk.next_event().min(now.plus_nanos(u64::MAX / 2));
        assert!(ended == count || now != Time::NEVER, "next_event is exact");
        if ended == count {
            break;
        }
    }
    (count * MIB) as f64 / (engine.now().as_nanos() as f64 / 1e9)
}

#[test]
fn a_simulated_hdd_keeps_its_rate() {
    let media = MIB as f64 / 322.5e6;
    for (depth, expected) in [(1, MIB as f64 / (media + 50e-6)), (2, 322.5e6), (8, 322.5e6)] {
        let measured = sequential("sim:hdd?size=256Mi", depth, 256);
        assert!((measured / expected - 1.0).abs() < 0.01, "depth {depth}: {measured}");
    }
}

#[test]
fn queues_share_the_mechanics() {
    let opened = open(&"sim:hdd?size=256Mi".parse().unwrap(), &OpenOptions::default()).unwrap();
    let engine = || Engine::simulated(Memory::create("test", MIB as usize).unwrap());
    let (mut a, mut b) = (engine(), engine());
    let (mut disk_a, mut disk_b) = (opened.attach(&mut a).unwrap(), opened.attach(&mut b).unwrap());
    let segments = [Segment { offset: 0, len: MIB as u32 }];
    disk_a.submit(&mut a, write(0, 0, &segments)).unwrap();
    disk_b.submit(&mut b, write(0, MIB, &segments)).unwrap();
    let media = disk_b.next_event().since(disk_a.next_event()).as_secs_f64();
    assert!((media / (MIB as f64 / 322.5e6) - 1.0).abs() < 0.001, "one after the other: {media}");
}

#[test]
fn a_completion_comes_at_its_time_and_not_before() {
    let mut rig = rig("sim:ssd?size=1Mi");
    rig.submit(write(1, 0, &[Segment { offset: 0, len: 4096 }])).unwrap();
    let (at, mut done) = (rig.disk.next_event(), Vec::new());
    rig.engine.turn(Time::from_nanos(at.as_nanos() - 1));
    rig.disk.poll(&mut rig.engine, &mut done);
    assert_eq!(done, []);
    rig.engine.turn(at);
    rig.disk.poll(&mut rig.engine, &mut done);
    assert_eq!(done, [Completion { tag: 1, result: Ok(()) }]);
    assert_eq!(rig.disk.next_event(), Time::NEVER);
}

#[test]
fn a_delay_lies_between_its_bounds_and_repeats_by_its_seed() {
    let run = |seed: u64| {
        let mut rig = rig(&format!("mem:1Mi?delay=1ms..5ms&delay-seed={seed}"));
        (0..50)
            .map(|tag| {
                let before = rig.now();
                let segments = [Segment { offset: 0, len: 512 }];
                rig.run(write(tag, 0, &segments)).result.unwrap();
                rig.now().since(before).as_nanos() as u64
            })
            .collect::<Vec<_>>()
    };
    let delays = run(7);
    assert!(delays.iter().all(|d| (1_000_000..=5_000_010).contains(d)), "{delays:?}");
    assert!(delays.iter().max().unwrap() - delays.iter().min().unwrap() > 2_000_000);
    assert_eq!(delays, run(7));
    assert_ne!(delays, run(8));
}

#[test]
fn a_seeded_share_fails_with_the_chosen_error_and_does_nothing() {
    let run = |seed: u64| {
        let mut rig = rig(&format!("mem:1Mi?errors=0.1&error=gone&error-seed={seed}"));
        let content = rig.opened.memory().unwrap().unwrap();
        let mut failed = Vec::new();
        for tag in 0..2000 {
            rig.engine.memory().fill(0, 512, 1 + (tag % 200) as u8).unwrap();
            let before = byte(&content);
            let result = rig.run(write(tag, 0, &[Segment { offset: 0, len: 512 }])).result;
            match result {
                Ok(()) => assert_eq!(byte(&content), 1 + (tag % 200) as u8),
                Err(error) => {
                    assert_eq!((error, byte(&content)), (DiskError::Gone, before));
                    failed.push(tag);
                }
            }
        }
        failed
    };
    let failed = run(1);
    assert!((150..250).contains(&failed.len()), "{}", failed.len());
    assert_eq!(failed, run(1));
    assert_ne!(failed, run(2));
}

fn byte(content: &Memory) -> u8 {
    let mut byte = [0];
    content.read(0, &mut byte).unwrap();
    byte[0]
}

#[test]
fn bad_blocks_fail_with_the_first_of_them() {
    let mut rig = rig("mem:1Mi?bad=8..16");
    for (block, blocks, bad) in [(0, 8, None), (16, 8, None), (0, 9, Some(8)), (12, 64, Some(12))] {
        let segments = [Segment { offset: 0, len: blocks * 512 }];
        let result = rig.run(write(1, block * 512, &segments)).result;
        let expected = bad.map_or(Ok(()), |b: u64| Err(DiskError::Medium { at: b * 512 }));
        assert_eq!(result, expected);
    }
    let flush = Request { tag: 1, op: Op::Flush, offset: 0, len: 0, segments: &[] };
    assert_eq!(rig.run(flush).result, Ok(()));
}

#[test]
fn a_run_repeats_exactly() {
    let run = || {
        let mut rig = rig("sim:hdd?size=64Mi&seed=3&delay=0..1ms&errors=0.05");
        let mut log = Vec::new();
        for round in 0..20_u64 {
            for i in 0..u64::from(DEPTH) {
                let segments = [Segment { offset: i * 4096, len: 4096 }];
                let offset = (round * 7919 + i * 104_729) % 16_000 * 4096;
                rig.submit(write(i, offset, &segments)).unwrap();
            }
            log.push((rig.finish(), rig.now()));
        }
        log
    };
    assert_eq!(run(), run());
}
