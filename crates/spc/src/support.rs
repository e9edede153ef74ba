//! Which commands a unit supports (REPORT SUPPORTED OPERATION CODES).

use outboard_scsi::Sense;
use outboard_scsi::command::{
    ReceiveCopyAction, ReportSupportedOpcodes, SanitizeAction, opcode as op,
};
use outboard_scsi::opcodes::{self, CommandUsage};

use crate::sanitize;
use crate::unit::LogicalUnit;

/// The answer to REPORT SUPPORTED OPERATION CODES.
pub(crate) fn report(
    unit: &LogicalUnit,
    request: &ReportSupportedOpcodes,
    out: &mut [u8],
) -> Result<usize, Sense> {
    opcodes::report(request, |command| supports(unit, command), out)
}

/// Whether `unit` executes a command that is parsed.
fn supports(unit: &LogicalUnit, command: &CommandUsage) -> bool {
    let config = unit.config();
    match command.opcode {
        op::PREVENT_ALLOW_MEDIUM_REMOVAL => config.removable,
        op::UNMAP => config.provisioning.thin().is_some(),
        op::COMPARE_AND_WRITE => config.limits.max_compare_and_write != 0,
        op::WRITE_ATOMIC_16 => config.limits.atomic.max != 0,
        op::SANITIZE => match command.service_action {
            Some(BLOCK_ERASE) => sanitize::supports(unit, SanitizeAction::BlockErase),
            Some(CRYPTOGRAPHIC_ERASE) => {
                sanitize::supports(unit, SanitizeAction::CryptographicErase)
            }
            _ => true,
        },
        op::THIRD_PARTY_COPY_IN => command.service_action != Some(RECEIVE_DATA),
        _ => true,
    }
}

const BLOCK_ERASE: u8 = SanitizeAction::BlockErase as u8;
const CRYPTOGRAPHIC_ERASE: u8 = SanitizeAction::CryptographicErase as u8;
const RECEIVE_DATA: u8 = ReceiveCopyAction::ReceiveData as u8;
