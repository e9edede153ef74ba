use outboard_disk::testkit::{Faults, TestDisk, limits};
use outboard_disk::{Discard, Limits};
use outboard_scsi::Status;
use outboard_scsi::command::LbaRange;
use outboard_scsi::command::build::*;
use outboard_scsi::command::opcode as op;
use outboard_scsi::unmap;

use super::*;
use crate::task::BufferRange;
use crate::testing::{BUFFER, Bed, SLOTS};

const BLOCK: u64 = 512;
const DISK: u64 = 1 << 20;
const SCRATCH: u64 = 64 << 10;
/// Bytes of each of the four pieces.
const PIECE: u64 = SCRATCH / 4;

/// A disk of 2048 blocks that takes 16 KiB at once, discards and zeroes.
fn able() -> Limits {
    let discard = Discard { granularity: 4096, max_bytes: 16 << 10, reads_zeroes: true };
    Limits {
        max_transfer: 16 << 10,
        discard: Some(discard),
        write_zeroes: true,
        ..limits(512, DISK)
    }
}

fn bed() -> Bed {
    Bed::new(able(), SCRATCH, Faults::default(), 1)
}

fn data(blocks: u64, salt: u8) -> Vec<u8> {
    (0..blocks * BLOCK).map(|n| (n / BLOCK) as u8 ^ (n as u8) ^ salt).collect()
}

fn good(bytes: u64) -> Outcome {
    Outcome::good(0, bytes)
}

fn check(sense: Sense) -> Outcome {
    Outcome::check(0, sense)
}

const fn write(fua: bool) -> Op {
    Op::Write { fua }
}

#[test]
fn every_read_and_write_is_one_request() {
    let mut bed = bed();
    let blocks = data(4, 1);
    let writes = [write_6(10, 4), write_10(20, 4), write_12(30, 4), write_16(40, 4)];
    let reads = [read_6(10, 4), read_10(20, 4), read_12(30, 4), read_16(40, 4)];
    for (n, (write_cdb, read_cdb)) in writes.into_iter().zip(reads).enumerate() {
        let offset = (n as u64 + 1) * 10 * BLOCK;
        assert_eq!(bed.run(write_cdb, &blocks, 2048), good(2048));
        assert_eq!(bed.asked(), [(write(false), offset, 2048)]);
        bed.engine.memory().fill(0, 2048, 0).unwrap();
        assert_eq!(bed.run(read_cdb, &[], 2048), good(2048));
        assert_eq!(bed.asked(), [(Op::Read, offset, 2048)]);
        assert_eq!(bed.memory(0, 2048), blocks);
    }
    assert_eq!(bed.run(write_10(0, 1).with(1, FUA), &[], 512), good(512));
    assert_eq!(bed.run(read_10(0, 1).with(1, FUA | DPO), &[], 512), good(512));
    assert_eq!(bed.asked(), [(write(true), 0, 512), (Op::Read, 0, 512)]);
}

#[test]
fn the_buffer_is_the_last_word_on_length() {
    let mut bed = bed();
    assert_eq!(bed.run(write_10(0, 4), &[], 3 * 512 + 100), good(3 * 512));
    assert_eq!(bed.run(read_10(0, 1), &[], 2048), good(512));
    assert_eq!(bed.asked(), [(write(false), 0, 1536), (Op::Read, 0, 512)]);
    assert_eq!(bed.run(read_10(0, 4), &[], 511), good(0));
    assert_eq!(bed.run(write_10(2048, 0), &[], 0), good(0));
    assert_eq!(bed.asked(), [], "nothing is no disk I/O");
}

#[test]
fn what_does_not_fit_the_unit_is_refused() {
    let mut bed = bed();
    let beyond = |lba| check(Sense::lba_out_of_range(lba));
    assert_eq!(bed.run(read_10(2048, 1), &[], 512), beyond(2048));
    assert_eq!(bed.run(read_10(2047, 2), &[], 1024), beyond(2048));
    assert_eq!(bed.run(read_16(u64::MAX, 2), &[], 1024), beyond(u64::MAX));
    assert_eq!(bed.run(verify_16(2049, 0, 0), &[], 0), beyond(2049));
    assert_eq!(bed.run(synchronize_cache_16(2040, 9), &[], 0), beyond(2048));
    let protected = check(Sense::invalid_field_in_cdb(1, Some(7)));
    assert_eq!(bed.run(read_10(0, 1).with(1, 0x20), &[], 512), protected);
    assert_eq!(bed.run(write_same_10(0, 1, false).with(1, 0x20), &[], 512), protected);
    for cdb in [inquiry(None, 36), report_luns(0, 16), Cdb::new(0xF0), mode_sense_6(false, 8, 0, 4)]
    {
        assert_eq!(bed.run(cdb, &[], 512), check(Sense::INVALID_OPCODE));
    }
    assert_eq!(bed.asked(), []);
}

#[test]
fn a_read_only_disk_is_write_protected() {
    let mut bed = Bed::new(Limits { read_only: true, ..able() }, SCRATCH, Faults::default(), 1);
    let writes =
        [write_10(0, 1), write_and_verify_16(0, 1, 0), write_same_16(0, 1, false, true), unmap(24)];
    for cdb in writes {
        assert_eq!(bed.run(cdb, &[], 512), check(Sense::WRITE_PROTECTED));
    }
    assert_eq!(bed.run(read_10(0, 1), &[], 512), good(512));
}

#[test]
fn a_command_longer_than_a_request_goes_in_steps() {
    let mut bed = bed();
    let blocks = data(200, 3);
    assert_eq!(bed.run(write_10(1, 200), &blocks, BUFFER), good(200 * BLOCK));
    let asked = bed.asked();
    assert_eq!(asked.len(), 7);
    assert_eq!(asked[6], (write(false), BLOCK + 6 * 16_384, 200 * BLOCK - 6 * 16_384));
    bed.engine.memory().fill(0, BUFFER as usize, 0).unwrap();
    assert_eq!(bed.run(read_10(1, 200), &[], BUFFER), good(200 * BLOCK));
    assert_eq!(bed.memory(0, 200 * BLOCK), blocks);
}

#[test]
fn of_failed_steps_the_first_counts() {
    let mut bed = bed();
    let at = 3 * 16_384 + 512;
    let results = [None, None, Some(DiskError::Gone), Some(DiskError::Medium { at })];
    bed.seen.lock().unwrap().results.extend(results);
    let outcome = bed.run(read_10(0, 200), &[], BUFFER);
    let expected = Outcome { bytes_transferred: 2 * 16_384, ..check(Sense::LOGICAL_UNIT_FAILURE) };
    assert_eq!(outcome, expected);

    bed.seen.lock().unwrap().results.extend([None, Some(DiskError::Medium { at: 20_480 })]);
    let outcome = bed.run(write_10(0, 200), &[], BUFFER);
    let expected = Outcome { bytes_transferred: 16_384, ..check(Sense::write_error(40)) };
    assert_eq!(outcome, expected);
    bed.seen.lock().unwrap().results.extend([Some(DiskError::Busy)]);
    let outcome = bed.run(read_10(0, 1), &[], BUFFER);
    assert_eq!((outcome.status, outcome.sense), (Status::Busy, None));
}

#[test]
fn verify_reads_or_compares() {
    let mut bed = bed();
    let blocks = data(100, 9);
    bed.run(write_10(7, 100), &blocks, BUFFER);
    bed.asked();
    assert_eq!(bed.run(verify_16(7, 100, 0), &[], 0), good(0));
    assert_eq!(bed.asked().iter().map(|asked| asked.2).sum::<u64>(), 100 * BLOCK);
    let len = 100 * BLOCK;
    assert_eq!(bed.run(verify_16(7, 100, 1), &blocks, len), good(len));
    // In the third piece, so that the offset is that of the whole data-out.
    let mut other = blocks.clone();
    let place = 2 * PIECE + 4097;
    other[place as usize] ^= 1;
    let differs = Outcome { bytes_transferred: len, ..check(Sense::miscompare(place)) };
    assert_eq!(bed.run(verify_16(7, 100, 1), &other, len), differs);
    assert_eq!(bed.run(verify_16(7, 100, 1), &other, place), good(place / BLOCK * BLOCK));

    bed.run(write_same_10(300, 50, false), &blocks[512..1024], 512);
    assert_eq!(bed.run(verify_16(300, 50, 3), &blocks[512..1024], 512), good(512));
    let differs = Outcome { bytes_transferred: 512, ..check(Sense::miscompare(0)) };
    assert_eq!(bed.run(verify_16(299, 51, 3), &blocks[512..1024], 512), differs);
    assert_eq!(bed.run(verify_16(300, 50, 3), &[], 511), check(Sense::DATA_PHASE_ERROR));
    assert_eq!(bed.run(verify_16(300, 0, 3), &[], 0), good(0));
    bed.seen.lock().unwrap().results.push_back(Some(DiskError::Medium { at: 512 }));
    assert_eq!(bed.run(verify_16(0, 9, 0), &[], 0), check(Sense::unrecovered_read_error(1)));
}

#[test]
fn write_and_verify_is_on_the_medium_before_it_is_read() {
    let mut bed = bed();
    let blocks = data(40, 5);
    for check in [0, 1] {
        let cdb = write_and_verify_16(64, 40, check);
        assert_eq!(bed.run(cdb, &blocks, BUFFER), good(40 * BLOCK));
        let asked = bed.asked();
        let ops: Vec<Op> = asked.iter().map(|asked| asked.0).collect();
        assert_eq!(ops, [write(true), write(true), Op::Read, Op::Read]);
    }
    assert_eq!(bed.seen.lock().unwrap().bytes[64 * 512..104 * 512], blocks);
    bed.seen.lock().unwrap().results.extend([None, None, Some(DiskError::Medium { at: 65 * 512 })]);
    let outcome = bed.run(write_and_verify_16(64, 40, 0), &blocks, BUFFER);
    assert_eq!(outcome, check(Sense::unrecovered_read_error(65)));
}

#[test]
fn write_same_takes_the_cheapest_way() {
    let mut bed = bed();
    let pattern = data(1, 0xA0);
    assert_eq!(bed.run(write_same_16(5, 100, false, false), &pattern, 512), good(512));
    assert!(bed.asked().iter().all(|asked| asked.0 == write(false)));
    let seen = bed.seen.lock().unwrap().bytes[5 * 512..105 * 512].to_vec();
    assert!(seen.chunks(512).all(|block| block == pattern));
    assert_eq!(bed.seen.lock().unwrap().bytes[105 * 512..106 * 512], [0; 512]);

    assert_eq!(bed.run(write_same_10(5, 10, false), &[0; 512], 512), good(512));
    assert_eq!(bed.run(write_same_16(15, 10, true, true), &[], 0), good(0));
    let zeroes = |may_unmap| Op::WriteZeroes { may_unmap };
    let expected = [(zeroes(false), 5 * 512, 5120), (zeroes(true), 15 * 512, 5120)];
    assert_eq!(bed.asked(), expected);
    assert!(bed.seen.lock().unwrap().bytes[5 * 512..25 * 512].iter().all(|&byte| byte == 0));

    assert_eq!(bed.run(write_same_16(2000, 0, false, true), &[], 0), good(0));
    assert_eq!(bed.asked(), [(zeroes(false), 2000 * 512, 48 * 512)], "to the end");
    assert_eq!(bed.run(write_same_10(2048, 0, false), &[0; 512], 512), good(0));
    let beyond = bed.run(write_same_10(2049, 0, false), &[0; 512], 512);
    assert_eq!(beyond, check(Sense::lba_out_of_range(2049)));
    let anchored = write_same_16(0, 1, true, true).with(1, 0x10);
    assert_eq!(bed.run(anchored, &[], 0), check(Sense::invalid_field_in_cdb(1, Some(4))));
    let short = bed.run(write_same_10(0, 1, false), &[0; 511], 511);
    assert_eq!(short, check(Sense::DATA_PHASE_ERROR));
}

#[test]
fn write_same_of_zeroes_without_write_zeroes() {
    let limits = Limits { write_zeroes: false, ..able() };
    let mut bed = Bed::new(limits, SCRATCH, Faults::default(), 1);
    // Whole granules, and the initiator allows it: a discard, in steps.
    assert_eq!(bed.run(write_same_16(8, 40, true, true), &[], 0), good(0));
    assert_eq!(bed.asked(), [(Op::Discard, 4096, 16_384), (Op::Discard, 20_480, 4096)]);
    for cdb in [write_same_16(8, 40, false, true), write_same_16(9, 40, true, true)] {
        bed.run(cdb, &[], 0);
        assert!(bed.asked().iter().all(|asked| asked.0 == write(false)));
    }
    let limits = Limits { discard: None, ..limits };
    let mut bed = Bed::new(limits, SCRATCH, Faults::default(), 1);
    let refused = check(Sense::invalid_field_in_cdb(1, Some(3)));
    assert_eq!(bed.run(write_same_16(8, 40, true, true), &[], 0), refused);
}

fn list(ranges: &[(u64, u64)]) -> Vec<u8> {
    let mut list = vec![0; 8 + 16 * ranges.len()];
    let ranges = ranges.iter().map(|&(lba, blocks)| LbaRange { lba, blocks });
    unmap::encode(ranges, &mut list);
    list
}

#[test]
fn unmap_zeroes_what_is_less_than_a_granule() {
    let mut bed = bed();
    bed.seen.lock().unwrap().bytes.fill(7);
    let ranges = list(&[(0, 8), (9, 6), (100, 0), (2043, 5)]);
    let len = ranges.len() as u64;
    assert_eq!(bed.run(unmap(len as u16), &ranges, len), good(len));
    let zeroes = Op::WriteZeroes { may_unmap: true };
    let asked = [(zeroes, 0, 4096), (zeroes, 9 * 512, 6 * 512), (zeroes, 2043 * 512, 5 * 512)];
    assert_eq!(bed.asked(), asked);
}

#[test]
fn unmap_discards_whole_granules() {
    let cannot_zero = Limits { write_zeroes: false, ..able() };
    let mut bed = Bed::new(cannot_zero, SCRATCH, Faults::default(), 1);
    bed.seen.lock().unwrap().bytes.fill(7);
    let ranges = list(&[(0, 8), (9, 6), (9, 20), (100, 0), (2043, 5), (64, 64)]);
    let len = ranges.len() as u64;
    assert_eq!(bed.run(unmap(len as u16), &ranges, len), good(len));
    let discards = [
        (Op::Discard, 0, 4096),
        (Op::Discard, 8192, 4096),
        (Op::Discard, 64 * 512, 16_384),
        (Op::Discard, 64 * 512 + 16_384, 16_384),
    ];
    assert_eq!(bed.asked(), discards);

    let refused = |ranges: &[(u64, u64)], bed: &mut Bed| {
        let ranges = list(ranges);
        bed.run(unmap(ranges.len() as u16), &ranges, ranges.len() as u64).sense.unwrap()
    };
    assert_eq!(refused(&[(0, 8), (2048, 1)], &mut bed), Sense::lba_out_of_range(2048));
    let many = vec![(0, 8); 257];
    assert!(refused(&many, &mut bed).is(&Sense::INVALID_FIELD_IN_PARAMETER_LIST));
    assert_eq!(bed.asked(), [], "all ranges are checked before one is discarded");
    assert_eq!(bed.run(unmap(0), &[], 0), good(0));
    let short = bed.run(unmap(24), &list(&[(0, 8)]), 7);
    assert_eq!(short, check(Sense::PARAMETER_LIST_LENGTH_ERROR));
    let anchored = bed.run(unmap(24).with(1, 1), &list(&[(0, 8)]), 24);
    assert_eq!(anchored, check(Sense::invalid_field_in_cdb(1, Some(0))));
    let many = vec![(0, 8); 256];
    assert_eq!(bed.run(unmap(4104), &list(&many), 4104), good(4104));

    let mut plain = Bed::new(limits(512, DISK), SCRATCH, Faults::default(), 1);
    assert_eq!(plain.run(unmap(24), &list(&[(0, 8)]), 24), check(Sense::INVALID_OPCODE));
}

#[test]
fn a_stop_flushes() {
    let mut bed = bed();
    assert_eq!(bed.run(start_stop_unit(false), &[], 0), good(0));
    assert_eq!(bed.asked(), [(Op::Flush, 0, 0)], "a stop writes the cache to the medium");
    assert_eq!(bed.run(start_stop_unit(false).with(1, 0x01), &[], 0), good(0));
    assert_eq!(bed.asked(), [(Op::Flush, 0, 0)]);
    assert_eq!(bed.run(start_stop_unit(false).with(4, 0x04), &[], 0), good(0));
    assert_eq!(bed.run(start_stop_unit(true), &[], 0), good(0));
    assert_eq!(bed.asked(), [], "NO_FLUSH, and a start");
    assert_eq!(bed.run(read_10(0, 1), &[], 512), good(512), "readiness is the host's to judge");
}

#[test]
fn compare_and_write_is_all_or_nothing() {
    let mut bed = bed();
    let (old, new) = (data(70, 1), data(70, 2));
    bed.run(write_10(9, 70), &old, BUFFER);
    bed.asked();
    let both = |compare: &[u8], write: &[u8]| [compare, write].concat();
    let bytes = 2 * 70 * BLOCK;
    let place = PIECE + 27;
    let mut other = old.clone();
    other[place as usize] ^= 1;
    let outcome = bed.run(compare_and_write(9, 70), &both(&other, &new), BUFFER);
    assert_eq!(outcome, Outcome { bytes_transferred: bytes, ..check(Sense::miscompare(place)) });
    assert!(bed.asked().iter().all(|asked| asked.0 == Op::Read), "nothing is written");
    let outcome = bed.run(compare_and_write(9, 70).with(1, FUA), &both(&old, &new), BUFFER);
    assert_eq!(outcome, good(bytes));
    let ops: Vec<Op> = bed.asked().iter().map(|asked| asked.0).collect();
    assert_eq!(ops, [Op::Read, Op::Read, Op::Read, write(true), write(true), write(true)]);
    assert_eq!(bed.seen.lock().unwrap().bytes[9 * 512..79 * 512], new);

    assert_eq!(bed.run(compare_and_write(2048, 0), &[], 512), good(0));
    let beyond = bed.run(compare_and_write(2048, 1), &[], 1024);
    assert_eq!(beyond, check(Sense::lba_out_of_range(2048)));
    let short = bed.run(compare_and_write(0, 2), &[], 2047);
    assert_eq!(short, check(Sense::DATA_PHASE_ERROR));
    bed.asked();
    bed.seen.lock().unwrap().results.push_back(Some(DiskError::Medium { at: 512 }));
    let unread = bed.run(compare_and_write(0, 2), &[], 2048);
    assert_eq!(unread, check(Sense::unrecovered_read_error(1)));
    let results = [None, Some(DiskError::Medium { at: 512 })];
    bed.seen.lock().unwrap().results.extend(results);
    let zeroes = both(&[0; 1024], &[1; 1024]);
    assert_eq!(bed.run(compare_and_write(0, 2), &zeroes, 2048), check(Sense::write_error(1)));
}

#[test]
fn a_repeated_compare_and_write_finishes_what_was_begun() {
    let mut bed = bed();
    let (old, new, other) = (data(70, 1), data(70, 2), data(70, 4));
    let both = [old.as_slice(), new.as_slice()].concat();
    let cdb = compare_and_write(9, 70);
    let repeated = cdb.with(12, REPEATED);
    let half = [&new[..40 * 512], &old[40 * 512..]].concat();
    for begun in [&old, &half, &new] {
        bed.run(write_10(9, 70), begun, BUFFER);
        if begun != &old {
            assert!(bed.run(cdb, &both, BUFFER).sense.unwrap().is(&Sense::MISCOMPARE));
        }
        assert_eq!(bed.run(repeated, &both, BUFFER), good(2 * 70 * BLOCK));
        assert_eq!(bed.seen.lock().unwrap().bytes[9 * 512..79 * 512], new);
    }
    let torn = [&half[..60 * 512], &other[60 * 512..]].concat();
    bed.run(write_10(9, 70), &torn, BUFFER);
    let outcome = bed.run(repeated, &both, BUFFER);
    assert_eq!(outcome.sense, Some(Sense::miscompare(60 * 512)));
    assert_eq!(bed.seen.lock().unwrap().bytes[9 * 512..79 * 512], torn);
}

#[test]
fn what_must_be_written_whole_does_not_end_for_a_busy_disk() {
    let mut bed = bed();
    let (old, new) = (data(70, 1), data(70, 2));
    bed.run(write_10(9, 70), &old, BUFFER);
    bed.asked();
    // Of the three writes the middle one, then the last one, finds the disk short of something.
    let busy = Some(DiskError::Busy);
    bed.seen.lock().unwrap().results.extend([None, None, None, None, busy, None, None, busy]);
    let both = [old.as_slice(), new.as_slice()].concat();
    assert_eq!(bed.run(compare_and_write(9, 70), &both, BUFFER), good(2 * 70 * BLOCK));
    assert_eq!(bed.seen.lock().unwrap().bytes[9 * 512..79 * 512], new);
    let from: Vec<u64> = bed.asked()[3..].iter().map(|asked| asked.1 / 512).collect();
    assert_eq!(from, [9, 41, 73, 41, 73, 73], "from the first that failed on");

    bed.seen.lock().unwrap().results.extend([busy, busy]);
    assert_eq!(bed.run(write_atomic_16(0, 32, 0), &old, 16_384), good(16_384));
    assert_eq!(bed.seen.lock().unwrap().bytes[..16_384], old[..16_384]);
    assert_eq!(bed.asked().len(), 3);

    // Other errors end it, and so does an abort.
    bed.seen.lock().unwrap().results.extend([busy, Some(DiskError::Gone)]);
    let gone = bed.run(write_atomic_16(0, 1, 0), &old, 512);
    assert_eq!(gone, check(Sense::LOGICAL_UNIT_FAILURE));
    bed.seen.lock().unwrap().results.push_back(busy);
    bed.start(0, write_atomic_16(0, 1, 0), 512);
    bed.unit.abort(0);
    assert_eq!(bed.drain(), [Outcome::aborted(0)]);
}

#[test]
fn orwrite_reads_combines_and_writes() {
    let mut bed = bed();
    let (old, new) = (data(70, 1), data(70, 0x5A));
    bed.run(write_10(9, 70), &old, BUFFER);
    bed.asked();
    assert_eq!(bed.run(orwrite_16(9, 70).with(1, FUA), &new, BUFFER), good(70 * BLOCK));
    let ops: Vec<Op> = bed.asked().iter().map(|asked| asked.0).collect();
    assert_eq!(ops, [Op::Read, write(true), Op::Read, write(true), Op::Read, write(true)]);
    let expected: Vec<u8> = old.iter().zip(&new).map(|(old, new)| old | new).collect();
    assert_eq!(bed.seen.lock().unwrap().bytes[9 * 512..79 * 512], expected);
    assert_eq!(bed.run(orwrite_16(0, 0), &[], 0), good(0));
    bed.seen.lock().unwrap().results.extend([None, Some(DiskError::NoSpace)]);
    let full = bed.run(orwrite_16(0, 1), &[1; 512], 512);
    assert_eq!(full, check(Sense::SPACE_ALLOCATION_FAILED));
}

#[test]
fn an_atomic_write_is_one_request_of_whole_physical_blocks() {
    let limits = Limits { physical_block_size: 4096, ..able() };
    let mut bed = Bed::new(limits, SCRATCH, Faults::default(), 1);
    assert_eq!(bed.unit.report().max_atomic_blocks, 32);
    let blocks = data(32, 1);
    assert_eq!(bed.run(write_atomic_16(8, 32, 0), &blocks, 16_384), good(16_384));
    assert_eq!(bed.run(write_atomic_16(2040, 8, 0).with(1, FUA), &blocks, 4096), good(4096));
    let expected = [(write(false), 4096, 16_384), (write(true), 2040 * 512, 4096)];
    assert_eq!(bed.asked(), expected);
    let field = |byte| check(Sense::invalid_field_in_cdb(byte, None));
    assert_eq!(bed.run(write_atomic_16(8, 40, 0), &[], BUFFER), field(12), "too long");
    assert_eq!(bed.run(write_atomic_16(8, 4, 0), &[], BUFFER), field(12), "half a granule");
    assert_eq!(bed.run(write_atomic_16(4, 8, 0), &[], BUFFER), field(2), "not aligned");
    assert_eq!(bed.run(write_atomic_16(8, 8, 8), &[], BUFFER), field(10), "no boundaries");
    let beyond = bed.run(write_atomic_16(2040, 16, 0), &[], BUFFER);
    assert_eq!(beyond, check(Sense::lba_out_of_range(2048)));
    assert_eq!(bed.run(write_atomic_16(8, 8, 0), &[], 4095), check(Sense::DATA_PHASE_ERROR));
    assert_eq!(bed.run(write_atomic_16(8, 0, 0), &[], 0), good(0));
    assert_eq!(bed.asked(), []);
}

#[test]
fn lba_status_tells_holes_from_data() {
    let mut bed = bed();
    bed.run(write_10(8, 8), &data(8, 1), 4096);
    bed.seen.lock().unwrap().tells_holes = true;
    let mut status = |cdb: Cdb, len| {
        let outcome = bed.run(cdb, &[], len);
        let data = bed.memory(0, outcome.bytes_transferred);
        let found: Vec<_> = outboard_scsi::lba_status::parse(&data)
            .map(|found| (found.lba, found.blocks, found.provisioning as u8))
            .collect();
        (outcome, found)
    };
    let all = vec![(3, 5, 1), (8, 8, 0), (16, 2032, 1)];
    assert_eq!(status(get_lba_status_16(3, 512), 512), (good(56), all.clone()));
    assert_eq!(status(get_lba_status_16(3, 24), 512), (good(24), all[..1].to_vec()));
    assert_eq!(status(get_lba_status_16(3, 47), 512), (good(40), all[..2].to_vec()));
    assert_eq!(status(get_lba_status_16(3, 7), 512), (good(7), vec![]));
    assert_eq!(status(get_lba_status_16(15, 512), 24), (good(24), vec![(15, 1, 0)]));
    let beyond = status(get_lba_status_16(2048, 24), 24).0;
    assert_eq!(beyond, check(Sense::lba_out_of_range(2048)));
    let full = Limits { discard: None, ..able() };
    let mut full = Bed::new(full, SCRATCH, Faults::default(), 1);
    full.seen.lock().unwrap().tells_holes = true;
    assert_eq!(full.run(get_lba_status_16(3, 512), &[], 512), good(24), "all is mapped");
    assert_eq!(full.memory(8, 16), [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 7, 0xFD, 0, 0, 0, 0]);
    let by_type = status(get_lba_status_16(0, 24).with(14, 1), 24).0;
    assert_eq!(by_type, check(Sense::invalid_field_in_cdb(14, None)));
}

#[test]
fn pre_fetch_has_nowhere_to_put_blocks() {
    let mut bed = bed();
    assert_eq!(bed.run(pre_fetch_10(0, 0, false), &[], 0), good(0));
    assert_eq!(bed.run(pre_fetch_16(2047, 1, true), &[], 0), good(0));
    let beyond = bed.run(pre_fetch_16(2047, 2, true), &[], 0);
    assert_eq!(beyond, check(Sense::lba_out_of_range(2048)));
    assert_eq!(bed.asked(), []);
}

#[test]
fn read_capacity_is_cut_to_the_room_for_it() {
    let mut bed = bed();
    assert_eq!(bed.run(read_capacity_10(), &[], 512), good(8));
    assert_eq!(bed.memory(0, 8), [0, 0, 0x07, 0xFF, 0, 0, 2, 0]);
    assert_eq!(bed.run(read_capacity_16(32), &[], 512), good(32));
    assert_eq!(bed.memory(0, 16), [0, 0, 0, 0, 0, 0, 0x07, 0xFF, 0, 0, 2, 0, 0, 0, 0xC0, 0]);
    assert_eq!(bed.run(read_capacity_16(12), &[], 512), good(12));
    assert_eq!(bed.run(read_capacity_16(32), &[], 4), good(4));
}

#[test]
fn synchronize_cache_waits_or_does_not() {
    let mut bed = bed();
    assert_eq!(bed.run(synchronize_cache_10(8, 16), &[], 0), good(0));
    assert_eq!(bed.asked(), [(Op::Flush, 4096, 8192)]);
    bed.seen.lock().unwrap().results.push_back(Some(DiskError::NoSpace));
    let failed = bed.run(synchronize_cache_16(0, 0), &[], 0);
    assert_eq!(failed, check(Sense::SPACE_ALLOCATION_FAILED));

    bed.asked();
    bed.seen.lock().unwrap().stopped = true;
    let immediate = synchronize_cache_10(0, 0).with(1, 0x02);
    for _ in 0..3 {
        assert_eq!(bed.start(0, immediate, 0), [good(0)]);
        assert_eq!(bed.poll(), []);
    }
    assert!(bed.unit.in_flight() == 0 && !bed.unit.is_idle());
    assert_eq!(bed.asked(), [(Op::Flush, 0, 0)], "one flies, the others wait for it");
    bed.seen.lock().unwrap().results.push_back(Some(DiskError::Gone));
    bed.seen.lock().unwrap().stopped = false;
    assert_eq!(bed.drain(), []);
    assert_eq!(bed.asked(), [(Op::Flush, 0, 0)], "and are covered by one more");
    let deferred = check(Sense::LOGICAL_UNIT_FAILURE.deferred());
    assert_eq!(bed.run(write_10(0, 1), &[], 512), deferred, "the next command tells");
    assert_eq!(bed.asked(), [], "and is not executed");
    assert_eq!(bed.run(write_10(0, 1), &[], 512), good(512));
}

#[test]
fn a_flush_behind_that_finds_the_disk_busy_is_asked_for_again() {
    let mut bed = bed();
    bed.seen.lock().unwrap().results.extend([Some(DiskError::Busy), Some(DiskError::Busy)]);
    assert_eq!(bed.start(0, synchronize_cache_10(0, 0).with(1, 0x02), 0), [good(0)]);
    assert_eq!(bed.drain(), []);
    assert_eq!(bed.asked(), [(Op::Flush, 0, 0); 3]);
    assert_eq!(bed.run(write_10(0, 1), &[], 512), good(512), "nothing is deferred");
}

#[test]
fn tasks_queue_for_scratch_in_their_order() {
    let mut bed = bed();
    bed.seen.lock().unwrap().stopped = true;
    for id in 0..8 {
        assert_eq!(bed.start(id, verify_16(u64::from(id), 1, 0), 0), []);
    }
    assert_eq!(bed.asked().len(), 4, "as many as there are pieces");
    assert_eq!(bed.start(9, read_10(0, 1), 512), [], "others pass");
    assert_eq!(bed.asked().len(), 1);
    assert_eq!(bed.unit.next_event(), Time::NEVER);
    bed.seen.lock().unwrap().stopped = false;
    let ids: Vec<u16> = bed.drain().iter().map(|outcome| outcome.id).collect();
    assert_eq!(ids, [0, 1, 2, 3, 9, 4, 5, 6, 7]);
}

#[test]
fn tasks_queue_for_a_busy_disk() {
    let faults = Faults { depth: 2, ..Faults::default() };
    let mut bed = Bed::new(able(), SCRATCH, faults, 1);
    let mut out = Vec::new();
    for id in 0..SLOTS {
        out.extend(bed.start(id, read_10(u32::from(id), 100), BUFFER));
    }
    out.extend(bed.drain());
    assert_eq!(out.len(), usize::from(SLOTS));
    assert!(out.iter().all(|outcome| outcome.status == Status::Good));

    // An aborted one does not wait for room.
    bed.seen.lock().unwrap().stopped = true;
    for id in 0..4 {
        assert_eq!(bed.start(id, read_10(0, 1), 512), []);
    }
    assert_eq!(bed.unit.next_event(), Time::NEVER);
    assert!(bed.unit.abort(3));
    assert_eq!(bed.unit.next_event(), Time::ZERO);
    assert_eq!(bed.poll(), [Outcome::aborted(3)]);
    bed.seen.lock().unwrap().stopped = false;
    assert_eq!(bed.drain().len(), 3);

    // A disk that is busy with nothing cannot be waited for.
    let faults = Faults { depth: 0, ..Faults::default() };
    let mut bed = Bed::new(able(), SCRATCH, faults, 1);
    assert_eq!(bed.run(read_10(0, 1), &[], 512).status, Status::Busy);
    assert_eq!(bed.run(verify_16(0, 1, 0), &[], 512).status, Status::Busy);
}

#[test]
fn an_aborted_task_ends_after_its_requests_and_starts_no_more() {
    let mut bed = bed();
    bed.seen.lock().unwrap().stopped = true;
    bed.start(1, write_10(0, 200), BUFFER);
    bed.start(2, write_10(1000, 1), 512);
    for id in 3..8 {
        bed.start(id, verify_16(0, 60, 0), 0);
    }
    assert!(!bed.unit.abort(0) && !bed.unit.abort(SLOTS), "nobody is there");
    let asked = bed.asked().len();
    assert_eq!(bed.unit.abort_all(), 7);
    assert_eq!(bed.unit.next_event(), Time::ZERO, "one waits for scratch and can end now");
    assert_eq!(bed.poll(), [Outcome::aborted(7)]);
    assert_eq!(bed.poll(), [], "the others have requests in flight");
    bed.seen.lock().unwrap().stopped = false;
    let mut out = bed.drain();
    out.sort_unstable_by_key(|outcome| outcome.id);
    assert_eq!(out, [1, 2, 3, 4, 5, 6].map(Outcome::aborted));
    assert_eq!(bed.asked().len(), 0, "of {asked} requests none was followed by another");
    assert_eq!(bed.run(read_10(0, 1), &[], 512), good(512), "the slots are free again");
}

#[test]
fn slots_are_used_one_at_a_time() {
    let mut bed = bed();
    bed.start(3, read_10(0, 1), 512);
    let mut out = Vec::new();
    let mut start = |id| {
        let buffer = BufferRange { offset: 0, len: 512 };
        let task = TaskIn { id, cdb: &[0; 6], buffer };
        bed.unit.start(&mut bed.engine, task, &mut out)
    };
    assert_eq!(start(3), Err(SbcError::SlotInUse { id: 3 }));
    assert_eq!(start(SLOTS), Err(SbcError::NoSuchSlot { id: SLOTS, capacity: SLOTS.into() }));
    assert_eq!(out, []);
}

#[test]
fn a_buffer_that_no_disk_may_use_is_the_targets_fault() {
    let mut bed = bed();
    let fault = check(Sense::INTERNAL_TARGET_FAILURE);
    let far = bed.engine.memory().len() as u64;
    for offset in [1, far - 512, far + 512, u64::MAX - 511] {
        for cdb in [
            read_10(0, 2),
            write_10(0, 2),
            verify_16(0, 2, 1),
            write_and_verify_16(0, 2, 0),
            unmap(1024),
        ] {
            let (mut out, buffer) = (Vec::new(), BufferRange { offset, len: 1024 });
            if cdb.bytes()[0] == op::UNMAP && offset == 1 {
                continue;
            }
            let task = TaskIn { id: 0, cdb: cdb.as_slice(), buffer };
            bed.unit.start(&mut bed.engine, task, &mut out).unwrap();
            assert_eq!(out, [fault], "{cdb:?} at {offset}");
        }
    }
    assert_eq!(bed.asked(), []);
}

#[test]
fn what_cannot_be_a_unit_says_why() {
    let new = |limits: Limits, len, capacity| {
        let disk = TestDisk::new(limits, Faults::default(), 1).0;
        let scratch = ScratchRange { offset: 0, len };
        LogicalUnit::new(Box::new(disk), scratch, capacity).map(|_| ()).unwrap_err().to_string()
    };
    assert!(new(able(), SCRATCH, 0).contains("1 to 65535 tasks"));
    assert!(new(able(), SCRATCH, 65_536).contains("not 65536"));
    assert!(new(able(), 100, 1).contains("at least 4096 bytes"));
    let empty = Limits { blocks: 0, ..able() };
    assert!(new(empty, SCRATCH, 1).contains("0 blocks of 512 bytes"));
}
