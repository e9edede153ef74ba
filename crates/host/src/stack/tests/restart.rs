//! A driver's death: what is submitted again, what is not, and what it leaves.

use outboard_scsi::Sense;
use outboard_scsi::TaskAttribute::{Ordered, Simple};
use outboard_scsi::command::build;

use super::super::Function;
use super::{Bench, cookies, sense};

#[test]
fn what_was_in_flight_is_submitted_again_in_order_of_reception() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.read(2);
    bench.turn();
    bench.stack.driver_lost();
    bench.write(3, 8);
    assert!(bench.turn().is_empty());
    assert_eq!(bench.pushed(), [1, 2], "nothing is handed over without a driver");
    bench.restart();
    bench.turn();
    assert_eq!(bench.pushed(), [1, 2, 3]);
    bench.driver.good(&[3, 2, 1]);
    assert_eq!(bench.turn().len(), 3);
    assert_eq!(bench.stack.counters().replayed, 2);
    bench.assert_conserved();
}

#[test]
fn an_overtaken_write_is_not_repeated() {
    let mut bench = Bench::new();
    bench.write(1, 5);
    bench.write(2, 5);
    bench.write(3, 6);
    bench.turn();
    bench.driver.good(&[2]);
    bench.turn();
    bench.pushed();
    bench.restart();
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [1]);
    assert!(sense(&answers[0]).is(&Sense::ABORTED_COMMAND));
    assert_eq!(bench.pushed(), [3]);
}

#[test]
fn a_task_at_three_deaths_in_a_row_is_not_tried_again() {
    let mut bench = Bench::new();
    bench.read(1);
    for _ in 0..3 {
        assert!(bench.turn().is_empty());
        bench.restart();
    }
    assert!(sense(&bench.turn()[0]).is(&Sense::INTERNAL_TARGET_FAILURE));
    assert_eq!(bench.pushed(), [1, 1, 1]);
    bench.assert_conserved();
}

#[test]
fn the_fence_ends_an_abort() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.turn();
    bench.stack.driver_lost();
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTaskSet { nexus, lun: 3 }, Some(9));
    assert!(bench.turn().is_empty() && bench.stack.managed().is_empty());
    bench.restart();
    assert!(bench.stack.managed().is_empty(), "its task's answer is not out yet");
    assert!(bench.turn()[0].aborted);
    assert_eq!(bench.stack.managed().len(), 1);
    bench.assert_conserved();
}

#[test]
fn a_channel_that_breaks_in_a_bundle_hands_no_task_over_twice() {
    let mut bench = Bench::new();
    for cookie in 1..=3 {
        bench.read(cookie);
    }
    bench.driver.breaks_after = Some(1);
    let broken = bench.stack.turn(bench.now, &mut bench.driver, &mut Vec::new());
    assert!(broken.is_err());
    bench.pushed();
    bench.restart();
    bench.turn();
    assert_eq!((bench.pushed(), bench.stack.in_driver()), (vec![1, 2, 3], 3));
    bench.driver.good(&[1, 2, 3]);
    assert_eq!(bench.turn().len(), 3);
    bench.assert_conserved();
}

#[test]
fn without_a_successor_everything_ends_and_so_does_what_comes_later() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.send(0, 2, build::read_10(0, 1), Ordered);
    bench.send(0, 3, build::read_10(0, 1), Ordered);
    bench.turn();
    bench.stack.driver_lost();
    bench.stack.driver_gone_for_good();
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [1, 2, 3]);
    assert!(answers.iter().all(|a| sense(a).is(&Sense::INTERNAL_TARGET_FAILURE)));
    bench.send(0, 4, build::read_10(0, 1), Simple);
    assert_eq!(cookies(&bench.turn()), [4]);
    bench.assert_conserved();
}

#[test]
fn without_a_driver_a_reset_has_nobody_to_wait_for() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    bench.stack.driver_lost();
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 3 }, Some(8));
    bench.turn();
    assert!(bench.stack.managed().is_empty(), "before the fence");
    bench.stack.driver_gone_for_good();
    bench.turn();
    assert_eq!(bench.stack.managed().len(), 1);
    for (cookie, function) in
        [(9, Function::LogicalUnitReset { lun: 3 }), (10, Function::TargetReset)]
    {
        bench.stack.manage(bench.now, function, Some(cookie));
        bench.turn();
        let managed = bench.stack.managed();
        assert_eq!(managed.iter().map(|m| m.cookie).collect::<Vec<_>>(), [cookie]);
    }
    bench.driver.forget();
    bench.stack.driver_replaced(bench.now);
    assert!(!bench.stack.has_requests(), "the next driver has nothing to do with them");
    bench.assert_conserved();
}
