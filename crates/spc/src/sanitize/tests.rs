use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::command::{ReportingOptions, opcode as op};
use outboard_scsi::{Status, vpd};

use super::*;
use crate::nexus::{Nexus, NexusId};
use crate::target::TargetPort;
use crate::unit::tests::config;
use crate::unit::{Provisioning, UnitConfig};
use crate::verdict::Verdict;

const ZERO: [u8; 8] = [0; 8];

struct Rig {
    target: Target,
    nexus: NexusId,
}

fn rig(config: UnitConfig) -> Rig {
    let port = TargetPort { relative_id: 1, name: String::new(), protocol: vpd::ISCSI_PROTOCOL };
    let mut target = Target::new("", vec![port], 2);
    target.add_unit(Lun::ZERO, LogicalUnit::new(config)).unwrap();
    let nexus = Nexus { initiator_port: "a".to_owned(), target_port: 1 };
    let nexus = target.open_nexus(nexus).unwrap();
    target.unit_mut(Lun::ZERO).unwrap().attentions.clear_all(nexus.index());
    Rig { target, nexus }
}

/// A solid-state unit that unmaps.
fn solid_state() -> UnitConfig {
    UnitConfig { rotation_rate: 1, ..config() }
}

impl Rig {
    fn check(&mut self, cdb: Cdb) -> Verdict {
        self.target.check(self.nexus, ZERO, cdb.as_slice())
    }

    fn sense(&mut self, cdb: Cdb) -> Option<Sense> {
        match self.check(cdb) {
            Verdict::Answer(response) => response.sense,
            other => panic!("{other:?}"),
        }
    }

    fn list(&mut self, cdb: Cdb, list: &[u8]) -> Response {
        let Verdict::Data(parameters) = self.check(cdb) else { panic!("{cdb:?}") };
        self.target.parameters(self.nexus, parameters.lun, cdb.as_slice(), list)
    }

    fn begin(&mut self, flags: u8) -> Response {
        let cdb = build::sanitize(SanitizeAction::Overwrite, false, 5).with(1, flags);
        self.list(cdb, &[1, 0, 0, 1, 0xAA])
    }
}

#[test]
fn a_plan_is_made_of_the_list() {
    let mut rig = rig(config());
    let cdb = build::sanitize(SanitizeAction::Overwrite, true, 6);
    assert_eq!(rig.list(cdb, &[0x82, 0, 0, 2, 1, 2]).status, Status::Good);
    let method = Method::Overwrite { invert: true, passes: 2, pattern: [1, 2].into() };
    let plan = Plan { lun: Lun::ZERO, method, immediate: true };
    assert_eq!(rig.target.take_effects(), [Effect::Sanitize(Box::new(plan))]);
}

#[test]
fn lists_of_a_wrong_length_are_refused_before_they_are_collected() {
    let mut rig = rig(solid_state());
    let wrong = Some(Sense::invalid_field_in_cdb(7, None));
    for length in [0, 1, 4, 517] {
        assert_eq!(rig.sense(build::sanitize(SanitizeAction::Overwrite, false, length)), wrong);
    }
    for action in [SanitizeAction::BlockErase, SanitizeAction::ExitFailureMode] {
        assert_eq!(rig.sense(build::sanitize(action, false, 8)), wrong);
    }
    let longest = build::sanitize(SanitizeAction::Overwrite, false, 516);
    assert!(matches!(rig.check(longest), Verdict::Data(_)));
}

#[test]
fn what_is_not_supported_is_neither_executed_nor_reported() {
    let unmap = |rig: &mut Rig| {
        let cdb = build::report_supported_opcodes(
            ReportingOptions::ServiceAction,
            op::SANITIZE,
            2,
            false,
            32,
        );
        match rig.check(cdb) {
            Verdict::Answer(response) => response.data[1] & 0x07,
            other => panic!("{other:?}"),
        }
    };
    let erase = build::sanitize(SanitizeAction::BlockErase, false, 0);
    let unsupported = Some(Sense::invalid_field_in_cdb(1, Some(4)));
    let mut rotating = rig(config());
    assert_eq!((rotating.sense(erase), unmap(&mut rotating)), (unsupported, 1));
    let mut full = rig(UnitConfig { provisioning: Provisioning::Full, ..solid_state() });
    assert_eq!((full.sense(erase), unmap(&mut full)), (unsupported, 1));
    let mut thin = rig(solid_state());
    assert!(matches!(thin.check(erase), Verdict::Data(p) if p.length == 0));
    assert_eq!(unmap(&mut thin), 3);
    let crypto = build::sanitize(SanitizeAction::CryptographicErase, false, 0);
    assert_eq!(thin.sense(crypto), unsupported);
}

#[test]
fn only_an_encrypted_unit_forgets_its_key() {
    let reported = |rig: &mut Rig| {
        let options = ReportingOptions::ServiceAction;
        let cdb = build::report_supported_opcodes(options, op::SANITIZE, 3, false, 32);
        match rig.check(cdb) {
            Verdict::Answer(response) => response.data[1] & 0x07,
            other => panic!("{other:?}"),
        }
    };
    let told_by_vpd = |rig: &mut Rig| match rig.check(build::inquiry(Some(0xB1), 64)) {
        Verdict::Answer(response) => response.data[7] >> 4 & 0x03,
        other => panic!("{other:?}"),
    };
    let erase = build::sanitize(SanitizeAction::CryptographicErase, true, 0);
    let mut rig = rig(config());
    assert_eq!((reported(&mut rig), told_by_vpd(&mut rig)), (1, 0));
    rig.target.set_encrypted(Lun::ZERO, true);
    assert_eq!((reported(&mut rig), told_by_vpd(&mut rig)), (3, 1));
    let with_list = build::sanitize(SanitizeAction::CryptographicErase, true, 8);
    assert_eq!(rig.sense(with_list), Some(Sense::invalid_field_in_cdb(7, None)));
    assert_eq!(rig.list(erase, &[]).status, Status::Good);
    let method = Method::CryptographicErase;
    let plan = Plan { lun: Lun::ZERO, method, immediate: true };
    assert_eq!(rig.target.take_effects(), [Effect::Sanitize(Box::new(plan))]);
    let told = rig.sense(build::read_10(0, 1));
    assert!(told.is_some_and(|sense| sense.is(&Sense::NOT_READY_SANITIZE_IN_PROGRESS)));
    rig.target.sanitize_ended(Lun::ZERO, true);
    rig.target.set_encrypted(Lun::ZERO, false);
    assert_eq!(rig.sense(erase), Some(Sense::invalid_field_in_cdb(1, Some(4))));
}

#[test]
fn a_unit_that_must_not_be_written_is_not_sanitized() {
    let mut rig = rig(UnitConfig { read_only: true, ..solid_state() });
    for (action, length) in [(SanitizeAction::Overwrite, 5), (SanitizeAction::BlockErase, 0)] {
        let told = rig.sense(build::sanitize(action, false, length));
        assert_eq!(told, Some(Sense::WRITE_PROTECTED));
    }
}

#[test]
fn a_reset_does_not_end_it() {
    let mut rig = rig(config());
    rig.begin(0);
    rig.target.sanitize_progress(Lun::ZERO, 1, 4);
    rig.target.reset_unit(Lun::ZERO);
    let told = rig.sense(build::test_unit_ready());
    assert_eq!(told, Some(Sense::NOT_READY_SANITIZE_IN_PROGRESS.with_progress(0x4000)));
    rig.target.sanitize_ended(Lun::ZERO, true);
    assert_eq!(rig.sense(build::test_unit_ready()), None);
    // What comes late changes nothing.
    rig.target.sanitize_progress(Lun::ZERO, 1, 4);
    rig.target.sanitize_ended(Lun::ZERO, false);
    assert_eq!(rig.sense(build::test_unit_ready()), None);
}

#[test]
fn failure_mode_ends_with_a_success_or_if_it_was_asked_for() {
    let exit = build::sanitize(SanitizeAction::ExitFailureMode, false, 0);
    let mut rig = rig(config());
    assert_eq!(rig.sense(exit), None, "nothing to exit from");
    for (ause, told) in [(0x20, None), (0, Some(Sense::invalid_field_in_cdb(1, Some(4))))] {
        rig.begin(ause);
        rig.target.sanitize_ended(Lun::ZERO, false);
        assert_eq!(rig.sense(build::read_10(0, 1)), Some(Sense::SANITIZE_COMMAND_FAILED));
        assert_eq!(rig.sense(build::inquiry(None, 36)), None);
        assert_eq!(rig.sense(exit), told);
    }
    rig.begin(0x20);
    rig.target.sanitize_withdrawn(Lun::ZERO);
    assert!(rig.sense(exit).is_some(), "as it was before");
    rig.begin(0);
    rig.target.sanitize_ended(Lun::ZERO, true);
    assert_eq!(rig.sense(build::test_unit_ready()), None);
}

#[test]
fn lists_that_were_collected_meanwhile_are_refused() {
    let mut rig = rig(config());
    rig.begin(0);
    let response = rig.target.parameters(
        rig.nexus,
        Lun::ZERO,
        build::mode_select_6(false, 4).as_slice(),
        &[0; 4],
    );
    assert!(response.sense.is_some_and(|s| s.is(&Sense::NOT_READY_SANITIZE_IN_PROGRESS)));
}
