use outboard_scsi::alua::{AccessState, encode_set};
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::{Lun, Sense, vpd};

use super::*;
use crate::attention::UnitAttention;
use crate::error::SpcError;
use crate::nexus::{Nexus, NexusId};
use crate::target::{Target, TargetPort};
use crate::unit::LogicalUnit;
use crate::unit::tests::config;
use crate::verdict::{Response, Verdict};

const ZERO: [u8; 8] = [0; 8];

/// Ports 1 and 2, each a group of its own (7 and 8), and a nexus through each.
fn rig() -> (Target, [NexusId; 2]) {
    let port = |relative_id| TargetPort { relative_id, name: String::new(), protocol: 5 };
    let mut target = Target::new("iqn.2026-01.example:t", vec![port(1), port(2)], 4);
    let group = |id, port| PortGroup { id, ports: vec![port], preferred: port == 1 };
    target.set_port_groups(vec![group(7, 1), group(8, 2)]).unwrap();
    target.add_unit(Lun::ZERO, LogicalUnit::new(config())).unwrap();
    let ids = [1, 2].map(|target_port| {
        let nexus = Nexus { initiator_port: "iqn.a".to_owned(), target_port };
        let id = target.open_nexus(nexus).unwrap();
        target.unit_mut(Lun::ZERO).unwrap().attentions.clear_all(id.index());
        id
    });
    (target, ids)
}

fn check(target: &mut Target, id: NexusId, cdb: Cdb) -> Option<Response> {
    match target.check(id, ZERO, cdb.as_slice()) {
        Verdict::Answer(response) => Some(response),
        Verdict::Forward(_) => None,
        Verdict::Data(_) => panic!("has a parameter list"),
    }
}

fn set(target: &mut Target, id: NexusId, groups: &[(AccessState, u16)]) -> Option<Sense> {
    let mut list = [0; 64];
    let len = encode_set(groups.iter().copied(), &mut list);
    let cdb = build::set_target_port_groups(len as u32);
    assert!(matches!(target.check(id, ZERO, cdb.as_slice()), Verdict::Data(_)));
    target.parameters(id, Lun::ZERO, cdb.as_slice(), &list[..len]).sense
}

fn attention(target: &mut Target, id: NexusId) -> Option<UnitAttention> {
    target.unit_mut(Lun::ZERO).unwrap().attentions.take(id.index())
}

#[test]
fn one_group_by_default() {
    let port = |relative_id| TargetPort { relative_id, name: String::new(), protocol: 5 };
    let mut target = Target::new("", vec![port(1), port(2)], 1);
    target.add_unit(Lun::ZERO, LogicalUnit::new(config())).unwrap();
    let nexus = Nexus { initiator_port: "a".to_owned(), target_port: 2 };
    let id = target.open_nexus(nexus).unwrap();
    assert!(attention(&mut target, id).is_some());
    let groups = build::report_target_port_groups(false, 512);
    let data = check(&mut target, id, groups).unwrap().data;
    assert_eq!(data, [0, 0, 0, 16, 0x00, 0x0F, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    let inquiry = check(&mut target, id, build::inquiry(None, 96)).unwrap().data;
    assert_eq!(inquiry[5] >> 4 & 0x03, 0b11, "TPGS");
    let page = build::inquiry(Some(vpd::DEVICE_IDENTIFICATION), 512);
    let page = check(&mut target, id, page).unwrap().data;
    let has = |designator: [u8; 8]| page.windows(8).any(|window| window == designator);
    assert!(has([0x51, 0x94, 0, 4, 0, 0, 0, 2]), "relative target port");
    assert!(has([0x51, 0x95, 0, 4, 0, 0, 0, 1]), "target port group");
}

#[test]
fn explicit_changes() {
    let (mut target, [one, two]) = rig();
    assert_eq!(set(&mut target, one, &[(AccessState::Standby, 8)]), None);
    assert_eq!(attention(&mut target, one), None, "it knows");
    assert_eq!(attention(&mut target, two), Some(UnitAttention::AccessStateChanged));
    let groups = build::report_target_port_groups(true, 512);
    let data = check(&mut target, two, groups).unwrap().data;
    assert_eq!(data[..8], [0, 0, 0, 28, 0x10, 0, 0, 0]);
    assert_eq!(data[8..20], [0x80, 0x0F, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(data[20..], [0x02, 0x0F, 0, 8, 0, 1, 0, 1, 0, 0, 0, 2]);
    let cut = build::report_target_port_groups(true, 6);
    assert_eq!(check(&mut target, two, cut).unwrap().data, data[..6]);

    assert_eq!(set(&mut target, one, &[(AccessState::Standby, 8)]), None, "no change");
    assert_eq!(attention(&mut target, two), None);
    let unknown = set(&mut target, one, &[(AccessState::Optimized, 8), (AccessState::Standby, 9)]);
    assert_eq!(unknown, Some(Sense::invalid_field_in_parameter_list(10, None)));
    let read = build::read_10(0, 1);
    let still = check(&mut target, two, read).unwrap().sense;
    assert_eq!(still, Some(Sense::NOT_READY_PORT_STANDBY), "all or nothing");
    assert_eq!(set(&mut target, two, &[(AccessState::NonOptimized, 8)]), None);
    assert_eq!(check(&mut target, two, read), None);
    assert!(target.forward(two, ZERO, read.as_slice()).is_some());
}

#[test]
fn standby_and_unavailable_ports_refuse() {
    let (mut target, [one, two]) = rig();
    let state = |target: &mut Target, state| {
        target.set_access_state(Lun::ZERO, 8, state).unwrap();
        assert_eq!(attention(target, one), Some(UnitAttention::AccessStateChanged));
        assert_eq!(attention(target, two), Some(UnitAttention::AccessStateChanged));
    };
    let sense = |target: &mut Target, cdb: Cdb| check(target, two, cdb).and_then(|r| r.sense);
    let always = [
        build::inquiry(None, 96),
        build::report_luns(0, 64),
        build::request_sense(false, 252),
        build::report_target_port_groups(false, 64),
    ];
    let media = [build::read_10(0, 1), build::write_10(0, 1), build::test_unit_ready()];
    let mode = build::mode_sense_6(false, 0x3F, 0, 252);
    for (access, refusal, mode_passes) in [
        (AccessState::Standby, Sense::NOT_READY_PORT_STANDBY, true),
        (AccessState::Unavailable, Sense::NOT_READY_PORT_UNAVAILABLE, false),
    ] {
        state(&mut target, access);
        for cdb in always {
            assert_eq!(sense(&mut target, cdb), None, "{access:?} {cdb:?}");
        }
        for cdb in media {
            assert_eq!(sense(&mut target, cdb), Some(refusal), "{access:?} {cdb:?}");
            assert_eq!(target.forward(two, ZERO, cdb.as_slice()), None);
        }
        assert_eq!(sense(&mut target, mode), (!mode_passes).then_some(refusal));
        assert!(target.forward(one, ZERO, media[0].as_slice()).is_some(), "the other port");
    }
    state(&mut target, AccessState::Optimized);
    assert_eq!(check(&mut target, two, media[0]), None);
}

#[test]
fn groups_must_divide_the_ports() {
    let (mut target, _) = rig();
    let group = |id, ports: &[u16]| PortGroup { id, ports: ports.to_vec(), preferred: false };
    for groups in [
        vec![],
        vec![group(1, &[1])],
        vec![group(1, &[1]), group(1, &[2])],
        vec![group(1, &[1, 2]), group(2, &[2])],
        vec![group(1, &[1, 2, 3])],
    ] {
        assert!(matches!(target.set_port_groups(groups), Err(SpcError::InvalidPortGroups)));
    }
    target.set_port_groups(vec![group(1, &[2, 1])]).unwrap();
    let wrong = target.set_access_state(Lun::ZERO, 7, AccessState::Standby);
    assert!(matches!(wrong, Err(SpcError::NoPortGroup(7))));
    assert_eq!(target.port_groups(), [group(1, &[2, 1])]);
}

#[test]
fn states_are_of_one_unit() {
    let (mut target, [one, two]) = rig();
    target.add_unit(Lun::from(1), LogicalUnit::new(config())).unwrap();
    target.unit_mut(Lun::ZERO).unwrap().attentions.clear_all(one.index());
    assert_eq!(set(&mut target, one, &[(AccessState::Unavailable, 8)]), None);
    target.unit_mut(Lun::ZERO).unwrap().attentions.clear_all(two.index());
    let other = [0, 1, 0, 0, 0, 0, 0, 0];
    target.unit_mut(Lun::from(1)).unwrap().attentions.clear_all(two.index());
    assert!(target.forward(two, other, build::read_10(0, 1).as_slice()).is_some());
    let refused = check(&mut target, two, build::read_10(0, 1)).and_then(|r| r.sense);
    assert_eq!(refused, Some(Sense::NOT_READY_PORT_UNAVAILABLE));
}
