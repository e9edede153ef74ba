//! Commands of the host that come with a parameter list.

use outboard_hba::ManagementFunction;
use outboard_scsi::TaskAttribute::{Ordered, Simple};
use outboard_scsi::command::PersistentReserveOutAction as Out;
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::mode::Control;
use outboard_scsi::{Lun, Sense, Status};

use super::super::{Accepted, Function};
use super::{BLOCK, Bench, cookies, sense};

/// MODE SELECT(6) that sets SWP, with its parameter list.
pub(super) fn write_protect() -> (Cdb, Vec<u8>) {
    let page = Control {
        log_saving_disabled: true,
        queue_algorithm: 1,
        software_write_protect: true,
        ..Control::default()
    };
    (build::mode_select_6(false, 16), [&[0; 4], &page.encode()[..]].concat())
}

pub(super) fn persistent_reserve(
    action: Out,
    kind: u8,
    key: u64,
    action_key: u64,
) -> (Cdb, Vec<u8>) {
    let mut list = vec![0; 24];
    list[..8].copy_from_slice(&key.to_be_bytes());
    list[8..16].copy_from_slice(&action_key.to_be_bytes());
    (build::persistent_reserve_out(action, kind, 24), list)
}

#[test]
fn the_host_executes_them_once_their_list_is_there() {
    let mut bench = Bench::new();
    let (cdb, list) = write_protect();
    bench.send_list(0, 1, cdb, &list);
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good));
    assert_eq!((answers[0].transferred, answers[0].length), (16, 16));
    assert!(bench.pushed().is_empty(), "the driver has nothing to do with it");
    let refused = bench.submit(0, 2, build::write_10(0, 1), BLOCK, Simple);
    let Accepted::Answered(answer) = refused else { panic!() };
    assert_eq!(sense(&answer), Sense::SOFTWARE_WRITE_PROTECTED);
    let told = bench.submit(1, 3, build::test_unit_ready(), 0, Simple);
    let Accepted::Answered(answer) = told else { panic!() };
    assert_eq!(sense(&answer), Sense::MODE_PARAMETERS_CHANGED);
    bench.assert_conserved();
}

#[test]
fn a_list_shorter_than_announced_is_refused() {
    let mut bench = Bench::new();
    let (cdb, list) = write_protect();
    bench.send_list(0, 1, cdb, &list[..15]);
    let answers = bench.turn();
    assert_eq!(sense(&answers[0]), Sense::PARAMETER_LIST_LENGTH_ERROR);
    assert_eq!((answers[0].transferred, answers[0].length), (15, 16));
    let invalid = bench.submit(0, 2, build::mode_select_10(false, 8), 0, Simple);
    let Accepted::Slot { slot, len: 0, .. } = invalid else { panic!("{invalid:?}") };
    bench.stack.ready(slot, Simple);
    assert_eq!(sense(&bench.turn()[0]), Sense::PARAMETER_LIST_LENGTH_ERROR);
    bench.assert_conserved();
}

#[test]
fn they_keep_the_order_of_the_task_set() {
    let mut bench = Bench::new();
    let (cdb, list) = write_protect();
    bench.write(1, 0);
    bench.turn();
    bench.send(0, 2, build::read_10(0, 1), Ordered);
    bench.send_list(0, 3, cdb, &list);
    assert!(bench.turn().is_empty());
    bench.driver.good(&[1]);
    assert_eq!(cookies(&bench.turn()), [1]);
    bench.driver.good(&[2]);
    assert_eq!(cookies(&bench.turn()), [2, 3]);
    bench.assert_conserved();
}

#[test]
fn they_go_on_without_a_driver() {
    let mut bench = Bench::new();
    let (cdb, list) = write_protect();
    bench.stack.driver_lost();
    bench.send_list(0, 1, cdb, &list);
    assert_eq!(bench.turn()[0].status, Status::Good);
    bench.assert_conserved();
}

#[test]
fn a_waiting_one_is_aborted_and_a_cancelled_one_is_forgotten() {
    let mut bench = Bench::new();
    let (cdb, list) = write_protect();
    bench.send(0, 1, build::read_10(0, 1), Ordered);
    bench.turn();
    bench.send_list(0, 2, cdb, &list);
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTask { nexus, lun: 3, tag: 2 }, Some(9));
    let answers = bench.turn();
    assert!(answers[0].cookie == 2 && answers[0].aborted);
    let Accepted::Slot { slot, .. } = bench.submit(0, 3, cdb, 16, Simple) else { panic!() };
    bench.stack.cancel(slot);
    bench.driver.good(&[1]);
    bench.turn();
    bench.assert_conserved();
    assert!(bench.stack.target().unit(Lun::from(3)).unwrap().write_protection().is_none());
}

/// Both nexuses are registered, the first with key 1, the second with key 2.
fn registered() -> Bench {
    let mut bench = Bench::new();
    for (nexus, key) in [(0, 1), (1, 2)] {
        let (cdb, list) = persistent_reserve(Out::Register, 0, 0, key);
        bench.send_list(nexus, key, cdb, &list);
        let answers = bench.turn();
        assert_eq!(answers[0].status, Status::Good, "{answers:?}");
    }
    bench
}

#[test]
fn preempt_and_abort_is_answered_after_the_tasks_it_ends() {
    let mut bench = registered();
    bench.send(1, 11, build::read_10(0, 1), Simple);
    bench.turn();
    let (cdb, list) = persistent_reserve(Out::PreemptAndAbort, 1, 1, 2);
    bench.send_list(0, 12, cdb, &list);
    assert!(bench.turn().is_empty(), "the task of the other nexus has not ended");
    let requests = bench.stack.requests(&bench.driver);
    assert!(matches!(requests[0].function, ManagementFunction::AbortTaskSet { .. }));
    bench.driver.good(&[11]);
    bench.stack.confirmed(requests[0].id);
    let mut answers = bench.turn();
    answers.extend(bench.turn());
    assert_eq!(cookies(&answers), [11, 12]);
    assert!(answers[0].aborted && !answers[1].aborted);
    assert_eq!(answers[1].status, Status::Good);
    let told = bench.submit(1, 13, build::test_unit_ready(), 0, Simple);
    let Accepted::Answered(answer) = told else { panic!() };
    assert_eq!(sense(&answer), Sense::COMMANDS_CLEARED_BY_ANOTHER_INITIATOR);
    bench.assert_conserved();
}

#[test]
fn state_is_kept_before_the_answer() {
    let mut bench = Bench::new();
    bench.stack.target_mut().restore(Lun::from(3), &[]).unwrap();
    let (cdb, mut list) = persistent_reserve(Out::Register, 0, 0, 1);
    list[20] = 1;
    bench.send_list(0, 1, cdb, &list);
    assert!(bench.turn().is_empty());
    let records = bench.stack.state_records();
    let lun = Lun::from(3);
    assert!(records.len() == 2 && records.iter().all(|record| record.change.lun == lun));
    bench.stack.state_kept(&records[0], true);
    assert!(bench.turn().is_empty(), "not on its medium yet");
    bench.stack.state_kept(&records[1], true);
    assert_eq!(bench.turn()[0].status, Status::Good);

    let (cdb, mut list) = persistent_reserve(Out::Register, 0, 1, 5);
    list[20] = 1;
    bench.send_list(0, 2, cdb, &list);
    bench.turn();
    let records = bench.stack.state_records();
    bench.stack.state_kept(&records[0], false);
    assert_eq!(sense(&bench.turn()[0]), Sense::INTERNAL_TARGET_FAILURE);
    bench.assert_conserved();
}
