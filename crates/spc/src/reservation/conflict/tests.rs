use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::command::{
    PersistentReserveInAction as In, PersistentReserveOutAction as Out, opcode as op, parse,
};

use super::Need::{Access, Judged, Nothing, Reading};
use super::*;

/// Every operation code that is implemented appears, so that a new one is thought of.
#[test]
fn the_table() {
    let maintenance_in = |action| Cdb::new(op::MAINTENANCE_IN).with(1, action);
    let table: [(Need, bool, &[Cdb]); 7] = [
        (
            Nothing,
            true,
            &[
                build::inquiry(None, 96),
                build::report_luns(0, 64),
                build::request_sense(false, 252),
                build::read_capacity_10(),
                build::read_capacity_16(32),
                Cdb::new(op::LOG_SENSE),
                build::report_target_port_groups(false, 64),
                Cdb::new(op::PREVENT_ALLOW_MEDIUM_REMOVAL),
                build::start_stop_unit(true),
            ],
        ),
        (
            Nothing,
            false,
            &[build::test_unit_ready(), Cdb::new(op::THIRD_PARTY_COPY_IN).with(1, 0x03)],
        ),
        (
            Reading,
            false,
            &[
                build::read_6(0, 1),
                build::read_10(0, 1),
                build::read_12(0, 1),
                build::read_16(0, 1),
                build::verify_16(0, 1, 0),
                Cdb::new(op::PRE_FETCH_10),
                Cdb::new(op::PRE_FETCH_16),
                Cdb::new(op::SERVICE_ACTION_IN_16).with(1, op::SA_GET_LBA_STATUS_16),
                Cdb::new(op::READ_DEFECT_DATA_10),
                Cdb::new(op::READ_DEFECT_DATA_12),
            ],
        ),
        (
            Judged,
            true,
            &[build::reserve_6(), build::release_6(), build::reserve_10(), build::release_10()],
        ),
        (
            Judged,
            false,
            &[
                build::persistent_reserve_in(In::ReadFullStatus, 8),
                build::persistent_reserve_out(Out::Register, 0, 24),
            ],
        ),
        (
            Access,
            false,
            &[
                build::write_6(0, 1),
                build::write_10(0, 1),
                build::write_12(0, 1),
                build::write_16(0, 1),
                build::write_and_verify_16(0, 1, 0),
                build::write_same_10(0, 1, false),
                build::write_same_16(0, 1, true, true),
                build::unmap(24),
                build::synchronize_cache_10(0, 0),
                build::synchronize_cache_16(0, 0),
                Cdb::new(op::COMPARE_AND_WRITE),
                Cdb::new(op::ORWRITE_16),
                Cdb::new(op::WRITE_ATOMIC_16),
                Cdb::new(op::SANITIZE).with(1, 0x02),
            ],
        ),
        (
            Access,
            false,
            &[
                build::mode_sense_6(false, 0x3F, 0, 252),
                build::mode_sense_10(false, 0x3F, 0, 252),
                Cdb::new(op::MODE_SELECT_6).with(1, 0x10),
                Cdb::new(op::MODE_SELECT_10).with(1, 0x10),
                build::start_stop_unit(false),
                build::start_stop_unit(true).with(4, 0x10),
                Cdb::new(op::PREVENT_ALLOW_MEDIUM_REMOVAL).with(4, 0x01),
                maintenance_in(op::SA_REPORT_SUPPORTED_OPERATION_CODES),
                maintenance_in(op::SA_REPORT_SUPPORTED_TASK_MANAGEMENT_FUNCTIONS),
                build::set_target_port_groups(4),
                Cdb::new(op::THIRD_PARTY_COPY_OUT),
                Cdb::new(op::THIRD_PARTY_COPY_IN),
            ],
        ),
    ];
    let mut seen: Vec<u8> = Vec::new();
    for (need, passes, cdbs) in table {
        for cdb in cdbs {
            let command = parse(cdb.as_slice()).unwrap();
            assert_eq!(row(&command), (need, passes), "{command}");
            seen.extend(cdb.as_slice().first());
        }
    }
    // Further lengths of what is there.
    seen.extend([op::VERIFY_10, op::VERIFY_12, op::WRITE_AND_VERIFY_10, op::WRITE_AND_VERIFY_12]);
    for opcode in 0..=0xFF {
        let accepted =
            (0..0x20).any(|action| parse(Cdb::new(opcode).with(1, action).bytes()).is_ok());
        assert!(!accepted || seen.contains(&opcode), "{opcode:02X}h is in no row");
    }
}
