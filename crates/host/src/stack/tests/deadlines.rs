//! The ladder of giving up: abort, LUN reset, restart; 25 s in all.

use outboard_hba::ManagementFunction;
use outboard_hba::values::status;
use outboard_scsi::TaskAttribute::{Ordered, Simple};
use outboard_scsi::command::build;
use outboard_scsi::{Sense, Status};

use super::super::{Accepted, Function};
use super::{BLOCK, Bench, cookies, driver, sense};

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
    assert_eq!(cookies(&answers), [1]);
    assert!(sense(&answers[0]).is(&Sense::ABORTED_COMMAND), "its initiator may try again");
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
    let answers = bench.turn();
    assert!(answers.iter().all(|a| a.status == Status::Good && !a.aborted), "they have ended");
    assert_eq!(cookies(&answers), [1, 2]);
    bench.assert_conserved();
}

/// A late task and, 10 s younger, others on its LUN; the host has reset it. The slots are those of
/// 2: with the driver; of 3: waiting behind it; of 4: its data is still to come.
fn reset_by_the_host(bench: &mut Bench) -> [u16; 3] {
    bench.read(1);
    bench.turn();
    bench.turn_after(10 * SECOND);
    let two = bench.send(1, 2, build::read_10(8, 1), Simple);
    bench.turn();
    let three = bench.send(1, 3, build::read_10(0, 1), Ordered);
    let Accepted::Slot { slot: four, .. } =
        bench.submit(0, 4, build::write_10(9, 1), BLOCK, Simple)
    else {
        panic!("no slot")
    };
    bench.turn();
    bench.stack.requests(&bench.driver);
    [two, three, four]
}

#[test]
fn what_the_host_resets_is_told_its_initiators_once() {
    let mut bench = Bench::new();
    let [.., four] = reset_by_the_host(&mut bench);
    let mut answers = bench.turn_after(5 * SECOND);
    assert_eq!(cookies(&answers), [3], "it waited for its turn");
    bench.stack.ready(four, Simple);
    answers.extend(bench.turn());
    let id = bench.stack.requests(&bench.driver)[0].id;
    bench.driver.end_oldest(status::TASK_ABORTED);
    bench.driver.end_oldest(status::TASK_ABORTED);
    bench.stack.confirmed(id);
    answers.extend(bench.turn());
    assert_eq!(cookies(&answers), [3, 4, 1, 2]);
    assert!(answers.iter().all(|answer| sense(answer).is(&Sense::ABORTED_COMMAND)));
    assert!(bench.turn().is_empty());
    bench.assert_conserved();
}

#[test]
fn what_the_host_resets_is_told_after_the_fence_as_well() {
    for gone in [false, true] {
        let mut bench = Bench::new();
        let [.., four] = reset_by_the_host(&mut bench);
        assert_eq!(cookies(&bench.turn_after(5 * SECOND)), [3]);
        bench.stack.cancel(four);
        bench.stack.driver_lost();
        match gone {
            true => bench.stack.driver_gone_for_good(),
            false => bench.restart(),
        }
        let answers = bench.turn();
        assert_eq!(cookies(&answers), [1, 2], "{gone}");
        assert!(answers.iter().all(|answer| sense(answer).is(&Sense::ABORTED_COMMAND)));
        bench.assert_conserved();
    }
}

#[test]
fn an_initiator_that_aborts_what_the_host_has_reset_hears_no_more_of_it() {
    for before in [false, true] {
        let mut bench = Bench::new();
        let [.., four] = reset_by_the_host(&mut bench);
        bench.stack.cancel(four);
        let abort = Function::AbortTask { nexus: bench.nexuses[1], lun: 3, tag: 2 };
        if before {
            bench.stack.manage(bench.now, abort, Some(9));
        }
        bench.turn_after(5 * SECOND);
        if !before {
            bench.stack.manage(bench.now, abort, Some(9));
        }
        bench.restart();
        let answers = bench.turn();
        assert_eq!(cookies(&answers), [1, 2], "{before}");
        assert!(sense(&answers[0]).is(&Sense::ABORTED_COMMAND));
        assert!(answers[1].aborted);
        assert_eq!(bench.stack.managed().len(), 1);
        bench.assert_conserved();
    }
}

#[test]
fn a_write_that_the_host_resets_before_its_cache_is_written_is_not_good() {
    let (mut report, region) = driver::report();
    report.targets[0].units[0].volatile_cache = true;
    let mut bench = Bench::over((report, region));
    let list = [&[0; 4], &outboard_scsi::mode::Caching::default().encode()[..]].concat();
    bench.send_list(0, 1, build::mode_select_6(false, 24), &list);
    bench.turn();
    bench.read(2);
    bench.turn();
    bench.turn_after(10 * SECOND);
    bench.send_list(0, 3, build::write_same_16(8, 8, false, false), &[7; 512]);
    bench.turn();
    bench.turn_after(5 * SECOND);
    bench.driver.good(&[2, 3]);
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].status), (vec![2, 3], Status::Good));
    assert!(sense(&answers[1]).is(&Sense::ABORTED_COMMAND));
    assert_eq!(bench.driver.oldest(), None);
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
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 0 }, Some(9));
    bench.stack.requests(&bench.driver);
    for _ in 0..600 {
        assert!(bench.turn_after(SECOND / 10).is_empty());
    }
    assert_eq!((bench.stack.unfit(), bench.stack.has_requests()), (None, false));
    assert_eq!(bench.stack.counters().timed_out, 0);
}
