mod parameters;
mod power;

use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::vpd::BlockLimits;
use outboard_scsi::{Status, capacity, inquiry, report_luns, vpd};
use proptest::prelude::*;

use super::*;
use crate::nexus::Nexus;
use crate::target::{Scope, TargetPort};
use crate::unit::tests::config;
use crate::unit::{LogicalUnit, UnitConfig};

/// Units at LUN 0 and 2, two nexuses that have been told of their reset.
struct Rig {
    target: Target,
    a: NexusId,
    b: NexusId,
}

const ZERO: [u8; 8] = [0; 8];
const NOWHERE: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];

fn rig() -> Rig {
    let name = "iqn.2026-01.example:t,t,0x0001".to_owned();
    let port = TargetPort { relative_id: 1, name, protocol: vpd::ISCSI_PROTOCOL };
    let mut target = Target::new("iqn.2026-01.example:t", vec![port], 4);
    for lun in [0, 2] {
        target.add_unit(Lun::from(lun), LogicalUnit::new(config())).unwrap();
    }
    let open = |target: &mut Target, name: &str| {
        let nexus = Nexus { initiator_port: name.to_owned(), target_port: 1 };
        let id = target.open_nexus(nexus).unwrap();
        for lun in [0, 2] {
            target.unit_mut(Lun::from(lun)).unwrap().attentions.clear_all(id.index());
        }
        id
    };
    let a = open(&mut target, "a");
    let b = open(&mut target, "b");
    Rig { target, a, b }
}

impl Rig {
    fn check(&mut self, cdb: Cdb) -> Verdict {
        self.target.check(self.a, ZERO, cdb.as_slice())
    }

    fn answer(&mut self, lun: [u8; 8], cdb: Cdb) -> Response {
        match self.target.check(self.a, lun, cdb.as_slice()) {
            Verdict::Answer(response) => {
                assert_eq!(response.sense.is_some(), response.status == Status::CheckCondition);
                response
            }
            other => panic!("{other:?}"),
        }
    }

    fn data(&mut self, cdb: Cdb) -> Vec<u8> {
        let response = self.answer(ZERO, cdb);
        assert_eq!(response.status, Status::Good, "{:?}", response.sense);
        response.data
    }

    fn sense(&mut self, cdb: Cdb) -> Option<Sense> {
        self.answer(ZERO, cdb).sense
    }

    fn establish(&mut self, attention: UnitAttention) {
        self.target.establish(Lun::ZERO, Scope::All, attention).unwrap();
    }
}

#[test]
fn media_commands_are_forwarded() {
    let mut rig = rig();
    let Verdict::Forward(forwarded) = rig.check(build::read_10(8, 8)) else { panic!() };
    assert_eq!((forwarded.lun, forwarded.length), (Lun::ZERO, 4096));
    let two = [0x40, 2, 0, 0, 0, 0, 0, 0];
    let forwarded = rig.target.forward(rig.a, two, build::write_16(0, 1).bytes()).unwrap();
    assert_eq!((forwarded.lun, forwarded.length), (Lun::from(2), 512));
    assert!(matches!(rig.check(build::synchronize_cache_10(0, 0)), Verdict::Forward(_)));
}

#[test]
fn a_unit_attention_is_reported_once_to_each_nexus() {
    let mut rig = rig();
    rig.establish(UnitAttention::CapacityChanged);
    rig.establish(UnitAttention::LogicalUnitReset);
    let read = build::read_10(0, 1);
    assert_eq!(rig.target.forward(rig.a, ZERO, read.as_slice()), None);
    assert_eq!(rig.sense(read), Some(Sense::LOGICAL_UNIT_RESET_OCCURRED));
    assert_eq!(rig.sense(build::test_unit_ready()), Some(Sense::CAPACITY_DATA_CHANGED));
    assert!(matches!(rig.check(read), Verdict::Forward(_)));
    let other = rig.target.check(rig.b, ZERO, read.as_slice());
    assert_eq!(other, Sense::LOGICAL_UNIT_RESET_OCCURRED.into());
}

#[test]
fn a_unit_attention_comes_before_errors_of_the_cdb() {
    let mut rig = rig();
    rig.establish(UnitAttention::Reset);
    assert_eq!(rig.sense(Cdb::new(0xFF)), Some(Sense::RESET_OCCURRED));
    assert_eq!(rig.sense(Cdb::new(0xFF)), Some(Sense::INVALID_OPCODE));
}

#[test]
fn inquiry_leaves_unit_attentions_alone() {
    let mut rig = rig();
    rig.establish(UnitAttention::Reset);
    assert_eq!(rig.data(build::inquiry(None, 96)).len(), 96);
    assert_eq!(rig.sense(build::inquiry(Some(0x99), 96)).map(|sense| sense.asc), Some(0x24));
    assert_eq!(rig.sense(build::test_unit_ready()), Some(Sense::RESET_OCCURRED));
}

#[test]
fn report_luns_ends_only_its_own_unit_attention_on_all_units() {
    let mut rig = rig();
    rig.target.add_unit(Lun::from(1), LogicalUnit::new(config())).unwrap();
    rig.establish(UnitAttention::CapacityChanged);
    // One that fails tells nothing.
    assert!(rig.sense(build::report_luns(0x7F, 4096)).is_some());
    assert!(rig.target.unit(Lun::from(2)).unwrap().attentions.any(rig.a.index()));

    let data = rig.data(build::report_luns(0, 4096));
    let luns: Result<Vec<_>, _> = report_luns::parse(&data).unwrap().collect();
    assert_eq!(luns, Ok(vec![Lun::from(0), Lun::from(1), Lun::from(2)]));
    assert!(!rig.target.unit(Lun::from(2)).unwrap().attentions.any(rig.a.index()));
    assert!(rig.target.unit(Lun::from(2)).unwrap().attentions.any(rig.b.index()));
    assert_eq!(rig.sense(build::test_unit_ready()), Some(Sense::CAPACITY_DATA_CHANGED));
}

#[test]
fn request_sense_reports_a_unit_attention_as_data() {
    let mut rig = rig();
    rig.establish(UnitAttention::CapacityChanged);
    let naca = build::request_sense(false, 252).with(5, 0x04);
    assert!(rig.sense(naca).is_some(), "refused, and the condition is kept");
    let data = rig.data(build::request_sense(false, 252));
    assert_eq!(data, Sense::CAPACITY_DATA_CHANGED.encode_fixed());
    let data = rig.data(build::request_sense(true, 252));
    assert_eq!(Sense::parse(&data), Some(Sense::NO_SENSE));
    assert_eq!(data.len(), 8);
    assert_eq!(rig.data(build::request_sense(false, 4)), [0x70, 0, 0, 0]);
}

#[test]
fn a_unit_that_is_not_ready() {
    let mut rig = rig();
    let not_ready = Sense::NOT_READY_BECOMING_READY;
    rig.target.unit_mut(Lun::ZERO).unwrap().set_not_ready(Some(not_ready));
    for cdb in [
        build::test_unit_ready(),
        build::read_10(0, 1),
        build::read_capacity_10(),
        build::read_capacity_16(32),
    ] {
        assert_eq!(rig.sense(cdb), Some(not_ready), "{cdb:?}");
    }
    let data = rig.data(build::request_sense(false, 252));
    assert_eq!(Sense::parse(&data), Some(not_ready));
    assert!(!rig.data(build::inquiry(None, 96)).is_empty());
    assert!(!rig.data(build::mode_sense_6(false, 0x3F, 0, 255)).is_empty());
    rig.target.unit_mut(Lun::ZERO).unwrap().set_not_ready(None);
    assert_eq!(rig.sense(build::test_unit_ready()), None);
}

#[test]
fn nothing_at_the_lun() {
    let mut rig = rig();
    let unsupported = Sense::LOGICAL_UNIT_NOT_SUPPORTED;
    for lun in [NOWHERE, [0xC1, 1, 0, 0, 0, 0, 0, 0], [0x7F, 0xFF, 0, 0, 0, 0, 0, 0], [0xFF; 8]] {
        let data = rig.answer(lun, build::inquiry(None, 96)).data;
        let standard = inquiry::StandardInquiry::parse(&data).unwrap();
        assert_eq!(standard.peripheral, inquiry::Peripheral::NOT_SUPPORTED);
        let data = rig.answer(lun, build::inquiry(Some(0x00), 96)).data;
        assert_eq!(data, [0x7F, 0, 0, 1, 0]);
        assert!(rig.answer(lun, build::inquiry(Some(0x83), 96)).sense.is_some());

        let data = rig.answer(lun, build::report_luns(0, 4096)).data;
        assert_eq!(report_luns::parse(&data).unwrap().count(), 2);
        let data = rig.answer(lun, build::request_sense(false, 252)).data;
        assert_eq!(Sense::parse(&data), Some(unsupported));
        for cdb in [build::test_unit_ready(), build::read_10(0, 1), Cdb::new(0xFF)] {
            assert_eq!(rig.answer(lun, cdb).sense, Some(unsupported));
        }
    }
}

#[test]
fn a_closed_nexus_is_refused() {
    let mut rig = rig();
    rig.target.close_nexus(rig.a).unwrap();
    assert_eq!(rig.sense(build::read_10(0, 1)), Some(Sense::ABORTED_COMMAND));
    assert_eq!(rig.sense(build::inquiry(None, 96)), Some(Sense::ABORTED_COMMAND));
    assert!(matches!(
        rig.target.check(rig.b, ZERO, build::read_10(0, 1).as_slice()),
        Verdict::Forward(_)
    ));
}

#[test]
fn standard_inquiry_data() {
    let mut rig = rig();
    let data = rig.data(build::inquiry(None, 96));
    let standard = inquiry::StandardInquiry::parse(&data).unwrap();
    assert_eq!(standard.peripheral, inquiry::Peripheral::DISK);
    assert_eq!(&standard.vendor, b"OUTBOARD");
    assert!(!standard.multi_port);
    assert_eq!(rig.data(build::inquiry(None, 36)), data[..36]);
    assert_eq!(rig.data(build::inquiry(None, 0)), []);
}

#[test]
fn every_supported_vpd_page_is_answered() {
    let mut rig = rig();
    let pages = rig.data(build::inquiry(Some(0x00), 255));
    let (_, pages) = vpd::parse(&pages).unwrap();
    for &page in pages {
        let data = rig.data(build::inquiry(Some(page), 4096));
        let (code, body) = vpd::parse(&data).unwrap();
        assert_eq!((code, body.len()), (page, data.len() - 4), "page {page:02X}h");
    }
    for page in (0..=0xFF).filter(|page| !pages.contains(page)) {
        assert_eq!(
            rig.sense(build::inquiry(Some(page), 255)),
            Some(Sense::invalid_field_in_cdb(2, Some(7)))
        );
    }
}

#[test]
fn identification_names_unit_port_and_device() {
    let mut rig = rig();
    let data = rig.data(build::inquiry(Some(0x83), 4096));
    let mut body = &data[4..];
    let mut kinds = Vec::new();
    while let [_, kind, _, len, rest @ ..] = body {
        kinds.push(kind & 0x3F);
        body = &rest[usize::from(*len)..];
    }
    // NAA and T10 of the unit; relative identifier, group and name of the port; name of the device.
    assert_eq!(kinds, [0x03, 0x01, 0x14, 0x15, 0x18, 0x28]);
}

#[test]
fn limits_are_reported() {
    let mut rig = rig();
    let limits = BlockLimits::parse(&rig.data(build::inquiry(Some(0xB0), 255))).unwrap();
    assert_eq!((limits.max_transfer, limits.max_unmap), (64, 256));
    assert!(limits.write_same_non_zero);
    assert_eq!(rig.data(build::inquiry(Some(0xB1), 255))[4..6], [0x1C, 0x20]);
    assert_eq!(rig.data(build::inquiry(Some(0xB2), 255))[5..7], [0xE4, 2]);
}

#[test]
fn capacity_data() {
    let mut rig = rig();
    let ten = capacity::Capacity::parse_10(&rig.data(build::read_capacity_10())).unwrap();
    assert_eq!((ten.blocks, ten.block_size), (1000, 512));
    let data = rig.data(build::read_capacity_16(255));
    assert_eq!(data.len(), 32);
    let sixteen = capacity::Capacity::parse_16(&data).unwrap();
    assert!(sixteen.provisioned && sixteen.unmapped_reads_zeros);
    assert_eq!(rig.data(build::read_capacity_16(12)), data[..12]);
}

#[test]
fn mode_data() {
    let mut rig = rig();
    let data = rig.data(build::mode_sense_6(false, 0x08, 0, 255));
    assert_eq!(data[..4], [31, 0, 0x10, 8]);
    assert_eq!(data[14], 0x04, "WCE");
    let changeable = rig.data(build::mode_sense_6(true, 0x48, 0, 255));
    assert_eq!(changeable[6], 0x04, "WCE, since there is a volatile cache");
    assert_eq!(rig.data(build::mode_sense_6(true, 0x3F, 0, 4)), [99, 0, 0x10, 0]);
    assert_eq!(
        rig.sense(build::mode_sense_6(true, 0xC8, 0, 255)),
        Some(Sense::SAVING_PARAMETERS_NOT_SUPPORTED)
    );

    let unit = LogicalUnit::new(UnitConfig { read_only: true, ..config() });
    rig.target.remove_unit(Lun::ZERO);
    rig.target.add_unit(Lun::ZERO, unit).unwrap();
    assert_eq!(rig.sense(build::test_unit_ready()), Some(Sense::RESET_OCCURRED));
    assert_eq!(rig.data(build::mode_sense_10(true, 0x08, 0, 255))[3], 0x90);
}

#[test]
fn selected_reports() {
    let mut rig = rig();
    for (select, count) in [(0x00, 2), (0x01, 0), (0x02, 2), (0x10, 0), (0x11, 2)] {
        let data = rig.data(build::report_luns(select, 4096));
        assert_eq!(report_luns::parse(&data).unwrap().count(), count);
    }
    assert_eq!(
        rig.sense(build::report_luns(0x03, 4096)),
        Some(Sense::invalid_field_in_cdb(2, Some(7)))
    );
    assert_eq!(rig.data(build::report_luns(0, 8)), [0, 0, 0, 16, 0, 0, 0, 0]);
}

proptest! {
    #[test]
    fn takes_any_command(
        lun: [u8; 8],
        at_zero: bool,
        cdb in prop::collection::vec(any::<u8>(), 0..40),
        attention: bool,
    ) {
        let mut rig = rig();
        let lun = if at_zero { ZERO } else { lun };
        if attention {
            rig.establish(UnitAttention::InquiryDataChanged);
        }
        let short = rig.target.forward(rig.a, lun, &cdb);
        let verdict = rig.target.check(rig.a, lun, &cdb);
        match verdict {
            Verdict::Forward(forwarded) => {
                prop_assert!(at_zero && !attention);
                prop_assert!(short.is_none_or(|short| short == forwarded));
            }
            Verdict::Data(parameters) => {
                prop_assert!(at_zero && !attention && short.is_none());
                prop_assert!((1..=PARAMETER_LIST_MAX).contains(&parameters.length));
            }
            Verdict::Answer(Response { status, sense, data }) => {
                prop_assert_eq!(short, None);
                prop_assert_eq!(sense.is_some(), status == Status::CheckCondition);
                prop_assert!(sense.is_none() || data.is_empty());
            }
        }
    }

    /// Data-in never exceeds what the initiator has room for.
    #[test]
    fn answers_keep_to_the_allocation_length(page in prop::option::of(0_u8..), length: u16) {
        let mut rig = rig();
        let response = rig.answer(ZERO, build::inquiry(page, length));
        prop_assert!(response.data.len() <= usize::from(length));
    }
}
