//! Completions that cannot be: refused, counted, and the task they should have ended is ended.

use outboard_scsi::Sense;
use outboard_slots::{Entry, ResponseHead};

use super::super::Function;
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
