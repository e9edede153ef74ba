//! What a task was allowed when it came may be forbidden once its data is there: by a reservation,
//! by write protection, by a medium that has been taken out.

use outboard_scsi::Lun;
use outboard_spc::Response;

use super::jobs::Outcome;
use super::{Answer, Stack};
use crate::ledger::SlotState;

impl Stack {
    /// Judges a task again whose data has come since its unit changed, as if the command had come
    /// now; true if that ended it. A write goes through a cache that has been switched off since.
    #[cold]
    pub(super) fn ends_refused(&mut self, slot: u16) -> bool {
        let Some(record) = self.ledger.record(slot) else { return false };
        // What is to be aborted ends as such; the host's own commands are judged as they run.
        if record.state != SlotState::Filling || record.aborted || record.host || record.internal {
            return false;
        }
        let nexus = u16::try_from(record.nexus).ok().and_then(|n| self.target.nexuses().at(n));
        let (Some(nexus), Some(lun)) = (nexus, Lun::new(record.lun)) else { return false };
        let cdb = &record.task.command_descriptor_block;
        if let Some(refusal) = self.target.refused_since(nexus, lun, cdb) {
            self.end_with(slot, &refusal);
            return true;
        }
        let through = self.target.unit(lun).is_some_and(|unit| unit.write_through());
        if let Some(record) = self.ledger.record_mut(slot).filter(|r| through && r.writes) {
            record.write_through();
        }
        false
    }

    /// Ends a task that never reached the driver, with a status, and sense data if it has some.
    pub(super) fn end_with(&mut self, slot: u16, response: &Response) {
        let Some(record) = self.ledger.record_mut(slot) else { return };
        if record.internal {
            let outcome = response.sense.map_or(Outcome::Aborted, Outcome::Failed);
            return self.end_internal(slot, outcome);
        }
        record.state = SlotState::Sending;
        let (cookie, lun, status) =
            (record.cookie, record.task.logical_unit_bytes, response.status);
        let sense = response.sense.map(|sense| self.encode(lun, &sense));
        self.answers.push(Answer { cookie, slot: Some(slot), status, sense, ..Answer::EMPTY });
    }
}
