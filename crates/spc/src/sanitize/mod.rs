//! SANITIZE (SBC-4, sanitize operations): what a unit supports, when it may begin, and what other
//! commands see of it. The work itself is the host's: see [`Plan`] and
//! [`Effect::Sanitize`].
//!
//! | service action | |
//! |---|---|
//! | OVERWRITE | supported |
//! | BLOCK ERASE | on units that unmap with WRITE SAME and do not rotate |
//! | CRYPTOGRAPHIC ERASE | on units whose disks are encrypted: [`Target::set_encrypted`] |
//! | EXIT FAILURE MODE | after a failure of a SANITIZE with AUSE = 1 |
//!
//! While it runs, commands end with NOT READY, SANITIZE IN PROGRESS; after a failure with MEDIUM
//! ERROR, SANITIZE COMMAND FAILED. No reset and no end of a nexus ends either.

use outboard_scsi::command::{Sanitize, SanitizeAction};
use outboard_scsi::sanitize::{HEADER_LEN, Overwrite};
use outboard_scsi::{Command, Lun, Sense};

use crate::target::Target;
use crate::unit::LogicalUnit;
use crate::verdict::{Effect, Response};

/// A sanitize operation that has been accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The unit.
    pub lun: Lun,
    /// How its blocks are sanitized.
    pub method: Method,
    /// IMMED: the command is answered before the work is done.
    pub immediate: bool,
}

/// How blocks are sanitized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// Every block is written with a pattern, several times.
    Overwrite {
        /// INVERT: each pass writes the inversion of the pass before.
        invert: bool,
        /// Number of passes, 1 to 31.
        passes: u8,
        /// The pattern, 1 byte to a block: repeated within each block.
        pattern: Box<[u8]>,
    },
    /// Every block is unmapped.
    BlockErase,
    /// The key of the medium is replaced.
    CryptographicErase,
}

/// Where the sanitize operation of a unit stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sanitizing {
    #[default]
    Idle,
    Running {
        /// In 1/65536.
        progress: u16,
        /// AUSE.
        exit_allowed: bool,
        /// The same of the one that failed before.
        failed: Option<bool>,
    },
    Failed {
        exit_allowed: bool,
    },
}

impl Sanitizing {
    /// Why commands are refused.
    pub(crate) fn sense(&self) -> Option<Sense> {
        match *self {
            Self::Idle => None,
            Self::Running { progress, .. } => {
                Some(Sense::NOT_READY_SANITIZE_IN_PROGRESS.with_progress(progress))
            }
            Self::Failed { .. } => Some(Sense::SANITIZE_COMMAND_FAILED),
        }
    }
}

/// Whether a unit supports BLOCK ERASE.
pub(crate) fn erases_blocks(unit: &LogicalUnit) -> bool {
    /// MEDIUM ROTATION RATE of a solid-state medium.
    const SOLID_STATE: u16 = 1;

    let config = unit.config();
    config.rotation_rate <= SOLID_STATE
        && config.provisioning.thin().is_some_and(|thin| thin.write_same)
}

/// Whether a unit supports a service action.
pub(crate) fn supports(unit: &LogicalUnit, action: SanitizeAction) -> bool {
    match action {
        SanitizeAction::Overwrite | SanitizeAction::ExitFailureMode => true,
        SanitizeAction::BlockErase => erases_blocks(unit),
        SanitizeAction::CryptographicErase => unit.is_encrypted(),
    }
}

/// Why a unit that is being sanitized, or could not be, refuses a command.
pub(crate) fn refusal(unit: &LogicalUnit, command: &Command) -> Option<Sense> {
    let sense = unit.sanitizing().sense()?;
    let passes = match command {
        Command::Inquiry { .. }
        | Command::ReportLuns { .. }
        | Command::RequestSense { .. }
        | Command::LogSense(_)
        | Command::ReportSupportedOpcodes(_)
        | Command::ReportSupportedTaskManagementFunctions { .. }
        | Command::ReportTargetPortGroups { .. } => true,
        Command::Sanitize(_) => matches!(unit.sanitizing(), Sanitizing::Failed { .. }),
        _ => false,
    };
    (!passes).then_some(sense)
}

/// The checks of a SANITIZE that need no parameter list.
pub(crate) fn check(unit: &LogicalUnit, request: &Sanitize) -> Result<(), Sense> {
    if !supports(unit, request.action) {
        return Err(Sense::invalid_field_in_cdb(1, Some(4)));
    }
    let length = u32::from(request.parameter_list_length);
    let fits = match request.action {
        SanitizeAction::Overwrite => {
            let least = HEADER_LEN as u32 + 1;
            (least..least + unit.config().capacity.block_size()).contains(&length)
        }
        _ => length == 0,
    };
    if !fits {
        return Err(Sense::invalid_field_in_cdb(7, None));
    }
    if request.action == SanitizeAction::ExitFailureMode {
        return Ok(());
    }
    match unit.write_protection().or_else(|| unit.not_ready_to_sanitize()) {
        Some(sense) => Err(sense),
        None => Ok(()),
    }
}

/// The answer to a SANITIZE with its parameter list; `None` if the command is none.
pub(crate) fn answer(
    target: &mut Target,
    lun: Lun,
    command: &Command,
    bytes: &[u8],
) -> Option<Response> {
    let Command::Sanitize(request) = command else { return None };
    Some(begin(target, lun, request, bytes).into())
}

fn begin(target: &mut Target, lun: Lun, request: &Sanitize, list: &[u8]) -> Result<(), Sense> {
    let unit = target.unit_mut(lun).map_err(|_| Sense::LOGICAL_UNIT_NOT_SUPPORTED)?;
    check(unit, request)?;
    let method = match request.action {
        SanitizeAction::ExitFailureMode => return exit_failure_mode(unit),
        SanitizeAction::Overwrite => {
            let Overwrite { invert, count, pattern } =
                Overwrite::parse(list, unit.config().capacity.block_size())?;
            Method::Overwrite { invert, passes: count, pattern: pattern.into() }
        }
        SanitizeAction::BlockErase => Method::BlockErase,
        SanitizeAction::CryptographicErase => Method::CryptographicErase,
    };
    let exit_allowed = request.allow_unrestricted_exit;
    let failed = match *unit.sanitizing() {
        Sanitizing::Failed { exit_allowed } => Some(exit_allowed),
        _ => None,
    };
    unit.set_sanitizing(Sanitizing::Running { progress: 0, exit_allowed, failed });
    let plan = Plan { lun, method, immediate: request.immediate };
    target.effects.push(Effect::Sanitize(Box::new(plan)));
    Ok(())
}

/// EXIT FAILURE MODE. Without a failure there is nothing to exit from.
fn exit_failure_mode(unit: &mut LogicalUnit) -> Result<(), Sense> {
    match unit.sanitizing() {
        Sanitizing::Failed { exit_allowed: false } => Err(Sense::invalid_field_in_cdb(1, Some(4))),
        Sanitizing::Failed { exit_allowed: true } => {
            unit.set_sanitizing(Sanitizing::Idle);
            Ok(())
        }
        Sanitizing::Idle | Sanitizing::Running { .. } => Ok(()),
    }
}

impl Target {
    /// Says whether the medium of a unit is encrypted under a key of its own that can be replaced.
    pub fn set_encrypted(&mut self, lun: Lun, encrypted: bool) {
        if let Ok(unit) = self.unit_mut(lun) {
            unit.set_encrypted(encrypted);
        }
    }

    /// How far the sanitize operation of a unit is: `done` of `total`, in whatever unit.
    pub fn sanitize_progress(&mut self, lun: Lun, done: u64, total: u64) {
        let Ok(unit) = self.unit_mut(lun) else { return };
        let Sanitizing::Running { exit_allowed, failed, .. } = *unit.sanitizing() else { return };
        let share = (u128::from(done) << 16) / u128::from(total.max(1));
        let progress = u16::try_from(share).unwrap_or(u16::MAX);
        unit.set_sanitizing(Sanitizing::Running { progress, exit_allowed, failed });
    }

    /// The sanitize operation of a unit has ended; without success the unit is in failure mode.
    pub fn sanitize_ended(&mut self, lun: Lun, success: bool) {
        let Ok(unit) = self.unit_mut(lun) else { return };
        let Sanitizing::Running { exit_allowed, .. } = *unit.sanitizing() else { return };
        unit.set_sanitizing(match success {
            true => Sanitizing::Idle,
            false => Sanitizing::Failed { exit_allowed },
        });
    }

    /// A sanitize operation is not begun after all.
    pub fn sanitize_withdrawn(&mut self, lun: Lun) {
        let Ok(unit) = self.unit_mut(lun) else { return };
        let Sanitizing::Running { failed, .. } = *unit.sanitizing() else { return };
        unit.set_sanitizing(match failed {
            None => Sanitizing::Idle,
            Some(exit_allowed) => Sanitizing::Failed { exit_allowed },
        });
    }

    /// Why commands for a unit that is being sanitized are refused.
    #[must_use]
    pub fn sanitize_in_progress(&self, lun: Lun) -> Option<Sense> {
        let sanitizing = self.unit(lun)?.sanitizing();
        matches!(sanitizing, Sanitizing::Running { .. }).then(|| sanitizing.sense())?
    }
}

#[cfg(test)]
mod tests;
