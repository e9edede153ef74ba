//! EXTENDED COPY.

use outboard_hba::values::status;
use outboard_scsi::TaskAttribute::Simple;
use outboard_scsi::command::{PersistentReserveOutAction as Out, ReceiveCopyAction, build};
use outboard_scsi::copy::{Cscd, ListIdUsage, Segment, encode};
use outboard_scsi::{Lun, Sense, Status};

use super::super::super::{Accepted, Answer, Command, Function};
use super::super::{Bench, cookies, sense};
use super::{BLOCK, Disks, two_units};

const READ: u8 = 0x88;
const WRITE: u8 = 0x8A;

fn bench() -> (Bench, Disks) {
    (Bench::over(two_units(4096)), Disks::new(&[3, 4]))
}

/// The NAA name of a unit, from its VPD page 83h.
pub(super) fn name(bench: &mut Bench, lun: u16) -> [u8; 8] {
    let cdb = build::inquiry(Some(0x83), 255);
    let command = Command {
        nexus: bench.nexuses[0],
        lun: Lun::new(lun).unwrap().encode(),
        cdb: cdb.as_slice(),
        attribute: Simple,
        tag: 0,
        expected: 255,
        cookie: 0,
    };
    let Accepted::Answered(answer) = bench.stack.submit(bench.now, &command) else { panic!() };
    assert_eq!(answer.data[4..8], [1, 3, 0, 8]);
    answer.data[8..16].try_into().unwrap()
}

fn segment(from: (u16, u64), to: (u16, u64), blocks: u16) -> Segment {
    Segment {
        at: 0,
        destination_count: false,
        concatenate: false,
        source: from.0 - 3,
        destination: to.0 - 3,
        blocks,
        source_lba: from.1,
        destination_lba: to.1,
    }
}

/// A parameter list that copies within one unit.
pub(super) fn list_within(name: [u8; 8], from: u64, to: u64, blocks: u16) -> Vec<u8> {
    let cscd = Cscd {
        at: 0,
        device_type: 0,
        code_set: 1,
        association: 0,
        designator_type: 3,
        designator: &name,
        pad: false,
        block_length: 512,
    };
    let mut out = vec![0; 76];
    encode(0, ListIdUsage::Disabled, [cscd], [segment((3, from), (3, to), blocks)], &mut out);
    out
}

/// A parameter list about both units: segments name them by LUN and block.
fn list(bench: &mut Bench, usage: ListIdUsage, segments: &[Segment]) -> Vec<u8> {
    let names = [3, 4].map(|lun| name(bench, lun));
    let cscds = names.each_ref().map(|designator| Cscd {
        at: 0,
        device_type: 0,
        code_set: 1,
        association: 0,
        designator_type: 3,
        designator,
        pad: false,
        block_length: 512,
    });
    let mut out = vec![0; 4096];
    let len = encode(9, usage, cscds, segments.iter().copied(), &mut out);
    out.truncate(len);
    out
}

fn send(bench: &mut Bench, cookie: u64, segments: &[Segment]) -> u16 {
    let list = list(bench, ListIdUsage::Hold, segments);
    bench.send_list(0, cookie, build::extended_copy(list.len() as u32), &list)
}

fn results(bench: &mut Bench, action: ReceiveCopyAction, identifier: u8) -> Result<Vec<u8>, Sense> {
    let cdb = build::receive_copy_results(action, identifier, 256);
    let Accepted::Answered(answer) = bench.submit(0, 0, cdb, 256, Simple) else { panic!() };
    match answer.status {
        Status::Good => Ok(answer.data),
        _ => Err(sense(&answer)),
    }
}

fn status_of(bench: &mut Bench) -> Result<Vec<u8>, Sense> {
    results(bench, ReceiveCopyAction::CopyStatus, 9)
}

#[test]
fn blocks_are_copied_from_one_unit_to_the_other() {
    let (mut bench, mut disks) = bench();
    let expected = disks.blocks(3, 10, 100).to_vec();
    send(&mut bench, 1, &[segment((3, 10), (4, 500), 100)]);
    let answers = disks.run(&mut bench);
    assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good));
    assert_eq!(disks.blocks(4, 500, 100), expected);
    assert_eq!(disks.log, [(READ, 3, 10, 100), (WRITE, 4, 500, 100)]);
    assert_eq!(status_of(&mut bench).unwrap(), [0, 0, 0, 8, 1, 0, 1, 0, 0, 0, 0xC8, 0]);
    bench.assert_conserved();
}

#[test]
fn segments_are_copied_in_their_order() {
    let (mut bench, mut disks) = bench();
    let first = disks.blocks(3, 0, 8).to_vec();
    let segments =
        [segment((3, 0), (4, 0), 8), segment((3, 1), (3, 2), 0), segment((4, 0), (3, 100), 8)];
    send(&mut bench, 1, &segments);
    assert_eq!(disks.run(&mut bench)[0].status, Status::Good);
    assert_eq!(disks.blocks(3, 100, 8), first);
    assert_eq!(disks.log.len(), 4);
    assert_eq!(status_of(&mut bench).unwrap()[4..7], [1, 0, 3]);
    bench.assert_conserved();
}

#[test]
fn blocks_that_overlap_are_copied_as_if_they_did_not() {
    // Room for eight blocks at a time.
    for (from, to) in [(10, 13), (13, 10), (10, 10)] {
        let (mut bench, mut disks) = (Bench::over(two_units(8)), Disks::new(&[3, 4]));
        let expected = disks.blocks(3, from, 100).to_vec();
        send(&mut bench, 1, &[segment((3, from), (3, to), 100)]);
        assert_eq!(disks.run(&mut bench)[0].status, Status::Good);
        assert_eq!(disks.blocks(3, to, 100), expected, "{from} to {to}");
        assert!(disks.log.len() > 20, "several pieces");
        bench.assert_conserved();
    }
}

#[test]
fn a_segment_that_cannot_be_ends_the_copy_with_its_number() {
    for (wrong, expected) in [
        (segment((3, 0), (4, 999), 2), Sense::COPY_ABORTED),
        (segment((3, 999), (4, 0), 2), Sense::COPY_ABORTED),
        (segment((3, u64::MAX), (4, 0), 2), Sense::COPY_ABORTED),
    ] {
        let (mut bench, mut disks) = bench();
        send(&mut bench, 1, &[segment((3, 0), (4, 0), 1), wrong]);
        let answers = disks.run(&mut bench);
        assert_eq!(sense(&answers[0]), expected.with_segment(1));
        assert_eq!(disks.log.len(), 2, "the first one was copied");
        assert_eq!(status_of(&mut bench).unwrap()[4..7], [2, 0, 1]);
        let details = results(&mut bench, ReceiveCopyAction::FailedSegmentDetails, 9).unwrap();
        assert_eq!((details[3], details[56], details[62]), (74, 2, 0x0A));
        let details = results(&mut bench, ReceiveCopyAction::FailedSegmentDetails, 9).unwrap();
        assert_eq!(details, [0; 4], "they were told once");
        bench.assert_conserved();
    }
    let (mut bench, mut disks) = bench();
    send(&mut bench, 1, &[segment((3, 0), (5, 0), 1)]);
    let told = sense(&disks.run(&mut bench)[0]);
    assert!(told.is(&Sense::UNREACHABLE_COPY_TARGET), "{told}");
}

#[test]
fn what_the_driver_cannot_do_is_a_failure_of_the_copy() {
    let (mut bench, mut disks) = bench();
    send(&mut bench, 1, &[segment((3, 0), (4, 0), 1)]);
    bench.turn();
    disks.execute(&mut bench);
    bench.turn();
    let slots: Vec<u16> = (0..4).filter(|&slot| bench.stack.direction(slot) as u8 == 1).collect();
    let sent = Sense::write_error(0).encode_fixed();
    slots.iter().for_each(|&slot| bench.driver.region().write_sense(slot, &sent));
    bench.driver.fail(0, slots[1], &sent);
    let answers = bench.turn();
    assert_eq!(sense(&answers[0]), Sense::THIRD_PARTY_DEVICE_FAILURE.with_segment(0));
    bench.assert_conserved();
}

#[test]
fn an_abort_is_answered_when_the_last_task_has_ended() {
    let (mut bench, mut disks) = bench();
    send(&mut bench, 1, &[segment((3, 0), (4, 0), 900)]);
    bench.turn();
    let nexus = bench.nexuses[0];
    bench.stack.manage(bench.now, Function::AbortTask { nexus, lun: 3, tag: 1 }, Some(7));
    assert!(bench.turn().is_empty() && bench.stack.managed().is_empty());
    disks.execute(&mut bench);
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].aborted), (vec![1], true));
    assert_eq!(bench.stack.managed().len(), 1);
    assert!(bench.driver.oldest().is_none(), "nothing was written");
    bench.assert_conserved();
}

#[test]
fn a_lost_nexus_ends_its_copy() {
    let (mut bench, mut disks) = bench();
    send(&mut bench, 1, &[segment((3, 0), (4, 0), 900)]);
    bench.turn();
    let nexus = bench.nexuses[0];
    bench.stack.close_nexus(nexus);
    assert!(bench.stack.is_closing(nexus));
    disks.execute(&mut bench);
    assert!(bench.turn()[0].aborted);
    bench.turn();
    assert!(!bench.stack.is_closing(nexus));
    bench.assert_conserved();
}

#[test]
fn a_copy_goes_on_after_a_restart_of_the_driver() {
    let (mut bench, mut disks) = bench();
    let expected = disks.blocks(3, 0, 900).to_vec();
    send(&mut bench, 1, &[segment((3, 0), (4, 50), 900)]);
    bench.turn();
    disks.execute(&mut bench);
    bench.turn();
    bench.restart();
    let answers = disks.run(&mut bench);
    assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good));
    assert_eq!(disks.blocks(4, 50, 900), expected);
    assert_eq!(bench.stack.counters().replayed, 1);
    bench.assert_conserved();
}

#[test]
fn a_driver_that_is_gone_for_good_ends_it() {
    let (mut bench, _) = bench();
    send(&mut bench, 1, &[segment((3, 0), (4, 0), 900)]);
    bench.turn();
    bench.stack.driver_lost();
    bench.driver.forget();
    bench.stack.driver_gone_for_good();
    let mut answers = bench.turn();
    answers.append(&mut bench.turn());
    assert!(sense(&answers[0]).is(&Sense::THIRD_PARTY_DEVICE_FAILURE));
    bench.assert_conserved();
}

/// A driver's successor that reports another disk at `lun`.
fn another_disk_at(bench: &mut Bench, lun: u16) {
    bench.stack.driver_lost();
    bench.driver.forget();
    let (mut report, _) = two_units(4096);
    let units = &mut report.targets[0].units;
    units.iter_mut().filter(|u| u.lun == lun).for_each(|u| u.serial = "another".to_owned());
    assert_eq!(bench.stack.adopt(&report, &[11, 12, 13, 14]).unwrap().replaced, [lun]);
    bench.stack.driver_replaced(bench.now);
}

#[test]
fn another_disk_is_neither_end_of_a_copy() {
    for lun in [3, 4] {
        let (mut bench, mut disks) = bench();
        let before = disks.bytes[&4].clone();
        send(&mut bench, 1, &[segment((3, 0), (4, 0), 8), segment((3, 8), (4, 8), 8)]);
        bench.turn();
        assert_eq!(bench.driver.task(0).command_descriptor_block[0], READ);
        another_disk_at(&mut bench, lun);
        let answers = disks.run(&mut bench);
        assert_eq!(cookies(&answers), [1], "LUN {lun}");
        assert_ne!(answers[0].status, Status::Good, "LUN {lun}");
        assert!(disks.bytes[&4] == before, "LUN {lun}: nothing is written");
        bench.assert_conserved();
    }
}

#[test]
fn a_write_of_a_copy_that_was_aborted_is_not_tried_again_on_another_disk() {
    let (mut bench, mut disks) = writing(false);
    let before = disks.bytes[&4].clone();
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 4 }, None);
    another_disk_at(&mut bench, 4);
    disks.run(&mut bench);
    assert!(disks.bytes[&4] == before);
    bench.assert_conserved();
}

#[test]
fn a_piece_that_others_aborted_is_copied_again() {
    let (mut bench, mut disks) = bench();
    let expected = disks.blocks(3, 0, 8).to_vec();
    send(&mut bench, 1, &[segment((3, 0), (4, 0), 8)]);
    bench.turn();
    disks.execute(&mut bench);
    bench.turn();
    bench.driver.end_oldest(status::TASK_ABORTED);
    assert_eq!(disks.run(&mut bench)[0].status, Status::Good);
    assert_eq!(disks.blocks(4, 0, 8), expected);
    bench.assert_conserved();
}

/// A command of a nexus to LUN 4; the answers of the turn after it.
fn to_destination(bench: &mut Bench, nexus: usize, cdb: build::Cdb, list: &[u8]) -> Vec<Answer> {
    let command = Command {
        nexus: bench.nexuses[nexus],
        lun: Lun::new(4).unwrap().encode(),
        cdb: cdb.as_slice(),
        attribute: Simple,
        tag: 5,
        expected: list.len() as u64,
        cookie: 5,
    };
    match bench.stack.submit(bench.now, &command) {
        Accepted::Slot { slot, offset, .. } => {
            bench.driver.memory().write(offset, list).unwrap();
            bench.stack.ready(slot, Simple);
            bench.turn()
        }
        // The unit attention of its reset.
        Accepted::Answered(answer) => vec![answer],
        Accepted::Full => panic!("no slot"),
    }
}

/// PERSISTENT RESERVE OUT to LUN 4.
fn reserve(bench: &mut Bench, nexus: usize, action: Out, kind: u8, keys: [u8; 2]) -> Vec<Answer> {
    let mut list = vec![0; 24];
    (list[7], list[15]) = (keys[0], keys[1]);
    to_destination(bench, nexus, build::persistent_reserve_out(action, kind, 24), &list)
}

/// Nexus 0 holds LUN 4 and copies to it from LUN 3; its write is the driver's, or, if `waits`, about
/// to be.
fn writing(waits: bool) -> (Bench, Disks) {
    let (mut bench, mut disks) = bench();
    for nexus in 0..2 {
        to_destination(&mut bench, nexus, build::test_unit_ready(), &[]);
        let key = nexus as u8 + 1;
        let answers = reserve(&mut bench, nexus, Out::Register, 0, [0, key]);
        assert_eq!(answers[0].status, Status::Good);
    }
    reserve(&mut bench, 0, Out::Reserve, 1, [1, 0]);
    send(&mut bench, 1, &[segment((3, 0), (4, 0), 8)]);
    bench.turn();
    disks.execute(&mut bench);
    bench.stack.hold(waits);
    bench.turn();
    bench.stack.hold(false);
    assert_eq!(bench.driver.oldest().is_none(), waits);
    (bench, disks)
}

/// Confirms what the driver is asked for.
fn confirm(bench: &mut Bench) {
    for request in bench.stack.requests(&bench.driver) {
        bench.stack.confirmed(request.id);
    }
}

#[test]
fn who_is_preempted_with_abort_writes_no_more_by_a_copy() {
    let (mut bench, mut disks) = writing(false);
    assert!(reserve(&mut bench, 1, Out::PreemptAndAbort, 1, [2, 1]).is_empty(), "it goes on");
    confirm(&mut bench);
    assert!(bench.turn().is_empty(), "the copy's write may still land");
    disks.execute(&mut bench);
    let mut answers = bench.turn();
    answers.append(&mut bench.turn());
    let [copied, preempted] = [1, 5].map(|cookie| answers.iter().find(|a| a.cookie == cookie));
    assert_eq!(preempted.unwrap().status, Status::Good);
    // The write was the whole of it.
    assert_eq!(copied.unwrap().status, Status::Good);
    let told = to_destination(&mut bench, 0, build::test_unit_ready(), &[]);
    assert_eq!(sense(&told[0]), Sense::REGISTRATIONS_PREEMPTED, "no command of its was cleared");
    bench.assert_conserved();
}

#[test]
fn what_a_copy_was_about_to_write_is_judged_anew() {
    let (mut bench, mut disks) = writing(true);
    let before = disks.blocks(4, 0, 8).to_vec();
    let mut answers = reserve(&mut bench, 1, Out::PreemptAndAbort, 1, [2, 1]);
    answers.append(&mut disks.run(&mut bench));
    assert_eq!(disks.blocks(4, 0, 8), before, "its nexus may not write any more");
    assert_eq!(answers.iter().find(|a| a.cookie == 5).unwrap().status, Status::Good);
    let copied = answers.iter().find(|a| a.cookie == 1).unwrap();
    assert_eq!(sense(copied), Sense::THIRD_PARTY_DEVICE_FAILURE.with_segment(0));
    bench.assert_conserved();
}

#[test]
fn a_reset_of_the_destination_waits_for_what_a_copy_writes_there() {
    let (mut bench, mut disks) = writing(false);
    bench.stack.manage(bench.now, Function::LogicalUnitReset { lun: 4 }, Some(7));
    confirm(&mut bench);
    bench.turn();
    assert!(bench.stack.managed().is_empty(), "the copy's write may still land");
    disks.execute(&mut bench);
    let answers = bench.turn();
    assert_eq!(bench.stack.managed().len(), 1);
    assert_eq!((cookies(&answers), answers[0].status), (vec![1], Status::Good));
    bench.assert_conserved();
}

#[test]
fn a_write_that_was_aborted_with_its_copy_is_judged_anew_after_a_restart() {
    let (mut bench, mut disks) = writing(false);
    let before = disks.blocks(4, 0, 8).to_vec();
    assert!(reserve(&mut bench, 1, Out::PreemptAndAbort, 1, [2, 1]).is_empty());
    bench.restart();
    let answers = disks.run(&mut bench);
    assert_eq!(disks.blocks(4, 0, 8), before, "its nexus may not write any more");
    assert!(answers.iter().any(|a| a.cookie == 5 && a.status == Status::Good));
    bench.assert_conserved();
}

#[test]
fn a_reservation_of_another_nexus_forbids_it() {
    let (mut bench, mut disks) = bench();
    to_destination(&mut bench, 1, build::test_unit_ready(), &[]);
    reserve(&mut bench, 1, Out::Register, 0, [0, 1]);
    // Write exclusive: others may read.
    reserve(&mut bench, 1, Out::Reserve, 1, [1, 0]);
    send(&mut bench, 1, &[segment((4, 0), (3, 0), 1), segment((3, 0), (4, 0), 1)]);
    let answers = disks.run(&mut bench);
    assert_eq!(sense(&answers[0]), Sense::THIRD_PARTY_DEVICE_FAILURE.with_segment(1));
    assert_eq!(disks.log, [(READ, 4, 0, 1), (WRITE, 3, 0, 1)]);
    bench.assert_conserved();
}

#[test]
fn more_copies_than_there_is_room_for_are_told_to_come_back() {
    let (mut bench, mut disks) = bench();
    send(&mut bench, 1, &[segment((3, 0), (4, 0), 1)]);
    bench.turn();
    assert_eq!(status_of(&mut bench).unwrap()[4], 0, "in progress");
    send(&mut bench, 2, &[segment((3, 0), (4, 0), 1)]);
    let answers = bench.turn();
    assert_eq!(sense(&answers[0]), Sense::OPERATION_IN_PROGRESS, "of the same identifier");
    let list = list(&mut bench, ListIdUsage::Discard, &[segment((3, 0), (4, 0), 1)]);
    let mut other = list.clone();
    other[0] = 10;
    bench.send_list(0, 3, build::extended_copy(list.len() as u32), &other);
    let answers = bench.turn();
    assert_eq!((answers[0].cookie, answers[0].status), (3, Status::Busy));
    assert!(results(&mut bench, ReceiveCopyAction::CopyStatus, 10).is_err());
    assert_eq!(cookies(&disks.run(&mut bench)), [1]);
    bench.assert_conserved();
}

#[test]
fn a_copy_waits_for_its_place_and_gets_it_before_others() {
    let (mut bench, mut disks) = bench();
    let command = send(&mut bench, 1, &[segment((3, 0), (4, 0), 1)]);
    // All other slots are taken before it begins.
    (2..=4).for_each(|cookie| {
        bench.read(cookie);
    });
    assert!(bench.turn().is_empty());
    assert!(matches!(bench.submit(0, 5, build::read_10(0, 1), BLOCK, Simple), Accepted::Full));
    bench.driver.good(&[2]);
    bench.turn();
    assert!(
        matches!(bench.submit(0, 5, build::read_10(0, 1), BLOCK, Simple), Accepted::Full),
        "the slot went to the copy of the command in slot {command}"
    );
    bench.driver.good(&[3, 4]);
    assert_eq!(cookies(&disks.run(&mut bench)), [3, 4, 1]);
    bench.assert_conserved();
}

#[test]
fn a_list_of_nothing_copies_nothing() {
    let (mut bench, _) = bench();
    let Accepted::Answered(answer) = bench.submit(0, 1, build::extended_copy(0), 0, Simple) else {
        panic!()
    };
    assert_eq!(answer.status, Status::Good);
    send(&mut bench, 2, &[]);
    let mut answers = bench.turn();
    answers.append(&mut bench.turn());
    assert_eq!((answers[0].cookie, answers[0].status), (2, Status::Good));
    bench.assert_conserved();
}
