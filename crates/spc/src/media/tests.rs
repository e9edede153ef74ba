use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::command::parse;
use proptest::prelude::*;

use super::*;
use crate::unit::tests::config;
use crate::unit::{Atomic, Limits, UnitConfig};

fn verdict_on(unit: &LogicalUnit, cdb: Cdb) -> Verdict {
    let command = parse(cdb.as_slice()).unwrap();
    let verdict = check(unit, Lun::ZERO, &command).unwrap();
    if let Some(forwarded) = pass(unit, Lun::ZERO, &command) {
        assert_eq!(verdict, Verdict::Forward(forwarded), "the short way says the same");
    }
    verdict
}

fn verdict(cdb: Cdb) -> Verdict {
    verdict_on(&LogicalUnit::new(config()), cdb)
}

fn length(verdict: &Verdict) -> Option<(Direction, u32)> {
    match verdict {
        Verdict::Forward(forwarded) => Some((forwarded.direction, forwarded.length)),
        Verdict::Answer(_) | Verdict::Data(_) => None,
    }
}

fn good() -> Verdict {
    Verdict::good(Vec::new())
}

fn invalid(byte: u16, bit: Option<u8>) -> Verdict {
    Sense::invalid_field_in_cdb(byte, bit).into()
}

#[test]
fn forwards_with_length_and_direction() {
    let cases = [
        (build::read_10(0, 8), Direction::FromDevice, 4096),
        (build::write_16(992, 8), Direction::ToDevice, 4096),
        (build::verify_16(0, 8, 0), Direction::None, 0),
        (build::verify_16(0, 8, 1), Direction::ToDevice, 4096),
        (build::write_and_verify_16(0, 8, 0), Direction::ToDevice, 4096),
        (build::write_same_16(0, 8, true, false), Direction::ToDevice, 512),
        (build::write_same_16(0, 8, false, true), Direction::None, 0),
        (build::unmap(24), Direction::ToDevice, 24),
        (build::synchronize_cache_10(0, 0), Direction::None, 0),
        (build::compare_and_write(0, 4), Direction::ToDevice, 4096),
        (build::orwrite_16(0, 8), Direction::ToDevice, 4096),
        (build::write_atomic_16(8, 8, 0), Direction::ToDevice, 4096),
        (build::pre_fetch_16(0, 0, false), Direction::None, 0),
        (build::get_lba_status_16(999, 24), Direction::FromDevice, 24),
        (build::get_lba_status_16(0, u32::MAX), Direction::FromDevice, 65536),
    ];
    for (cdb, direction, bytes) in cases {
        assert_eq!(length(&verdict(cdb)), Some((direction, bytes)), "{cdb:?}");
    }
}

#[test]
fn ends_what_has_nothing_to_do() {
    for cdb in [
        build::read_10(0, 0),
        build::write_10(1000, 0),
        build::verify_16(5, 0, 1),
        build::unmap(0),
        build::write_atomic_16(0, 0, 0),
    ] {
        assert_eq!(verdict(cdb), good(), "{cdb:?}");
    }
}

#[test]
fn ranges() {
    assert!(length(&verdict(build::read_10(999, 1))).is_some());
    let beyond = |lba| Verdict::from(Sense::lba_out_of_range(lba));
    assert_eq!(verdict(build::read_10(999, 2)), beyond(1000));
    assert_eq!(verdict(build::write_16(u64::MAX, 1)), beyond(u64::MAX));
    assert_eq!(verdict(build::read_16(1001, 0)), beyond(1001));
    assert_eq!(verdict(build::synchronize_cache_16(999, 2)), beyond(1000));
    assert_eq!(verdict(build::write_same_10(999, 2, false)), beyond(1000));
    assert_eq!(verdict(build::verify_16(1001, 1, 0)), beyond(1001));
}

#[test]
fn limits_point_at_the_length_field() {
    assert!(length(&verdict(build::read_10(0, 64))).is_some());
    assert_eq!(verdict(build::read_6(0, 65)), invalid(4, None));
    assert_eq!(verdict(build::read_10(0, 65)), invalid(7, None));
    assert_eq!(verdict(build::write_12(0, 65)), invalid(6, None));
    assert_eq!(verdict(build::write_16(0, 65)), invalid(10, None));
    assert_eq!(verdict(build::write_same_16(0, 129, false, true)), invalid(10, None));
    // WSNZ; what lies beyond the medium is said first.
    assert_eq!(verdict(build::write_same_10(900, 0, false)), invalid(7, None));
    assert_eq!(verdict(build::write_same_10(1001, 0, true)), Sense::lba_out_of_range(1001).into());
    // On a fully provisioned unit no blocks are those up to the end: too many here, few enough there.
    let full = LogicalUnit::new(UnitConfig { provisioning: Provisioning::Full, ..config() });
    assert_eq!(verdict_on(&full, build::write_same_10(0, 0, false)), invalid(7, None));
    let rest = verdict_on(&full, build::write_same_10(900, 0, false));
    assert_eq!(length(&rest), Some((Direction::ToDevice, 512)));
}

#[test]
fn protection_is_refused() {
    assert_eq!(verdict(build::read_10(0, 1).with(1, 0x20)), invalid(1, Some(7)));
    assert_eq!(verdict(build::write_same_10(0, 1, false).with(1, 0xE0)), invalid(1, Some(7)));
}

#[test]
fn write_protection() {
    let unit = LogicalUnit::new(UnitConfig { read_only: true, ..config() });
    let protected = Verdict::from(Sense::WRITE_PROTECTED);
    for cdb in [
        build::write_6(0, 1),
        build::write_10(0, 0),
        build::write_and_verify_16(0, 1, 0),
        build::write_same_16(0, 1, false, true),
        build::unmap(24),
    ] {
        assert_eq!(verdict_on(&unit, cdb), protected, "{cdb:?}");
    }
    for cdb in [build::read_10(0, 1), build::verify_16(0, 1, 1), build::synchronize_cache_10(0, 0)]
    {
        assert!(length(&verdict_on(&unit, cdb)).is_some(), "{cdb:?}");
    }
}

#[test]
fn provisioning() {
    let unit = LogicalUnit::new(UnitConfig { provisioning: Provisioning::Full, ..config() });
    assert_eq!(verdict_on(&unit, build::unmap(24)), Sense::INVALID_OPCODE.into());
    assert_eq!(verdict_on(&unit, build::write_same_10(0, 1, true)), invalid(1, Some(3)));
    assert!(length(&verdict_on(&unit, build::write_same_10(0, 1, false))).is_some());
    // Anchored blocks are not supported.
    assert_eq!(verdict(build::unmap(24).with(1, 0x01)), invalid(1, Some(0)));
    assert_eq!(verdict(build::write_same_10(0, 1, true).with(1, 0x10)), invalid(1, Some(4)));
}

#[test]
fn not_ready() {
    let mut unit = LogicalUnit::new(config());
    unit.set_not_ready(Some(Sense::NOT_READY_BECOMING_READY));
    for cdb in [
        build::read_10(0, 1),
        build::write_same_10(0, 1, true),
        build::unmap(24),
        build::synchronize_cache_10(0, 0),
        build::get_lba_status_16(0, 24),
        build::pre_fetch_10(0, 1, true),
        build::compare_and_write(0, 1),
    ] {
        assert_eq!(verdict_on(&unit, cdb), Sense::NOT_READY_BECOMING_READY.into(), "{cdb:?}");
    }
}

#[test]
fn limits_of_atomic_and_compared_writes() {
    assert_eq!(verdict(build::compare_and_write(0, 17)), invalid(13, None));
    assert_eq!(verdict(build::write_atomic_16(0, 40, 0)), invalid(12, None));
    assert_eq!(verdict(build::write_atomic_16(4, 8, 0)), invalid(2, None));
    assert_eq!(verdict(build::write_atomic_16(8, 4, 0)), invalid(12, None));
    assert_eq!(verdict(build::write_atomic_16(8, 8, 64)), invalid(10, None));
    assert!(length(&verdict(build::write_atomic_16(8, 64, 32))).is_some());
    let none = Limits { max_compare_and_write: 0, atomic: Atomic::default(), ..config().limits };
    let unit = LogicalUnit::new(UnitConfig { limits: none, ..config() });
    for cdb in [build::compare_and_write(0, 1), build::write_atomic_16(0, 8, 0)] {
        assert_eq!(verdict_on(&unit, cdb), Sense::INVALID_OPCODE.into());
    }
}

#[test]
fn other_commands_are_not_for_the_driver() {
    let unit = LogicalUnit::new(config());
    for cdb in [build::test_unit_ready(), build::inquiry(None, 96), build::read_capacity_10()] {
        let command = parse(cdb.as_slice()).unwrap();
        assert_eq!(check(&unit, Lun::ZERO, &command), None);
        assert_eq!(pass(&unit, Lun::ZERO, &command), None);
    }
}

proptest! {
    /// Whatever is forwarded lies within the medium and the limits, and the short way agrees.
    #[test]
    fn forwarded_commands_are_in_order(cdb: [u8; 16], low in 0_u64..2000, opcode in 0_usize..6) {
        const OPCODES: [u8; 6] = [0x88, 0x8A, 0x8F, 0x8E, 0x93, 0x91];
        let mut cdb = cdb;
        cdb[0] = OPCODES[opcode];
        cdb[2..10].copy_from_slice(&low.to_be_bytes());
        cdb[10..13].copy_from_slice(&[0; 3]);
        let unit = LogicalUnit::new(config());
        let Limits { max_transfer, max_write_same, .. } = unit.config().limits;
        if let Ok(command) = parse(&cdb) {
            let verdict = check(&unit, Lun::ZERO, &command).unwrap();
            let short = pass(&unit, Lun::ZERO, &command);
            if let Verdict::Forward(forwarded) = verdict {
                let range = command.lba_range().unwrap();
                prop_assert!(range.lba + range.blocks <= 1000);
                let limit = match command {
                    Command::SynchronizeCache { .. } => u32::MAX,
                    Command::WriteSame(_) => max_write_same,
                    _ => max_transfer,
                };
                prop_assert!(range.blocks <= u64::from(limit));
                prop_assert_eq!(u64::from(forwarded.length), command.transfer_length(512));
                let moves = matches!(command, Command::Read(_) | Command::Write(_));
                prop_assert_eq!(short, moves.then_some(forwarded));
            } else {
                prop_assert_eq!(short, None);
            }
        }
    }
}
