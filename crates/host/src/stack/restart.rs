//! A driver's death: what is in flight waits for the fence, then is submitted again to the next
//! incarnation, rebuilt from the ledger, in order of reception.

use outboard_scsi::Sense;
use outboard_slots::Time;

use super::Stack;
use crate::ledger::SlotState;

/// A task in flight at this many deaths in a row is the likely cause of them.
const DEATHS_MAX: u8 = 3;

impl Stack {
    /// The driver has died or was killed: nothing is handed over any more. New commands are taken
    /// and wait.
    pub fn driver_lost(&mut self) {
        self.detached = true;
        self.requests.clear();
    }

    /// The fence has passed and a new incarnation is attached, over a fresh channel: every task the
    /// dead one had is submitted again, except what must not be repeated.
    pub fn driver_replaced(&mut self, _now: Time) {
        self.detached = false;
        self.gone_for_good = false;
        self.unfit = None;
        self.violations.clear();
        let slots = self.ledger.in_order(SlotState::InDriver);
        let mut again = Vec::with_capacity(slots.len());
        for slot in slots {
            let Some(record) = self.ledger.record_mut(slot) else { continue };
            record.deaths += 1;
            // Deadline and step of giving up stay: a restart buys a task no time.
            let (deaths, aborted, lun) = (record.deaths, record.aborted, record.lun);
            let overtaken =
                record.writes && self.acked.overtook(record.order, record.lun, record.range);
            self.in_driver -= 1;
            let end = if aborted {
                None
            } else if deaths >= DEATHS_MAX {
                Some(Sense::INTERNAL_TARGET_FAILURE)
            } else if overtaken {
                Some(Sense::ABORTED_COMMAND)
            } else {
                record.state = SlotState::Waiting;
                record.repeat(true);
                again.push(slot);
                continue;
            };
            self.leave_task_set(slot, usize::from(lun));
            match end {
                Some(sense) => self.end_with_sense(slot, &sense),
                None => self.end_aborted(slot),
            }
        }
        self.counters.replayed += again.len() as u64;
        // They were received before everything that has waited meanwhile.
        again.append(&mut self.outbox);
        self.outbox = again;
        self.after_fence();
    }

    /// The fence has passed and no new incarnation comes: everything the driver had ends, and so
    /// does what comes later, until [`Self::driver_replaced`] after all.
    pub fn driver_gone_for_good(&mut self) {
        self.detached = true;
        self.gone_for_good = true;
        self.requests.clear();
        self.run_host_tasks();
        self.end_all_in_driver(&Sense::INTERNAL_TARGET_FAILURE);
        self.end_outbox(&Sense::INTERNAL_TARGET_FAILURE);
        self.after_fence();
    }

    /// Nothing of the dead driver can touch the region any more.
    fn after_fence(&mut self) {
        for slot in self.ledger.in_order(SlotState::Quarantined) {
            if let Some(record) = self.ledger.record(slot) {
                self.buffers.give_back(record.buffer);
            }
            self.ledger.release(slot);
        }
        for pending in &mut self.pending {
            pending.confirm();
        }
        self.settle();
    }
}
