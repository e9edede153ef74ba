use outboard_scsi::command::build;
use outboard_scsi::copy::{ManagerStatus, encode};
use outboard_scsi::vpd;

use super::*;
use crate::identity::Identity;
use crate::nexus::Nexus;
use crate::target::TargetPort;
use crate::unit::tests::config;
use crate::unit::{Capacity, UnitConfig};

const NAMES: [[u8; 8]; 2] = [[0x30, 0, 0, 0, 0, 0, 0, 1], [0x30, 0, 0, 0, 0, 0, 0, 2]];

/// Units of 512 and of 4096 bytes a block at LUN 0 and 2.
fn rig() -> (Target, NexusId) {
    let port = TargetPort { relative_id: 1, name: String::new(), protocol: vpd::ISCSI_PROTOCOL };
    let mut target = Target::new("", vec![port], 2);
    for ((lun, block), name) in [(0, 512), (2, 4096)].into_iter().zip(NAMES) {
        let identity = Identity::new("V", "P", "1", "S").unwrap().with_naa64(name);
        let capacity = Capacity::new(1000, block).unwrap();
        let unit = UnitConfig { identity, capacity, ..config() };
        target.add_unit(Lun::from(lun), LogicalUnit::new(unit)).unwrap();
    }
    let nexus = Nexus { initiator_port: "a".to_owned(), target_port: 1 };
    let nexus = target.open_nexus(nexus).unwrap();
    for lun in [0, 2] {
        target.unit_mut(Lun::from(lun)).unwrap().attentions.clear_all(nexus.index());
    }
    (target, nexus)
}

fn cscd(unit: usize) -> Cscd<'static> {
    Cscd {
        at: 0,
        device_type: 0,
        code_set: 1,
        association: 0,
        designator_type: 3,
        designator: &NAMES[unit],
        pad: false,
        block_length: if unit == 0 { 512 } else { 4096 },
    }
}

fn segment(source: u16, destination: u16, blocks: u16) -> Segment {
    Segment {
        at: 0,
        destination_count: false,
        concatenate: false,
        source,
        destination,
        blocks,
        source_lba: 8,
        destination_lba: 16,
    }
}

fn send(
    target: &mut Target,
    nexus: NexusId,
    cscds: [Cscd<'_>; 2],
    segments: &[Segment],
) -> Result<Plan, Sense> {
    let mut list = [0; 4096];
    let len = encode(7, ListIdUsage::Hold, cscds, segments.iter().copied(), &mut list);
    let cdb = build::extended_copy(len as u32);
    let response = target.parameters(nexus, Lun::ZERO, cdb.as_slice(), &list[..len]);
    match (response.sense, &target.take_effects()[..]) {
        (Some(sense), []) => Err(sense),
        (None, [Effect::Copy(plan)]) => Ok((**plan).clone()),
        other => panic!("{other:?}"),
    }
}

fn plan(segments: &[Segment]) -> Result<Plan, Sense> {
    let (mut target, nexus) = rig();
    send(&mut target, nexus, [cscd(0), cscd(1)], segments)
}

#[test]
fn segments_name_blocks_of_units() {
    let plan = plan(&[segment(0, 1, 24)]).unwrap();
    let source = Extent { lun: Lun::ZERO, lba: 8, blocks: 24, block_size: 512 };
    let destination = Extent { lun: Lun::from(2), lba: 16, blocks: 3, block_size: 4096 };
    assert_eq!(plan.segments, [Piece { number: 0, source, destination }]);
    assert_eq!((plan.lun, plan.list_identifier), (Lun::ZERO, Some(7)));
    assert_eq!(source.part(4096, 4096), Extent { lba: 16, blocks: 8, ..source });
}

#[test]
fn dc_counts_blocks_of_the_destination() {
    let counted = Segment { destination_count: true, ..segment(0, 1, 3) };
    let plan = plan(&[counted]).unwrap();
    assert_eq!((plan.segments[0].source.blocks, plan.segments[0].destination.blocks), (24, 3));
}

#[test]
fn errors_name_the_segment() {
    assert_eq!(
        plan(&[segment(0, 1, 8), segment(0, 2, 8)]),
        Err(Sense::UNREACHABLE_COPY_TARGET.with_segment(1).with_segment_field(6))
    );
    assert_eq!(
        plan(&[segment(0, 1, 8), segment(0, 0, 8), segment(0, 1, 9)]),
        Err(Sense::UNEXPECTED_INEXACT_SEGMENT.with_segment(2))
    );
    let with = |cscd: Cscd<'_>| {
        let (mut target, nexus) = rig();
        send(&mut target, nexus, [tests::cscd(0), cscd], &[segment(0, 1, 8)])
    };
    let unknown = Cscd { designator: &[0x30, 0, 0, 0, 0, 0, 0, 9], ..cscd(1) };
    assert_eq!(with(unknown), Err(Sense::COPY_TARGET_DEVICE_NOT_REACHABLE.with_segment(0)));
    let tape = Cscd { device_type: 1, ..cscd(1) };
    assert_eq!(with(tape), Err(Sense::INCORRECT_COPY_TARGET_DEVICE_TYPE.with_segment(0)));
    let short = Cscd { block_length: 512, ..cscd(1) };
    assert_eq!(with(short), Err(Sense::invalid_field_in_parameter_list(16 + 32 + 29, None)));
}

#[test]
fn what_no_segment_uses_need_not_exist() {
    let (mut target, nexus) = rig();
    let unknown = Cscd { designator: &[1], ..cscd(1) };
    assert!(send(&mut target, nexus, [cscd(0), unknown], &[segment(0, 0, 8)]).is_ok());
}

#[test]
fn pieces_are_judged_when_their_turn_comes() {
    let (mut target, nexus) = rig();
    let plan = send(&mut target, nexus, [cscd(0), cscd(1)], &[segment(0, 1, 8)]).unwrap();
    let piece = plan.segments[0];
    let refused = |target: &Target| target.copy_refused(nexus, &piece);
    assert_eq!(refused(&target), None);
    target.set_read_only(Lun::from(2), true).unwrap();
    assert_eq!(refused(&target), Some(Sense::COPY_ABORTED.with_segment(0)));
    target.set_read_only(Lun::from(2), false).unwrap();
    target.set_read_only(Lun::ZERO, true).unwrap();
    assert_eq!(refused(&target), None, "it is only read");
    let not_ready = Some(Sense::NOT_READY_BECOMING_READY);
    target.unit_mut(Lun::ZERO).unwrap().set_not_ready(not_ready);
    let unreachable = Some(Sense::COPY_TARGET_DEVICE_NOT_REACHABLE.with_segment(0));
    assert_eq!(refused(&target), unreachable);
    target.unit_mut(Lun::ZERO).unwrap().set_not_ready(None);
    target.remove_unit(Lun::from(2));
    assert_eq!(refused(&target), unreachable);
}

#[test]
fn a_list_identifier_is_of_one_copy_at_a_time() {
    let (mut target, nexus) = rig();
    let segments = [segment(0, 1, 8)];
    let first = send(&mut target, nexus, [cscd(0), cscd(1)], &segments).unwrap();
    let again = send(&mut target, nexus, [cscd(0), cscd(1)], &segments);
    assert_eq!(again, Err(Sense::OPERATION_IN_PROGRESS));
    target.copy_ended(&first, None);
    assert!(send(&mut target, nexus, [cscd(0), cscd(1)], &segments).is_ok());
}

#[test]
fn results_are_held_until_nexus_loss_or_reset() {
    for reset in [false, true] {
        let (mut target, nexus) = rig();
        let plan = send(&mut target, nexus, [cscd(0), cscd(1)], &[segment(0, 1, 8)]).unwrap();
        target.copy_progress(&plan, 1, 4096);
        target.copy_ended(&plan, None);
        let status = target.unit(Lun::ZERO).unwrap().copies.status(nexus, 7).unwrap();
        assert_eq!((status.status, status.bytes), (ManagerStatus::Completed, 4096));
        match reset {
            true => target.reset_unit(Lun::ZERO),
            false => drop(target.close_nexus(nexus)),
        }
        assert_eq!(target.unit(Lun::ZERO).unwrap().copies.status(nexus, 7), None);
    }
}

#[test]
fn what_is_held_is_bounded() {
    let (mut target, nexus) = rig();
    let unit = target.unit_mut(Lun::ZERO).unwrap();
    for identifier in 0..=255 {
        unit.copies.begin(nexus, identifier, true);
        unit.copies.end(nexus, identifier, None);
    }
    assert_eq!(unit.copies.status(nexus, 255 - 64), None);
    assert!(unit.copies.status(nexus, 255 - 63).is_some());
    unit.copies.begin(nexus, 0, false);
    unit.copies.end(nexus, 0, None);
    assert_eq!(unit.copies.status(nexus, 0), None, "discarded");
}
