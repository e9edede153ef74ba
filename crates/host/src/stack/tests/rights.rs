//! What changes while a write's data comes.

use outboard_scsi::TaskAttribute::Simple;
use outboard_scsi::command::PersistentReserveOutAction as Out;
use outboard_scsi::command::build;
use outboard_scsi::{Lun, Sense, Status};
use outboard_spc::Capacity;

use super::super::Accepted;
use super::parameters::{persistent_reserve, write_protect};
use super::{BLOCK, Bench, cookies, sense};

/// A write that waits for its data; its slot.
fn filling(bench: &mut Bench, nexus: usize, cookie: u64, lba: u32) -> u16 {
    let accepted = bench.submit(nexus, cookie, build::write_10(lba, 1), BLOCK, Simple);
    let Accepted::Slot { slot, .. } = accepted else { panic!("{accepted:?}") };
    slot
}

fn reserve(bench: &mut Bench) {
    for (action, kind, key, action_key) in [(Out::Register, 0, 0, 1), (Out::Reserve, 1, 1, 0)] {
        let (cdb, list) = persistent_reserve(action, kind, key, action_key);
        bench.send_list(0, 90, cdb, &list);
        assert_eq!(bench.turn()[0].status, Status::Good);
    }
}

#[test]
fn a_reservation_forbids_writes_whose_data_is_still_to_come() {
    let mut bench = Bench::new();
    let (others, own) = (filling(&mut bench, 1, 1, 0), filling(&mut bench, 0, 2, 1));
    reserve(&mut bench);
    for slot in [others, own] {
        bench.stack.ready(slot, Simple);
    }
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [1]);
    assert_eq!((answers[0].status, answers[0].aborted), (Status::ReservationConflict, false));
    assert!(answers[0].sense.is_none());
    assert_eq!(bench.pushed(), [2], "the holder's goes on");
    bench.driver.good(&[2]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn write_protection_forbids_them() {
    let mut bench = Bench::new();
    let slot = filling(&mut bench, 0, 1, 0);
    let (cdb, list) = write_protect();
    bench.send_list(1, 2, cdb, &list);
    assert_eq!(bench.turn()[0].status, Status::Good);
    bench.stack.ready(slot, Simple);
    assert_eq!(sense(&bench.turn()[0]), Sense::SOFTWARE_WRITE_PROTECTED);
    assert!(bench.pushed().is_empty());
    bench.assert_conserved();
}

#[test]
fn a_unit_that_is_not_ready_any_more_or_has_shrunk_takes_none() {
    let lun = Lun::from(3);
    let mut bench = Bench::new();
    let slot = filling(&mut bench, 0, 1, 0);
    let not_ready = Some(Sense::NOT_READY_BECOMING_READY);
    bench.stack.target_mut().unit_mut(lun).unwrap().set_not_ready(not_ready);
    bench.stack.ready(slot, Simple);
    assert_eq!(sense(&bench.turn()[0]), Sense::NOT_READY_BECOMING_READY);

    bench.stack.target_mut().unit_mut(lun).unwrap().set_not_ready(None);
    let slots = [filling(&mut bench, 0, 1, 700), filling(&mut bench, 0, 2, 0)];
    let capacity = Capacity::new(500, 512).unwrap();
    bench.stack.target_mut().set_capacity(lun, capacity).unwrap();
    for slot in slots {
        bench.stack.ready(slot, Simple);
    }
    let answers = bench.turn();
    assert_eq!((cookies(&answers), sense(&answers[0])), (vec![1], Sense::lba_out_of_range(700)));
    assert_eq!(bench.pushed(), [2]);
    bench.driver.good(&[2]);
    bench.turn();
    bench.assert_conserved();
}

#[test]
fn what_is_aborted_as_well_ends_as_aborted() {
    let mut bench = Bench::new();
    let slot = filling(&mut bench, 1, 1, 0);
    reserve(&mut bench);
    let nexus = bench.nexuses[1];
    bench.stack.manage(bench.now, super::super::Function::AbortTaskSet { nexus, lun: 3 }, Some(7));
    bench.stack.ready(slot, Simple);
    let answers = bench.turn();
    assert!(answers[0].aborted && answers[0].status == Status::TaskAborted);
    bench.assert_conserved();
}
