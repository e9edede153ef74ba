//! START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL.

use super::*;

const EJECT: u8 = 0x02;

fn removable() -> Rig {
    let mut rig = rig();
    rig.target.set_removable(Lun::ZERO, true).unwrap();
    for nexus in [rig.a, rig.b] {
        let attentions = &mut rig.target.unit_mut(Lun::ZERO).unwrap().attentions;
        assert_eq!(attentions.take(nexus.index()), Some(UnitAttention::InquiryDataChanged));
    }
    rig
}

fn eject() -> Cdb {
    build::start_stop_unit(false).with(4, EJECT)
}

fn load() -> Cdb {
    build::start_stop_unit(true).with(4, EJECT)
}

#[test]
fn a_stopped_unit_is_not_ready_until_it_is_started() {
    let mut rig = rig();
    assert!(matches!(rig.check(build::start_stop_unit(false)), Verdict::Forward(_)), "a flush");
    let stopped = Sense::NOT_READY_INITIALIZING_COMMAND_REQUIRED;
    for cdb in [build::test_unit_ready(), build::read_10(0, 1), build::read_capacity_10()] {
        assert_eq!(rig.sense(cdb), Some(stopped));
    }
    assert_eq!(rig.data(build::request_sense(false, 18)), stopped.encode_fixed());
    assert_eq!(rig.sense(build::start_stop_unit(true)), None);
    assert!(matches!(rig.check(build::read_10(0, 1)), Verdict::Forward(_)));
    let no_flush = build::start_stop_unit(false).with(4, 0x04);
    assert_eq!(rig.sense(no_flush), None);
    assert_eq!(rig.sense(build::test_unit_ready()), Some(stopped));
    rig.target.reset_unit(Lun::ZERO);
    assert_eq!(rig.sense(build::test_unit_ready()), None);
}

#[test]
fn a_fixed_unit_has_nothing_to_eject() {
    let mut rig = rig();
    for cdb in [eject(), load()] {
        assert_eq!(rig.sense(cdb), Some(Sense::invalid_field_in_cdb(4, Some(1))));
    }
    let prevent = build::prevent_allow_medium_removal(true);
    assert_eq!(rig.sense(prevent), Some(Sense::INVALID_OPCODE));
    assert_eq!(rig.data(build::inquiry(None, 36))[1], 0);
}

#[test]
fn power_conditions() {
    let mut rig = rig();
    let condition = |code: u8| build::start_stop_unit(false).with(4, code << 4);
    for code in [1, 2, 7] {
        assert_eq!(rig.sense(condition(code)), None);
    }
    assert!(matches!(rig.check(condition(3)), Verdict::Forward(_)));
    for code in [4, 5, 6, 8, 9, 0xA, 0xB, 0xF] {
        let invalid = Sense::invalid_field_in_cdb(4, Some(7));
        assert_eq!(rig.sense(condition(code)), Some(invalid));
    }
    assert_eq!(rig.sense(build::test_unit_ready()), None);
    let mut rig = removable();
    for code in 1..16 {
        assert_eq!(rig.sense(condition(code).with(4, EJECT)), None);
        assert_eq!(rig.sense(build::test_unit_ready()), None, "nothing was ejected");
    }
}

#[test]
fn the_medium_goes_and_comes() {
    let mut rig = removable();
    assert_eq!(rig.data(build::inquiry(None, 36))[1], 0x80);
    let stop = build::start_stop_unit(false);
    assert!(matches!(rig.check(stop), Verdict::Forward(_)));
    assert_eq!(rig.sense(build::test_unit_ready()), None, "it starts by itself");

    assert!(matches!(rig.check(eject()), Verdict::Forward(_)), "a flush");
    for cdb in [
        build::test_unit_ready(),
        build::read_10(0, 1),
        build::read_capacity_16(32),
        build::synchronize_cache_10(0, 1),
        build::get_lba_status_16(0, 24),
        build::pre_fetch_10(0, 1, true),
        build::unmap(24),
        build::write_same_16(0, 1, false, true),
    ] {
        assert_eq!(rig.sense(cdb), Some(Sense::MEDIUM_NOT_PRESENT), "{cdb:?}");
    }
    assert_eq!(rig.sense(eject()), None, "it is out already");
    assert_eq!(rig.sense(stop), None);
    assert!(!rig.data(build::inquiry(None, 96)).is_empty());

    assert_eq!(rig.sense(load()), None);
    assert_eq!(rig.sense(build::test_unit_ready()), None, "who loads it knows");
    let other = rig.target.check(rig.b, ZERO, build::test_unit_ready().as_slice());
    assert_eq!(other, Sense::MEDIUM_MAY_HAVE_CHANGED.into());
    assert_eq!(rig.sense(load()), None);
    let other = rig.target.check(rig.b, ZERO, build::test_unit_ready().as_slice());
    assert_eq!(other, Verdict::good(Vec::new()), "nothing was loaded");
}

#[test]
fn removal_is_prevented_by_any_nexus_until_it_allows_it_or_goes() {
    let mut rig = removable();
    let prevent = |rig: &mut Rig, nexus, prevent| {
        let cdb = build::prevent_allow_medium_removal(prevent);
        assert_eq!(rig.target.check(nexus, ZERO, cdb.as_slice()), Verdict::good(Vec::new()));
    };
    let (a, b) = (rig.a, rig.b);
    let prevented = Some(Sense::MEDIUM_REMOVAL_PREVENTED);
    prevent(&mut rig, a, true);
    prevent(&mut rig, b, true);
    assert_eq!(rig.sense(eject()), prevented);
    assert_eq!(rig.sense(build::test_unit_ready()), None);
    prevent(&mut rig, a, false);
    assert_eq!(rig.sense(eject()), prevented, "the other still does");
    assert_eq!(rig.sense(load()), None, "it is in");
    rig.target.close_nexus(b);
    assert!(matches!(rig.check(eject()), Verdict::Forward(_)));
    prevent(&mut rig, a, true);
    assert_eq!(rig.sense(load()), prevented, "nothing goes in either");
    assert_eq!(rig.sense(build::test_unit_ready()), Some(Sense::MEDIUM_NOT_PRESENT));
    prevent(&mut rig, a, false);
    assert_eq!(rig.sense(load()), None);
    prevent(&mut rig, a, true);
    rig.target.reset_unit(Lun::ZERO);
    assert!(matches!(rig.check(eject()), Verdict::Forward(_)));
    rig.target.reset_unit(Lun::ZERO);
    assert_eq!(rig.sense(build::test_unit_ready()), Some(Sense::MEDIUM_NOT_PRESENT));
}
