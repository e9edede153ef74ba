//! A driver's death: what is in flight waits for the fence; what the dead one had completed is
//! answered, and the rest is submitted again to the next incarnation, rebuilt from the ledger, in
//! order of reception.
//!
//! The order of the calls: [`Stack::driver_lost`], the fence (the caller's), [`Stack::driver_fenced`]
//! with the dead one's channel, [`Stack::adopt`] if the successor's units may differ,
//! [`Stack::driver_replaced`]; or [`Stack::driver_gone_for_good`] instead of the last two.

use outboard_scsi::command::opcode as op;
use outboard_scsi::{Lun, Sense};
use outboard_slots::{Time, planted};
use outboard_spc::{Scope, UnitAttention};

use super::pulse::Watch;
use super::{Answer, Stack};
use crate::channel::{self, Channel};
use crate::ledger::{Record, SlotState};

/// A task in flight at this many deaths in a row is the likely cause of them.
const DEATHS_MAX: u8 = 3;
const _: () = assert!(super::alone::DEATHS_ALONE < DEATHS_MAX);
/// Poison that is kept until somebody asks for it.
const POISON_KEPT: usize = 64;

/// A task by what an operator knows of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedTask {
    /// LUN, flat
    pub lun: u16,
    /// the initiator port; `None` for the host's own tasks, and if the nexus has gone
    pub initiator: Option<String>,
    /// the initiator's tag
    pub tag: u64,
    /// the CDB, as the driver got it
    pub cdb: Vec<u8>,
    /// bytes it was to move
    pub bytes: u64,
    /// driver deaths it was in flight at, in a row
    pub deaths: u8,
}

/// What is to be known of deaths.
#[derive(Debug, Default)]
pub(super) struct Restart {
    /// units whose acknowledged writes do not survive their driver
    pub(super) forgetful: Vec<Lun>,
    /// units whose acknowledged writes a death since the last incarnation may have undone
    lost: Vec<Lun>,
    poison: Vec<NamedTask>,
}

impl Stack {
    /// The driver has died or was killed: nothing is handed over any more. New commands are taken
    /// and wait.
    pub fn driver_lost(&mut self) {
        self.restart.lost.clone_from(&self.restart.forgetful);
        self.detach();
    }

    /// The driver is asked to end in order, with no task left: as [`Self::driver_lost`], but its
    /// caches are written. If it does not end in order after all: [`Self::driver_lost`], before the
    /// fence is told.
    pub fn driver_left(&mut self) {
        match self.in_driver {
            0 => self.detach(),
            _ => self.driver_lost(),
        }
    }

    fn detach(&mut self) {
        self.detached = true;
        self.forget_requests();
    }

    /// The fence has passed: what the dead driver had completed ends by that, checked as ever, and
    /// is not repeated. `old` is its channel, or what [`Drained`](channel::Drained) has kept of it:
    /// the region's rings must be as it left them. Answers are appended; those of tasks that
    /// violations end come with the next turn.
    pub fn driver_fenced(&mut self, now: Time, old: &mut dyn Channel, answers: &mut Vec<Answer>) {
        if !self.detached {
            return;
        }
        let mut completed = std::mem::take(&mut self.completed);
        let mut violations = Vec::new();
        channel::drain(now, old, &mut completed, &mut violations);
        let before = self.counters.completed;
        self.complete_all(now, old, &completed, answers);
        self.counters.recovered += self.counters.completed - before;
        completed.clear();
        self.completed = completed;
        for violation in violations {
            self.violated(now, violation);
        }
    }

    /// The fence has passed and a new incarnation is attached, over a fresh channel: every task the
    /// dead one had is submitted again, except what must not be repeated.
    pub fn driver_replaced(&mut self, now: Time) {
        self.watch = Watch::from(now);
        self.detached = false;
        self.gone_for_good = false;
        self.unfit = None;
        self.violations.clear();
        let lost = self.tell_of_lost_acks();
        let slots = self.ledger.in_order(SlotState::InDriver);
        let overtaken = self.overtaken(&slots);
        let mut again = Vec::with_capacity(slots.len());
        for (slot, overtaken) in slots.into_iter().zip(overtaken) {
            let end = self.end_of(slot, overtaken, &lost);
            let Some(record) = self.ledger.record_mut(slot) else { continue };
            self.in_driver -= 1;
            if let End::Again = end {
                record.state = SlotState::Waiting;
                record.repeat(true);
                self.suspects |= record.is_suspect();
                self.guard(slot);
                if again.is_empty() && planted::is("host: a task not repeated") {
                    continue;
                }
                again.push(slot);
                continue;
            }
            let lun = usize::from(record.lun);
            self.leave_task_set(slot, lun);
            match end {
                End::Failed(sense) => self.end_with_sense(slot, &sense),
                _ => self.end_aborted(slot),
            }
        }
        self.counters.replayed += again.len() as u64;
        // They were received before everything that has waited meanwhile.
        again.append(&mut self.outbox);
        self.outbox = again;
        self.after_fence();
    }

    /// Which of the tasks, oldest first, are writes that a later, acknowledged one overlaps.
    fn overtaken(&self, slots: &[u16]) -> Vec<bool> {
        let mut overtaken = vec![false; slots.len()];
        let writes = |slot| self.ledger.record(slot).filter(|record| record.writes);
        if !slots.iter().any(|slot| writes(*slot).is_some()) {
            return overtaken;
        }
        let mut overtaking = self.acked.overtaking();
        for (&slot, overtaken) in slots.iter().zip(&mut overtaken).rev() {
            *overtaken = writes(slot).is_some_and(|Record { order, lun, range, .. }| {
                overtaking.overtook(*order, *lun, *range)
            });
        }
        overtaken
    }

    /// What becomes of a task that a dead driver had. `overtaken`: it would bring old data back;
    /// `lost`: units whose acknowledged writes it may have taken along.
    fn end_of(&mut self, slot: u16, overtaken: bool, lost: &[Lun]) -> End {
        let Some(record) = self.ledger.record_mut(slot) else { return End::Aborted };
        record.deaths = record.deaths.saturating_add(1);
        // Deadline and step of giving up stay: a restart buys a task no time.
        let (deaths, aborted, too_late) = (record.deaths, record.aborted, record.keeps(lost));
        if deaths >= DEATHS_MAX {
            self.name_poison(slot);
        }
        let is_poison = deaths >= DEATHS_MAX && !planted::is("host: poison repeated for ever");
        if aborted && !planted::is("host: aborted tasks repeated") {
            End::Aborted
        } else if is_poison || too_late {
            End::Failed(Sense::INTERNAL_TARGET_FAILURE)
        } else if overtaken {
            End::Failed(Sense::ABORTED_COMMAND)
        } else if self.is_spoiled(slot) {
            self.counters.spoiled += 1;
            End::Failed(Sense::ABORTED_COMMAND)
        } else {
            End::Again
        }
    }

    /// The fence has passed and no new incarnation comes: everything the driver had ends, and so
    /// does what comes later, until [`Self::driver_replaced`] after all.
    pub fn driver_gone_for_good(&mut self) {
        self.detached = true;
        self.gone_for_good = true;
        self.forget_requests();
        self.run_host_tasks();
        self.end_all_in_driver(&Sense::INTERNAL_TARGET_FAILURE);
        self.end_outbox(&Sense::INTERNAL_TARGET_FAILURE);
        self.after_fence();
    }

    /// Tasks that have killed the driver, as far as can be told, since the last call: for the report.
    pub fn poison(&mut self) -> Vec<NamedTask> {
        std::mem::take(&mut self.restart.poison)
    }

    /// The tasks that the driver has, oldest first, at most `most` of them: for the report of its
    /// death.
    pub fn last_tasks(&self, most: usize) -> Vec<NamedTask> {
        let slots = self.ledger.in_order(SlotState::InDriver);
        slots.into_iter().take(most).filter_map(|slot| self.name_of(slot)).collect()
    }

    fn name_poison(&mut self, slot: u16) {
        let Some(poison) = self.name_of(slot) else { return };
        self.counters.poisoned += 1;
        if self.restart.poison.len() == POISON_KEPT {
            self.restart.poison.remove(0);
        }
        self.restart.poison.push(poison);
    }

    fn name_of(&self, slot: u16) -> Option<NamedTask> {
        let record = self.ledger.record(slot)?;
        let nexuses = self.target.nexuses();
        let nexus = u16::try_from(record.nexus).ok().and_then(|index| nexuses.at(index));
        let nexus = nexus.and_then(|id| nexuses.nexus(id)).filter(|_| !record.internal);
        Some(NamedTask {
            lun: record.lun,
            initiator: nexus.map(|nexus| nexus.initiator_port.clone()),
            tag: record.task.task_tag_identifier,
            cdb: record.task.cdb().to_vec(),
            bytes: record.task.requested_transfer_count,
            deaths: record.deaths,
        })
    }

    /// A driver that keeps acknowledged writes to itself has taken them along: every nexus learns
    /// that the unit is not what it was (SPC-6, 29h/04h), and nobody that they are on the medium.
    fn tell_of_lost_acks(&mut self) -> Vec<Lun> {
        let lost = std::mem::take(&mut self.restart.lost);
        for &lun in &lost {
            let attention = UnitAttention::DeviceInternalReset;
            // A unit that has gone since has nobody to tell.
            if self.target.establish(lun, Scope::All, attention).is_ok() {
                self.counters.acks_lost += 1;
            }
            self.jobs.begin_again(lun);
        }
        let waits = |r: &Record| r.state == SlotState::Waiting && r.keeps(&lost);
        let too_late: Vec<u16> =
            self.ledger.iter().filter(|(_, r)| waits(r)).map(|(slot, _)| slot).collect();
        for slot in self.withdraw(&too_late) {
            self.end_with_sense(slot, &Sense::INTERNAL_TARGET_FAILURE);
        }
        lost
    }

    /// Nothing of the dead driver can touch the region any more.
    fn after_fence(&mut self) {
        for slot in self.ledger.in_order(SlotState::Quarantined) {
            if planted::is("host: quarantine for ever") {
                break;
            }
            if let Some(record) = self.ledger.record(slot) {
                self.buffers.give_back(record.buffer);
            }
            self.ledger.release(slot);
        }
        for pending in &mut self.pending {
            if !planted::is("host: functions forgotten at the fence") {
                pending.confirm();
            }
        }
        self.settle();
    }
}

impl Record {
    /// Whether its GOOD would say of writes to one of these units, acknowledged before, that they
    /// are on the medium. A job that has begun again says nothing yet.
    fn keeps(&self, units: &[Lun]) -> bool {
        let writes_cache = matches!(
            self.task.command_descriptor_block[0],
            op::SYNCHRONIZE_CACHE_10 | op::SYNCHRONIZE_CACHE_16 | op::START_STOP_UNIT
        );
        let of_these = || units.iter().any(|lun| lun.number() == self.lun);
        writes_cache && of_these() && !self.internal
    }
}

/// How a task goes on that a dead driver had.
enum End {
    Again,
    Aborted,
    Failed(Sense),
}
