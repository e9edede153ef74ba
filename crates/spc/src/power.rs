//! START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL (SBC-4).
//!
//! | START STOP UNIT | fixed unit | removable unit |
//! |---|---|---|
//! | START = 1 | ready again | ready again |
//! | START = 0 | cache written; NOT READY, INITIALIZING COMMAND REQUIRED | cache written, no more |
//! | LOEJ = 1, START = 0 | INVALID FIELD IN CDB | cache written; MEDIUM NOT PRESENT |
//! | LOEJ = 1, START = 1 | INVALID FIELD IN CDB | the medium is back; others are told that it may have changed |
//! | the same, prevented | INVALID FIELD IN CDB | MEDIUM REMOVAL PREVENTED unless nothing would move |
//! | ACTIVE, IDLE, LU_CONTROL | GOOD | GOOD |
//! | STANDBY | cache written | GOOD |
//! | other power conditions | INVALID FIELD IN CDB | GOOD |
//!
//! A removable unit that is stopped starts by itself with the next command, and takes any power
//! condition as a hint that it does not follow.

use outboard_scsi::command::StartStopUnit;
use outboard_scsi::{Command, Lun, Sense};

use crate::attention::UnitAttention;
use crate::media;
use crate::nexus::NexusId;
use crate::target::{Scope, Target};
use crate::unit::LogicalUnit;
use crate::verdict::{Response, Verdict};

/// The verdict on START STOP UNIT: GOOD, or the driver's once the cache is to be written.
pub(crate) fn start_stop(
    target: &mut Target,
    nexus: NexusId,
    lun: Lun,
    operands: &StartStopUnit,
) -> Verdict {
    let Ok(unit) = target.unit_mut(lun) else { return Sense::LOGICAL_UNIT_NOT_SUPPORTED.into() };
    match carry_out(unit, operands) {
        Err(sense) => sense.into(),
        Ok(Done::Nothing) => Verdict::good(Vec::new()),
        Ok(Done::Loaded) => {
            let scope = Scope::AllBut(nexus);
            let _ = target.establish(lun, scope, UnitAttention::MediumChanged);
            Verdict::good(Vec::new())
        }
        Ok(Done::CacheToWrite) if operands.no_flush => Verdict::good(Vec::new()),
        Ok(Done::CacheToWrite) => media::flush(unit, lun, Command::StartStopUnit(*operands)),
    }
}

/// The answer to PREVENT ALLOW MEDIUM REMOVAL.
pub(crate) fn prevent(target: &mut Target, nexus: NexusId, lun: Lun, prevent: bool) -> Response {
    match target.unit_mut(lun) {
        Ok(unit) if unit.config().removable => {
            unit.set_prevented(nexus, prevent);
            Response::good(Vec::new())
        }
        _ => Sense::INVALID_OPCODE.into(),
    }
}

enum Done {
    Nothing,
    Loaded,
    CacheToWrite,
}

fn carry_out(unit: &mut LogicalUnit, operands: &StartStopUnit) -> Result<Done, Sense> {
    const ACTIVE: u8 = 0x1;
    const IDLE: u8 = 0x2;
    const STANDBY: u8 = 0x3;
    const LU_CONTROL: u8 = 0x7;

    if let Some(sense) = unit.hindrance() {
        return Err(sense);
    }
    let removable = unit.config().removable;
    match operands.power_condition {
        0 => {}
        ACTIVE | IDLE | LU_CONTROL => return Ok(Done::Nothing),
        _ if removable => return Ok(Done::Nothing),
        STANDBY => return Ok(Done::CacheToWrite),
        _ => return Err(Sense::invalid_field_in_cdb(4, Some(7))),
    }
    if operands.load_eject && !removable {
        return Err(Sense::invalid_field_in_cdb(4, Some(1)));
    }
    match (operands.load_eject, operands.start) {
        (load, true) => Ok(if unit.start(load)? { Done::Loaded } else { Done::Nothing }),
        (true, false) => {
            let was_in = unit.not_ready().is_none();
            unit.eject()?;
            Ok(if was_in { Done::CacheToWrite } else { Done::Nothing })
        }
        (false, false) => {
            if !removable {
                unit.stop();
            } else if unit.not_ready().is_some() {
                return Ok(Done::Nothing);
            }
            Ok(Done::CacheToWrite)
        }
    }
}
