//! Writes without a write cache, residual counts, the format of sense data.

use outboard_hba::HbaReport;
use outboard_hba::values::status;
use outboard_scsi::TaskAttribute::Simple;
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::mode::{Caching, Control};
use outboard_scsi::{Sense, Status};
use outboard_slots::Region;

use super::super::{Accepted, Function};
use super::{BLOCK, Bench, driver, sense};

/// A unit with a volatile cache, switched off by nexus 0.
fn without_cache() -> Bench {
    let (mut report, region): (HbaReport, Region) = driver::report();
    let unit = &mut report.targets[0].units[0];
    unit.volatile_cache = true;
    unit.unmap_granularity = Some(4096);
    let mut bench = Bench::over((report, region));
    let list = [&[0; 4], &Caching::default().encode()[..]].concat();
    bench.send_list(0, 1, build::mode_select_6(false, 24), &list);
    assert_eq!(bench.turn()[0].status, Status::Good);
    bench
}

fn cdb(bench: &Bench, tag: u64) -> [u8; 16] {
    bench.driver.task(tag).command_descriptor_block
}

#[test]
fn writes_get_fua() {
    let mut bench = without_cache();
    let expected = 256 * BLOCK;
    let six = bench.submit(0, 2, build::write_6(0x10203, 0), expected, Simple);
    let Accepted::Answered(answer) = six else { panic!() };
    assert_eq!(sense(&answer).asc, 0x21, "out of range; within it:");
    bench.send(0, 2, build::write_6(9, 1), Simple);
    bench.send(0, 3, build::write_16(0, 1), Simple);
    bench.send(0, 4, build::read_10(0, 1), Simple);
    bench.turn();
    assert_eq!(cdb(&bench, 2)[..10], [0x2A, 0x08, 0, 0, 0, 9, 0, 0, 1, 0]);
    assert_eq!(bench.driver.task(2).command_size, 10);
    assert_eq!(cdb(&bench, 3)[..2], [0x8A, 0x08]);
    assert_eq!(cdb(&bench, 4)[..2], [0x28, 0]);
    bench.driver.good(&[2, 3, 4]);
    assert_eq!(bench.turn().len(), 3);
    bench.assert_conserved();
}

#[test]
fn a_cache_is_switched_off_for_writes_whose_data_is_still_to_come() {
    let (mut report, region): (HbaReport, Region) = driver::report();
    report.targets[0].units[0].volatile_cache = true;
    let mut bench = Bench::over((report, region));
    let mut begin = |tag, cdb| {
        let accepted = bench.submit(0, tag, cdb, BLOCK, Simple);
        let Accepted::Slot { slot, .. } = accepted else { panic!("{accepted:?}") };
        slot
    };
    let slots = [(2, build::write_10(0, 1)), (3, build::read_10(8, 1))].map(|(t, c)| begin(t, c));
    let list = [&[0; 4], &Caching::default().encode()[..]].concat();
    bench.send_list(0, 1, build::mode_select_6(false, 24), &list);
    assert_eq!(bench.turn()[0].status, Status::Good);
    slots.iter().for_each(|&slot| bench.stack.ready(slot, Simple));
    bench.turn();
    assert_eq!(cdb(&bench, 2)[..2], [0x2A, 0x08]);
    assert_eq!(cdb(&bench, 3)[..2], [0x28, 0]);
    bench.driver.good(&[2, 3]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn what_has_no_fua_is_followed_by_a_flush() {
    let mut bench = without_cache();
    bench.send_list(0, 2, build::write_same_16(0, 8, false, false), &[7; 512]);
    bench.turn();
    assert_eq!(cdb(&bench, 2)[0], 0x93);
    bench.driver.good(&[2]);
    assert!(bench.turn().is_empty());
    assert_eq!(cdb(&bench, 2)[..10], *build::synchronize_cache_10(0, 0).as_slice());
    // A death in between repeats the flush.
    bench.restart();
    bench.turn();
    assert_eq!(cdb(&bench, 2)[0], 0x35);
    bench.driver.good(&[2]);
    let answers = bench.turn();
    assert_eq!((answers[0].status, answers[0].transferred), (Status::Good, 512));
    bench.assert_conserved();
}

#[test]
fn what_was_aborted_is_not_followed_by_a_flush() {
    let mut bench = without_cache();
    bench.send_list(0, 2, build::write_same_16(0, 8, false, false), &[7; 512]);
    bench.turn();
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTask { nexus, lun: 3, tag: 2 }, Some(9));
    let id = bench.stack.requests(&bench.driver)[0].id;
    // It had ended before it was asked to be aborted.
    bench.driver.good(&[2]);
    bench.stack.confirmed(id);
    let answers = bench.turn();
    assert_eq!((answers.len(), bench.driver.oldest()), (1, None), "it has ended");
    assert!(answers[0].aborted);
    assert_eq!(bench.stack.managed().len(), 1);
    bench.assert_conserved();
}

#[test]
fn lengths_for_residual_counts() {
    let mut bench = Bench::new();
    let inquiry = bench.submit(0, 1, build::inquiry(None, 96), 36, Simple);
    let Accepted::Answered(answer) = inquiry else { panic!() };
    assert_eq!((answer.transferred, answer.length, answer.data.len()), (36, 96, 36));
    let accepted = bench.submit(0, 2, build::read_10(0, 2), BLOCK, Simple);
    let Accepted::Slot { slot, len, .. } = accepted else { panic!() };
    assert_eq!(len, BLOCK);
    bench.stack.ready(slot, Simple);
    bench.turn();
    bench.driver.good(&[2]);
    let answers = bench.turn();
    assert_eq!((answers[0].transferred, answers[0].length), (BLOCK, 2 * BLOCK));
}

fn fails(bench: &mut Bench, tag: u64, cdb: Cdb) -> Box<[u8]> {
    let slot = bench.send(0, tag, cdb, Simple);
    bench.turn();
    let mut given = [0; 18];
    let len = Sense::unrecovered_read_error(5).encode(false, &mut given);
    bench.driver.fail(tag, slot, &given[..len]);
    let mut answers = bench.turn();
    assert_eq!(answers[0].status.code(), u8::try_from(status::CHECK_CONDITION).unwrap());
    answers.remove(0).sense.unwrap()
}

#[test]
fn sense_data_has_the_format_that_was_chosen_and_errors_are_counted() {
    let mut bench = Bench::new();
    let fixed = fails(&mut bench, 1, build::read_10(5, 1));
    assert_eq!(fixed[0], 0xF0);
    let page = Control {
        log_saving_disabled: true,
        queue_algorithm: 1,
        descriptor_sense: true,
        ..Control::default()
    };
    let list = [&[0; 4], &page.encode()[..]].concat();
    bench.send_list(0, 2, build::mode_select_6(false, 16), &list);
    bench.turn();
    let descriptor = fails(&mut bench, 3, build::read_10(5, 1));
    assert_eq!(descriptor[0], 0x72);
    assert_eq!(Sense::parse(&descriptor), Some(Sense::unrecovered_read_error(5)));
    let log = bench.submit(0, 4, build::log_sense(3, 0, 64).with(2, 0x40), 64, Simple);
    let Accepted::Answered(answer) = log else { panic!() };
    assert_eq!(answer.data.last(), Some(&2));
}
