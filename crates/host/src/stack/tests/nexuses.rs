//! Ports and nexuses.

use outboard_hba::HbaReport;
use outboard_scsi::TaskAttribute::{Ordered, Simple};
use outboard_scsi::command::build;
use outboard_slots::Region;
use outboard_spc::SpcError;

use super::super::{Accepted, Stack, TargetNames};
use super::{BLOCK, Bench, cookies, driver};

#[test]
fn nexuses_come_through_the_ports_there_are() {
    let (report, region): (HbaReport, Region) = driver::report();
    let names = TargetNames::iscsi("iqn.2026-01.example:t", &[1, 2]);
    let mut stack = Stack::named(names, &report, 0, &[11, 12, 13, 14], &region, 0).unwrap();
    assert!(stack.open_nexus("a", 1).is_ok());
    assert!(stack.open_nexus("a", 2).is_ok());
    assert!(matches!(stack.open_nexus("a", 3), Err(SpcError::NoPort(3))));
    assert_eq!(stack.target().name(), "iqn.2026-01.example:t");
    assert_eq!(stack.target().ports()[1].name, "iqn.2026-01.example:t,t,0x0002");
}

#[test]
fn a_closed_nexus_is_free_once_its_tasks_have_ended() {
    let mut bench = Bench::new();
    let [one, two] = bench.nexuses;
    bench.write(1, 0);
    bench.send(1, 2, build::read_10(0, 1), Simple);
    bench.turn();
    bench.send(0, 3, build::read_10(0, 1), Ordered);
    bench.stack.close_nexus(one);
    bench.stack.close_nexus(one);
    let answers = bench.turn();
    assert_eq!((cookies(&answers), answers[0].aborted), (vec![3], true));
    assert!(bench.stack.is_closing(one) && bench.stack.target().nexuses().is_open(one));
    let requests = bench.stack.requests(&bench.driver);
    assert_eq!(requests.len(), 1);
    bench.driver.good(&[1, 2]);
    bench.stack.confirmed(requests[0].id);
    let answers = bench.turn();
    assert_eq!((answers[0].aborted, answers[1].aborted), (true, false));
    assert!(!bench.stack.is_closing(one) && !bench.stack.target().nexuses().is_open(one));
    assert!(bench.stack.target().nexuses().is_open(two));
    assert_eq!(bench.stack.open_nexus("c", 1).unwrap().index(), one.index());
    bench.assert_conserved();
}

#[test]
fn a_closed_nexus_waits_for_data_that_is_still_collected() {
    let mut bench = Bench::new();
    let [one, _] = bench.nexuses;
    let accepted = bench.submit(0, 1, build::write_10(0, 1), BLOCK, Simple);
    let Accepted::Slot { slot, .. } = accepted else { panic!() };
    bench.stack.close_nexus(one);
    bench.turn();
    assert!(bench.stack.is_closing(one));
    bench.stack.cancel(slot);
    bench.turn();
    assert!(!bench.stack.is_closing(one));
    bench.assert_conserved();
}
