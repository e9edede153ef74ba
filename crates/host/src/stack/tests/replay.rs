//! What a dead driver had completed, what it has spoiled, and what it took along.

use outboard_scsi::TaskAttribute::{Ordered, Simple};
use outboard_scsi::command::build;
use outboard_scsi::{Sense, Status};
use outboard_slots::ResponseHead;

use super::super::Accepted;
use super::{BLOCK, Bench, cookies, driver, sense};
use crate::channel::Completed;
use crate::channel::Drained;

#[test]
fn what_the_dead_driver_completed_is_answered_and_not_repeated() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    let slot = bench.read(2);
    bench.write(3, 8);
    bench.turn();
    bench.driver.good(&[1]);
    bench.driver.fail(2, slot, &[0x70, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0]);
    bench.pushed();
    bench.stack.driver_lost();
    assert!(bench.turn().is_empty(), "not before the fence");
    let mut drained = Drained::of(bench.now, &mut bench.driver);
    bench.driver.forget();
    bench.driver.region().renew().unwrap();
    bench.stack.driver_fenced(bench.now, &mut drained, &mut bench.fenced);
    assert_eq!(cookies(&bench.fenced), [1, 2]);
    assert_eq!(bench.fenced[0].status, Status::Good);
    assert_eq!(sense(&bench.fenced[1]).key, outboard_scsi::SenseKey::MediumError);
    bench.stack.driver_replaced(bench.now);
    bench.turn();
    assert_eq!(bench.pushed(), [3]);
    let counters = bench.stack.counters();
    assert_eq!((counters.recovered, counters.replayed), (2, 1));
    bench.driver.good(&[3]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn a_write_that_was_completed_late_counts_as_acknowledged() {
    let mut bench = Bench::new();
    bench.write(1, 5);
    bench.write(2, 5);
    bench.turn();
    bench.driver.good(&[2]);
    bench.pushed();
    bench.restart();
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [2, 1]);
    assert!(sense(&answers[1]).is(&Sense::ABORTED_COMMAND), "2 has overtaken it");
    assert_eq!(bench.pushed(), [0; 0]);
    bench.assert_conserved();
}

#[test]
fn the_last_words_of_a_dead_driver_are_checked() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.read(2);
    bench.turn();
    for tag in [1, 2] {
        let honest = bench.driver.end(tag);
        let head = ResponseHead { version: 3, ..honest.head };
        bench.driver.completed.push(Completed { head, ..honest });
    }
    bench.driver.completed.push(bench.driver.completed[0]);
    bench.pushed();
    bench.restart();
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [2]);
    assert!(sense(&answers[0]).is(&Sense::ABORTED_COMMAND));
    assert_eq!(bench.pushed(), [1], "the write is repeated");
    assert_eq!((bench.stack.counters().violations, bench.stack.unfit()), (3, None));
    bench.driver.good(&[1]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn a_write_whose_data_was_spoiled_is_not_repeated() {
    for guarded in [false, true] {
        let mut bench = Bench::new();
        bench.stack.set_verify_replay(guarded);
        let mut offset = 0;
        for cookie in [1, 2] {
            let cdb = build::write_10(cookie as u32, 1);
            let Accepted::Slot { slot, offset: at, .. } =
                bench.submit(0, cookie, cdb, BLOCK, Simple)
            else {
                panic!("no slot")
            };
            bench.driver.memory().write(at, &[7; BLOCK as usize]).unwrap();
            bench.stack.ready(slot, Simple);
            offset = at;
        }
        bench.turn();
        if !guarded {
            // From the first repetition on it is guarded all the same.
            bench.restart();
            assert!(bench.turn().is_empty());
        }
        bench.pushed();
        bench.driver.memory().write(offset + 100, &[8]).unwrap();
        bench.restart();
        let answers = bench.turn();
        assert_eq!(cookies(&answers), [2], "{guarded}");
        assert!(sense(&answers[0]).is(&Sense::ABORTED_COMMAND));
        assert_eq!((bench.pushed(), bench.stack.counters().spoiled), (vec![1], 1));
        bench.driver.good(&[1]);
        bench.turn();
        bench.assert_conserved();
    }
}

#[test]
fn a_driver_that_keeps_acknowledged_writes_to_itself_is_missed() {
    let (mut report, region) = driver::report();
    report.targets[0].units[0].acks_survive_death = false;
    let mut bench = Bench::over((report, region));
    bench.write(1, 0);
    bench.turn();
    bench.restart();
    bench.turn();
    assert_eq!(bench.stack.counters().acks_lost, 1);
    for nexus in 0..2 {
        for told in [true, false] {
            let cdb = build::test_unit_ready();
            let Accepted::Answered(answer) = bench.submit(nexus, 9, cdb, 0, Simple) else {
                panic!()
            };
            assert_eq!(answer.status == Status::CheckCondition, told);
            assert!(!told || (sense(&answer).asc, sense(&answer).ascq) == (0x29, 4));
        }
    }
    assert_eq!(bench.pushed(), [1, 1], "what was not acknowledged is repeated");
    bench.driver.good(&[1]);
    bench.turn();
    // One that leaves in order writes its caches.
    bench.stack.driver_left();
    bench.driver.forget();
    bench.stack.driver_replaced(bench.now);
    assert_eq!(bench.stack.counters().acks_lost, 1);
    bench.assert_conserved();
}

/// A unit whose acknowledged writes do not survive their driver.
fn forgetful() -> Bench {
    let (mut report, region) = driver::report();
    let unit = &mut report.targets[0].units[0];
    (unit.acks_survive_death, unit.volatile_cache) = (false, true);
    Bench::over((report, region))
}

#[test]
fn a_cache_that_died_is_not_said_to_be_written() {
    let mut bench = forgetful();
    let flush = build::synchronize_cache_10(0, 0);
    bench.write(1, 0);
    bench.turn();
    bench.driver.good(&[1]);
    assert_eq!(cookies(&bench.turn()), [1]);
    bench.send(0, 2, flush, Simple);
    bench.turn();
    // One that waits for its turn, and one that comes before anybody is told.
    bench.send(1, 3, flush, Ordered);
    bench.stack.driver_lost();
    bench.send(1, 4, build::start_stop_unit(false), Simple);
    bench.pushed();
    bench.restart();
    let answers = bench.turn();
    assert_eq!((cookies(&answers).len(), bench.pushed()), (3, vec![]));
    for answer in &answers {
        assert!(sense(answer).is(&Sense::INTERNAL_TARGET_FAILURE), "{answer:?}");
    }
    bench.assert_conserved();
    // What comes later says nothing of them: every nexus has been told.
    for nexus in 0..2 {
        bench.submit(nexus, 9, build::test_unit_ready(), 0, Simple);
    }
    bench.submit(0, 9, build::start_stop_unit(true), 0, Simple);
    bench.send(0, 5, flush, Simple);
    bench.turn();
    bench.driver.good(&[5]);
    assert_eq!(bench.turn()[0].status, Status::Good);
    bench.assert_conserved();
}

#[test]
fn a_write_whose_cache_died_before_it_was_written_fails() {
    use outboard_scsi::mode::Caching;

    for drained in [false, true] {
        let mut bench = forgetful();
        let list = [&[0; 4], &Caching::default().encode()[..]].concat();
        bench.send_list(0, 1, build::mode_select_6(false, 24), &list);
        assert_eq!(bench.turn()[0].status, Status::Good);
        bench.send_list(0, 2, build::write_same_16(0, 8, false, false), &[7; 512]);
        bench.turn();
        bench.driver.good(&[2]);
        if !drained {
            assert!(bench.turn().is_empty(), "its cache is being written");
        }
        bench.pushed();
        bench.restart();
        let answers = bench.turn();
        assert_eq!((cookies(&answers), bench.pushed()), (vec![2], vec![]), "{drained}");
        assert!(sense(&answers[0]).is(&Sense::INTERNAL_TARGET_FAILURE));
        bench.assert_conserved();
    }
}

#[test]
fn a_driver_that_was_to_leave_and_had_to_be_killed_has_written_nothing() {
    let mut bench = forgetful();
    bench.stack.driver_left();
    bench.send(0, 1, build::synchronize_cache_10(0, 0), Simple);
    bench.restart();
    assert_eq!(bench.stack.counters().acks_lost, 1);
    assert!(sense(&bench.turn()[0]).is(&Sense::INTERNAL_TARGET_FAILURE));
    bench.assert_conserved();
}
