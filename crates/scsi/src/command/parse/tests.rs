use proptest::prelude::*;

use super::super::{Direction, LbaRange, build, build::Cdb};
use super::*;

fn parsed(cdb: Cdb) -> Command {
    parse(cdb.as_slice()).unwrap()
}

fn transfer(lba: u64, blocks: u32, size: CdbSize) -> Transfer {
    Transfer { lba, blocks, fua: false, dpo: false, protect: 0, size }
}

#[test]
fn reads_and_writes_of_every_size() {
    assert_eq!(
        parsed(build::read_6(0x1F_FFFF, 7)),
        Command::Read(transfer(0x1F_FFFF, 7, CdbSize::Six))
    );
    assert_eq!(
        parsed(build::read_10(0x1234_5678, 0x9ABC)),
        Command::Read(transfer(0x1234_5678, 0x9ABC, CdbSize::Ten))
    );
    assert_eq!(
        parsed(build::write_12(0x1234_5678, 0x9ABC_DEF0)),
        Command::Write(transfer(0x1234_5678, 0x9ABC_DEF0, CdbSize::Twelve))
    );
    assert_eq!(
        parsed(build::write_16(0x1234_5678_9ABC_DEF0, 0x0102_0304)),
        Command::Write(transfer(0x1234_5678_9ABC_DEF0, 0x0102_0304, CdbSize::Sixteen))
    );
}

#[test]
fn six_byte_transfers_of_zero_blocks_mean_256() {
    assert_eq!(parsed(build::read_6(0, 0)).transfer().map(|t| t.blocks), Some(256));
    assert_eq!(parsed(build::write_6(0, 0)).transfer().map(|t| t.blocks), Some(256));
    assert_eq!(parsed(build::read_10(0, 0)).transfer().map(|t| t.blocks), Some(0));
}

#[test]
fn flags_of_byte_1() {
    let command = parsed(build::write_10(0, 1).with(1, build::FUA | build::DPO | 0x60));
    let expected = Transfer { fua: true, dpo: true, protect: 3, ..transfer(0, 1, CdbSize::Ten) };
    assert_eq!(command, Command::Write(expected));
    // No FUA in VERIFY.
    let command = parsed(build::verify_16(0, 1, 1).with(1, build::FUA));
    assert!(!command.transfer().unwrap().fua);
}

#[test]
fn naca_is_refused_in_every_control_byte() {
    for opcode in 0..=0xFF {
        let cdb = Cdb::new(opcode);
        if parse(cdb.as_slice()).is_err() {
            continue;
        }
        let control = cdb.len() - 1;
        assert_eq!(
            parse(cdb.with(control, 0x04).as_slice()),
            Err(Sense::invalid_field_in_cdb(control as u16, Some(2))),
            "opcode {opcode:02X}h"
        );
    }
}

#[test]
fn unknown_operation_codes() {
    assert_eq!(parse(&[0xFF; 16]), Err(Sense::INVALID_OPCODE));
    assert_eq!(parse(&[0x7F; 32]), Err(Sense::INVALID_OPCODE));
    assert_eq!(parse(&[0x04]), Err(Sense::INVALID_OPCODE));
}

#[test]
fn truncated_cdbs_point_at_the_first_missing_byte() {
    assert_eq!(parse(&[]), Err(Sense::invalid_field_in_cdb(0, None)));
    assert_eq!(parse(&[0x28; 9]), Err(Sense::invalid_field_in_cdb(9, None)));
    assert_eq!(parse(&[0x12; 1]), Err(Sense::invalid_field_in_cdb(1, None)));
}

#[test]
fn inquiry_page_code_needs_evpd() {
    let allocation_length = 96;
    assert_eq!(parsed(build::inquiry(None, 96)), Command::Inquiry { vpd: None, allocation_length });
    assert_eq!(
        parsed(build::inquiry(Some(0x83), 96)),
        Command::Inquiry { vpd: Some(0x83), allocation_length }
    );
    assert_eq!(parse(&[0x12, 0, 0x83, 0, 96, 0]), Err(Sense::invalid_field_in_cdb(2, Some(7))));
    assert_eq!(parse(&[0x12, 2, 0, 0, 96, 0]), Err(Sense::invalid_field_in_cdb(1, Some(1))));
}

#[test]
fn mode_sense_operands() {
    let expected = ModeSense {
        dbd: true,
        llbaa: false,
        page_control: PageControl::Changeable,
        page: 0x08,
        subpage: 0xFF,
        allocation_length: 192,
        ten: false,
    };
    assert_eq!(parsed(build::mode_sense_6(true, 0x48, 0xFF, 192)), Command::ModeSense(expected));
    // LLBAA is a bit of MODE SENSE(10) only.
    let six = build::mode_sense_6(true, 0x48, 0xFF, 192).with(1, LLBAA);
    assert_eq!(parsed(six), Command::ModeSense(expected));
    let ten = build::mode_sense_10(false, 0xFF, 0, 0x1234).with(1, LLBAA);
    let expected = ModeSense {
        dbd: false,
        llbaa: true,
        page_control: PageControl::Saved,
        page: 0x3F,
        subpage: 0,
        allocation_length: 0x1234,
        ten: true,
    };
    assert_eq!(parsed(ten), Command::ModeSense(expected));
}

#[test]
fn byte_check_values() {
    let checks = [
        Ok(ByteCheck::Medium),
        Ok(ByteCheck::Compare),
        Err(Sense::invalid_field_in_cdb(1, Some(2))),
        Ok(ByteCheck::CompareOneBlock),
    ];
    for (value, expected) in checks.into_iter().enumerate() {
        let transfer = transfer(8, 2, CdbSize::Sixteen);
        assert_eq!(
            parse(build::verify_16(8, 2, value as u8).as_slice()),
            expected.map(|byte_check| Command::Verify { transfer, byte_check })
        );
    }
    assert!(parse(build::write_and_verify_16(8, 2, 1).as_slice()).is_ok());
    assert!(parse(build::write_and_verify_16(8, 2, 3).as_slice()).is_err());
}

#[test]
fn write_same_flags() {
    let expected = WriteSame {
        lba: 16,
        blocks: 8,
        unmap: true,
        anchor: false,
        no_data_out: true,
        protect: 0,
        size: CdbSize::Sixteen,
    };
    let cdb = build::write_same_16(16, 8, true, true);
    assert_eq!(parsed(cdb), Command::WriteSame(expected));
    assert_eq!(parsed(cdb).direction(), Direction::None);
    assert_eq!(
        parse(build::write_same_10(0, 1, false).with(1, 0x10).as_slice()),
        Err(Sense::invalid_field_in_cdb(1, Some(4)))
    );
    assert_eq!(
        parse(build::write_same_10(0, 1, false).with(1, 0x04).as_slice()),
        Err(Sense::invalid_field_in_cdb(1, Some(2)))
    );
    // Bit 0 is NDOB in WRITE SAME(16), obsolete in WRITE SAME(10).
    let ten = parsed(build::write_same_10(0, 1, false).with(1, 0x01));
    assert_eq!(ten.direction(), Direction::ToDevice);
}

#[test]
fn service_actions() {
    assert_eq!(
        parsed(build::read_capacity_16(32)),
        Command::ReadCapacity16 { allocation_length: 32 }
    );
    assert_eq!(
        parse(Cdb::new(0x9E).with(1, 0x1F).as_slice()),
        Err(Sense::invalid_field_in_cdb(1, Some(4)))
    );
}

#[test]
fn remaining_commands() {
    assert_eq!(parsed(build::test_unit_ready()), Command::TestUnitReady);
    assert_eq!(
        parsed(build::request_sense(true, 252)),
        Command::RequestSense { descriptor: true, allocation_length: 252 }
    );
    assert_eq!(
        parsed(build::report_luns(2, 4096)),
        Command::ReportLuns { select_report: 2, allocation_length: 4096 }
    );
    assert_eq!(parsed(build::read_capacity_10()), Command::ReadCapacity10);
    assert_eq!(
        parsed(build::synchronize_cache_10(1, 2).with(1, 0x02)),
        Command::SynchronizeCache { lba: 1, blocks: 2, immediate: true }
    );
    assert_eq!(
        parsed(build::synchronize_cache_16(1 << 40, 2)),
        Command::SynchronizeCache { lba: 1 << 40, blocks: 2, immediate: false }
    );
    assert_eq!(
        parsed(build::unmap(24).with(1, 0x01)),
        Command::Unmap { anchor: true, parameter_list_length: 24 }
    );
    assert_eq!(
        parse(&[0x1B, 0x01, 0, 0x0A, 0x37, 0]),
        Ok(Command::StartStopUnit(StartStopUnit {
            immediate: true,
            power_condition: 3,
            power_condition_modifier: 0x0A,
            load_eject: true,
            start: true,
            no_flush: true,
        }))
    );
}

#[test]
fn lengths_and_directions() {
    let cases = [
        (build::read_10(0, 8), Direction::FromDevice, 4096),
        (build::write_16(0, 8), Direction::ToDevice, 4096),
        (build::read_16(0, u32::MAX), Direction::FromDevice, u64::from(u32::MAX) * 512),
        (build::verify_16(0, 8, 0), Direction::None, 0),
        (build::verify_16(0, 8, 1), Direction::ToDevice, 4096),
        (build::verify_16(0, 8, 3), Direction::ToDevice, 512),
        (build::verify_16(0, 0, 3), Direction::ToDevice, 0),
        (build::write_and_verify_16(0, 8, 0), Direction::ToDevice, 4096),
        (build::write_same_16(0, 8, false, false), Direction::ToDevice, 512),
        (build::write_same_16(0, 8, false, true), Direction::None, 0),
        (build::unmap(24), Direction::ToDevice, 24),
        (build::read_capacity_10(), Direction::FromDevice, 8),
        (build::read_capacity_16(32), Direction::FromDevice, 32),
        (build::inquiry(None, 96), Direction::FromDevice, 96),
        (build::report_luns(0, 16), Direction::FromDevice, 16),
        (build::request_sense(false, 18), Direction::FromDevice, 18),
        (build::mode_sense_6(false, 0x3F, 0, 4), Direction::FromDevice, 4),
        (build::test_unit_ready(), Direction::None, 0),
        (build::synchronize_cache_10(0, 8), Direction::None, 0),
        (build::start_stop_unit(true), Direction::None, 0),
    ];
    for (cdb, direction, length) in cases {
        let command = parsed(cdb);
        assert_eq!(command.direction(), direction, "{command}");
        assert_eq!(command.transfer_length(512), length, "{command}");
    }
}

#[test]
fn ranges() {
    let range = |cdb| parsed(cdb).lba_range();
    assert_eq!(range(build::read_10(3, 4)), Some(LbaRange { lba: 3, blocks: 4 }));
    assert_eq!(range(build::write_same_10(3, 0, false)), Some(LbaRange { lba: 3, blocks: 0 }));
    assert_eq!(range(build::synchronize_cache_16(3, 4)), Some(LbaRange { lba: 3, blocks: 4 }));
    assert_eq!(range(build::unmap(8)), None);

    let beyond = |lba, blocks| LbaRange { lba, blocks }.first_beyond(100);
    assert_eq!(beyond(0, 100), None);
    assert_eq!(beyond(100, 0), None);
    assert_eq!(beyond(101, 0), Some(101));
    assert_eq!(beyond(99, 2), Some(100));
    assert_eq!(beyond(u64::MAX, u64::MAX), Some(u64::MAX));
}

#[test]
fn medium_changing_commands() {
    assert!(parsed(build::write_6(0, 1)).changes_medium());
    assert!(parsed(build::unmap(0)).changes_medium());
    assert!(parsed(build::write_same_10(0, 1, true)).changes_medium());
    assert!(parsed(build::write_and_verify_16(0, 1, 0)).changes_medium());
    assert!(!parsed(build::read_6(0, 1)).changes_medium());
    assert!(!parsed(build::synchronize_cache_10(0, 1)).changes_medium());
}

#[test]
fn command_stays_small() {
    assert!(size_of::<Command>() <= 32);
}

proptest! {
    #[test]
    fn takes_any_bytes(cdb in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(command) = parse(&cdb) {
            let _ = (command.direction(), command.transfer_length(u32::MAX), command.lba_range());
        }
    }

    #[test]
    fn the_hot_path_agrees(mut cdb: [u8; 16], opcode in 0_usize..5, len in 0_usize..=16) {
        cdb[0] = [op::READ_10, op::WRITE_10, op::READ_16, op::WRITE_16, cdb[0]][opcode];
        let cdb = &cdb[..len];
        match parse_hot(cdb) {
            Some(command) => prop_assert_eq!(parse(cdb), Ok(command)),
            None => prop_assert!(opcode == 4 || parse(cdb).is_err()),
        }
    }

    #[test]
    fn padding_does_not_matter(cdb: [u8; 16], padding: [u8; 16]) {
        let mut padded = [0; 32];
        padded[..16].copy_from_slice(&cdb);
        padded[16..].copy_from_slice(&padding);
        prop_assert_eq!(parse(&cdb), parse(&padded));
    }

    #[test]
    fn block_commands_round_trip(lba: u64, blocks: u32) {
        let expected = LbaRange { lba, blocks: u64::from(blocks) };
        for cdb in [build::read_16(lba, blocks), build::write_same_16(lba, blocks, true, true)] {
            prop_assert_eq!(parse(cdb.as_slice()).unwrap().lba_range(), Some(expected));
        }
    }

    #[test]
    fn only_data_commands_have_a_length(cdb: [u8; 16]) {
        if let Ok(command) = parse(&cdb)
            && command.direction() == Direction::None
        {
            prop_assert_eq!(command.transfer_length(512), 0);
        }
    }
}
