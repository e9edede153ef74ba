//! A target: logical units by LUN, the ports that lead to them, and the nexuses.

use outboard_scsi::Lun;

use crate::alua::PortGroup;
use crate::attention::{Attentions, UnitAttention};
use crate::error::SpcError;
use crate::nexus::{Nexus, NexusId, NexusTable};
use crate::unit::{Capacity, LogicalUnit, UnitConfig};
use crate::verdict::Effect;

/// A SCSI target device (SAM-6 clause 4) with one task router for all its ports.
#[derive(Debug)]
pub struct Target {
    name: String,
    ports: Vec<TargetPort>,
    /// Indexed by LUN.
    pub(crate) units: Vec<Option<Box<LogicalUnit>>>,
    pub(crate) nexuses: NexusTable,
    pub(crate) groups: Vec<PortGroup>,
    /// What the last commands of the host ask of the task router, in order.
    pub(crate) effects: Vec<Effect>,
}

/// A target port: one way to reach the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPort {
    /// RELATIVE TARGET PORT IDENTIFIER, from 1.
    pub relative_id: u16,
    /// SCSI name string, such as an iSCSI name with `,t,0x0001`; empty if it has none.
    pub name: String,
    /// PROTOCOL IDENTIFIER (SPC-6 7.6.1), 0h to Fh; 5h is iSCSI.
    pub protocol: u8,
}

/// Whom a unit attention condition concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every nexus.
    All,
    /// Every nexus but the one that caused it.
    AllBut(NexusId),
    /// One nexus.
    One(NexusId),
}

impl Target {
    /// A target without units, for at most `nexuses` nexuses at a time. `name` is its SCSI name
    /// string (an iSCSI name), empty if it has none.
    #[must_use]
    pub fn new(name: &str, ports: Vec<TargetPort>, nexuses: u16) -> Self {
        Self {
            name: name.to_owned(),
            groups: vec![Self::default_group(&ports)],
            ports,
            units: Vec::new(),
            nexuses: NexusTable::new(nexuses),
            effects: Vec::new(),
        }
    }

    /// Adds a unit at `lun`.
    ///
    /// Every nexus is told of the reset of the new unit, and through the other units that the
    /// reported LUNs changed.
    ///
    /// # Errors
    /// [`SpcError::LunInUse`] with the unit if there is one already.
    pub fn add_unit(&mut self, lun: Lun, mut unit: LogicalUnit) -> Result<(), SpcError> {
        let index = usize::from(lun.number());
        if self.unit(lun).is_some() {
            return Err(SpcError::LunInUse { lun, unit: Box::new(unit) });
        }
        unit.attentions = Attentions::new(self.nexuses.capacity());
        unit.attentions.establish_all(UnitAttention::Reset, None);
        self.luns_changed();
        if self.units.len() <= index {
            self.units.resize_with(index + 1, || None);
        }
        if let Some(entry) = self.units.get_mut(index) {
            *entry = Some(Box::new(unit));
        }
        self.work_out_rights(lun);
        Ok(())
    }

    /// Removes the unit at `lun`; every nexus is told through the others. Its tasks are the
    /// caller's to end first.
    pub fn remove_unit(&mut self, lun: Lun) -> Option<LogicalUnit> {
        let unit = self.units.get_mut(usize::from(lun.number()))?.take()?;
        self.luns_changed();
        Some(*unit)
    }

    /// Opens a nexus; every unit has a reset to report to it.
    ///
    /// # Errors
    /// [`SpcError::NoPort`] or [`SpcError::TooManyNexuses`].
    pub fn open_nexus(&mut self, nexus: Nexus) -> Result<NexusId, SpcError> {
        if self.port(nexus.target_port).is_none() {
            return Err(SpcError::NoPort(nexus.target_port));
        }
        let id = self.nexuses.open(nexus)?;
        for unit in self.units.iter_mut().flatten() {
            unit.attentions.clear_all(id.index());
            unit.attentions.establish(id.index(), UnitAttention::Reset);
        }
        self.work_out_all_rights();
        Ok(id)
    }

    /// Closes a nexus. Its tasks are the caller's to end first. Returns what it was, or `None` if
    /// it was not open.
    pub fn close_nexus(&mut self, id: NexusId) -> Option<Nexus> {
        let nexus = self.nexuses.close(id)?;
        for unit in self.units.iter_mut().flatten() {
            unit.nexus_lost(id);
        }
        self.work_out_all_rights();
        Some(nexus)
    }

    /// What the last [`Self::check`] or [`Self::parameters`] asks for beside its answer; the
    /// caller carries it out, and answers the command only then.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Makes a unit attention condition pending.
    ///
    /// # Errors
    /// [`SpcError::NoUnit`].
    pub fn establish(
        &mut self,
        lun: Lun,
        scope: Scope,
        attention: UnitAttention,
    ) -> Result<(), SpcError> {
        let attentions = &mut self.unit_mut(lun)?.attentions;
        match scope {
            Scope::All => attentions.establish_all(attention, None),
            Scope::AllBut(id) => attentions.establish_all(attention, Some(id.index())),
            Scope::One(id) => attentions.establish(id.index(), attention),
        }
        Ok(())
    }

    /// Takes over what a new driver declares about the same unit and tells every nexus what
    /// changed; whether anything did.
    ///
    /// # Errors
    /// [`SpcError::NoUnit`].
    pub fn reconfigure(&mut self, lun: Lun, config: UnitConfig) -> Result<bool, SpcError> {
        let unit = self.unit_mut(lun)?;
        let old = unit.reconfigure(config);
        let new = unit.config();
        let (capacity, mode) = (old.capacity != new.capacity, old.read_only != new.read_only);
        let rest = UnitConfig { capacity: old.capacity, read_only: old.read_only, ..new.clone() };
        for (changed, attention) in [
            (capacity, UnitAttention::CapacityChanged),
            (mode, UnitAttention::ModeParametersChanged),
            (rest != old, UnitAttention::InquiryDataChanged),
        ] {
            if changed {
                self.establish(lun, Scope::All, attention)?;
            }
        }
        Ok(self.unit(lun).is_some_and(|unit| *unit.config() != old))
    }

    /// Logical unit reset (SAM-6 6.3.3), as far as it concerns what the host keeps. Tasks are the
    /// caller's to end, the unit attention its to establish.
    pub fn reset_unit(&mut self, lun: Lun) {
        if let Ok(unit) = self.unit_mut(lun) {
            unit.reset();
        }
        self.work_out_rights(lun);
    }

    /// A command on the unit ended with MEDIUM ERROR: the log pages count it.
    pub fn note_medium_error(&mut self, lun: Lun, write: bool) {
        if let Ok(unit) = self.unit_mut(lun) {
            let counter = match write {
                true => &mut unit.counters.write_errors,
                false => &mut unit.counters.read_errors,
            };
            *counter = counter.saturating_add(1);
        }
    }

    /// Changes the size of a unit and tells every nexus.
    ///
    /// # Errors
    /// [`SpcError::NoUnit`].
    pub fn set_capacity(&mut self, lun: Lun, capacity: Capacity) -> Result<(), SpcError> {
        self.unit_mut(lun)?.set_capacity(capacity);
        self.establish(lun, Scope::All, UnitAttention::CapacityChanged)
    }

    /// Makes the medium of a unit removable or not, and tells every nexus.
    ///
    /// # Errors
    /// [`SpcError::NoUnit`].
    pub fn set_removable(&mut self, lun: Lun, removable: bool) -> Result<(), SpcError> {
        let unit = self.unit_mut(lun)?;
        let config = UnitConfig { removable, ..unit.config().clone() };
        unit.reconfigure(config);
        self.establish(lun, Scope::All, UnitAttention::InquiryDataChanged)
    }

    /// Changes the write protection of a unit and tells every nexus: the WP bit of MODE SENSE
    /// changed.
    ///
    /// # Errors
    /// [`SpcError::NoUnit`].
    pub fn set_read_only(&mut self, lun: Lun, read_only: bool) -> Result<(), SpcError> {
        self.unit_mut(lun)?.set_read_only(read_only);
        self.establish(lun, Scope::All, UnitAttention::ModeParametersChanged)
    }

    /// The unit at `lun`, for changes that concern no nexus.
    ///
    /// # Errors
    /// [`SpcError::NoUnit`].
    pub fn unit_mut(&mut self, lun: Lun) -> Result<&mut LogicalUnit, SpcError> {
        match self.units.get_mut(usize::from(lun.number())) {
            Some(Some(unit)) => Ok(unit),
            _ => Err(SpcError::NoUnit(lun)),
        }
    }

    /// The unit at `lun`.
    #[inline]
    #[must_use]
    pub fn unit(&self, lun: Lun) -> Option<&LogicalUnit> {
        self.units.get(usize::from(lun.number()))?.as_deref()
    }

    /// The LUNs with a unit, ascending.
    pub fn luns(&self) -> impl Iterator<Item = Lun> {
        (0..)
            .zip(&self.units)
            .filter(|(_, unit)| unit.is_some())
            .filter_map(|(number, _)| Lun::new(number))
    }

    /// The nexuses.
    #[must_use]
    pub fn nexuses(&self) -> &NexusTable {
        &self.nexuses
    }

    /// SCSI name string of the target device, or an empty string.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The target ports.
    #[must_use]
    pub fn ports(&self) -> &[TargetPort] {
        &self.ports
    }

    pub(crate) fn port(&self, relative_id: u16) -> Option<&TargetPort> {
        self.ports.iter().find(|port| port.relative_id == relative_id)
    }

    /// The set of LUNs is about to change.
    fn luns_changed(&mut self) {
        for unit in self.units.iter_mut().flatten() {
            unit.attentions.establish_all(UnitAttention::ReportedLunsChanged, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::tests::config;

    fn nexus() -> Nexus {
        Nexus { initiator_port: "iqn.2026-01.example:a".to_owned(), target_port: 1 }
    }

    fn target() -> Target {
        let port = TargetPort { relative_id: 1, name: String::new(), protocol: 5 };
        Target::new("iqn.2026-01.example:t", vec![port], 2)
    }

    #[test]
    fn units_come_and_go() {
        let mut target = target();
        let (lun, other) = (Lun::from(3), Lun::from(1));
        target.add_unit(lun, LogicalUnit::new(config())).unwrap();
        target.add_unit(other, LogicalUnit::new(config())).unwrap();
        let taken = target.add_unit(lun, LogicalUnit::new(config())).unwrap_err();
        assert!(matches!(taken, SpcError::LunInUse { lun, .. } if lun.number() == 3));
        assert_eq!(target.luns().collect::<Vec<_>>(), [other, lun]);
        assert!(target.remove_unit(lun).is_some());
        assert!(target.remove_unit(lun).is_none());
        assert!(target.unit(lun).is_none());
        assert!(matches!(target.unit_mut(lun), Err(SpcError::NoUnit(_))));
    }

    #[test]
    fn nexuses_are_told_of_changes() {
        let mut target = target();
        let lun = Lun::ZERO;
        target.add_unit(lun, LogicalUnit::new(config())).unwrap();
        let id = target.open_nexus(nexus()).unwrap();
        let take = |target: &mut Target| target.unit_mut(lun).unwrap().attentions.take(id.index());
        assert_eq!(take(&mut target), Some(UnitAttention::Reset));
        assert_eq!(take(&mut target), None);

        target.set_capacity(lun, Capacity::new(2000, 512).unwrap()).unwrap();
        assert_eq!(take(&mut target), Some(UnitAttention::CapacityChanged));
        target.set_read_only(lun, true).unwrap();
        assert_eq!(take(&mut target), Some(UnitAttention::ModeParametersChanged));
        target.add_unit(Lun::from(1), LogicalUnit::new(config())).unwrap();
        assert_eq!(take(&mut target), Some(UnitAttention::ReportedLunsChanged));
        target.remove_unit(Lun::from(1)).unwrap();
        assert_eq!(take(&mut target), Some(UnitAttention::ReportedLunsChanged));
        target.establish(lun, Scope::AllBut(id), UnitAttention::CommandsCleared).unwrap();
        assert_eq!(take(&mut target), None);
        target.establish(lun, Scope::One(id), UnitAttention::NexusLoss).unwrap();
        assert_eq!(take(&mut target), Some(UnitAttention::NexusLoss));
    }

    #[test]
    fn a_nexus_needs_a_port() {
        let mut target = target();
        let wrong = Nexus { target_port: 2, ..nexus() };
        assert!(matches!(target.open_nexus(wrong), Err(SpcError::NoPort(2))));
    }

    #[test]
    fn an_entry_that_is_used_again_starts_afresh() {
        let mut target = target();
        target.add_unit(Lun::ZERO, LogicalUnit::new(config())).unwrap();
        let first = target.open_nexus(nexus()).unwrap();
        target.establish(Lun::ZERO, Scope::All, UnitAttention::CapacityChanged).unwrap();
        target.close_nexus(first).unwrap();
        let second = target.open_nexus(nexus()).unwrap();
        assert_eq!(second.index(), first.index());
        let attentions = &mut target.unit_mut(Lun::ZERO).unwrap().attentions;
        assert_eq!(attentions.take(second.index()), Some(UnitAttention::Reset));
        assert_eq!(attentions.take(second.index()), None);
    }
}
