//! The check of a command: [`Target::check`].

use outboard_scsi::command::{SanitizeAction, opcode, parse, parse_hot};
use outboard_scsi::{Command, Direction, Lun, Sense};

use crate::alua;
use crate::answer;
use crate::attention::UnitAttention;
use crate::media;
use crate::nexus::NexusId;
use crate::sanitize;
use crate::target::Target;
use crate::verdict::{Forwarded, PARAMETER_LIST_MAX, Parameters, Response, Verdict};

impl Target {
    /// Judges a command as it arrives. `lun` is the 8-byte LUN, `cdb` the CDB, possibly padded.
    ///
    /// - No unit at the LUN: INQUIRY says so, REPORT LUNS is answered, REQUEST SENSE and all
    ///   others have LOGICAL UNIT NOT SUPPORTED to say (SAM-6, incorrect logical unit numbers).
    /// - A unit attention is pending for the nexus: it is reported and ended, by CHECK CONDITION
    ///   or as the data of REQUEST SENSE. INQUIRY and REPORT LUNS neither report nor end any,
    ///   except that REPORT LUNS ends "reported LUNs data has changed" (SAM-6 5.14).
    /// - Anything wrong with the CDB ends the command; see [`Command`] and the Block Limits VPD
    ///   page.
    /// - A target port in standby or unavailable state, and a reservation of others, refuse what they
    ///   do not let pass: NOT READY, RESERVATION CONFLICT.
    /// - Media commands are forwarded, others answered; those that come with a parameter list
    ///   once it is there ([`Self::parameters`]).
    ///
    /// A closed nexus has its command aborted: ABORTED COMMAND.
    pub fn check(&mut self, nexus: NexusId, lun: [u8; 8], cdb: &[u8]) -> Verdict {
        match self.forward(nexus, lun, cdb) {
            Some(forwarded) => Verdict::Forward(forwarded),
            None => self.check_in_full(nexus, lun, cdb),
        }
    }

    /// The part of [`Self::check`] that changes nothing: a READ or WRITE that passes every check
    /// while no unit attention is pending. `None` says nothing; ask [`Self::check`] then.
    ///
    /// Neither allocates nor takes more than a few nanoseconds; several threads may ask at once.
    #[inline]
    #[must_use]
    pub fn forward(&self, nexus: NexusId, lun: [u8; 8], cdb: &[u8]) -> Option<Forwarded> {
        let lun = Lun::decode(lun).ok()?;
        let unit = self.unit(lun)?;
        if unit.attentions.any(nexus.index()) || !self.nexuses.is_open(nexus) {
            return None;
        }
        let command = parse_hot(cdb)?;
        if !unit.rights.admit(nexus.index(), &command) {
            return None;
        }
        media::pass(unit, lun, &command)
    }

    /// A number that differs from an earlier one if anything has changed since that a command for
    /// the unit with this number depends on: reservations, access states, write protection,
    /// readiness, capacity. 0 without a unit.
    #[inline]
    #[must_use]
    pub fn generation(&self, lun: u16) -> u32 {
        let unit = self.units.get(usize::from(lun)).and_then(Option::as_ref);
        unit.map_or(0, |unit| unit.rights.generation())
    }

    /// Why a command that was forwarded must not go to the driver any more: what
    /// [`Self::check`] would answer if it came now, but for unit attentions. Ask when
    /// [`Self::generation`] has changed while its data came.
    #[must_use]
    pub fn refused_since(&self, nexus: NexusId, lun: Lun, cdb: &[u8]) -> Option<Response> {
        let Some(port) = self.nexuses.nexus(nexus).map(|nexus| nexus.target_port) else {
            return Some(Sense::ABORTED_COMMAND.into());
        };
        let Some(unit) = self.unit(lun) else {
            return Some(Sense::LOGICAL_UNIT_NOT_SUPPORTED.into());
        };
        let command = match parse(cdb) {
            Ok(command) => command,
            Err(sense) => return Some(sense.into()),
        };
        if let Some(refusal) = self.refused(nexus, port, lun, &command) {
            return Some(refusal);
        }
        match media::check(unit, lun, &command) {
            Some(Verdict::Answer(response)) => Some(response),
            _ => None,
        }
    }

    #[cold]
    fn check_in_full(&mut self, nexus: NexusId, lun: [u8; 8], cdb: &[u8]) -> Verdict {
        let Some(port) = self.nexuses.nexus(nexus).map(|nexus| nexus.target_port) else {
            return Sense::ABORTED_COMMAND.into();
        };
        let parsed = parse(cdb);
        let existing = Lun::decode(lun).ok().filter(|&lun| self.unit(lun).is_some());
        let Some(lun) = existing else {
            return answer::without_unit(self, parsed);
        };
        let attention = match cdb.first() {
            Some(&opcode::INQUIRY | &opcode::REPORT_LUNS) => None,
            // A REQUEST SENSE that cannot be answered must not lose the condition.
            Some(&opcode::REQUEST_SENSE) if parsed.is_err() => None,
            _ => self.take_attention(nexus, lun),
        };
        match (attention, parsed) {
            (attention, Ok(Command::RequestSense { descriptor, allocation_length })) => {
                let sense = attention.map(UnitAttention::sense);
                answer::request_sense(self, lun, sense, descriptor, allocation_length)
            }
            (Some(attention), _) => attention.sense().into(),
            (None, Err(sense)) => sense.into(),
            (None, Ok(command)) => {
                let verdict = self.execute(nexus, port, lun, &command);
                if let (Command::ReportLuns { .. }, Verdict::Answer(Response { sense: None, .. })) =
                    (command, &verdict)
                {
                    self.end_luns_changed(nexus);
                }
                verdict
            }
        }
    }

    fn execute(&mut self, nexus: NexusId, port: u16, lun: Lun, command: &Command) -> Verdict {
        let Some(unit) = self.unit(lun) else {
            return Sense::LOGICAL_UNIT_NOT_SUPPORTED.into();
        };
        if let Some(refusal) = self.refused(nexus, port, lun, command) {
            return refusal.into();
        }
        if let Some(verdict) = media::check(unit, lun, command) {
            return verdict;
        }
        if let Command::Sanitize(request) = command {
            match sanitize::check(unit, request) {
                Err(sense) => return sense.into(),
                // Without a parameter list, but nothing to be answered at once.
                Ok(())
                    if matches!(
                        request.action,
                        SanitizeAction::BlockErase | SanitizeAction::CryptographicErase
                    ) =>
                {
                    return Verdict::Data(Parameters { lun, length: 0, command: *command });
                }
                Ok(()) => {}
            }
        }
        if command.direction() == Direction::ToDevice {
            return match u32::try_from(command.transfer_length(0)) {
                Ok(0) => self.with_parameters(nexus, lun, command, &[]).into(),
                Ok(length @ ..=PARAMETER_LIST_MAX) => {
                    Verdict::Data(Parameters { lun, length, command: *command })
                }
                _ => Sense::PARAMETER_LIST_LENGTH_ERROR.into(),
            };
        }
        answer::from_host(self, nexus, port, lun, command)
    }

    /// Why the target port or a reservation keeps the nexus from a command, whatever it asks for.
    fn refused(&self, nexus: NexusId, port: u16, lun: Lun, command: &Command) -> Option<Response> {
        alua::refusal(self, port, lun, command)
            .map(Response::from)
            .or_else(|| self.reservation_conflict(nexus, lun, command))
            .or_else(|| sanitize::refusal(self.unit(lun)?, command).map(Response::from))
    }

    /// Executes a command that [`Self::check`] judged [`Verdict::Data`], with its parameter list
    /// `bytes`, which may be shorter than the CDB says: the initiator sent no more.
    ///
    /// Afterwards see [`Self::take_effects`].
    pub fn parameters(&mut self, nexus: NexusId, lun: Lun, cdb: &[u8], bytes: &[u8]) -> Response {
        let Some(port) = self.nexuses.nexus(nexus).map(|nexus| nexus.target_port) else {
            return Sense::ABORTED_COMMAND.into();
        };
        if self.unit(lun).is_none() {
            return Sense::LOGICAL_UNIT_NOT_SUPPORTED.into();
        }
        match parse(cdb) {
            // A reservation may have come in between.
            Ok(command) => match self.refused(nexus, port, lun, &command) {
                Some(refusal) => refusal,
                None => self.with_parameters(nexus, lun, &command, bytes),
            },
            Err(sense) => sense.into(),
        }
    }

    fn with_parameters(
        &mut self,
        nexus: NexusId,
        lun: Lun,
        command: &Command,
        bytes: &[u8],
    ) -> Response {
        // A list that ended early is an error of the list, not of what it holds.
        if (bytes.len() as u64) < command.transfer_length(0) {
            return Sense::PARAMETER_LIST_LENGTH_ERROR.into();
        }
        answer::with_parameters(self, nexus, lun, command, bytes)
    }

    fn take_attention(&mut self, nexus: NexusId, lun: Lun) -> Option<UnitAttention> {
        self.unit_mut(lun).ok()?.attentions.take(nexus.index())
    }

    /// A REPORT LUNS that was answered told the nexus the new LUNs, for all units.
    fn end_luns_changed(&mut self, nexus: NexusId) {
        for unit in self.units.iter_mut().flatten() {
            unit.attentions.clear(nexus.index(), UnitAttention::ReportedLunsChanged);
        }
    }
}

#[cfg(test)]
mod tests;
