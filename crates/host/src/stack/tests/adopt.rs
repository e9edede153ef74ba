//! A successor whose units differ.

use outboard_scsi::TaskAttribute::{Ordered, Simple};
use outboard_scsi::command::build;
use outboard_scsi::{Lun, Sense, Status};

use super::super::{Accepted, Adopted, Command};
use super::{BLOCK, Bench, cookies, driver, sense};

const IDENTIFIERS: [u32; 4] = [21, 22, 23, 24];

impl Bench {
    /// What TEST UNIT READY at `lun` says to nexus 0.
    fn told(&mut self, lun: u16) -> Option<Sense> {
        let cdb = build::test_unit_ready();
        let command = Command {
            nexus: self.nexuses[0],
            lun: Lun::from(u8::try_from(lun).unwrap()).encode(),
            cdb: cdb.as_slice(),
            attribute: Simple,
            tag: 0,
            expected: 0,
            cookie: 99,
        };
        let Accepted::Answered(answer) = self.stack.submit(self.now, &command) else { panic!() };
        (answer.status != Status::Good).then(|| sense(&answer))
    }
}

#[test]
fn the_same_units_are_taken_over_silently_and_tasks_go_on() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.turn();
    bench.stack.driver_lost();
    bench.driver.forget();
    let (report, _) = driver::report();
    assert_eq!(bench.stack.adopt(&report, &IDENTIFIERS).unwrap(), Adopted::default());
    bench.stack.driver_replaced(bench.now);
    bench.turn();
    assert!(IDENTIFIERS.contains(&(bench.driver.task(1).controller_task_identifier as u32)));
    bench.driver.good(&[1]);
    assert_eq!(bench.turn()[0].status, Status::Good);
    assert_eq!(bench.told(3), None);
    bench.assert_conserved();
}

#[test]
fn a_unit_that_grows_and_one_that_is_new_are_told() {
    let mut bench = Bench::new();
    bench.stack.driver_lost();
    let (mut report, _) = driver::report();
    let units = &mut report.targets[0].units;
    units[0].blocks = 2000;
    let mut new = units[0].clone();
    (new.lun, new.serial) = (1, "S1".to_owned());
    units.push(new);
    let adopted = bench.stack.adopt(&report, &IDENTIFIERS).unwrap();
    assert_eq!(adopted, Adopted { added: vec![1], changed: vec![3], ..Adopted::default() });
    bench.driver.forget();
    bench.stack.driver_replaced(bench.now);
    assert_eq!(bench.told(3), Some(Sense::CAPACITY_DATA_CHANGED));
    assert_eq!(bench.told(3), Some(Sense::REPORTED_LUNS_DATA_CHANGED));
    assert_eq!(bench.told(3), None);
    assert_eq!(bench.told(1), Some(Sense::RESET_OCCURRED));
    assert_eq!(bench.told(1), None);
}

#[test]
fn tasks_for_a_unit_that_has_gone_end() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.turn();
    bench.send(0, 2, build::read_10(0, 1), Ordered);
    let accepted = bench.submit(0, 3, build::write_10(0, 1), BLOCK, Simple);
    let Accepted::Slot { slot, .. } = accepted else { panic!() };
    bench.stack.driver_lost();
    bench.driver.forget();
    let (mut report, _) = driver::report();
    report.targets[0].units.clear();
    let adopted = bench.stack.adopt(&report, &IDENTIFIERS).unwrap();
    assert_eq!(adopted.removed, [3]);
    bench.stack.driver_replaced(bench.now);
    bench.stack.ready(slot, Simple);
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [1, 2, 3]);
    for answer in &answers {
        assert_eq!(sense(answer), Sense::LOGICAL_UNIT_NOT_SUPPORTED);
    }
    assert_eq!(bench.told(3), Some(Sense::LOGICAL_UNIT_NOT_SUPPORTED));
    bench.assert_conserved();
}

#[test]
fn another_disk_gets_no_write_that_was_meant_for_the_old_one() {
    let mut bench = Bench::new();
    bench.write(1, 0);
    bench.turn();
    bench.pushed();
    let accepted = bench.submit(0, 2, build::write_10(0, 1), BLOCK, Simple);
    let Accepted::Slot { slot, .. } = accepted else { panic!() };
    bench.stack.driver_lost();
    bench.driver.forget();
    let (mut report, _) = driver::report();
    report.targets[0].units[0].serial = "another".to_owned();
    let adopted = bench.stack.adopt(&report, &IDENTIFIERS).unwrap();
    assert_eq!(adopted.replaced, [3]);
    bench.stack.driver_replaced(bench.now);
    bench.stack.ready(slot, Simple);
    let answers = bench.turn();
    assert_eq!(cookies(&answers), [1, 2]);
    assert_eq!(sense(&answers[0]), Sense::LOGICAL_UNIT_NOT_SUPPORTED);
    assert!(bench.pushed().is_empty());
    assert_eq!(bench.told(3), Some(Sense::RESET_OCCURRED));
    assert_eq!(bench.told(3), Some(Sense::INQUIRY_DATA_CHANGED));
    bench.assert_conserved();
}

#[test]
fn a_report_that_makes_no_target_changes_nothing() {
    let mut bench = Bench::new();
    let (mut report, _) = driver::report();
    report.targets[0].units[0].vendor = "far too long for a vendor".to_owned();
    assert!(bench.stack.adopt(&report, &IDENTIFIERS).is_err());
    report.targets.clear();
    assert!(bench.stack.adopt(&report, &IDENTIFIERS).is_err());
    assert_eq!(bench.told(3), None);
}
