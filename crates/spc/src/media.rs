//! Media commands: what the driver executes, and the checks before it gets to see them.

use outboard_scsi::command::WriteSame;
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
        Command::OrWrite(transfer) => {
            check_transfer(unit, command, transfer).map(|()| transfer.blocks != 0)
        }
        Command::CompareAndWrite(transfer) => {
            let max = u32::from(unit.config().limits.max_compare_and_write);
            check_supported(max)
                .and_then(|()| check_within(unit, command, transfer, max))
                // Even of no blocks: what comes with it is still to be judged, see
                // [`Forwarded::fits`].
                .map(|()| true)
        }
        Command::WriteAtomic { transfer, boundary } => {
            check_atomic(unit, command, transfer, *boundary).map(|()| transfer.blocks != 0)
        }
        Command::PreFetch { .. } | Command::GetLbaStatus(_) => {
            ready(unit).and_then(|()| check_range(unit, command)).map(|()| true)
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
    check_within(unit, command, transfer, unit.config().limits.max_transfer)
}

/// The checks of a transfer of at most `max` blocks.
#[inline]
fn check_within(
    unit: &LogicalUnit,
    command: &Command,
    transfer: &Transfer,
    max: u32,
) -> Result<(), Sense> {
    ready(unit)?;
    check_protect(transfer.protect)?;
    check_range(unit, command)?;
    check_writable(unit, command)?;
    if transfer.blocks > max {
        let field = command.length_field().unwrap_or_else(|| transfer.size.length_field());
        return Err(Sense::invalid_field_in_cdb(field, None));
    }
    Ok(())
}

/// A command without any length is none of this unit's.
fn check_supported(max: u32) -> Result<(), Sense> {
    if max == 0 { Err(Sense::INVALID_OPCODE) } else { Ok(()) }
}

/// WRITE ATOMIC (SBC-4): what cannot be written at once is refused.
fn check_atomic(
    unit: &LogicalUnit,
    command: &Command,
    transfer: &Transfer,
    boundary: u16,
) -> Result<(), Sense> {
    let atomic = unit.config().limits.atomic;
    check_supported(atomic.max)?;
    let max = if boundary == 0 { atomic.max } else { atomic.max_with_boundary };
    check_within(unit, command, transfer, max)?;
    if u32::from(boundary) > atomic.max_boundary {
        return Err(Sense::invalid_field_in_cdb(10, None));
    }
    if !transfer.lba.is_multiple_of(u64::from(atomic.alignment.max(1))) {
        return Err(Sense::invalid_field_in_cdb(2, None));
    }
    if !transfer.blocks.is_multiple_of(atomic.granularity.max(1)) {
        return Err(Sense::invalid_field_in_cdb(12, None));
    }
    Ok(())
}

/// WSNZ is set on thin units: a length that was left at 0 by mistake must not give back all blocks up
/// to the end. On others it is clear, and no blocks are those up to the end of the medium.
fn check_write_same(unit: &LogicalUnit, command: &Command, same: &WriteSame) -> Result<(), Sense> {
    let config = unit.config();
    ready(unit)?;
    check_writable(unit, command)?;
    check_protect(same.protect)?;
    if same.unmap && !config.provisioning.thin().is_some_and(|thin| thin.write_same) {
        return Err(Sense::invalid_field_in_cdb(1, Some(3)));
    }
    if same.anchor {
        return Err(Sense::invalid_field_in_cdb(1, Some(4)));
    }
    check_range(unit, command)?;
    let blocks = match (same.blocks, &config.provisioning) {
        (0, Provisioning::Thin(_)) => u64::MAX,
        (0, Provisioning::Full) => config.capacity.blocks() - same.lba,
        (blocks, _) => u64::from(blocks),
    };
    if blocks > u64::from(config.limits.max_write_same) {
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
    match unit.write_protection() {
        Some(sense) if command.changes_medium() => Err(sense),
        _ => Ok(()),
    }
}

/// The verdict on a command by which the driver writes its cache to the medium.
pub(crate) fn flush(unit: &LogicalUnit, lun: Lun, command: Command) -> Verdict {
    Verdict::Forward(forwarded(unit, lun, command))
}

/// The limits of the unit keep every length within 32 bits.
#[inline]
fn forwarded(unit: &LogicalUnit, lun: Lun, command: Command) -> Forwarded {
    let length = match command {
        // An answer that may be as long as the initiator likes, but takes a buffer.
        Command::GetLbaStatus(status) => u64::from(status.allocation_length.min(ANSWER_MAX)),
        _ => command.transfer_length(unit.config().capacity.block_size()),
    };
    let direction = match length {
        0 => Direction::None,
        _ => command.direction(),
    };
    let through = unit.write_through() && command.changes_medium();
    Forwarded { lun, direction, length: length as u32, through, command }
}

/// Most bytes of data-in that a driver gives beside reads.
const ANSWER_MAX: u32 = 64 << 10;

#[cfg(test)]
mod tests;
