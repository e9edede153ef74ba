use proptest::prelude::*;

use super::super::{
    ByteCheck, LogSense, ModeSelect, ModeSense, PageControl, PersistentReserveOut,
    PersistentReserveOutAction, ReadDefectData, ReceiveCopyAction, ReportSupportedOpcodes,
    ReportingOptions, Reserve, Sanitize, SanitizeAction, StartStopUnit, WriteSame,
};
use super::super::{CdbSize, Transfer};
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
fn commands_that_exclude_others() {
    let expected = transfer(0x0102_0304_0506_0708, 9, CdbSize::Sixteen);
    // Bytes 10 to 12 are reserved: they are not part of the length.
    let cdb = build::compare_and_write(0x0102_0304_0506_0708, 9).with(10, 0xFF).with(12, 0xFF);
    assert_eq!(parsed(cdb), Command::CompareAndWrite(expected));
    assert_eq!(parsed(cdb).length_field(), Some(13));
    let or = parsed(build::orwrite_16(0x0102_0304_0506_0708, 9));
    assert_eq!((or, or.length_field()), (Command::OrWrite(expected), Some(10)));
    let atomic = parsed(build::write_atomic_16(0x0102_0304_0506_0708, 9, 0x0A0B));
    assert_eq!(atomic, Command::WriteAtomic { transfer: expected, boundary: 0x0A0B });
    assert_eq!(atomic.length_field(), Some(12));
    for command in [parsed(cdb), or, atomic] {
        assert!(command.is_exclusive() && command.changes_medium());
    }
    assert!(!parsed(build::write_16(0, 1)).is_exclusive());
}

#[test]
fn defects_sanitize_and_removal() {
    let list = ReadDefectData {
        primary: true,
        grown: true,
        format: 5,
        descriptor_index: 0,
        allocation_length: 0x1234,
        twelve: false,
    };
    assert_eq!(parsed(build::read_defect_data_10(5, 0x1234)), Command::ReadDefectData(list));
    let list = ReadDefectData { descriptor_index: 7, twelve: true, ..list };
    assert_eq!(parsed(build::read_defect_data_12(5, 7, 0x1234)), Command::ReadDefectData(list));

    let sanitize = parsed(build::sanitize(SanitizeAction::BlockErase, true, 0).with(1, 0x20));
    assert_eq!(
        sanitize,
        Command::Sanitize(Sanitize {
            action: SanitizeAction::BlockErase,
            immediate: true,
            allow_unrestricted_exit: true,
            parameter_list_length: 0,
        })
    );
    assert!(sanitize.changes_medium());
    assert!(!parsed(build::sanitize(SanitizeAction::ExitFailureMode, false, 0)).changes_medium());

    let prevent = build::prevent_allow_medium_removal(true);
    assert_eq!(parsed(prevent), Command::PreventAllowMediumRemoval { prevent: true });
    assert_eq!(
        parse(prevent.with(4, 0x02).as_slice()),
        Err(Sense::invalid_field_in_cdb(4, Some(1)))
    );
}

#[test]
fn commands_of_every_device() {
    assert_eq!(
        parsed(build::mode_select_10(true, 0x0102).with(1, 0x02)),
        Command::ModeSelect(ModeSelect {
            page_format: true,
            revert_to_defaults: true,
            save_pages: true,
            parameter_list_length: 0x0102,
            ten: true,
        })
    );
    assert_eq!(
        parse(&[0x4D, 0x03, 0x6F, 0x05, 0, 0x01, 0x02, 0x03, 0x04, 0]),
        Ok(Command::LogSense(LogSense {
            save: true,
            changed_only: true,
            page_control: 1,
            page: 0x2F,
            subpage: 5,
            parameter_pointer: 0x0102,
            allocation_length: 0x0304,
        }))
    );
    assert_eq!(
        parsed(build::report_supported_opcodes(ReportingOptions::Either, 0x9E, 0x12, true, 20)),
        Command::ReportSupportedOpcodes(ReportSupportedOpcodes {
            timeouts: true,
            options: ReportingOptions::Either,
            opcode: 0x9E,
            service_action: 0x12,
            allocation_length: 20,
        })
    );
    assert_eq!(
        parsed(build::report_supported_task_management_functions(true, 16)),
        Command::ReportSupportedTaskManagementFunctions { extended: true, allocation_length: 16 }
    );
    assert_eq!(
        parse(&[0x56, 0x13, 0, 0, 0, 0, 0, 0, 8, 0]),
        Ok(Command::Reserve(Reserve {
            third_party: true,
            extent: true,
            long_id: true,
            parameter_list_length: 8,
            ten: true,
        }))
    );
    assert_eq!(
        parsed(build::persistent_reserve_out(PersistentReserveOutAction::Preempt, 5, 24)),
        Command::PersistentReserveOut(PersistentReserveOut {
            action: PersistentReserveOutAction::Preempt,
            scope: 0,
            kind: 5,
            parameter_list_length: 24,
        })
    );
    assert_eq!(
        parsed(build::receive_copy_results(ReceiveCopyAction::OperatingParameters, 3, 64)),
        Command::ReceiveCopyResults {
            action: ReceiveCopyAction::OperatingParameters,
            list_identifier: 3,
            allocation_length: 64,
        }
    );
}

#[test]
fn every_service_action_is_known_or_an_invalid_field() {
    let known: [(u8, &[u8]); 8] = [
        (op::SERVICE_ACTION_IN_16, &[0x10, 0x12]),
        (op::SANITIZE, &[1, 2, 3, 0x1F]),
        (op::PERSISTENT_RESERVE_IN, &[0, 1, 2, 3]),
        (op::PERSISTENT_RESERVE_OUT, &[0, 1, 2, 3, 4, 5, 6, 7]),
        (op::THIRD_PARTY_COPY_OUT, &[0]),
        (op::THIRD_PARTY_COPY_IN, &[0, 1, 3, 4]),
        (op::MAINTENANCE_IN, &[0x0A, 0x0C, 0x0D]),
        (op::MAINTENANCE_OUT, &[0x0A]),
    ];
    for (opcode, actions) in known {
        for action in 0..0x20 {
            let parsed = parse(Cdb::new(opcode).with(1, action).as_slice());
            match parsed {
                Ok(_) => assert!(actions.contains(&action), "{opcode:02X}h/{action:02X}h"),
                Err(sense) => {
                    assert!(!actions.contains(&action), "{opcode:02X}h/{action:02X}h");
                    assert_eq!(sense, Sense::invalid_field_in_cdb(1, Some(4)));
                }
            }
        }
    }
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
        (build::compare_and_write(0, 2), Direction::ToDevice, 2048),
        (build::orwrite_16(0, 2), Direction::ToDevice, 1024),
        (build::write_atomic_16(0, 2, 1), Direction::ToDevice, 1024),
        (build::pre_fetch_16(0, 2, false), Direction::None, 0),
        (build::get_lba_status_16(0, 24), Direction::FromDevice, 24),
        (build::read_defect_data_10(0, 4), Direction::FromDevice, 4),
        (build::read_defect_data_12(0, 0, 8), Direction::FromDevice, 8),
        (build::sanitize(SanitizeAction::Overwrite, false, 8), Direction::ToDevice, 8),
        (build::prevent_allow_medium_removal(true), Direction::None, 0),
        (build::mode_select_6(false, 24), Direction::ToDevice, 24),
        (build::mode_select_10(true, 300), Direction::ToDevice, 300),
        (build::log_sense(0, 0, 512), Direction::FromDevice, 512),
        (build::extended_copy(100), Direction::ToDevice, 100),
        (build::reserve_6(), Direction::ToDevice, 0),
        (build::release_6(), Direction::None, 0),
        (build::release_10(), Direction::ToDevice, 0),
        (build::report_target_port_groups(false, 64), Direction::FromDevice, 64),
        (build::set_target_port_groups(8), Direction::ToDevice, 8),
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
    assert_eq!(range(build::get_lba_status_16(3, 24)), Some(LbaRange { lba: 3, blocks: 1 }));
    assert_eq!(range(build::pre_fetch_10(3, 0, false)), Some(LbaRange { lba: 3, blocks: 0 }));
    assert_eq!(range(build::compare_and_write(3, 2)), Some(LbaRange { lba: 3, blocks: 2 }));
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
