//! Deadlines, and the ladder of giving up on a task: abort it, reset its LUN, restart the driver.
//! Each step waits for the driver's confirmation or for the fence, so that a write whose end was
//! told can never land later.

use outboard_scsi::Sense;
use outboard_slots::Time;

use super::Stack;
use super::manage::Function;
use crate::ledger::SlotState;

/// How long each step of the ladder may take, ns: 10 s for the task, then twice 5 s, and the
/// restart ends within the 25 s that the whole ladder has.
const STEP_NS: u64 = 5_000_000_000;

impl Stack {
    /// When the stack next wants a turn by the clock alone.
    pub fn next_deadline(&self) -> Time {
        self.next_deadline_round
    }

    pub(super) fn look_at_deadlines(&mut self, now: Time) {
        if self.ledger.in_use() == 0 {
            return;
        }
        self.give_up_waiting(now);
        let late: Vec<_> = self
            .ledger
            .iter()
            .filter(|(_, r)| r.state == SlotState::InDriver && r.deadline <= now)
            .map(|(slot, r)| (slot, r.given_up, r.lun))
            .collect();
        for (slot, step, lun) in late {
            match step {
                0 => {
                    self.counters.timed_out += 1;
                    self.abort_slot(now, slot);
                }
                1 => self.manage(now, Function::LogicalUnitReset { lun }, None),
                _ => self.declare_unfit(format!(
                    "the task in slot {slot} has not ended after abort and LUN reset"
                )),
            }
            if let Some(record) = self.ledger.record_mut(slot) {
                record.given_up = step.saturating_add(1);
                record.deadline = now.plus_nanos(STEP_NS);
            }
        }
    }

    /// A task that has waited for its turn until its deadline never gets to a driver: the ladder
    /// would begin too late for it. One that a dead driver has had waits here as well; the fence
    /// has passed for it.
    fn give_up_waiting(&mut self, now: Time) {
        let late: Vec<_> = self
            .ledger
            .iter()
            .filter(|(_, r)| r.state == SlotState::Waiting && r.deadline <= now)
            .map(|(slot, _)| slot)
            .collect();
        if late.is_empty() {
            return;
        }
        self.counters.timed_out += late.len() as u64;
        for slot in self.withdraw(&late) {
            self.end_with_sense(slot, &Sense::COMMAND_TIMEOUT_DURING_PROCESSING);
        }
    }

    pub(super) fn declare_unfit(&mut self, reason: String) {
        self.unfit.get_or_insert(reason);
    }
}
