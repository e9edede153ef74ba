//! Which commands a reservation lets pass (SPC-6 and SBC-4, "commands that are allowed in the
//! presence of various reservations"; SPC-2 5.5.1 and SBC-2 for RESERVE).

use outboard_scsi::Command;
use outboard_scsi::command::ReceiveCopyAction;

use super::{CONFLICT, Reservations};
use crate::nexus::{Nexus, NexusId};
use crate::verdict::Response;

/// What a command needs from those who hold a persistent reservation that its nexus has no part
/// in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// That they let others read: the types of write exclusive.
    Reading,
    /// That there is no reservation.
    Access,
    /// It is judged where it is executed.
    Judged,
}

/// One row of the table: what the command needs, and whether it passes an SPC-2 reservation of
/// another nexus.
pub(super) const fn row(command: &Command) -> (Need, bool) {
    use Need::{Access, Judged, Nothing, Reading};

    match command {
        Command::Inquiry { .. }
        | Command::ReportLuns { .. }
        | Command::RequestSense { .. }
        | Command::LogSense(_)
        | Command::ReadCapacity10
        | Command::ReadCapacity16 { .. }
        | Command::ReportTargetPortGroups { .. }
        | Command::PreventAllowMediumRemoval { prevent: false } => (Nothing, true),
        Command::StartStopUnit(operands) if operands.start && operands.power_condition == 0 => {
            (Nothing, true)
        }
        Command::TestUnitReady
        | Command::ReceiveCopyResults { action: ReceiveCopyAction::OperatingParameters, .. } => {
            (Nothing, false)
        }
        Command::Read(_)
        | Command::Verify { .. }
        | Command::PreFetch { .. }
        | Command::GetLbaStatus(_)
        | Command::ReadDefectData(_) => (Reading, false),
        Command::Reserve(_) | Command::Release(_) => (Judged, true),
        Command::PersistentReserveIn { .. } | Command::PersistentReserveOut(_) => (Judged, false),
        // WRITE and all else that changes the medium; MODE SENSE and SELECT, REPORT SUPPORTED
        // OPERATION CODES, SET TARGET PORT GROUPS, EXTENDED COPY, SANITIZE...
        _ => (Access, false),
    }
}

impl Reservations {
    /// RESERVATION CONFLICT if a reservation forbids the command to the nexus.
    pub(super) fn conflict(
        &self,
        id: NexusId,
        nexus: &Nexus,
        command: &Command,
    ) -> Option<Response> {
        if self.legacy.is_none() && self.reservation.is_none() {
            return None;
        }
        let (need, passes_legacy) = row(command);
        if let Some(holder) = self.legacy {
            // SPC-2 5.5.1: the two kinds of reservations exclude each other, even for the holder.
            let persistent = matches!(
                command,
                Command::PersistentReserveIn { .. } | Command::PersistentReserveOut(_)
            );
            let passes = if holder == id { !persistent } else { passes_legacy };
            return (!passes).then_some(CONFLICT);
        }
        let reservation = self.reservation.as_ref()?;
        let passes = match need {
            Need::Nothing | Need::Judged => true,
            Need::Reading => reservation.kind.admits_readers() || self.admitted(nexus),
            Need::Access => self.admitted(nexus),
        };
        (!passes).then_some(CONFLICT)
    }
}

#[cfg(test)]
mod tests;
