//! The check of a command: [`Target::check`].

use outboard_scsi::command::{opcode, parse, parse_hot};
use outboard_scsi::{Command, Lun, Sense};

use crate::answer;
use crate::attention::UnitAttention;
use crate::media;
use crate::nexus::NexusId;
use crate::target::Target;
use crate::verdict::{Forwarded, Response, Verdict};

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
    /// - Media commands are forwarded, others answered.
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
        media::pass(unit, lun, &parse_hot(cdb)?)
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
                let verdict = self.execute(port, lun, &command);
                if let (Command::ReportLuns { .. }, Verdict::Answer(Response { sense: None, .. })) =
                    (command, &verdict)
                {
                    self.end_luns_changed(nexus);
                }
                verdict
            }
        }
    }

    fn execute(&self, port: u16, lun: Lun, command: &Command) -> Verdict {
        let Some(unit) = self.unit(lun) else {
            return Sense::LOGICAL_UNIT_NOT_SUPPORTED.into();
        };
        media::check(unit, lun, command)
            .unwrap_or_else(|| answer::from_host(self, unit, port, command))
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
