//! The ladder of giving up: abort, LUN reset, restart; 25 s in all.

use outboard_hba::ManagementFunction;
use outboard_scsi::TaskAttribute::Ordered;
use outboard_scsi::command::build;
use outboard_scsi::{Sense, Status};

use super::{Bench, cookies, driver, sense};

const SECOND: u64 = 1_000_000_000;

#[test]
fn abort_then_lun_reset_then_restart() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.turn();
    bench.turn_after(9 * SECOND);
    assert!(!bench.stack.has_requests());
    bench.turn_after(SECOND);
    let requests = bench.stack.requests(&bench.driver);
    assert!(matches!(requests[0].function, ManagementFunction::AbortTask { .. }));
    bench.turn_after(5 * SECOND);
    let requests = bench.stack.requests(&bench.driver);
    assert!(matches!(requests[0].function, ManagementFunction::LogicalUnitReset { .. }));
    assert_eq!(bench.stack.unfit(), None);
    assert!(bench.turn_after(5 * SECOND).is_empty(), "it may still land");
    assert!(bench.stack.unfit().unwrap().contains("after abort and LUN reset"));
    bench.restart();
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].aborted), (vec![1], true));
    assert_eq!(bench.pushed(), [1], "a write that was reset is not repeated");
    assert_eq!(bench.stack.counters().timed_out, 1);
    bench.assert_conserved();
}

#[test]
fn a_restart_buys_a_task_no_time() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    bench.turn_after(10 * SECOND);
    bench.stack.requests(&bench.driver);
    bench.restart();
    bench.turn();
    assert_eq!(bench.pushed(), [1, 1]);
    bench.turn_after(5 * SECOND);
    let requests = bench.stack.requests(&bench.driver);
    assert!(matches!(requests[0].function, ManagementFunction::LogicalUnitReset { .. }));
    bench.turn_after(5 * SECOND);
    assert!(bench.stack.unfit().is_some(), "20 s after it was received, as without a restart");
}

#[test]
fn tasks_that_are_late_together_need_one_reset() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.write(2, 0);
    bench.turn();
    bench.turn_after(10 * SECOND);
    assert_eq!(bench.stack.requests(&bench.driver).len(), 2);
    bench.turn_after(5 * SECOND);
    let requests = bench.stack.requests(&bench.driver);
    assert_eq!(requests.len(), 1);
    bench.stack.confirmed(requests[0].id);
    bench.driver.good(&[1, 2]);
    assert!(bench.turn().iter().all(|answer| answer.aborted));
    bench.assert_conserved();
}

#[test]
fn while_there_is_no_driver_nothing_is_reset() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.turn();
    bench.stack.driver_lost();
    // A fence that takes its time; what comes meanwhile waits.
    bench.turn_after(14 * SECOND);
    bench.read(2);
    assert!(bench.turn_after(5 * SECOND).is_empty());
    assert!(!bench.stack.has_requests(), "there is nobody to be asked");
    assert_eq!(bench.stack.unfit(), None);
    bench.stack.driver_fenced(bench.now, &mut bench.driver, &mut bench.fenced);
    bench.driver.forget();
    bench.stack.driver_replaced(bench.now);
    bench.pushed();
    bench.turn();
    assert_eq!(bench.pushed(), [1, 2]);
    bench.driver.good(&[1, 2]);
    let answers = bench.turn();
    assert!(answers.iter().all(|a| a.status == Status::Good && !a.aborted), "{answers:?}");
    assert_eq!(cookies(&answers), [1, 2]);
    bench.assert_conserved();
}

#[test]
fn a_task_that_waits_past_its_deadline_never_starts() {
    let mut bench = Bench::new();
    bench.read(1);
    bench.turn();
    bench.send(0, 2, build::read_10(0, 1), Ordered);
    let answers = bench.turn_after(10 * SECOND);
    assert_eq!(cookies(&answers), [2]);
    assert!(sense(&answers[0]).is(&Sense::COMMAND_TIMEOUT_DURING_PROCESSING));
    bench.driver.good(&[1]);
    bench.turn();
    assert_eq!(bench.pushed(), [1]);
    bench.assert_conserved();
}

#[test]
fn each_kind_of_command_has_its_time() {
    use outboard_scsi::TaskAttribute::Simple;

    let unmap = [0; 8];
    for (seconds, cdb) in [
        (10, build::verify_16(0, 1, 0)),
        (12, build::unmap(8)),
        (40, build::synchronize_cache_10(0, 0)),
    ] {
        let (mut report, region) = driver::report();
        report.targets[0].units[0].unmap_granularity = Some(512);
        let mut bench = Bench::over((report, region));
        match cdb.as_slice()[0] {
            0x42 => {
                bench.send_list(0, 1, cdb, &unmap);
            }
            _ => {
                bench.send(0, 1, cdb, Simple);
            }
        }
        bench.turn();
        bench.turn_after(seconds * SECOND - 1_000_000);
        assert!(!bench.stack.has_requests(), "{seconds}");
        bench.turn_after(SECOND);
        assert!(bench.stack.has_requests(), "{seconds}");
    }
}

#[test]
fn in_debug_mode_nothing_is_late_and_nothing_hangs() {
    let mut bench = Bench::new();
    bench.stack.set_debug(true);
    bench.driver.pulse = Some(crate::channel::Pulse::default());
    bench.write(1, 0);
    bench.turn();
    bench.send(0, 2, build::read_10(0, 1), Ordered);
    bench.stack.manage(bench.now, super::super::Function::LogicalUnitReset { lun: 0 }, Some(9));
    bench.stack.requests(&bench.driver);
    for _ in 0..600 {
        assert!(bench.turn_after(SECOND / 10).is_empty());
    }
    assert_eq!((bench.stack.unfit(), bench.stack.has_requests()), (None, false));
    assert_eq!(bench.stack.counters().timed_out, 0);
}
