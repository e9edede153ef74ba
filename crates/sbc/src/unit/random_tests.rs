//! Random command streams against a model of the disk: every task ends exactly once, with what the
//! model says; an aborted or failed one changes nothing after its outcome.

use outboard_disk::testkit::{Dice, Faults, limits};
use outboard_disk::{Discard, Limits};
use outboard_scsi::Status;
use outboard_scsi::command::LbaRange;
use outboard_scsi::command::build::*;
use outboard_scsi::command::opcode as op;
use outboard_scsi::unmap::encode;
use proptest::prelude::*;

use super::*;
use crate::testing::{BUFFER, Bed, SLOTS};

const BLOCK: u64 = 512;
const BLOCKS: u64 = 1000;
const GRANULE: u64 = 8;

/// What a command is for.
#[derive(Clone, Debug)]
enum Kind {
    Read,
    Write(Vec<u8>),
    Or(Vec<u8>),
    /// what is compared, what is written
    CompareAndWrite(Vec<u8>, Vec<u8>),
    Compare(Vec<u8>),
    CompareOne(Vec<u8>),
    Same(Vec<u8>),
    Unmap(Vec<(u64, u64)>),
    /// VERIFY of the medium, PRE-FETCH, SYNCHRONIZE CACHE, START STOP UNIT, TEST UNIT READY
    NoData,
    Refused(Sense),
}

#[derive(Clone, Debug)]
struct Wanted {
    kind: Kind,
    cdb: Cdb,
    /// blocks that it may touch: first and number
    range: (u64, u64),
    /// bytes of its buffer
    buffer: u64,
    /// bytes that a good end transfers
    bytes: u64,
    aborted: bool,
}

impl Wanted {
    fn meets(&self, other: &Self) -> bool {
        let ((a, a_len), (b, b_len)) = (self.range, other.range);
        a < b + b_len && b < a + a_len
    }

    fn must_be_whole(&self) -> bool {
        let opcode = self.cdb.as_slice().first();
        matches!(opcode, Some(&(op::COMPARE_AND_WRITE | op::WRITE_ATOMIC_16)))
    }

    fn changes(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Read | Kind::Compare(_) | Kind::CompareOne(_) | Kind::NoData | Kind::Refused(_)
        )
    }
}

struct Run {
    bed: Bed,
    dice: Dice,
    faults: Faults,
    bytes: Vec<u8>,
    flying: Vec<Option<Wanted>>,
    can_unmap: bool,
    can_zero: bool,
    /// blocks of the longest request
    most: u64,
    ended: u32,
}

impl Run {
    fn new(limits: Limits, scratch: u64, faults: Faults, seed: u64) -> Self {
        Self {
            bed: Bed::new(limits, scratch, faults, seed),
            dice: Dice::new(seed + 1),
            faults,
            bytes: vec![0; limits.len_bytes() as usize],
            flying: vec![None; usize::from(SLOTS)],
            can_unmap: limits.discard.is_some(),
            can_zero: limits.write_zeroes,
            most: limits.max_transfer / BLOCK,
            ended: 0,
        }
    }

    fn step(&mut self, starts: bool) {
        if starts {
            let id = self.dice.below(u64::from(SLOTS)) as u16;
            if self.flying[usize::from(id)].is_none() {
                self.start(id);
            }
        }
        if self.dice.chance(4) {
            let id = self.dice.below(u64::from(SLOTS)) as u16;
            let wanted = self.flying[usize::from(id)].as_mut();
            assert_eq!(self.bed.unit.abort(id), wanted.is_some());
            wanted.into_iter().for_each(|wanted| wanted.aborted = true);
        }
        if self.dice.below(400) == 0 {
            let flying = self.flying.iter_mut().flatten();
            let count = flying.map(|wanted| wanted.aborted = true).count();
            assert_eq!(self.bed.unit.abort_all() as usize, count);
        }
        if !starts || self.dice.chance(60) {
            for outcome in self.bed.poll() {
                self.end(outcome);
            }
        }
        let flying = self.flying.iter().flatten().count();
        assert_eq!(self.bed.unit.in_flight() as usize, flying);
    }

    fn start(&mut self, id: u16) {
        let wanted = self.wish();
        if self.flying.iter().flatten().any(|other| other.meets(&wanted)) {
            return;
        }
        let at = Bed::at(id);
        let memory = self.bed.engine.memory();
        match &wanted.kind {
            Kind::Write(data) | Kind::Or(data) | Kind::Compare(data) => {
                memory.write(at, data).unwrap();
            }
            Kind::CompareAndWrite(compare, write) => {
                memory.write(at, compare).unwrap();
                memory.write(at + compare.len() as u64, write).unwrap();
            }
            Kind::CompareOne(block) | Kind::Same(block) => memory.write(at, block).unwrap(),
            Kind::Unmap(ranges) => {
                let mut list = [0; 1024];
                let ranges = ranges.iter().map(|&(lba, blocks)| LbaRange { lba, blocks });
                let len = encode(ranges, &mut list);
                memory.write(at, &list[..len]).unwrap();
            }
            Kind::Read | Kind::NoData | Kind::Refused(_) => {}
        }
        let (cdb, buffer) = (wanted.cdb, wanted.buffer);
        self.flying[usize::from(id)] = Some(wanted);
        for outcome in self.bed.start(id, cdb, buffer) {
            assert_eq!(outcome.id, id);
            self.end(outcome);
        }
    }

    fn wish(&mut self) -> Wanted {
        let dice = &mut self.dice;
        let lba = dice.below(BLOCKS);
        let most = if dice.chance(50) { 8 } else { 120 };
        let blocks = dice.below(most + 1).min(BLOCKS - lba);
        let (lba32, count) = (lba as u32, blocks as u32);
        let len = blocks * BLOCK;
        // Now and then the host has cut the buffer.
        let buffer = if dice.chance(10) { dice.below(len + 1) } else { BUFFER };
        let cut = len.min(buffer / BLOCK * BLOCK);
        let range = (lba, blocks);
        let wanted =
            |kind, cdb, buffer, bytes| Wanted { kind, cdb, range, buffer, bytes, aborted: false };
        let salt = dice.below(1 << 20);
        let noise =
            |len: u64| -> Vec<u8> { (0..len).map(|n| (n * 7 + n / 512 + salt) as u8).collect() };
        let present = |len: u64| {
            let from = (lba * BLOCK) as usize;
            self.bytes[from..from + len as usize].to_vec()
        };
        match dice.below(20) {
            16 => wanted(Kind::Or(noise(cut)), orwrite_16(lba, count), buffer, cut),
            17 | 18 => {
                let mut compare = present(len);
                if len > 0 && dice.chance(50) {
                    compare[dice.below(len) as usize] ^= 0x02;
                }
                let cdb = compare_and_write(lba, blocks as u8).with(1, dice.below(2) as u8 * FUA);
                wanted(Kind::CompareAndWrite(compare, noise(len)), cdb, BUFFER, 2 * len)
            }
            19 => {
                let blocks = blocks.min(self.most);
                let (len, cdb) = (blocks * BLOCK, write_atomic_16(lba, blocks as u16, 0));
                Wanted { range: (lba, blocks), ..wanted(Kind::Write(noise(len)), cdb, BUFFER, len) }
            }
            0..=3 => {
                let cdb = match dice.below(4) {
                    0 if blocks > 0 => read_6(lba32, blocks as u8),
                    1 => read_12(lba32, count).with(1, DPO),
                    2 => read_16(lba, count).with(1, FUA),
                    _ => read_10(lba32, count as u16),
                };
                wanted(Kind::Read, cdb, buffer, cut)
            }
            4..=7 => {
                let cdb = match dice.below(5) {
                    0 if blocks > 0 => write_6(lba32, blocks as u8),
                    1 => write_12(lba32, count),
                    2 => write_16(lba, count).with(1, FUA),
                    3 => write_and_verify_16(lba, count, dice.below(2) as u8),
                    _ => write_10(lba32, count as u16),
                };
                wanted(Kind::Write(noise(cut)), cdb, buffer, cut)
            }
            8 => wanted(Kind::NoData, verify_16(lba, count, 0), 0, 0),
            9 => {
                let mut data = present(cut);
                if cut > 0 && dice.chance(50) {
                    data[dice.below(cut) as usize] ^= 0x40;
                }
                wanted(Kind::Compare(data), verify_16(lba, count, 1), buffer, cut)
            }
            10 => {
                let block = if blocks > 0 { present(BLOCK) } else { noise(BLOCK) };
                let bytes = if blocks > 0 { BLOCK } else { 0 };
                wanted(Kind::CompareOne(block), verify_16(lba, count, 3), BLOCK, bytes)
            }
            11 | 12 if blocks > 0 => {
                let block = if dice.chance(50) { vec![0; BLOCK as usize] } else { noise(BLOCK) };
                let unmap = dice.chance(50) && self.can_unmap;
                if dice.chance(20) {
                    let cdb = write_same_16(lba, count, unmap, true);
                    return wanted(Kind::Same(vec![0; BLOCK as usize]), cdb, 0, 0);
                }
                let cdb = write_same_10(lba32, count as u16, unmap);
                wanted(Kind::Same(block), cdb, BUFFER, BLOCK)
            }
            13 if self.can_unmap => {
                let mut ranges = Vec::new();
                for _ in 0..dice.below(5) {
                    let from = dice.below(blocks + 1);
                    ranges.push((lba + from, dice.below(blocks - from + 1)));
                }
                let len = 8 + 16 * ranges.len() as u64;
                wanted(Kind::Unmap(ranges), unmap(len as u16), BUFFER, len)
            }
            14 => {
                let cdb = match dice.below(9) {
                    8 => pre_fetch_16(lba, count, dice.chance(50)),
                    0 => start_stop_unit(false).with(1, dice.below(2) as u8),
                    1..=4 => start_stop_unit(true),
                    5 => test_unit_ready(),
                    6 => synchronize_cache_16(lba, count).with(1, 0x02),
                    _ => synchronize_cache_10(lba32, count as u16),
                };
                Wanted { range: (0, 0), ..wanted(Kind::NoData, cdb, 0, 0) }
            }
            _ => {
                let (cdb, sense) = match dice.below(4) {
                    0 => (read_10(lba32, 1001), Sense::lba_out_of_range(BLOCKS)),
                    1 => (write_16(BLOCKS + 1 + lba, 0), Sense::lba_out_of_range(BLOCKS + 1 + lba)),
                    2 => (inquiry(None, 36), Sense::INVALID_OPCODE),
                    _ => (read_10(0, 1).with(1, 0x40), Sense::invalid_field_in_cdb(1, Some(7))),
                };
                Wanted { range: (0, 0), ..wanted(Kind::Refused(sense), cdb, BUFFER, 0) }
            }
        }
    }

    fn end(&mut self, outcome: Outcome) {
        let Outcome { id, status, sense, bytes_transferred } = outcome;
        let wanted = self.flying[usize::from(id)].take().expect("each task ends once");
        self.ended += 1;
        assert_eq!(sense.is_some(), status == Status::CheckCondition);
        match status {
            Status::Good => {
                assert!(!wanted.aborted);
                assert_eq!(bytes_transferred, wanted.bytes, "{wanted:?}");
                self.good(id, &wanted);
            }
            Status::TaskAborted => {
                assert!(wanted.aborted && bytes_transferred == 0);
                self.adopt(&wanted);
            }
            Status::CheckCondition => {
                assert!(!wanted.aborted);
                let sense = sense.unwrap();
                if sense.deferred {
                    // The task was not executed.
                    assert!(self.faults.fail > 0 && bytes_transferred == 0);
                } else {
                    self.failed(&wanted, sense);
                }
            }
            Status::Busy => {
                assert!(self.faults.busy > 0);
                if wanted.must_be_whole() {
                    let range = (wanted.range.0 * BLOCK) as usize
                        ..((wanted.range.0 + wanted.range.1) * BLOCK) as usize;
                    let seen = self.bed.seen.lock().unwrap();
                    assert!(seen.bytes[range.clone()] == self.bytes[range], "nothing is written");
                }
                self.adopt(&wanted);
            }
            other => panic!("{other:?}"),
        }
    }

    fn good(&mut self, id: u16, wanted: &Wanted) {
        let from = (wanted.range.0 * BLOCK) as usize;
        let to = ((wanted.range.0 + wanted.range.1) * BLOCK) as usize;
        match &wanted.kind {
            Kind::Read => {
                let read = self.bed.memory(Bed::at(id), wanted.bytes);
                assert!(read == self.bytes[from..from + read.len()], "{:?}", wanted.cdb);
            }
            Kind::Or(data) => {
                self.bytes[from..].iter_mut().zip(data).for_each(|(byte, or)| *byte |= or);
            }
            Kind::CompareAndWrite(compare, write) => {
                assert!(self.bytes[from..to] == *compare);
                self.bytes[from..to].copy_from_slice(write);
            }
            Kind::Write(data) => self.bytes[from..from + data.len()].copy_from_slice(data),
            Kind::Same(block) => {
                self.bytes[from..to]
                    .chunks_mut(BLOCK as usize)
                    .for_each(|b| b.copy_from_slice(block));
            }
            Kind::Unmap(ranges) => {
                for &(lba, blocks) in ranges {
                    let end = lba + blocks;
                    let (from, to) = match self.can_zero {
                        true => (lba, end),
                        false if end == BLOCKS => (lba.next_multiple_of(GRANULE), end),
                        false => (lba.next_multiple_of(GRANULE), end / GRANULE * GRANULE),
                    };
                    let bytes = (from * BLOCK) as usize..(to.max(from) * BLOCK) as usize;
                    self.bytes.get_mut(bytes).into_iter().for_each(|bytes| bytes.fill(0));
                }
            }
            Kind::Compare(_) | Kind::CompareOne(_) => assert_eq!(self.difference(wanted), None),
            Kind::NoData => {}
            Kind::Refused(sense) => panic!("{:?} should be {sense}", wanted.cdb),
        }
    }

    fn failed(&mut self, wanted: &Wanted, sense: Sense) {
        match &wanted.kind {
            Kind::Refused(expected) => return assert_eq!(sense, *expected),
            Kind::Compare(_) | Kind::CompareOne(_) | Kind::CompareAndWrite(..)
                if sense.is(&Sense::MISCOMPARE) =>
            {
                return assert_eq!(sense.information, self.difference(wanted));
            }
            _ => {}
        }
        assert!(self.faults.fail > 0, "{:?}: {sense}", wanted.cdb);
        let medium = [Sense::UNRECOVERED_READ_ERROR, Sense::WRITE_ERROR];
        if medium.iter().any(|medium| sense.is(medium)) {
            let (lba, blocks) = wanted.range;
            let at = sense.information.expect("an LBA");
            assert!((lba..lba + blocks).contains(&at), "{at} lies in the command");
            assert!(wanted.changes() || sense.is(&Sense::UNRECOVERED_READ_ERROR));
        } else {
            assert_eq!(sense, Sense::LOGICAL_UNIT_FAILURE);
        }
        self.adopt(wanted);
    }

    /// Where data-out and medium differ, by the model.
    fn difference(&self, wanted: &Wanted) -> Option<u64> {
        let (lba, blocks) = wanted.range;
        let from = (lba * BLOCK) as usize;
        let differs = |bytes: &[u8], data: &[u8]| bytes.iter().zip(data).position(|(a, b)| a != b);
        let at = match &wanted.kind {
            Kind::Compare(data) | Kind::CompareAndWrite(data, _) => {
                differs(&self.bytes[from..], data)
            }
            Kind::CompareOne(block) => self.bytes[from..from + (blocks * BLOCK) as usize]
                .chunks(BLOCK as usize)
                .find_map(|bytes| differs(bytes, block)),
            _ => None,
        };
        at.map(|at| at as u64)
    }

    /// A task that did not end well may have changed its range by now, and not later.
    fn adopt(&mut self, wanted: &Wanted) {
        if wanted.changes() {
            let (lba, blocks) = wanted.range;
            let range = (lba * BLOCK) as usize..((lba + blocks) * BLOCK) as usize;
            let seen = self.bed.seen.lock().unwrap();
            self.bytes[range.clone()].copy_from_slice(&seen.bytes[range]);
        }
    }

    fn finish(&mut self) {
        for _ in 0..100_000 {
            if self.bed.unit.is_idle() {
                break;
            }
            self.step(false);
        }
        assert!(self.bed.unit.is_idle() && self.flying.iter().all(Option::is_none));
        assert!(self.bed.seen.lock().unwrap().bytes == self.bytes, "the disk is as the model says");
        assert_eq!(self.bed.unit.strays(), 0);
        let next = self.bed.run(test_unit_ready(), &[], 0);
        assert!(self.faults.fail > 0 || next.status == Status::Good);
    }
}

proptest! {
    #[test]
    fn random_commands_match_the_model(
        max_blocks in prop_oneof![Just(16_u64), Just(64), 1_u64..40],
        discard in prop_oneof![Just(None), (8_u64..40).prop_map(Some)],
        write_zeroes in any::<bool>(),
        scratch in prop_oneof![Just(4096_u64), Just(10_000), Just(64 << 10)],
        faults in prop_oneof![
            Just(Faults::default()),
            (0_u64..80).prop_map(|hold| Faults { hold, ..Faults::default() }),
            (0_u64..30, 0_u64..20, 0_u64..80, 1_usize..20)
                .prop_map(|(busy, fail, hold, depth)| Faults { busy, fail, hold, depth }),
        ],
        seed in any::<u32>(),
    ) {
        let limits = Limits {
            max_transfer: max_blocks * BLOCK,
            discard: discard.map(|blocks| Discard {
                granularity: GRANULE * BLOCK,
                max_bytes: blocks * BLOCK,
                reads_zeroes: true,
            }),
            write_zeroes,
            ..limits(512, BLOCKS * BLOCK)
        };
        let mut run = Run::new(limits, scratch, faults, u64::from(seed));
        for _ in 0..600 {
            run.step(true);
        }
        run.finish();
        prop_assert!(run.ended > 30);
    }

    /// Any bytes for a CDB and any buffer: one outcome each, never a panic.
    #[test]
    fn any_bytes_get_an_answer(
        tasks in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..20), any::<u8>(), 0_u64..2048, 0_u64..100_000),
            1..40,
        ),
    ) {
        let opcodes = [
            op::READ_6, op::WRITE_10, op::VERIFY_10, op::VERIFY_16, op::WRITE_SAME_10, op::UNMAP,
            op::WRITE_SAME_16, op::WRITE_AND_VERIFY_12, op::SYNCHRONIZE_CACHE_10, op::READ_16,
            op::START_STOP_UNIT, op::SERVICE_ACTION_IN_16, op::COMPARE_AND_WRITE, op::ORWRITE_16,
            op::WRITE_ATOMIC_16, op::PRE_FETCH_10,
        ];
        let discard = Discard { granularity: 1536, max_bytes: 1000, reads_zeroes: true };
        let limits = Limits { discard: Some(discard), ..limits(512, BLOCKS * BLOCK) };
        let mut bed = Bed::new(limits, 4096, Faults::default(), 1);
        for (mut cdb, opcode, offset, len) in tasks {
            if let (Some(first), true) = (cdb.first_mut(), opcode & 1 == 1) {
                *first = opcodes[usize::from(opcode / 2) % opcodes.len()];
                // Small numbers reach further than large ones.
                cdb.iter_mut().skip(2).take(4).for_each(|byte| *byte = 0);
            }
            let mut out = Vec::new();
            let task = TaskIn { id: 0, cdb: &cdb, buffer: crate::BufferRange { offset, len } };
            bed.unit.start(&mut bed.engine, task, &mut out).unwrap();
            out.extend(bed.drain());
            prop_assert_eq!(out.len(), 1);
        }
    }
}
