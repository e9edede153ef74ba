//! Completions that cannot be: refused, counted, and the task they should have ended is ended.

use outboard_scsi::Sense;
use outboard_slots::{Entry, ResponseHead};

use super::super::{FUNCTIONS_MAX, Function, Unfit};
use super::{Bench, sense};
use crate::channel::Completed;
use crate::ledger::Violation;

#[test]
fn a_second_completion_changes_nothing() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    let end = bench.driver.end(1);
    bench.driver.completed = vec![end, end];
    assert_eq!(bench.turn().len(), 1);
    assert!(matches!(bench.stack.violations()[0].1, Violation::NotOwned { .. }));
    // And after the slot's reuse its generation gives it away.
    bench.read(2);
    bench.turn();
    bench.driver.completed = vec![end];
    assert!(bench.turn().is_empty());
    assert!(matches!(bench.stack.violations()[1].1, Violation::Generation { .. }));
    bench.driver.good(&[2]);
    bench.turn();
    assert_eq!((bench.stack.counters().violations, bench.stack.unfit()), (2, None));
    bench.assert_conserved();
}

#[test]
fn a_read_with_an_unbelievable_answer_ends_and_its_slot_waits_for_the_fence() {
    let lies: [fn(ResponseHead) -> ResponseHead; 4] = [
        |head| ResponseHead { version: 2, ..head },
        |head| ResponseHead { controller_task_identifier: 99, ..head },
        |head| ResponseHead { bytes_transferred: 513, ..head },
        |head| ResponseHead { service_response: 0, ..head },
    ];
    for lie in lies {
        let mut bench = Bench::new();
        bench.read(1);
        bench.turn();
        let honest = bench.driver.end(1);
        bench.driver.completed = vec![Completed { head: lie(honest.head), ..honest }];
        let answers = bench.turn();
        assert!(sense(&answers[0]).is(&Sense::ABORTED_COMMAND));
        assert_eq!((answers[0].slot, bench.stack.in_use()), (None, 1));
        bench.restart();
        bench.assert_conserved();
        assert!(bench.turn().is_empty());
    }
}

#[test]
fn an_unbelievable_answer_to_an_aborted_read_is_an_abort() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTaskSet { nexus, lun: 3 }, None);
    let honest = bench.driver.end(1);
    let head = ResponseHead { version: 0, ..honest.head };
    bench.driver.completed = vec![Completed { head, ..honest }];
    assert!(bench.turn()[0].aborted);
}

#[test]
fn a_write_with_an_unbelievable_answer_waits_for_the_fence() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.turn();
    let honest = bench.driver.end(1);
    let head = ResponseHead { bytes_transferred: u64::MAX, ..honest.head };
    bench.driver.completed = vec![Completed { head, ..honest }];
    assert!(bench.turn().is_empty());
    assert!(bench.stack.unfit().unwrap().contains("an unbelievable answer to a write"));
    bench.restart();
    bench.turn();
    assert_eq!(bench.pushed(), [1, 1]);
    bench.driver.good(&[1]);
    assert_eq!(bench.turn().len(), 1);
    bench.assert_conserved();
}

#[test]
fn three_violations_in_ten_seconds_make_a_driver_unfit() {
    let bogus = |slot| Completed { entry: Entry::new(slot, 1), head: ResponseHead::EMPTY };
    let mut bench = Bench::new();
    for slot in [4, 1000, u16::MAX] {
        bench.driver.completed.push(bogus(slot));
        bench.turn_after(6_000_000_000);
    }
    assert_eq!(bench.stack.unfit(), None, "not within 10 s");
    bench.driver.completed.push(bogus(7));
    bench.turn_after(1_000_000_000);
    assert!(bench.stack.unfit().unwrap().starts_with("3 violations in 10 s"));
}

#[test]
fn slots_in_quarantine_do_not_run_out() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    let honest = bench.driver.end(1);
    let head = ResponseHead { version: 0, ..honest.head };
    bench.driver.completed = vec![Completed { head, ..honest }];
    bench.turn();
    assert_eq!(bench.stack.unfit().unwrap().split(',').next(), Some("1 slots in quarantine"));
}

#[test]
fn answers_to_no_function_are_violations() {
    let mut bench = Bench::new();
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 3 }, Some(9));
    // Guessed before it is asked for.
    bench.stack.confirmed(1);
    let id = bench.stack.requests(&bench.driver)[0].id;
    assert_eq!(id, 1);
    bench.turn();
    assert!(bench.stack.managed().is_empty(), "a guess is no word");
    assert!(matches!(bench.stack.violations()[0].1, Violation::Function { id: 1 }));
    bench.stack.confirmed(id);
    bench.turn();
    assert_eq!((bench.stack.managed().len(), bench.stack.counters().violations), (1, 1));
    // Answered twice, and then anything.
    for number in [id, u64::MAX] {
        assert_eq!(bench.stack.unfit(), None);
        bench.stack.confirmed(number);
        bench.turn();
    }
    let reason = bench.stack.unfit().unwrap();
    assert!(reason.starts_with("3 violations in 10 s") && reason.contains("function"), "{reason}");
    assert_eq!(bench.stack.unfit_kind(), Some(Unfit::Violates));
    bench.restart();
    bench.assert_conserved();
}

#[test]
fn a_successor_knows_nothing_of_the_functions_of_a_dead_driver() {
    let mut bench = Bench::new();
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 3 }, Some(9));
    let id = bench.stack.requests(&bench.driver)[0].id;
    // One that is lost before the next turn has answered it all the same.
    bench.stack.confirmed(id + 1);
    bench.restart();
    assert_eq!(bench.stack.counters().violations, 1);
    assert_eq!(bench.stack.managed().len(), 1, "the fence has said it");
    bench.stack.confirmed(id);
    bench.turn();
    assert_eq!(bench.stack.counters().violations, 2);
}

#[test]
fn an_abort_that_the_host_gives_is_answered_as_others() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    bench.turn_after(11_000_000_000);
    let requests = bench.stack.requests(&bench.driver);
    assert_eq!(requests.len(), 1, "the first step of giving it up");
    bench.stack.confirmed(requests[0].id);
    bench.driver.good(&[1]);
    bench.turn();
    assert_eq!((bench.stack.counters().violations, bench.stack.unfit()), (0, None));
    bench.assert_conserved();
}

#[test]
fn a_driver_that_answers_no_function_is_unfit_before_they_are_too_many() {
    let mut bench = Bench::new();
    for _ in 0..=FUNCTIONS_MAX {
        bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 3 }, None);
    }
    bench.stack.requests(&bench.driver);
    assert!(bench.stack.unfit().unwrap().contains("answered none"));
}
