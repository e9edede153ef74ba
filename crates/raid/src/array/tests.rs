use std::sync::{Arc, Mutex};

use outboard_disk::testkit::{Dice, Faults, Seen, TestDisk, limits};
use outboard_disk::{Discard, Segment};
use outboard_slots::Memory;
use proptest::prelude::*;

use super::*;
use crate::spec::{Level, ZoneLayout};

const CHUNK: u64 = 4096;
const BLOCK: u64 = 512;
/// Bytes of engine memory that each request in flight has for itself.
const BUFFER: u64 = 256 << 10;
const SLOTS: u64 = 8;

struct Bed {
    engine: Engine,
    array: Array,
    members: Vec<Arc<Mutex<Seen>>>,
}

impl Bed {
    fn new(spec: &ArraySpec, members: &[Limits], faults: Faults, seed: u64) -> Self {
        let memory = Memory::create("raid test", (BUFFER * SLOTS) as usize).unwrap();
        let (mut disks, mut seen) = (Vec::<Box<dyn Disk>>::new(), Vec::new());
        for (n, limits) in members.iter().enumerate() {
            let (disk, state) = TestDisk::new(*limits, faults, seed + n as u64);
            disks.push(Box::new(disk));
            seen.push(state);
        }
        let array = Array::new(spec, disks, SLOTS as u32).unwrap();
        Self { engine: Engine::simulated(memory), array, members: seen }
    }

    fn submit(
        &mut self,
        tag: u64,
        op: Op,
        range: (u64, u64),
        segments: &[Segment],
    ) -> Result<(), Rejected> {
        let request = Request { tag, op, offset: range.0, len: range.1, segments };
        self.array.submit(&mut self.engine, request)
    }

    fn poll(&mut self) -> Vec<Completion> {
        let mut done = Vec::new();
        self.array.poll(&mut self.engine, &mut done);
        done
    }

    fn submitted(&self) -> Vec<u64> {
        self.members.iter().map(|seen| seen.lock().unwrap().asked.len() as u64).collect()
    }
}

fn striped(chunk: u64) -> ArraySpec {
    ArraySpec { chunk: chunk as u32, ..ArraySpec::default() }
}

fn ok(tag: u64) -> Completion {
    Completion { tag, result: Ok(()) }
}

#[test]
fn data_comes_back_from_where_it_went() {
    let one = limits(512, 16 * CHUNK);
    let mut bed = Bed::new(&striped(CHUNK), &[one, one], Faults::default(), 1);
    let data: Vec<u8> = (0..4 * CHUNK).map(|n| (n / BLOCK) as u8 + 1).collect();
    bed.engine.memory().write(0, &data).unwrap();
    let whole = [Segment { offset: 0, len: data.len() as u32 }];
    bed.submit(3, Op::Write { fua: false }, (BLOCK, 4 * CHUNK), &whole).unwrap();
    assert_eq!(bed.submitted(), [1, 1], "one request per member");
    assert_eq!(bed.array.in_flight(), 1);
    assert_eq!(bed.poll(), [ok(3)]);
    let first = bed.members[0].lock().unwrap().bytes[..CHUNK as usize].to_vec();
    assert_eq!(first[BLOCK as usize..], data[..(CHUNK - BLOCK) as usize]);

    let back = [Segment { offset: BUFFER, len: data.len() as u32 }];
    bed.submit(4, Op::Read, (BLOCK, 4 * CHUNK), &back).unwrap();
    assert_eq!(bed.poll(), [ok(4)]);
    let mut read = vec![0; data.len()];
    bed.engine.memory().read(BUFFER, &mut read).unwrap();
    assert_eq!(read, data);
    assert_eq!(bed.array.in_flight(), 0);
}

#[test]
fn a_request_within_a_chunk_keeps_its_tag_and_takes_no_entry() {
    let one = limits(512, 16 * CHUNK);
    let mut bed = Bed::new(&striped(CHUNK), &[one, one], Faults::default(), 1);
    let segment = [Segment { offset: 0, len: BLOCK as u32 }];
    // More than the array's depth: nothing is remembered about them.
    for tag in 0..2 * SLOTS {
        bed.submit(tag, Op::Read, (CHUNK, BLOCK), &segment).unwrap();
    }
    assert_eq!(bed.submitted(), [0, 2 * SLOTS]);
    assert_eq!(u64::from(bed.array.in_flight()), 2 * SLOTS);
    let mut tags: Vec<u64> = bed.poll().iter().map(|done| done.tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..2 * SLOTS).collect::<Vec<_>>());
}

#[test]
fn a_flush_reaches_every_member() {
    let one = limits(512, 16 * CHUNK);
    let mut bed = Bed::new(&striped(CHUNK), &[one; 3], Faults::default(), 1);
    bed.submit(9, Op::Flush, (0, CHUNK), &[]).unwrap();
    assert_eq!(bed.poll(), [ok(9)]);
    for seen in &bed.members {
        let asked = seen.lock().unwrap().asked.clone();
        assert!(matches!(asked[..], [(Op::Flush, ..)]), "{asked:?}");
    }
}

#[test]
fn an_empty_request_ends_with_the_next_poll() {
    let one = limits(512, 16 * CHUNK);
    let mut bed = Bed::new(&striped(CHUNK), &[one; 2], Faults::default(), 1);
    bed.submit(5, Op::Read, (32 * CHUNK, 0), &[]).unwrap();
    assert_eq!((bed.array.in_flight(), bed.array.next_event()), (1, Time::ZERO));
    assert_eq!(bed.poll(), [ok(5)]);
    assert_eq!(bed.array.next_event(), Time::NEVER);
}

#[test]
fn what_is_outside_or_not_possible_is_handed_back() {
    let one = limits(512, 16 * CHUNK);
    let mut bed = Bed::new(&striped(CHUNK), &[one; 2], Faults::default(), 1);
    let segment = [Segment { offset: 0, len: BLOCK as u32 }];
    let refused = |error| Err(Rejected { tag: 1, error });
    let write = Op::Write { fua: false };
    let end = 32 * CHUNK;
    assert_eq!(bed.submit(1, write, (end, BLOCK), &segment), refused(DiskError::OutOfRange));
    assert_eq!(
        bed.submit(1, write, (u64::MAX - 511, BLOCK), &segment),
        refused(DiskError::OutOfRange)
    );
    assert_eq!(bed.submit(1, write, (1, BLOCK), &segment), refused(DiskError::OutOfRange));
    assert_eq!(bed.submit(1, write, (0, 2 * CHUNK), &segment), refused(DiskError::OutOfRange));
    assert_eq!(bed.submit(1, Op::Discard, (0, CHUNK), &[]), refused(DiskError::Unsupported));
    let zeroes = Op::WriteZeroes { may_unmap: true };
    assert_eq!(bed.submit(1, zeroes, (0, CHUNK), &[]), refused(DiskError::Unsupported));
    let read_only = Limits { read_only: true, ..one };
    let mut bed = Bed::new(&striped(CHUNK), &[one, read_only], Faults::default(), 1);
    assert_eq!(bed.submit(1, write, (0, BLOCK), &segment), refused(DiskError::ReadOnly));
    assert_eq!(bed.array.in_flight(), 0);
    assert!(Array::new(&striped(CHUNK), Vec::new(), 1).is_err());
    assert!(matches!(
        Array::new(&striped(CHUNK), Vec::new(), 0),
        Err(RaidError::Depth { depth: 0 })
    ));
}

#[test]
fn a_position_is_reported_in_the_array() {
    let one = limits(512, 16 * CHUNK);
    let always = Faults { fail: 100, ..Faults::default() };
    let mut bed = Bed::new(&striped(CHUNK), &[one; 2], always, 1);
    let segment = [Segment { offset: 0, len: BLOCK as u32 }];
    let mut positions = 0;
    for tag in 0..64 {
        bed.submit(tag, Op::Read, (5 * CHUNK + BLOCK, BLOCK), &segment).unwrap();
        match bed.poll()[..] {
            [Completion { result: Err(DiskError::Medium { at }), .. }] => {
                assert_eq!(at, 5 * CHUNK + BLOCK);
                positions += 1;
            }
            [Completion { result: Err(DiskError::Gone), .. }] => {}
            ref other => panic!("{other:?}"),
        }
    }
    assert!(positions > 0);
}

#[test]
fn arrays_stack() {
    let spec = striped(CHUNK);
    let inner = |seed: u64| -> Box<dyn Disk> {
        let disk = |n| TestDisk::new(limits(512, 16 * CHUNK), Faults::default(), seed + n).0;
        Box::new(Array::new(&spec, vec![Box::new(disk(0)), Box::new(disk(1))], 8).unwrap())
    };
    let outer = striped(2 * CHUNK);
    let mut array = Array::new(&outer, vec![inner(1), inner(3)], 8).unwrap();
    let memory = Memory::create("raid test", BUFFER as usize).unwrap();
    let mut engine = Engine::simulated(memory);
    let segments = [Segment { offset: 0, len: (8 * CHUNK) as u32 }];
    let request = Request { tag: 1, op: Op::Read, offset: 0, len: 8 * CHUNK, segments: &segments };
    array.submit(&mut engine, request).unwrap();
    let mut done = Vec::new();
    array.poll(&mut engine, &mut done);
    assert_eq!(done, [ok(1)]);
    assert_eq!(array.in_flight(), 0);
}

/// A request of the random run.
struct Wanted {
    op: Op,
    from: u64,
    len: u64,
    segments: Vec<Segment>,
    value: u8,
}

/// What the array's blocks hold; `None` where a failed write leaves it open.
struct Model {
    blocks: Vec<Option<u8>>,
}

impl Model {
    fn range(&mut self, wanted: &Wanted) -> &mut [Option<u8>] {
        let (from, len) = (wanted.from / BLOCK, wanted.len / BLOCK);
        &mut self.blocks[from as usize..(from + len) as usize]
    }

    fn end(&mut self, engine: &Engine, wanted: &Wanted, result: Result<(), DiskError>) {
        if let Err(DiskError::Medium { at }) = result {
            assert!(
                (wanted.from..wanted.from + wanted.len).contains(&at),
                "{at} lies in the request"
            );
        }
        let good = result.is_ok();
        match wanted.op {
            Op::Read if good => {
                let mut read = Vec::new();
                for segment in &wanted.segments {
                    let mut bytes = vec![0; segment.len as usize];
                    engine.memory().read(segment.offset, &mut bytes).unwrap();
                    read.extend(bytes);
                }
                for (block, known) in read.chunks(BLOCK as usize).zip(self.range(wanted)) {
                    if let Some(known) = *known {
                        assert!(block.iter().all(|&byte| byte == known), "a read sees its write");
                    }
                }
            }
            Op::Read | Op::Flush => {}
            Op::Write { .. } => self.range(wanted).fill(good.then_some(wanted.value)),
            _ => self.range(wanted).fill(good.then_some(0)),
        }
    }
}

/// A segment list of `len` bytes in the slot's buffer, in pieces that are not in order.
fn pieces(dice: &mut Dice, slot: u64, block: u64, len: u64) -> Vec<Segment> {
    let (mut lens, mut left) = (Vec::new(), len);
    while left > 0 {
        let now = if dice.chance(30) { left } else { (1 + dice.below(12)) * block }.min(left);
        lens.push(now);
        left -= now;
    }
    // The pieces lie from the buffer's end down, so that neighbours do not touch in order.
    let mut at = slot * BUFFER + BUFFER;
    let place = |len: u64| {
        at -= len;
        Segment { offset: at, len: len as u32 }
    };
    lens.into_iter().map(place).collect()
}

fn wish(dice: &mut Dice, array: &Array, slot: u64) -> Wanted {
    let limits = array.limits();
    let op = match dice.below(10) {
        0 => Op::Flush,
        1 => Op::Discard,
        2 => Op::WriteZeroes { may_unmap: dice.chance(50) },
        3..=5 => Op::Read,
        _ => Op::Write { fua: dice.chance(20) },
    };
    let block = u64::from(limits.block_size);
    let from = dice.below(limits.blocks) * block;
    let most = match (op, limits.discard) {
        (Op::Discard, Some(discard)) => discard.max_bytes,
        _ => limits.max_transfer.min(BUFFER),
    };
    let most = most.min(limits.len_bytes() - from);
    let len = if dice.chance(40) { most.min(block) } else { dice.below(most / block + 1) * block };
    let data = matches!(op, Op::Read | Op::Write { .. });
    let segments = if data { pieces(dice, slot, block, len) } else { Vec::new() };
    let len = if op == Op::Flush { 0 } else { len };
    Wanted { op, from, len, segments, value: 1 + dice.below(255) as u8 }
}

/// Random requests against a model: every accepted one ends exactly once, a refused one does
/// nothing, data goes where the model says.
fn random_run(spec: &ArraySpec, members: &[Limits], faults: Faults, seed: u64, steps: u32) {
    let mut bed = Bed::new(spec, members, faults, seed);
    let mut dice = Dice::new(seed);
    let mut model =
        Model { blocks: vec![Some(0); (bed.array.limits.len_bytes() / BLOCK) as usize] };
    let mut flying: Vec<Option<Wanted>> = (0..SLOTS).map(|_| None).collect();
    // Tags with high bits are those of a disk that stacks on this one.
    let high = if dice.chance(30) { 1 << 47 } else { 0 };
    for step in 0..steps + 1000 {
        let slot = dice.below(SLOTS);
        if step < steps && flying[slot as usize].is_none() {
            let wanted = wish(&mut dice, &bed.array, slot);
            let meets = |other: &Wanted| {
                wanted.from < other.from + other.len && other.from < wanted.from + wanted.len
            };
            if !flying.iter().flatten().any(meets) {
                if matches!(wanted.op, Op::Write { .. }) {
                    let memory = bed.engine.memory();
                    memory.fill(slot * BUFFER, BUFFER as usize, wanted.value).unwrap();
                }
                let range = (wanted.from, wanted.len);
                let before = bed.submitted();
                match bed.submit(slot | high, wanted.op, range, &wanted.segments) {
                    Ok(()) => flying[slot as usize] = Some(wanted),
                    Err(Rejected { tag, error }) => {
                        assert_eq!((tag, error), (slot | high, DiskError::Busy));
                        assert_eq!(bed.submitted(), before, "refused means that nothing was asked");
                    }
                }
            }
        }
        if step >= steps || dice.chance(60) {
            for Completion { tag, result } in bed.poll() {
                let wanted = flying[(tag ^ high) as usize].take().expect("ends once");
                model.end(&bed.engine, &wanted, result);
            }
        }
        assert_eq!(bed.array.in_flight() as usize, flying.iter().flatten().count());
        if step >= steps && bed.array.in_flight() == 0 {
            break;
        }
    }
    assert_eq!(bed.array.in_flight(), 0, "nothing is lost");
    assert!(bed.members.iter().all(|seen| seen.lock().unwrap().in_flight == 0));
}

proptest! {
    #[test]
    fn random_requests_match_the_model(
        level in prop_oneof![Just(Level::Raid0), Just(Level::Linear)],
        zone_layout in prop_oneof![Just(ZoneLayout::Original), Just(ZoneLayout::Alternate)],
        lens in prop::collection::vec((1_u64..16, 0_u64..8), 1..5),
        big_blocks in any::<bool>(),
        max_blocks in prop_oneof![Just(2048_u64), 8_u64..40],
        faults in prop_oneof![
            Just(Faults::default()),
            (0_u64..30, 0_u64..30, 0_u64..80)
                .prop_map(|(busy, fail, hold)| Faults { busy, fail, hold, ..Faults::default() }),
        ],
        seed in any::<u32>(),
    ) {
        let spec = ArraySpec { level, chunk: CHUNK as u32, zone_layout };
        let discard = Discard { granularity: 512, max_bytes: 64 << 10, reads_zeroes: true };
        let members: Vec<Limits> = lens
            .iter()
            .enumerate()
            .map(|(n, (chunks, rest))| Limits {
                max_transfer: max_blocks * BLOCK,
                discard: Some(discard),
                write_zeroes: true,
                ..limits(if big_blocks && n == 0 { 4096 } else { 512 }, chunks * CHUNK + rest * BLOCK)
            })
            .collect();
        random_run(&spec, &members, faults, u64::from(seed), 200);
    }
}
