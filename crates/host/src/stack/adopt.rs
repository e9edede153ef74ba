//! A successor whose logical units differ from its predecessor's: added, removed, grown.

use outboard_hba::HbaReport;
use outboard_scsi::{Lun, Sense};
use outboard_spc::{LogicalUnit, Scope, TaskSet, UnitAttention, UnitConfig};

use super::units::unit_config;
use super::{Stack, StackError};
use crate::ledger::{Record, SlotState};

/// What a successor changed, by LUN.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Adopted {
    /// new units
    pub added: Vec<u16>,
    /// units that have gone
    pub removed: Vec<u16>,
    /// units that are others than before: another serial number, another block size
    pub replaced: Vec<u16>,
    /// the same units, of another size or with other limits
    pub changed: Vec<u16>,
}

impl Stack {
    /// Takes over the units that a successor reports, after the fence and before
    /// [`Self::driver_replaced`]. Initiators learn of every change by unit attentions; tasks for a
    /// unit that has gone, or is another one now, end with LOGICAL UNIT NOT SUPPORTED.
    ///
    /// # Errors
    /// [`StackError`] for a report that makes no target; nothing has changed then.
    pub fn adopt(
        &mut self,
        report: &HbaReport,
        identifiers: &[u32],
    ) -> Result<Adopted, StackError> {
        let id = self.target_id;
        let described =
            report.targets.iter().find(|t| t.id == id).ok_or(StackError::NoTarget(id))?;
        let longest = report.dma.max_transfer_size.min(self.buffers.largest());
        let mut units = Vec::with_capacity(described.units.len());
        for unit in &described.units {
            let config = unit_config(id, unit, longest)?;
            units.push((Lun::new(unit.lun).unwrap_or(Lun::ZERO), config));
        }
        let forgetful = described.units.iter().filter(|unit| !unit.acks_survive_death);
        self.restart.forgetful =
            forgetful.map(|unit| Lun::new(unit.lun).unwrap_or(Lun::ZERO)).collect();
        self.take_identifiers(identifiers);

        let mut adopted = Adopted::default();
        let gone: Vec<Lun> =
            self.target.luns().filter(|l| !units.iter().any(|(lun, _)| lun == l)).collect();
        for lun in gone {
            self.remove_unit(lun);
            adopted.removed.push(lun.number());
        }
        for (lun, config) in units {
            let list = match self.target.unit(lun).map(|unit| unit.is_same_disk(&config)) {
                None => {
                    self.add_unit(lun, config)?;
                    &mut adopted.added
                }
                Some(false) => {
                    self.remove_unit(lun);
                    self.add_unit(lun, config)?;
                    let attention = UnitAttention::InquiryDataChanged;
                    let _ = self.target.establish(lun, Scope::All, attention);
                    &mut adopted.replaced
                }
                Some(true) => match self.target.reconfigure(lun, config) {
                    Ok(true) => &mut adopted.changed,
                    _ => continue,
                },
            };
            list.push(lun.number());
        }
        Ok(adopted)
    }

    /// The task identifiers that the successor has handed out, for old tasks as well.
    fn take_identifiers(&mut self, identifiers: &[u32]) {
        self.identifiers = identifiers.to_vec();
        let slots: Vec<u16> = self.ledger.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let identifier = self.identifiers.get(usize::from(slot)).copied().unwrap_or(0);
            if let Some(record) = self.ledger.record_mut(slot) {
                record.task.controller_task_identifier = u64::from(identifier);
            }
        }
    }

    fn add_unit(&mut self, lun: Lun, config: UnitConfig) -> Result<(), StackError> {
        let (target, number) = (self.target_id, lun.number());
        let fail = |source| StackError::Unit { target, lun: number, source };
        self.target.add_unit(lun, LogicalUnit::new(config)).map_err(fail)?;
        let index = usize::from(number);
        if self.task_sets.len() <= index {
            self.task_sets.resize_with(index + 1, || None);
        }
        let slots = u16::try_from(self.ledger.slots()).unwrap_or(u16::MAX);
        if let Some(entry) = self.task_sets.get_mut(index) {
            *entry = Some(TaskSet::new(slots));
        }
        Ok(())
    }

    /// Ends the tasks of a unit, then the unit. The dead driver had its tasks; nothing of it can
    /// land any more.
    fn remove_unit(&mut self, lun: Lun) {
        let mut waiting = Vec::new();
        for slot in self.slots_of(lun) {
            let Some(record) = self.ledger.record_mut(slot) else { continue };
            match record.state {
                SlotState::Waiting => waiting.push(slot),
                SlotState::InDriver => {
                    self.in_driver -= 1;
                    self.leave_task_set(slot, usize::from(lun.number()));
                    self.end_gone(slot);
                }
                SlotState::Filling => {
                    record.aborted = true;
                    record.gone = true;
                }
                // It ends by itself, and leaves no task set.
                SlotState::InHost => {}
                SlotState::Free | SlotState::Sending | SlotState::Quarantined => {}
            }
        }
        // What started as others ended is still to be taken back.
        waiting.extend(self.slots_of(lun));
        for slot in self.withdraw(&waiting) {
            self.end_gone(slot);
        }
        self.jobs.lose_disk(lun);
        if let Some(entry) = self.task_sets.get_mut(usize::from(lun.number())) {
            *entry = None;
        }
        self.target.remove_unit(lun);
    }

    fn slots_of(&self, lun: Lun) -> Vec<u16> {
        let of_lun = |r: &Record| r.lun == lun.number();
        self.ledger.iter().filter(|(_, r)| of_lun(r)).map(|(slot, _)| slot).collect()
    }

    fn end_gone(&mut self, slot: u16) {
        match self.ledger.record(slot).is_some_and(Record::is_silent) {
            true => self.end_aborted(slot),
            false => self.end_with_sense(slot, &Sense::LOGICAL_UNIT_NOT_SUPPORTED),
        }
    }
}
