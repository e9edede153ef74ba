//! The rules of `outboard_disk::contract`, run over every disk.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panic")]

mod common;

use std::collections::HashSet;

use common::{BUFFER_BYTES, CASES, Case, DEPTH, DISK_BYTES, Rig};
use outboard_disk::{DiskError, Op, Request, Segment};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn each(test: impl Fn(&Case, Rig)) {
    for case in &CASES {
        println!("{}", case.name);
        if let Some(rig) = case.rig(true) {
            test(case, rig);
        }
    }
}

fn request(tag: u64, op: Op, offset: u64, len: u64, segments: &[Segment]) -> Request<'_> {
    Request { tag, op, offset, len, segments }
}

const WRITE: Op = Op::Write { fua: false };

#[test]
fn rule_1_what_is_outside_or_unaligned_is_refused() {
    each(|_, mut rig| {
        let block = u64::from(rig.disk.limits().block_size);
        let segment = |len: u64| [Segment { offset: 0, len: len as u32 }];
        for (offset, len) in [
            (DISK_BYTES, block),
            (DISK_BYTES - block, 2 * block),
            (u64::MAX - block + 1, block),
            (u64::MAX, u64::MAX),
            (1, block),
            (0, block - 1),
            (block / 2, block),
        ] {
            for op in [Op::Read, WRITE] {
                let segments = segment(len.min(1 << 20));
                let rejected = rig.submit(request(9, op, offset, len, &segments)).unwrap_err();
                assert_eq!((rejected.tag, rejected.error), (9, DiskError::OutOfRange));
            }
        }
        for op in [Op::Read, WRITE] {
            let rejected = rig.submit(request(1, op, 0, block, &segment(2 * block))).unwrap_err();
            assert_eq!(rejected.error, DiskError::OutOfRange, "segments add up to len");
            let end = rig.engine.memory().len() as u64;
            let beyond = [Segment { offset: end, len: block as u32 }];
            match rig.submit(request(1, op, 0, block, &beyond)) {
                Err(rejected) => assert_eq!(rejected.error, DiskError::OutOfRange),
                Ok(()) => {
                    let result = rig.finish()[0].result;
                    let null = rig.opened.spec().to_string().starts_with("null:");
                    assert!(null || result == Err(DiskError::OutOfRange), "memory is checked");
                }
            }
        }
        let data = segment(block);
        let discard = request(1, Op::Discard, 0, block, &data);
        assert!(rig.submit(discard).is_err(), "a discard has no data");
        assert_eq!((rig.disk.in_flight(), rig.finish()), (0, vec![]));
    });
}

#[test]
fn rule_3_and_6_each_accepted_request_ends_once_with_its_tag() {
    each(|_, mut rig| {
        let block = u64::from(rig.disk.limits().block_size);
        let mut tags = HashSet::new();
        for round in 0..5 {
            for i in 0..u64::from(DEPTH) {
                let tag = round << 40 | i << 20 | 7;
                let segments = [Segment { offset: i * block, len: block as u32 }];
                let op = if i % 2 == 0 { Op::Read } else { WRITE };
                rig.submit(request(tag, op, i * block, block, &segments)).unwrap();
                assert_eq!(rig.disk.in_flight(), i as u32 + 1);
                tags.insert(tag);
            }
            for completion in rig.finish() {
                assert_eq!(completion.result, Ok(()));
                assert!(tags.remove(&completion.tag), "once");
            }
            assert!(tags.is_empty(), "all");
            assert_eq!(rig.finish(), []);
        }
    });
}

#[test]
fn rule_8_depth_requests_fit_and_more_are_refused_or_end() {
    each(|case, mut rig| {
        let segments = [Segment { offset: 0, len: 4096 }];
        let mut accepted = 0;
        for tag in 0..u64::from(DEPTH) * 3 {
            match rig.submit(request(tag, Op::Read, 0, 4096, &segments)) {
                Ok(()) => accepted += 1,
                Err(rejected) => {
                    assert!(accepted >= DEPTH, "{}: {accepted}", case.name);
                    assert_eq!((rejected.tag, rejected.error), (tag, DiskError::Busy));
                }
            }
        }
        assert_eq!(rig.finish().len(), accepted as usize);
        rig.run(request(1, Op::Read, 0, 4096, &segments)).result.unwrap();
    });
}

#[test]
fn writes_to_a_read_only_disk_are_refused() {
    for case in &CASES {
        let Some(mut rig) = case.rig(false) else { continue };
        let segments = [Segment { offset: 0, len: 4096 }];
        let zero = Op::WriteZeroes { may_unmap: true };
        for (op, segments) in [(WRITE, &segments[..]), (Op::Discard, &[]), (zero, &[])] {
            let error = rig.submit(request(1, op, 0, 4096, segments)).unwrap_err().error;
            assert_eq!(error, DiskError::ReadOnly, "{}", case.name);
        }
        rig.run(request(1, Op::Read, 0, 4096, &segments)).result.unwrap();
        rig.run(request(1, Op::Flush, 0, 0, &[])).result.unwrap();
    }
}

#[test]
fn requests_of_no_length_end_well() {
    each(|_, mut rig| {
        let zero = rig.disk.limits().write_zeroes.then_some(Op::WriteZeroes { may_unmap: false });
        for op in [Op::Read, WRITE, Op::Flush].into_iter().chain(zero) {
            rig.run(request(3, op, 4096, 0, &[])).result.unwrap();
        }
    });
}

/// One step of a run: an operation on some blocks with its data scattered over the memory.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    at: u64,
    blocks: u64,
    cuts: Vec<u64>,
    place: u64,
    fill: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..12_u8,
        any::<u64>(),
        1..24_u64,
        prop::collection::vec(1..6_u64, 0..6),
        any::<u64>(),
        any::<u8>(),
    )
        .prop_map(|(kind, at, blocks, cuts, place, fill)| Step {
            kind,
            at,
            blocks,
            cuts,
            place,
            fill,
        });
    prop::collection::vec(step, 1..60)
}

/// Runs the steps, as many at once as do not overlap, against a vector of bytes.
fn against_the_model(rig: &mut Rig, steps: &[Step]) {
    let limits = *rig.disk.limits();
    let block = u64::from(limits.block_size);
    let mut model = vec![0_u8; DISK_BYTES as usize];
    let mut batch: Vec<(u64, u64)> = Vec::new();
    let mut reads: Vec<(u64, Vec<Segment>)> = Vec::new();
    for (tag, step) in steps.iter().enumerate() {
        let offset = step.at % (DISK_BYTES / block) * block;
        let len = (step.blocks * block).min(DISK_BYTES - offset);
        let overlaps = batch.iter().any(|&(o, l)| offset < o + l && o < offset + len);
        if overlaps || batch.len() == DEPTH as usize {
            settle(rig, &mut batch, &mut reads, &model);
        }
        let segments = scatter(step, batch.len() as u64, len, block);
        let range = offset as usize..(offset + len) as usize;
        let (op, list) = match step.kind {
            0..=3 => (Op::Read, &segments[..]),
            4..=8 => (Op::Write { fua: step.kind == 8 }, &segments[..]),
            9 if limits.discard.is_some_and(|d| d.reads_zeroes) => (Op::Discard, &[][..]),
            10 if limits.write_zeroes => {
                (Op::WriteZeroes { may_unmap: step.fill % 2 == 0 }, &[][..])
            }
            _ => (Op::Flush, &[][..]),
        };
        match op {
            Op::Read => reads.push((offset, segments.clone())),
            Op::Write { .. } => {
                let data: Vec<u8> = (0..len).map(|i| step.fill ^ (i / 64) as u8).collect();
                let mut rest = &data[..];
                for segment in &segments {
                    let (now, later) = rest.split_at(segment.len as usize);
                    rig.engine.memory().write(segment.offset, now).unwrap();
                    rest = later;
                }
                model[range].copy_from_slice(&data);
            }
            Op::Discard | Op::WriteZeroes { .. } => model[range].fill(0),
            _ => {}
        }
        rig.submit(request(tag as u64, op, offset, len, list)).unwrap();
        batch.push((offset, len));
    }
    settle(rig, &mut batch, &mut reads, &model);
    for offset in (0..DISK_BYTES).step_by(256 << 10) {
        let segments = vec![Segment { offset: 0, len: 256 << 10 }];
        rig.submit(request(0, Op::Read, offset, 256 << 10, &segments)).unwrap();
        reads.push((offset, segments));
        batch.push((offset, 256 << 10));
        settle(rig, &mut batch, &mut reads, &model);
    }
}

/// Segments that add up to `len`, in the part of the memory that belongs to this place in the
/// batch, apart from each other, aligned to 512 bytes.
fn scatter(step: &Step, lane: u64, len: u64, block: u64) -> Vec<Segment> {
    let share = BUFFER_BYTES / u64::from(DEPTH);
    let mut at = lane * share + step.place % 8 * 512;
    let mut segments = Vec::new();
    let mut left = len;
    for cut in step.cuts.iter().map(|&c| c * block).chain([len]) {
        let piece = cut.min(left);
        if piece > 0 {
            segments.push(Segment { offset: at, len: piece as u32 });
        }
        at += piece + step.place % 3 * 512;
        left -= piece;
    }
    assert!(at < (lane + 1) * share);
    segments
}

fn settle(
    rig: &mut Rig,
    batch: &mut Vec<(u64, u64)>,
    reads: &mut Vec<(u64, Vec<Segment>)>,
    model: &[u8],
) {
    let done = rig.finish();
    assert_eq!(done.len(), batch.len());
    assert!(done.iter().all(|c| c.result.is_ok()), "{done:?}");
    for (offset, segments) in reads.drain(..) {
        let mut at = offset as usize;
        for segment in segments {
            let mut bytes = vec![0; segment.len as usize];
            rig.engine.memory().read(segment.offset, &mut bytes).unwrap();
            assert!(bytes == model[at..at + bytes.len()], "read at {at} differs");
            at += bytes.len();
        }
    }
    batch.clear();
}

#[test]
fn what_was_written_is_read() {
    for case in CASES.iter().filter(|case| case.keeps_data()) {
        if case.rig(true).is_none() {
            continue;
        }
        println!("{}", case.name);
        let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&steps(), |steps| {
                let mut rig = case.rig(true).expect("it was there before");
                against_the_model(&mut rig, &steps);
                Ok(())
            })
            .unwrap_or_else(|e| panic!("{}: {e}", case.name));
    }
}

#[test]
fn the_host_sees_what_was_written() {
    each(|case, mut rig| {
        let Some(content) = rig.opened.memory().unwrap().filter(|_| !case.is_encrypted()) else {
            return;
        };
        rig.engine.memory().write(0, b"outboard").unwrap();
        rig.run(request(1, WRITE, 8192, 4096, &[Segment { offset: 0, len: 4096 }])).result.unwrap();
        let mut bytes = [0; 8];
        content.read(case.offset() + 8192, &mut bytes).unwrap();
        assert_eq!(&bytes, b"outboard");
    });
}
