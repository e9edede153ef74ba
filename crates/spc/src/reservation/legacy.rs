//! RESERVE and RELEASE (SPC-2 5.5), and what is left of them beside persistent reservations
//! (SPC-6, exceptions to SPC-2 RESERVE and RELEASE behaviour; CRH = 1).

use outboard_scsi::command::Reserve;
use outboard_scsi::{Command, Sense};

use super::{CONFLICT, Reservations};
use crate::nexus::{Nexus, NexusId};
use crate::verdict::Response;

impl Reservations {
    /// RESERVE or RELEASE, of either length.
    pub(super) fn reserve_or_release(
        &mut self,
        id: NexusId,
        nexus: &Nexus,
        command: &Command,
    ) -> Response {
        let (Command::Reserve(operands) | Command::Release(operands)) = command else {
            return Sense::INVALID_OPCODE.into();
        };
        if let Err(sense) = check_operands(operands) {
            return sense.into();
        }
        if !self.registrations.is_empty() {
            // Whoever shares the persistent reservation has what RESERVE would give.
            let shares = self.reservation.is_some() && self.admitted(nexus);
            return if shares { Response::good(Vec::new()) } else { CONFLICT };
        }
        match (command, self.legacy) {
            (Command::Reserve(_), Some(holder)) if holder != id => return CONFLICT,
            (Command::Reserve(_), _) => self.legacy = Some(id),
            (_, Some(holder)) if holder == id => self.legacy = None,
            // RELEASE by one that holds nothing.
            _ => {}
        }
        Response::good(Vec::new())
    }

    /// Ends an SPC-2 reservation at a reset.
    pub(crate) fn reset(&mut self) {
        self.legacy = None;
    }

    /// Ends an SPC-2 reservation with its nexus.
    pub(crate) fn nexus_lost(&mut self, id: NexusId) {
        if self.legacy == Some(id) {
            self.legacy = None;
        }
    }
}

/// Reservations for third parties and of extents are obsolete and not supported.
fn check_operands(operands: &Reserve) -> Result<(), Sense> {
    if operands.third_party {
        return Err(Sense::invalid_field_in_cdb(1, Some(4)));
    }
    if operands.long_id {
        return Err(Sense::invalid_field_in_cdb(1, Some(1)));
    }
    if operands.extent {
        return Err(Sense::invalid_field_in_cdb(1, Some(0)));
    }
    Ok(())
}
