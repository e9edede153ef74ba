//! All commands known here, by operation code and service action.

use super::CommandUsage;
use crate::command::opcode as op;

/// All commands known here, ascending by operation code and service action. Which of them a unit
/// supports is the unit's to say.
pub const COMMANDS: [CommandUsage; 69] = [
    command(op::TEST_UNIT_READY, 0x0000_0000),
    command(op::REQUEST_SENSE, 0x0100_00FF),
    command(op::READ_6, 0x1FFF_FFFF),
    command(op::WRITE_6, 0x1FFF_FFFF),
    command(op::INQUIRY, 0x03FF_FFFF),
    command(op::MODE_SELECT_6, 0x1300_00FF),
    command(op::RESERVE_6, 0x1100_FFFF),
    command(op::RELEASE_6, 0x1100_0000),
    command(op::MODE_SENSE_6, 0x08FF_FFFF),
    command(op::START_STOP_UNIT, 0x0100_0FF7),
    command(op::PREVENT_ALLOW_MEDIUM_REMOVAL, 0x0000_0001),
    command(op::READ_CAPACITY_10, 0x0000_0000_0000_0000),
    command(op::READ_10, 0xF8FF_FFFF_FF00_FFFF),
    command(op::WRITE_10, 0xF8FF_FFFF_FF00_FFFF),
    command(op::WRITE_AND_VERIFY_10, 0xF6FF_FFFF_FF00_FFFF),
    command(op::VERIFY_10, 0xF6FF_FFFF_FF00_FFFF),
    command(op::PRE_FETCH_10, 0x02FF_FFFF_FF00_FFFF),
    command(op::SYNCHRONIZE_CACHE_10, 0x02FF_FFFF_FF00_FFFF),
    command(op::READ_DEFECT_DATA_10, 0x001F_0000_0000_FFFF),
    command(op::WRITE_SAME_10, 0xFEFF_FFFF_FF00_FFFF),
    command(op::UNMAP, 0x0100_0000_0000_FFFF),
    action(op::SANITIZE, 0x01, 0xA000_0000_0000_FFFF),
    action(op::SANITIZE, 0x02, 0xA000_0000_0000_FFFF),
    action(op::SANITIZE, 0x03, 0xA000_0000_0000_FFFF),
    action(op::SANITIZE, 0x1F, 0xA000_0000_0000_FFFF),
    command(op::LOG_SENSE, 0x03FF_FF00_FFFF_FFFF),
    command(op::MODE_SELECT_10, 0x1300_0000_0000_FFFF),
    command(op::RESERVE_10, 0x1300_0000_0000_FFFF),
    command(op::RELEASE_10, 0x1300_0000_0000_FFFF),
    command(op::MODE_SENSE_10, 0x18FF_FF00_0000_FFFF),
    action(op::PERSISTENT_RESERVE_IN, 0x00, 0x0000_0000_0000_FFFF),
    action(op::PERSISTENT_RESERVE_IN, 0x01, 0x0000_0000_0000_FFFF),
    action(op::PERSISTENT_RESERVE_IN, 0x02, 0x0000_0000_0000_FFFF),
    action(op::PERSISTENT_RESERVE_IN, 0x03, 0x0000_0000_0000_FFFF),
    action(op::PERSISTENT_RESERVE_OUT, 0x00, 0x00FF_0000_FFFF_FFFF),
    action(op::PERSISTENT_RESERVE_OUT, 0x01, 0x00FF_0000_FFFF_FFFF),
    action(op::PERSISTENT_RESERVE_OUT, 0x02, 0x00FF_0000_FFFF_FFFF),
    action(op::PERSISTENT_RESERVE_OUT, 0x03, 0x00FF_0000_FFFF_FFFF),
    action(op::PERSISTENT_RESERVE_OUT, 0x04, 0x00FF_0000_FFFF_FFFF),
    action(op::PERSISTENT_RESERVE_OUT, 0x05, 0x00FF_0000_FFFF_FFFF),
    action(op::PERSISTENT_RESERVE_OUT, 0x06, 0x00FF_0000_FFFF_FFFF),
    action(op::PERSISTENT_RESERVE_OUT, 0x07, 0x00FF_0000_FFFF_FFFF),
    action(op::THIRD_PARTY_COPY_OUT, 0x00, 0x0000_0000_0000_0000_00FF_FFFF_FF00),
    action(op::THIRD_PARTY_COPY_IN, 0x00, 0x00FF_0000_0000_0000_00FF_FFFF_FF00),
    action(op::THIRD_PARTY_COPY_IN, 0x01, 0x00FF_0000_0000_0000_00FF_FFFF_FF00),
    action(op::THIRD_PARTY_COPY_IN, 0x03, 0x00FF_0000_0000_0000_00FF_FFFF_FF00),
    action(op::THIRD_PARTY_COPY_IN, 0x04, 0x00FF_0000_0000_0000_00FF_FFFF_FF00),
    command(op::READ_16, 0xF8FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::COMPARE_AND_WRITE, 0xF8FF_FFFF_FFFF_FFFF_FF00_0000_FF00),
    command(op::WRITE_16, 0xF8FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::ORWRITE_16, 0xF8FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::WRITE_AND_VERIFY_16, 0xF6FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::VERIFY_16, 0xF6FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::PRE_FETCH_16, 0x02FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::SYNCHRONIZE_CACHE_16, 0x02FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::WRITE_SAME_16, 0xFFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::WRITE_ATOMIC_16, 0xF8FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    action(op::SERVICE_ACTION_IN_16, 0x10, 0x0000_0000_0000_0000_00FF_FFFF_FF00),
    action(op::SERVICE_ACTION_IN_16, 0x12, 0x00FF_FFFF_FFFF_FFFF_FFFF_FFFF_FF00),
    command(op::REPORT_LUNS, 0x00FF_0000_00FF_FFFF_FF00),
    action(op::MAINTENANCE_IN, 0x0A, 0xE000_0000_00FF_FFFF_FF00),
    action(op::MAINTENANCE_IN, 0x0C, 0x0087_FFFF_FFFF_FFFF_FF00),
    action(op::MAINTENANCE_IN, 0x0D, 0x0080_0000_00FF_FFFF_FF00),
    action(op::MAINTENANCE_OUT, 0x0A, 0x0000_0000_00FF_FFFF_FF00),
    command(op::READ_12, 0xF8FF_FFFF_FFFF_FFFF_FF00),
    command(op::WRITE_12, 0xF8FF_FFFF_FFFF_FFFF_FF00),
    command(op::WRITE_AND_VERIFY_12, 0xF6FF_FFFF_FFFF_FFFF_FF00),
    command(op::VERIFY_12, 0xF6FF_FFFF_FFFF_FFFF_FF00),
    command(op::READ_DEFECT_DATA_12, 0x1FFF_FFFF_FFFF_FFFF_FF00),
];

/// A command without service actions; `usage` is the usage of the bytes between operation code and
/// control byte, as one number.
const fn command(opcode: u8, usage: u128) -> CommandUsage {
    let len = match op::cdb_size(opcode) {
        Some(size) => size.bytes(),
        None => 16,
    };
    let mut bytes = [0; 16];
    bytes[0] = opcode;
    let mut index = len - 1;
    bytes[index] = NACA;
    let mut rest = usage;
    while index > 1 {
        index -= 1;
        bytes[index] = rest as u8;
        rest >>= 8;
    }
    CommandUsage { opcode, service_action: None, len: len as u8, usage: bytes }
}

const fn action(opcode: u8, action: u8, usage: u128) -> CommandUsage {
    let mut command = command(opcode, usage);
    command.service_action = Some(action);
    command.usage[1] |= action;
    command
}

/// The bit of the control byte that is looked at.
const NACA: u8 = 0x04;
