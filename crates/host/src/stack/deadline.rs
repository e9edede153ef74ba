//! Deadlines, and the ladder of giving up on a task: abort it, reset its LUN, restart the driver.
//! Each step waits for the driver's confirmation or for the fence, so that a write whose end was
//! told can never land later.

use outboard_scsi::{Command, Sense};
use outboard_slots::{Time, planted};

use super::{Stack, Unfit};
use crate::ledger::SlotState;

/// How long a command may take before the host gives it up, ns.
pub(super) const TASK_TIMEOUT_NS: u64 = 10_000_000_000;
/// The same for commands that may have to write a cache, spin up or unmap much.
const SLOW_TASK_TIMEOUT_NS: u64 = 12_000_000_000;
/// The same for commands that may write much and name little, and for which initiators wait longer.
const LONG_TASK_TIMEOUT_NS: u64 = 40_000_000_000;
/// How long a driver may take to confirm a task management function, ns.
const FUNCTION_NS: u64 = 15_000_000_000;
/// How long each further step of the ladder may take, ns: abort, then LUN reset.
const STEP_NS: u64 = 5_000_000_000;
/// The whole ladder, ns: Linux gives up on most commands at 30 s...
const LADDER_NS: u64 = 25_000_000_000;
/// ...and on SYNCHRONIZE CACHE at 60 s, on WRITE SAME at 120 s.
const LONG_LADDER_NS: u64 = 55_000_000_000;
/// What of it is for the restart at its end, ns.
const RESTART_NS: u64 = 3_000_000_000;
const _: () = assert!(FUNCTION_NS < LADDER_NS);
const _: () = assert!(TASK_TIMEOUT_NS + 2 * STEP_NS + RESTART_NS <= LADDER_NS);
const _: () = assert!(SLOW_TASK_TIMEOUT_NS + 2 * STEP_NS + RESTART_NS <= LADDER_NS);
const _: () = assert!(LONG_TASK_TIMEOUT_NS + 2 * STEP_NS + RESTART_NS <= LONG_LADDER_NS);

/// How long a command of this kind may take before the host gives it up, ns.
pub(super) const fn timeout_ns(command: &Command) -> u64 {
    match command {
        Command::WriteSame(same) if !same.unmap => LONG_TASK_TIMEOUT_NS,
        Command::SynchronizeCache { .. } => LONG_TASK_TIMEOUT_NS,
        Command::WriteSame(_) | Command::Unmap { .. } | Command::StartStopUnit(_) => {
            SLOW_TASK_TIMEOUT_NS
        }
        _ => TASK_TIMEOUT_NS,
    }
}

impl Stack {
    /// When the stack next wants a turn by the clock alone.
    pub fn next_deadline(&self) -> Time {
        self.next_deadline_round
    }

    pub(super) fn look_at_deadlines(&mut self, now: Time) {
        if self.debug || planted::is("host: no deadlines") {
            return;
        }
        // With no task of the driver's left to be late, its word may still be.
        if !self.detached && self.pending.iter_mut().any(|p| p.is_late(now, FUNCTION_NS)) {
            let reason = "it has not confirmed a task management function".to_owned();
            self.declare_unfit(Unfit::Late, reason);
        }
        if self.ledger.in_use() == 0 {
            return;
        }
        self.give_up_waiting(now);
        // A driver that has gone cannot be asked; what it had is repeated or ended after the fence.
        if self.detached {
            return;
        }
        let late: Vec<_> = self
            .ledger
            .iter()
            .filter(|(_, r)| r.state == SlotState::InDriver && r.deadline <= now)
            .map(|(slot, r)| (slot, r.given_up, r.lun))
            .collect();
        let mut reset = Vec::new();
        for (slot, step, lun) in late {
            self.counters.timed_out += u64::from(step == 0);
            match (step, self.is_deaf()) {
                // Neither abort nor reset would be read: nothing is lost by leaving them out.
                (0 | 1, Some(still_ns)) => {
                    let seconds = still_ns as f64 / 1e9;
                    let reason = format!(
                        "the task in slot {slot} is late, and its I/O thread has stood still for {seconds:.1} s"
                    );
                    self.declare_unfit(Unfit::Hangs, reason);
                }
                (0, None) => self.abort_slot(now, slot),
                // Once for all that are late together.
                (1, None) if reset.contains(&lun) => {}
                (1, None) => {
                    reset.push(lun);
                    self.reset_late(lun);
                }
                _ => {
                    let reason =
                        format!("the task in slot {slot} has not ended after abort and LUN reset");
                    self.declare_unfit(Unfit::Late, reason);
                }
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

    pub(super) fn declare_unfit(&mut self, kind: Unfit, reason: String) {
        self.unfit.get_or_insert((kind, reason));
    }
}
