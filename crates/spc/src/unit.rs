//! A logical unit: what the host knows of it.

mod config;
mod medium;
mod parameters;

pub use config::{Atomic, Capacity, Limits, Provisioning, Thin, UnitConfig};
use outboard_scsi::log;
use outboard_scsi::mode::Pages;
use outboard_scsi::unmap::{UnmapLimits, UnmapList};
use outboard_scsi::vpd::{self, BlockLimits, Characteristics, ProvisioningType};
use outboard_scsi::{Sense, capacity};

use crate::alua::UnitAccess;
use crate::attention::Attentions;
use crate::copy::Copies;
use crate::nexus::NexusId;
use crate::reservation::{Reservations, Rights};
use crate::sanitize::{self, Sanitizing};
use medium::Medium;

/// A direct access block device.
#[derive(Clone, Debug)]
pub struct LogicalUnit {
    config: UnitConfig,
    mode: Pages,
    saved_mode: Option<Pages>,
    medium: Medium,
    /// What keeps the unit from its medium, but for the medium's own state.
    hindrance: Option<Sense>,
    /// What follows from the fields above, ready for the check of every command.
    not_ready: Option<Sense>,
    write_protection: Option<Sense>,
    write_through: bool,
    pub(crate) counters: log::Counters,
    pub(crate) attentions: Attentions,
    pub(crate) reservations: Reservations,
    pub(crate) access: UnitAccess,
    pub(crate) rights: Rights,
    pub(crate) copies: Copies,
    sanitizing: Sanitizing,
    encrypted: bool,
}

impl LogicalUnit {
    /// A unit that is ready, with no unit attention pending.
    #[must_use]
    pub fn new(config: UnitConfig) -> Self {
        let config = within_limits(config);
        let mode = parameters::default_pages(&config);
        let mut unit = Self {
            config,
            mode,
            saved_mode: None,
            medium: Medium::default(),
            hindrance: None,
            not_ready: None,
            write_protection: None,
            write_through: false,
            counters: log::Counters::default(),
            attentions: Attentions::default(),
            reservations: Reservations::default(),
            access: UnitAccess::default(),
            rights: Rights::default(),
            copies: Copies::default(),
            sanitizing: Sanitizing::default(),
            encrypted: false,
        };
        unit.work_out();
        unit
    }

    /// Sets or ends a condition that keeps the unit from executing media commands, such as
    /// [`Sense::NOT_READY_BECOMING_READY`] while its driver starts.
    pub fn set_not_ready(&mut self, sense: Option<Sense>) {
        self.hindrance = sense;
        self.work_out();
    }

    pub(crate) fn set_capacity(&mut self, capacity: Capacity) {
        self.rights.note_change();
        self.config.capacity = capacity;
        let max = u32::MAX / capacity.block_size();
        self.config.limits.max_transfer = self.config.limits.max_transfer.min(max);
    }

    pub(crate) fn set_read_only(&mut self, read_only: bool) {
        self.config.read_only = read_only;
        self.work_out();
    }

    /// Whether `config` is about the disk that this unit is: its names and block length are the
    /// same, so that tasks for the one may be executed by the other.
    #[must_use]
    pub fn is_same_disk(&self, config: &UnitConfig) -> bool {
        self.config.identity.is_same_unit(&config.identity)
            && self.config.capacity.block_size() == config.capacity.block_size()
    }

    /// Takes over another declaration and returns the old one.
    pub(crate) fn reconfigure(&mut self, config: UnitConfig) -> UnitConfig {
        let old = std::mem::replace(&mut self.config, within_limits(config));
        if old.volatile_cache != self.config.volatile_cache {
            self.mode.caching = self.default_mode().caching;
        }
        self.work_out();
        old
    }

    /// Works out what follows from configuration, medium and mode pages.
    fn work_out(&mut self) {
        self.rights.note_change();
        self.not_ready = self.sanitizing.sense().or_else(|| self.not_ready_to_sanitize());
        self.write_protection = if self.config.read_only {
            Some(Sense::WRITE_PROTECTED)
        } else if self.mode.control.software_write_protect {
            Some(Sense::SOFTWARE_WRITE_PROTECTED)
        } else {
            None
        };
        self.write_through = self.config.volatile_cache && !self.mode.caching.write_cache;
    }

    /// Where a sanitize operation stands. It outlives every reset.
    pub(crate) fn sanitizing(&self) -> &Sanitizing {
        &self.sanitizing
    }

    pub(crate) fn set_sanitizing(&mut self, sanitizing: Sanitizing) {
        self.sanitizing = sanitizing;
        self.work_out();
    }

    /// Whether its medium is encrypted under a key of its own that can be replaced.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    pub(crate) fn set_encrypted(&mut self, encrypted: bool) {
        self.encrypted = encrypted;
    }

    /// What keeps the unit from its medium, but for a sanitize operation.
    pub(crate) fn not_ready_to_sanitize(&self) -> Option<Sense> {
        self.hindrance.or_else(|| self.medium.not_ready())
    }

    /// Logical unit reset.
    pub(crate) fn reset(&mut self) {
        self.reservations.reset();
        self.copies.reset();
        self.medium.reset();
        self.mode = self.saved_mode.unwrap_or_else(|| self.default_mode());
        self.work_out();
    }

    /// A nexus has gone.
    pub(crate) fn nexus_lost(&mut self, nexus: NexusId) {
        self.reservations.nexus_lost(nexus);
        self.copies.nexus_lost(nexus);
        self.medium.set_prevented(nexus.index(), false);
    }

    /// What was declared, with its limits cut to what is possible.
    #[inline]
    #[must_use]
    pub fn config(&self) -> &UnitConfig {
        &self.config
    }

    /// Why media commands are refused; `None` if the unit is ready.
    #[inline]
    #[must_use]
    pub fn not_ready(&self) -> Option<Sense> {
        self.not_ready
    }

    /// What keeps the unit from its medium, but for the medium's own state.
    pub(crate) fn hindrance(&self) -> Option<Sense> {
        self.hindrance
    }

    /// Why commands that change the medium are refused; `None` if they are not.
    #[inline]
    #[must_use]
    pub fn write_protection(&self) -> Option<Sense> {
        self.write_protection
    }

    /// Whether every write must reach the medium before it ends: there is a volatile cache, and
    /// WCE is 0.
    #[inline]
    #[must_use]
    pub fn write_through(&self) -> bool {
        self.write_through
    }

    /// Starts the medium, and with `load` brings it back; whether it was out.
    ///
    /// # Errors
    /// MEDIUM REMOVAL PREVENTED.
    pub(crate) fn start(&mut self, load: bool) -> Result<bool, Sense> {
        let loaded = self.medium.start(load)?;
        self.work_out();
        Ok(loaded)
    }

    pub(crate) fn stop(&mut self) {
        self.medium.stop();
        self.work_out();
    }

    /// Takes the medium out.
    ///
    /// # Errors
    /// MEDIUM REMOVAL PREVENTED.
    pub(crate) fn eject(&mut self) -> Result<(), Sense> {
        self.medium.eject()?;
        self.work_out();
        Ok(())
    }

    pub(crate) fn set_prevented(&mut self, nexus: NexusId, prevented: bool) {
        self.medium.set_prevented(nexus.index(), prevented);
    }

    /// Whether sense data of this unit goes out in descriptor format (D_SENSE).
    #[inline]
    #[must_use]
    pub fn descriptor_sense(&self) -> bool {
        self.mode.control.descriptor_sense
    }

    /// Checks the parameter list of an UNMAP, which [`crate::Target::check`] cannot see.
    ///
    /// # Errors
    /// The sense data with which to refuse the command: too short a list, too many descriptors or
    /// blocks, blocks beyond the medium.
    pub fn check_unmap(&self, list: &[u8]) -> Result<(), Sense> {
        let Provisioning::Thin(thin) = self.config.provisioning else {
            return Err(Sense::INVALID_OPCODE);
        };
        UnmapList::parse(list)?.check(&UnmapLimits {
            capacity_blocks: self.config.capacity.blocks(),
            max_blocks: thin.max_unmap,
            max_descriptors: thin.max_unmap_descriptors,
        })
    }

    /// READ CAPACITY data.
    pub(crate) fn capacity_data(&self) -> capacity::Capacity {
        let capacity = self.config.capacity;
        let thin = self.config.provisioning.thin();
        capacity::Capacity {
            physical_exponent: capacity.physical_exponent(),
            provisioned: thin.is_some(),
            unmapped_reads_zeros: thin.is_some_and(|thin| thin.reads_zeros),
            ..capacity::Capacity::new(capacity.blocks(), capacity.block_size())
        }
    }

    /// VPD page B0h.
    pub(crate) fn block_limits(&self) -> BlockLimits {
        let limits = self.config.limits;
        let thin = self.config.provisioning.thin();
        BlockLimits {
            write_same_non_zero: thin.is_some(),
            optimal_granularity: limits.granularity,
            max_transfer: limits.max_transfer,
            optimal_transfer: limits.optimal_transfer,
            max_unmap: thin.map_or(0, |thin| thin.max_unmap),
            max_unmap_descriptors: thin.map_or(0, |thin| thin.max_unmap_descriptors),
            unmap_granularity: thin.map_or(0, |thin| thin.granularity),
            unmap_alignment: thin.and_then(|thin| thin.alignment),
            // No limit is told as none.
            max_write_same: match limits.max_write_same {
                u32::MAX => 0,
                most => u64::from(most),
            },
            max_compare_and_write: limits.max_compare_and_write,
            max_prefetch: 0,
            max_atomic: limits.atomic.max,
            atomic_alignment: limits.atomic.alignment,
            atomic_granularity: limits.atomic.granularity,
            max_atomic_with_boundary: limits.atomic.max_with_boundary,
            max_atomic_boundary: limits.atomic.max_boundary,
        }
    }

    /// VPD page B1h.
    pub(crate) fn characteristics(&self) -> Characteristics {
        // Blocks that were erased are unmapped, and read like all unmapped blocks.
        let after_block_erase = u8::from(sanitize::erases_blocks(self));
        let rotation_rate = self.config.rotation_rate;
        // Of blocks that were written before, too: as other data.
        let after_cryptographic_erase = u8::from(self.encrypted);
        Characteristics {
            rotation_rate,
            form_factor: 0,
            after_block_erase,
            after_cryptographic_erase,
        }
    }

    /// VPD page B2h.
    pub(crate) fn provisioning(&self) -> vpd::Provisioning {
        match self.config.provisioning {
            Provisioning::Full => vpd::Provisioning::default(),
            Provisioning::Thin(thin) => vpd::Provisioning {
                unmap: true,
                write_same_16: thin.write_same,
                write_same_10: thin.write_same,
                reads_zeros: thin.reads_zeros,
                kind: ProvisioningType::Thin,
                ..vpd::Provisioning::default()
            },
        }
    }
}

/// `config` with its limits cut to what is possible.
fn within_limits(mut config: UnitConfig) -> UnitConfig {
    let limits = &mut config.limits;
    limits.max_transfer = limits.max_transfer.clamp(1, u32::MAX / config.capacity.block_size());
    limits.max_write_same = limits.max_write_same.max(1);
    config
}

#[cfg(test)]
pub(crate) mod tests {
    use outboard_scsi::command::LbaRange;
    use outboard_scsi::unmap;

    use super::*;
    use crate::identity::Identity;

    /// 1000 blocks of 512 bytes, at most 64 a command, thin.
    pub(crate) fn config() -> UnitConfig {
        UnitConfig {
            identity: Identity::new("OUTBOARD", "Array", "0.1", "0001").unwrap(),
            capacity: Capacity::new(1000, 512).unwrap(),
            limits: Limits {
                max_transfer: 64,
                optimal_transfer: 32,
                granularity: 8,
                max_write_same: 128,
                max_compare_and_write: 16,
                atomic: Atomic {
                    max: 32,
                    alignment: 8,
                    granularity: 8,
                    max_with_boundary: 64,
                    max_boundary: 32,
                },
            },
            provisioning: Provisioning::Thin(Thin {
                max_unmap: 256,
                max_unmap_descriptors: 4,
                granularity: 8,
                alignment: None,
                reads_zeros: true,
                write_same: true,
            }),
            read_only: false,
            removable: false,
            volatile_cache: true,
            rotation_rate: 7200,
        }
    }

    #[test]
    fn transfers_fit_32_bits() {
        let mut config = config();
        config.limits.max_transfer = u32::MAX;
        config.limits.max_write_same = 0;
        let mut unit = LogicalUnit::new(config);
        assert_eq!(unit.config().limits.max_transfer, u32::MAX / 512);
        assert_eq!(unit.config().limits.max_write_same, 1);
        unit.set_capacity(Capacity::new(1000, 4096).unwrap());
        assert_eq!(unit.config().limits.max_transfer, u32::MAX / 4096);
    }

    #[test]
    fn unmap_lists_are_checked() {
        let unit = LogicalUnit::new(config());
        let check = |unit: &LogicalUnit, lba, blocks| {
            let mut list = [0; 24];
            let len = unmap::encode([LbaRange { lba, blocks }], &mut list);
            assert_eq!(len, list.len());
            unit.check_unmap(&list)
        };
        assert_eq!(check(&unit, 0, 256), Ok(()));
        assert!(check(&unit, 0, 257).is_err());
        assert_eq!(check(&unit, 999, 2), Err(Sense::lba_out_of_range(1000)));
        let full = UnitConfig { provisioning: Provisioning::Full, ..config() };
        assert_eq!(check(&LogicalUnit::new(full), 0, 1), Err(Sense::INVALID_OPCODE));
    }
}
