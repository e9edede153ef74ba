//! Task management: what it ends, when it is answered, what it leaves alone.

use outboard_hba::ManagementFunction;
use outboard_scsi::TaskAttribute::{Ordered, Simple};
use outboard_scsi::command::build;

use super::super::{Accepted, Function};
use super::{BLOCK, Bench, cookies};

#[test]
fn a_function_ends_after_the_drivers_word_and_after_its_tasks() {
    let mut bench = Bench::new();
    let slot = bench.read(1);
    bench.read(2);
    bench.turn();
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTask { nexus, lun: 3, tag: 1 }, Some(9));
    let requests = bench.stack.requests(&bench.driver);
    let ManagementFunction::AbortTask { slot: named, .. } = requests[0].function else {
        panic!("{requests:?}")
    };
    assert_eq!((named, &requests[0].sequence[..]), (slot, &[2][..]));
    bench.turn();
    assert!(bench.stack.managed().is_empty());
    bench.stack.confirmed(requests[0].id);
    bench.turn();
    assert!(bench.stack.managed().is_empty(), "the task has not ended");
    bench.driver.good(&[1, 2]);
    let answers = bench.turn();
    assert!(answers[0].aborted && !answers[1].aborted);
    assert_eq!(bench.stack.managed()[0].cookie, 9);
    bench.assert_conserved();
}

#[test]
fn what_comes_after_a_function_is_not_its_concern() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::ClearTaskSet { nexus, lun: 3 }, Some(9));
    bench.read(2);
    bench.turn();
    assert_eq!(bench.pushed(), [1, 2]);
    let requests = bench.stack.requests(&bench.driver);
    assert_eq!(requests[0].sequence, [1], "the second submission came later");
}

#[test]
fn waiting_tasks_end_at_once_and_before_the_function() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.send(0, 2, build::read_10(0, 1), Ordered);
    bench.send(1, 3, build::read_10(0, 1), Simple);
    bench.turn();
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTask { nexus, lun: 3, tag: 2 }, Some(9));
    assert!(bench.stack.managed().is_empty(), "its task's answer is not out yet");
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].aborted), (vec![2], true));
    assert_eq!(bench.stack.managed().len(), 1);
    assert_eq!(bench.pushed(), [1, 3], "nothing holds the younger one back any more");
    assert!(!bench.stack.has_requests(), "the driver never had it");
    bench.driver.good(&[1, 3]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn an_abort_between_turns_is_answered_before_what_it_lets_start() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.send(0, 2, build::read_10(0, 1), Ordered);
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTask { nexus, lun: 3, tag: 1 }, None);
    // A driver that ends a task in the very turn that hands it over.
    bench.driver.at_once = true;
    assert_eq!(cookies(&bench.turn()), [1, 2]);
    bench.assert_conserved();
}

#[test]
fn a_task_whose_data_still_comes_ends_when_it_is_complete() {
    let mut bench = Bench::new();
    let write = bench.submit(0, 1, build::write_10(0, 1), BLOCK, Simple);
    let Accepted::Slot { slot, .. } = write else { panic!("{write:?}") };
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 3 }, Some(9));
    let id = bench.stack.requests(&bench.driver)[0].id;
    bench.stack.confirmed(id);
    assert!(bench.turn().is_empty());
    bench.stack.ready(slot, Simple);
    let answers = bench.turn();
    assert!(answers[0].aborted);
    assert!(bench.pushed().is_empty());
    bench.assert_conserved();
}

#[test]
fn a_reset_is_told_as_a_unit_attention() {
    let mut bench = Bench::new();
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 3 }, None);
    let id = bench.stack.requests(&bench.driver)[0].id;
    bench.stack.confirmed(id);
    bench.turn();
    assert!(bench.stack.managed().is_empty(), "nobody asked to be told");
    for nexus in 0..2 {
        let told = bench.submit(nexus, 5, build::read_10(0, 1), BLOCK, Simple);
        let Accepted::Answered(answer) = told else { panic!("{told:?}") };
        assert!(super::sense(&answer).is(&outboard_scsi::Sense::LOGICAL_UNIT_RESET_OCCURRED));
    }
    bench.assert_conserved();
}
