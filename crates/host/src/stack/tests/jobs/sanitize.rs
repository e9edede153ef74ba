//! SANITIZE.

use outboard_hba::values::status;
use outboard_scsi::TaskAttribute::Simple;
use outboard_scsi::command::{SanitizeAction, build};
use outboard_scsi::sanitize::Overwrite;
use outboard_scsi::{Sense, SenseKey, Status};

use super::super::super::{Accepted, Function};
use super::super::{BLOCK, Bench, cookies, driver, sense};
use super::{BLOCKS, Disks};

const SYNCHRONIZE: u8 = 0x91;
const WRITE: u8 = 0x8A;
const WRITE_SAME: u8 = 0x93;

fn bench() -> (Bench, Disks) {
    let (mut report, region) = driver::report();
    report.targets[0].units[0].unmap_granularity = Some(4096);
    report.targets[0].units[0].unmap_reads_zeroes = true;
    // Three pieces for a pass.
    report.targets[0].units[0].max_write_same = 400 * BLOCK;
    (Bench::over((report, region)), Disks::new(&[3]))
}

fn overwrite(bench: &mut Bench, cookie: u64, overwrite: Overwrite<'_>, immediate: bool) {
    let mut list = vec![0; 4 + overwrite.pattern.len()];
    overwrite.encode(&mut list);
    let cdb = build::sanitize(SanitizeAction::Overwrite, immediate, list.len() as u16);
    bench.send_list(0, cookie, cdb, &list);
}

const ONCE: Overwrite<'static> = Overwrite { invert: false, count: 1, pattern: &[0xAA, 0x55] };

fn told(bench: &mut Bench, nexus: usize, cdb: build::Cdb) -> Sense {
    let Accepted::Answered(answer) = bench.submit(nexus, 0, cdb, 0, Simple) else { panic!() };
    sense(&answer)
}

fn is_ready(bench: &mut Bench) -> bool {
    let told = bench.submit(0, 0, build::test_unit_ready(), 0, Simple);
    matches!(told, Accepted::Answered(answer) if answer.status == Status::Good)
}

#[test]
fn every_block_is_overwritten() {
    let (mut bench, mut disks) = bench();
    overwrite(&mut bench, 1, ONCE, false);
    let answers = disks.run(&mut bench);
    assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good));
    assert!(disks.bytes[&3].chunks(2).all(|pair| pair == [0xAA, 0x55]));
    assert_eq!(
        disks.log,
        [
            (WRITE_SAME, 3, 0, 400),
            (WRITE_SAME, 3, 400, 400),
            (WRITE_SAME, 3, 800, 200),
            (SYNCHRONIZE, 3, 0, 0)
        ]
    );
    assert!(is_ready(&mut bench));
    bench.assert_conserved();
}

/// What a dead driver has acknowledged and lost is overwritten once more, wherever it was.
#[test]
fn a_driver_that_takes_its_cache_along_has_overwritten_nothing() {
    for pieces in 0..4 {
        let (mut report, region) = driver::report();
        report.targets[0].units[0].max_write_same = 400 * BLOCK;
        report.targets[0].units[0].acks_survive_death = false;
        let (mut bench, mut disks) = (Bench::over((report, region)), Disks::new(&[3]));
        overwrite(&mut bench, 1, ONCE, false);
        bench.turn();
        for _ in 0..pieces {
            disks.execute(&mut bench);
            bench.turn();
        }
        bench.restart();
        disks = Disks::new(&[3]);
        let answers = disks.run(&mut bench);
        assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good), "{pieces}");
        assert!(disks.bytes[&3].chunks(2).all(|pair| pair == [0xAA, 0x55]), "{pieces}");
        assert_eq!(disks.log.last().map(|(operation, ..)| *operation), Some(SYNCHRONIZE));
        bench.assert_conserved();
    }
}

/// The host resets the unit for the sake of a late task: the command ends, its operation goes on.
#[test]
fn a_command_that_the_host_resets_does_not_say_that_it_is_done() {
    const SECOND: u64 = 1_000_000_000;

    let (mut bench, mut disks) = bench();
    overwrite(&mut bench, 1, ONCE, false);
    bench.turn();
    for seconds in [40, 5] {
        assert!(bench.turn_after(seconds * SECOND).is_empty());
    }
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [1]);
    assert!(sense(&answers[0]).is(&Sense::ABORTED_COMMAND));
    disks.run(&mut bench);
    assert!(disks.bytes[&3].chunks(2).all(|pair| pair == [0xAA, 0x55]));
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn each_of_its_commands_has_the_time_of_its_kind() {
    const SECOND: u64 = 1_000_000_000;

    let (mut bench, mut disks) = bench();
    overwrite(&mut bench, 1, ONCE, false);
    bench.turn();
    let mut kinds = 0;
    while let Some(tag) = bench.driver.oldest() {
        let operation = bench.driver.task(tag).command_descriptor_block[0];
        assert!(matches!(operation, WRITE_SAME | SYNCHRONIZE));
        kinds |= 1 << u8::from(operation == SYNCHRONIZE);
        bench.turn_after(39 * SECOND);
        assert!(!bench.stack.has_requests(), "{operation:#04x}");
        disks.execute(&mut bench);
        bench.turn();
    }
    assert_eq!((kinds, disks.log.len()), (3, 4));
    assert!(is_ready(&mut bench));
    bench.assert_conserved();
}

#[test]
fn passes_are_inverted_and_the_last_one_is_not() {
    let (mut bench, mut disks) = bench();
    overwrite(&mut bench, 1, Overwrite { invert: true, count: 2, ..ONCE }, false);
    bench.turn();
    disks.execute(&mut bench);
    assert_eq!(disks.bytes[&3][..2], [0x55, 0xAA]);
    assert_eq!(disks.run(&mut bench)[0].status, Status::Good);
    assert!(disks.bytes[&3].chunks(2).all(|pair| pair == [0xAA, 0x55]));
    assert_eq!(disks.log.len(), 7);
    bench.assert_conserved();
}

/// A WRITE SAME of zeroes would leave on the medium what was there.
#[test]
fn zeroes_are_written() {
    for (invert, pattern) in [(false, [0x00]), (true, [0xFF])] {
        let (mut bench, mut disks) = bench();
        disks.bytes.get_mut(&3).unwrap().fill(0x77);
        let count = 1 + u8::from(invert);
        overwrite(&mut bench, 1, Overwrite { invert, count, pattern: &pattern }, false);
        assert_eq!(disks.run(&mut bench)[0].status, Status::Good);
        let last = pattern[0];
        assert!(disks.bytes[&3].iter().all(|byte| *byte == last));
        let writes: Vec<_> = disks.log.iter().filter(|(op, ..)| *op == WRITE).collect();
        assert_eq!(writes.iter().map(|(.., blocks)| blocks).sum::<u64>(), BLOCKS);
        let same = disks.log.iter().filter(|(op, ..)| *op == WRITE_SAME).count();
        assert_eq!(same, if invert { 3 } else { 0 });
        bench.assert_conserved();
    }
}

#[test]
fn a_pattern_begins_anew_in_each_block() {
    let (mut bench, mut disks) = bench();
    overwrite(&mut bench, 1, Overwrite { pattern: &[1, 2, 3], ..ONCE }, false);
    disks.run(&mut bench);
    for block in disks.bytes[&3].chunks(512) {
        assert_eq!((&block[..4], &block[510..]), (&[1, 2, 3, 1][..], &[1, 2][..]));
    }
}

#[test]
fn blocks_are_erased_by_unmapping_them() {
    let (mut bench, mut disks) = bench();
    let cdb = build::sanitize(SanitizeAction::BlockErase, false, 0);
    let Accepted::Slot { slot, len: 0, .. } = bench.submit(0, 1, cdb, 0, Simple) else { panic!() };
    bench.stack.ready(slot, Simple);
    let answers = disks.run(&mut bench);
    assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good));
    assert!(disks.bytes[&3].iter().all(|byte| *byte == 0));
    bench.assert_conserved();
}

#[test]
fn while_it_runs_others_are_told_how_far_it_is() {
    let (mut bench, mut disks) = bench();
    overwrite(&mut bench, 1, ONCE, true);
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good), "IMMED");
    let begun = Sense::NOT_READY_SANITIZE_IN_PROGRESS.with_progress(0);
    assert_eq!(told(&mut bench, 1, build::read_10(0, 1)), begun);
    disks.execute(&mut bench);
    bench.turn();
    let going_on =
        Sense::NOT_READY_SANITIZE_IN_PROGRESS.with_progress((400 * 65_536 / BLOCKS) as u16);
    assert_eq!(told(&mut bench, 1, build::start_stop_unit(true)), going_on);
    assert_eq!(
        told(&mut bench, 0, build::sanitize(SanitizeAction::BlockErase, false, 0)),
        going_on
    );
    let request = build::request_sense(false, 18);
    let Accepted::Answered(answer) = bench.submit(0, 0, request, 18, Simple) else { panic!() };
    assert_eq!((answer.status, Sense::parse(&answer.data)), (Status::Good, Some(going_on)));
    let inquiry = bench.submit(0, 0, build::inquiry(None, 36), 36, Simple);
    assert!(matches!(inquiry, Accepted::Answered(a) if a.status == Status::Good));
    assert!(disks.run(&mut bench).is_empty());
    assert!(is_ready(&mut bench));
    bench.assert_conserved();
}

#[test]
fn tasks_that_have_begun_end_before_it_and_others_are_refused() {
    let (mut bench, mut disks) = bench();
    bench.read(1);
    bench.turn();
    let filling = bench.submit(0, 2, build::write_10(0, 1), BLOCK, Simple);
    let Accepted::Slot { slot: filling, .. } = filling else { panic!() };
    overwrite(&mut bench, 3, ONCE, true);
    assert_eq!(cookies(&bench.turn()), [3]);
    assert_eq!(bench.pushed(), [1], "the read is still on its way");
    bench.stack.ready(filling, Simple);
    let answers = bench.turn();
    assert_eq!(answers[0].cookie, 2);
    assert!(sense(&answers[0]).is(&Sense::NOT_READY_SANITIZE_IN_PROGRESS));
    bench.driver.good(&[1]);
    assert_eq!(cookies(&bench.turn()), [1]);
    assert_eq!(bench.pushed(), [0]);
    disks.run(&mut bench);
    assert!(is_ready(&mut bench));
    bench.assert_conserved();
}

#[test]
fn it_overtakes_what_waits() {
    let (mut bench, mut disks) = bench();
    bench.read(1);
    bench.send(0, 2, build::read_10(0, 1), outboard_scsi::TaskAttribute::Ordered);
    overwrite(&mut bench, 3, ONCE, false);
    let answers = bench.turn();
    assert_eq!(answers.len(), 2, "neither was handed over yet");
    assert!(answers.iter().all(|a| sense(a).is(&Sense::NOT_READY_SANITIZE_IN_PROGRESS)));
    assert_eq!(cookies(&disks.run(&mut bench)), [3]);
    bench.assert_conserved();
}

#[test]
fn neither_aborts_nor_resets_nor_restarts_end_it() {
    let (mut bench, mut disks) = bench();
    overwrite(&mut bench, 1, ONCE, false);
    bench.turn();
    disks.execute(&mut bench);
    bench.turn();
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTask { nexus, lun: 3, tag: 1 }, Some(7));
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].aborted), (vec![1], true));
    assert_eq!(bench.stack.managed().len(), 1);
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 3 }, None);
    let id = bench.stack.requests(&bench.driver)[0].id;
    bench.driver.end_oldest(status::TASK_ABORTED);
    bench.stack.confirmed(id);
    bench.turn();
    for _ in 0..2 {
        assert!(told(&mut bench, 1, build::test_unit_ready()).key != SenseKey::NoSense);
    }
    assert!(
        told(&mut bench, 1, build::test_unit_ready()).is(&Sense::NOT_READY_SANITIZE_IN_PROGRESS)
    );
    bench.restart();
    bench.stack.close_nexus(nexus);
    assert!(disks.run(&mut bench).is_empty());
    assert!(disks.bytes[&3].chunks(2).all(|pair| pair == [0xAA, 0x55]));
    bench.assert_conserved();
}

#[test]
fn a_failure_leaves_the_unit_in_failure_mode() {
    for exit_allowed in [false, true] {
        let (mut bench, mut disks) = bench();
        let ause = if exit_allowed { 0x20 } else { 0 };
        let mut list = [0; 6];
        ONCE.encode(&mut list);
        let cdb = build::sanitize(SanitizeAction::Overwrite, false, 6).with(1, ause);
        bench.send_list(0, 1, cdb, &list);
        bench.turn();
        for _ in 0..20 {
            if bench.driver.oldest().is_some() {
                bench.driver.end_oldest(status::TASK_ABORTED);
            }
            let answers = bench.turn();
            if let [answer] = &answers[..] {
                assert_eq!(sense(answer), Sense::SANITIZE_COMMAND_FAILED);
            }
        }
        assert_eq!(told(&mut bench, 0, build::read_10(0, 1)), Sense::SANITIZE_COMMAND_FAILED);
        let exit = build::sanitize(SanitizeAction::ExitFailureMode, false, 0);
        let Accepted::Answered(answer) = bench.submit(0, 2, exit, 0, Simple) else { panic!() };
        if exit_allowed {
            assert_eq!(answer.status, Status::Good);
        } else {
            assert!(sense(&answer).is(&Sense::INVALID_FIELD_IN_CDB));
            assert!(!is_ready(&mut bench));
            // Another one that succeeds ends it.
            overwrite(&mut bench, 3, ONCE, false);
            assert_eq!(disks.run(&mut bench)[0].status, Status::Good);
        }
        assert!(is_ready(&mut bench));
        bench.assert_conserved();
    }
}

fn forget_key(bench: &mut Bench, cookie: u64, immediate: bool) {
    let lun = outboard_scsi::Lun::new(3).unwrap();
    bench.stack.target_mut().set_encrypted(lun, true);
    let cdb = build::sanitize(SanitizeAction::CryptographicErase, immediate, 0);
    let accepted = bench.submit(0, cookie, cdb, 0, Simple);
    let Accepted::Slot { slot, len: 0, .. } = accepted else { panic!("{accepted:?}") };
    bench.stack.ready(slot, Simple);
}

#[test]
fn a_key_is_replaced_by_the_caller_and_the_command_waits_for_it() {
    for replaced in [true, false] {
        let (mut bench, disks) = bench();
        bench.read(1);
        bench.turn();
        forget_key(&mut bench, 2, false);
        assert!(bench.turn().is_empty());
        assert_eq!(bench.stack.erasures(), [0; 0], "the read is still on its way");
        bench.driver.good(&[1]);
        assert_eq!(cookies(&bench.turn()), [1]);
        assert_eq!(bench.stack.erasures(), [3]);
        assert!(bench.turn().is_empty() && disks.log.is_empty());
        assert!(told(&mut bench, 1, build::read_10(0, 1)).key == SenseKey::NotReady);
        // A death on the way is what the caller does anyway.
        bench.restart();
        assert_eq!(bench.stack.erasures(), [3]);
        bench.stack.erased(3, replaced);
        assert_eq!(bench.stack.erasures(), [0; 0]);
        let answers = bench.turn();
        assert_eq!(cookies(&answers), [2]);
        assert_eq!(is_ready(&mut bench), replaced);
        match replaced {
            true => assert_eq!(answers[0].status, Status::Good),
            false => assert_eq!(sense(&answers[0]), Sense::SANITIZE_COMMAND_FAILED),
        }
        bench.assert_conserved();
    }
}

#[test]
fn a_key_is_replaced_after_the_answer_if_that_is_asked_for() {
    let (mut bench, _) = bench();
    forget_key(&mut bench, 1, true);
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good));
    assert!(!is_ready(&mut bench));
    bench.stack.erased(7, true);
    bench.turn();
    assert_eq!(bench.stack.erasures(), [3], "another unit's key is another key");
    bench.stack.erased(3, true);
    assert!(bench.turn().is_empty() && is_ready(&mut bench));
    bench.assert_conserved();
}
