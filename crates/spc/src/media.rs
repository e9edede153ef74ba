//! Media commands: what the driver executes, and the checks before it gets to see them.

use outboard_scsi::command::{StartStopUnit, WriteSame};
use outboard_scsi::{Command, Direction, Lun, Sense, Transfer};

use crate::unit::{LogicalUnit, Provisioning};
use crate::verdict::{Forwarded, Verdict};

/// The verdict on a media command; `None` if `command` is none.
///
/// Checked, in this order: readiness, protection fields, range (SBC-4: LOGICAL BLOCK ADDRESS OUT
/// OF RANGE with the first LBA beyond), write protection, lengths against the Block Limits VPD
/// page. A command that would transfer or change nothing ends here with GOOD.
pub(crate) fn check(unit: &LogicalUnit, lun: Lun, command: &Command) -> Option<Verdict> {
    let checked = match command {
        Command::Read(transfer)
        | Command::Write(transfer)
        | Command::Verify { transfer, .. }
        | Command::WriteAndVerify { transfer, .. } => {
            check_transfer(unit, command, transfer).map(|()| transfer.blocks != 0)
        }
        Command::WriteSame(same) => check_write_same(unit, command, same).map(|()| true),
        Command::Unmap { anchor, parameter_list_length } => {
            check_unmap(unit, command, *anchor).map(|()| *parameter_list_length != 0)
        }
        Command::SynchronizeCache { .. } => {
            ready(unit).and_then(|()| check_range(unit, command)).map(|()| true)
        }
        Command::StartStopUnit(operands) => {
            check_start_stop(unit, operands).map(|()| !operands.start)
        }
        _ => return None,
    };
    Some(match checked {
        Err(sense) => sense.into(),
        Ok(false) => Verdict::good(Vec::new()),
        Ok(true) => Verdict::Forward(forwarded(unit, lun, *command)),
    })
}

/// The hot path of [`check`]: a READ or WRITE that passes and transfers something.
#[inline]
pub(crate) fn pass(unit: &LogicalUnit, lun: Lun, command: &Command) -> Option<Forwarded> {
    let (Command::Read(transfer) | Command::Write(transfer)) = command else { return None };
    if transfer.blocks == 0 || check_transfer(unit, command, transfer).is_err() {
        return None;
    }
    Some(forwarded(unit, lun, *command))
}

#[inline]
fn check_transfer(unit: &LogicalUnit, command: &Command, transfer: &Transfer) -> Result<(), Sense> {
    ready(unit)?;
    check_protect(transfer.protect)?;
    check_range(unit, command)?;
    check_writable(unit, command)?;
    if transfer.blocks > unit.config().limits.max_transfer {
        return Err(Sense::invalid_field_in_cdb(transfer.size.length_field(), None));
    }
    Ok(())
}

/// WSNZ is set: 0 blocks are refused, not "to the end of the medium".
fn check_write_same(unit: &LogicalUnit, command: &Command, same: &WriteSame) -> Result<(), Sense> {
    let config = unit.config();
    ready(unit)?;
    check_protect(same.protect)?;
    if same.unmap && !config.provisioning.thin().is_some_and(|thin| thin.write_same) {
        return Err(Sense::invalid_field_in_cdb(1, Some(3)));
    }
    if same.anchor {
        return Err(Sense::invalid_field_in_cdb(1, Some(4)));
    }
    check_range(unit, command)?;
    check_writable(unit, command)?;
    if same.blocks == 0 || same.blocks > config.limits.max_write_same {
        return Err(Sense::invalid_field_in_cdb(same.size.length_field(), None));
    }
    Ok(())
}

fn check_unmap(unit: &LogicalUnit, command: &Command, anchor: bool) -> Result<(), Sense> {
    if unit.config().provisioning == Provisioning::Full {
        return Err(Sense::INVALID_OPCODE);
    }
    if anchor {
        return Err(Sense::invalid_field_in_cdb(1, Some(0)));
    }
    ready(unit)?;
    check_writable(unit, command)
}

/// Power conditions and removable media are not supported. Stopping is handed on, for the driver
/// writes its cache to the medium then; it does not make the unit not ready.
fn check_start_stop(unit: &LogicalUnit, operands: &StartStopUnit) -> Result<(), Sense> {
    if operands.power_condition != 0 {
        return Err(Sense::invalid_field_in_cdb(4, Some(7)));
    }
    if operands.load_eject {
        return Err(Sense::invalid_field_in_cdb(4, Some(1)));
    }
    ready(unit)
}

#[inline]
fn ready(unit: &LogicalUnit) -> Result<(), Sense> {
    match unit.not_ready() {
        None => Ok(()),
        Some(sense) => Err(sense),
    }
}

/// PROTECT is 0 in INQUIRY, so that no protection information can be asked for.
#[inline]
fn check_protect(protect: u8) -> Result<(), Sense> {
    if protect == 0 { Ok(()) } else { Err(Sense::invalid_field_in_cdb(1, Some(7))) }
}

#[inline]
fn check_range(unit: &LogicalUnit, command: &Command) -> Result<(), Sense> {
    let Some(range) = command.lba_range() else { return Ok(()) };
    match range.first_beyond(unit.config().capacity.blocks()) {
        None => Ok(()),
        Some(lba) => Err(Sense::lba_out_of_range(lba)),
    }
}

#[inline]
fn check_writable(unit: &LogicalUnit, command: &Command) -> Result<(), Sense> {
    if unit.config().read_only && command.changes_medium() {
        return Err(Sense::WRITE_PROTECTED);
    }
    Ok(())
}

/// The limits of the unit keep every length within 32 bits.
#[inline]
fn forwarded(unit: &LogicalUnit, lun: Lun, command: Command) -> Forwarded {
    let length = command.transfer_length(unit.config().capacity.block_size());
    let direction = match length {
        0 => Direction::None,
        _ => command.direction(),
    };
    Forwarded { lun, direction, length: length as u32, command }
}

#[cfg(test)]
mod tests;
