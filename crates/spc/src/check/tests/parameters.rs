//! Mode parameters, log pages, supported commands, further VPD pages.

use outboard_scsi::command::ReportingOptions;
use outboard_scsi::mode::{self, Caching, Control};
use outboard_scsi::opcodes::COMMANDS;

use super::*;

impl Rig {
    /// MODE SELECT(6) of one page by nexus `a`.
    fn select(&mut self, page: &[u8]) -> Response {
        let list = [&[0; 4], page].concat();
        let cdb = build::mode_select_6(false, u8::try_from(list.len()).unwrap());
        let Verdict::Data(parameters) = self.check(cdb) else { panic!() };
        assert_eq!((parameters.lun, parameters.length as usize), (Lun::ZERO, list.len()));
        self.target.parameters(self.a, Lun::ZERO, cdb.as_slice(), &list)
    }

    fn page(&mut self, code: u8) -> Vec<u8> {
        self.data(build::mode_sense_6(true, code, 0, 255))[4..].to_vec()
    }

    fn told(&mut self, nexus: NexusId) -> Option<UnitAttention> {
        self.target.unit_mut(Lun::ZERO).unwrap().attentions.take(nexus.index())
    }
}

fn control(change: impl FnOnce(&mut Control)) -> [u8; Control::LEN] {
    let mut page = Control { log_saving_disabled: true, queue_algorithm: 1, ..Control::default() };
    change(&mut page);
    page.encode()
}

#[test]
fn software_write_protection_holds_at_once() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    let on = control(|page| page.software_write_protect = true);
    assert_eq!(rig.select(&on), Response::good(Vec::new()));
    assert_eq!((rig.told(a), rig.told(b)), (None, Some(UnitAttention::ModeParametersChanged)));
    assert_eq!(rig.page(mode::CONTROL), on);
    assert_eq!(rig.data(build::mode_sense_6(true, mode::CONTROL, 0, 255))[2], 0x90, "WP");
    let write = build::write_10(0, 1);
    assert_eq!(rig.target.forward(rig.a, ZERO, write.as_slice()), None);
    assert_eq!(rig.sense(write), Some(Sense::SOFTWARE_WRITE_PROTECTED));
    assert!(matches!(rig.check(build::read_10(0, 1)), Verdict::Forward(_)));
    assert_eq!(rig.select(&on), Response::good(Vec::new()));
    assert_eq!(rig.told(b), None, "nothing changed");
    assert_eq!(rig.select(&control(|_| {})), Response::good(Vec::new()));
    assert!(matches!(rig.check(write), Verdict::Forward(_)));
}

#[test]
fn descriptor_sense_is_a_choice_that_a_reset_undoes() {
    let mut rig = rig();
    let on = control(|page| page.descriptor_sense = true);
    assert_eq!(rig.select(&on), Response::good(Vec::new()));
    assert!(rig.target.unit(Lun::ZERO).unwrap().descriptor_sense());
    rig.target.reset_unit(Lun::ZERO);
    assert!(!rig.target.unit(Lun::ZERO).unwrap().descriptor_sense());
}

#[test]
fn without_a_write_cache_writes_go_through() {
    let mut rig = rig();
    let through =
        |rig: &Rig, cdb: Cdb| rig.target.forward(rig.a, ZERO, cdb.as_slice()).unwrap().through;
    assert!(!through(&rig, build::write_10(0, 1)));
    assert_eq!(rig.select(&Caching::default().encode()), Response::good(Vec::new()));
    assert!(through(&rig, build::write_10(0, 1)));
    assert!(!through(&rig, build::read_10(0, 1)));
    let revert = build::mode_select_6(false, 0).with(1, 0x02);
    assert_eq!(rig.sense(revert), None);
    assert!(!through(&rig, build::write_10(0, 1)));
}

#[test]
fn what_cannot_be_changed_is_refused_and_nothing_is_taken_over() {
    let mut rig = rig();
    let before = rig.page(mode::ALL_PAGES);
    let page = control(|page| {
        page.descriptor_sense = true;
        page.task_aborted_status = true;
    });
    let invalid = Sense::invalid_field_in_parameter_list(9, Some(6));
    assert_eq!(rig.select(&page), invalid.into());
    assert_eq!(rig.page(mode::ALL_PAGES), before);
    let short = build::mode_select_6(false, 16);
    let response = rig.target.parameters(rig.a, Lun::ZERO, short.as_slice(), &[0; 15]);
    assert_eq!(response, Sense::PARAMETER_LIST_LENGTH_ERROR.into());
    assert_eq!(rig.sense(build::mode_select_6(false, 0)), None);
    let save = build::mode_select_6(true, 0);
    assert_eq!(rig.sense(save), Some(Sense::invalid_field_in_cdb(1, Some(0))));
}

#[test]
fn saved_pages_survive_a_reset() {
    let mut rig = rig();
    rig.target.unit_mut(Lun::ZERO).unwrap().restore_mode(None);
    assert_eq!(rig.page(mode::CONTROL)[0], 0x80 | mode::CONTROL, "PS");
    let page = control(|page| page.descriptor_sense = true);
    let list = [&[0; 8], &page[..]].concat();
    let cdb = build::mode_select_10(true, 20);
    let response = rig.target.parameters(rig.a, Lun::ZERO, cdb.as_slice(), &list);
    assert_eq!(response, Response::good(Vec::new()));
    rig.target.reset_unit(Lun::ZERO);
    let unit = rig.target.unit(Lun::ZERO).unwrap();
    assert!(unit.descriptor_sense());
    let saved = *unit.saved_mode().unwrap();
    let mut other = LogicalUnit::new(config());
    other.restore_mode(Some(saved));
    assert!(other.descriptor_sense());
}

#[test]
fn medium_errors_are_counted() {
    let mut rig = rig();
    rig.target.note_medium_error(Lun::ZERO, true);
    let cumulative = build::log_sense(0x02, 0, 255).with(2, 0x40);
    let page = rig.data(cumulative);
    assert_eq!(page[page.len() - 8..], 1_u64.to_be_bytes());
    assert_eq!(rig.data(build::log_sense(0, 0, 6)).len(), 6);
}

#[test]
fn every_listed_command_is_known_and_every_other_is_not() {
    let mut rig = rig();
    let report = |rig: &mut Rig, options, opcode, action| {
        let cdb = build::report_supported_opcodes(options, opcode, action, false, 4096);
        rig.data(cdb)
    };
    let all = report(&mut rig, ReportingOptions::All, 0, 0);
    for command in &COMMANDS {
        let action = u16::from(command.service_action.unwrap_or(0));
        let is_it = |d: &[u8]| d[0] == command.opcode && d[2..4] == action.to_be_bytes();
        let listed = all[4..].chunks(8).any(is_it);
        let one = report(&mut rig, ReportingOptions::Either, command.opcode, action);
        assert_eq!(one[1], if listed { 3 } else { 1 }, "{command:?}");
        let mut cdb = [0; 16];
        (cdb[0], cdb[1]) = (command.opcode, command.service_action.unwrap_or(0));
        let verdict = rig.target.check(rig.a, ZERO, &cdb);
        // A service action that is not supported is an invalid field.
        let unknown = verdict == Sense::INVALID_OPCODE.into()
            || verdict == Sense::invalid_field_in_cdb(1, Some(4)).into();
        assert_eq!(listed, !unknown, "{command:?}");
        // RESERVE and STOP among them have done something.
        rig.target.reset_unit(Lun::ZERO);
    }
    let removal = report(&mut rig, ReportingOptions::Opcode, 0x1E, 0);
    assert_eq!(removal, [0, 1, 0, 0], "not removable");
    let functions = build::report_supported_task_management_functions(false, 16);
    assert_eq!(rig.data(functions).len(), 4);
}

#[test]
fn no_defects() {
    let mut rig = rig();
    let ten = build::read_defect_data_10(0x05, 32).with(2, 0x18);
    assert_eq!(rig.data(ten), [0, 0x1D, 0, 0]);
    let twelve = build::read_defect_data_12(0x05, 0, 32);
    assert_eq!(rig.data(twelve)[2..], [0; 6]);
}

#[test]
fn ports_are_named() {
    let mut rig = rig();
    let page = rig.data(build::inquiry(Some(0x88), 4096));
    assert_eq!(page[4..8], [0, 0, 0, 1]);
    assert!(page.windows(5).any(|w| w == *b"t,t,0"));
    assert_eq!(rig.data(build::inquiry(Some(0x86), 255)).len(), 64);
}

#[test]
fn a_new_declaration_is_told() {
    let mut rig = rig();
    let a = rig.a;
    let grown = UnitConfig { capacity: crate::Capacity::new(2000, 512).unwrap(), ..config() };
    assert_eq!(rig.target.reconfigure(Lun::ZERO, grown.clone()).ok(), Some(true));
    assert_eq!((rig.told(a), rig.told(a)), (Some(UnitAttention::CapacityChanged), None));
    assert_eq!(rig.target.reconfigure(Lun::ZERO, grown.clone()).ok(), Some(false));
    assert_eq!(rig.told(a), None);
    let slow = UnitConfig { rotation_rate: 5400, read_only: true, ..grown };
    assert_eq!(rig.target.reconfigure(Lun::ZERO, slow).ok(), Some(true));
    assert_eq!(rig.told(a), Some(UnitAttention::ModeParametersChanged));
    assert_eq!(rig.told(a), Some(UnitAttention::InquiryDataChanged));
}
