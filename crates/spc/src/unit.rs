//! A logical unit: what the host knows of it.

mod config;

pub use config::{Capacity, Limits, Provisioning, Thin, UnitConfig};
use outboard_scsi::command::ModeSense;
use outboard_scsi::mode::{
    Caching, Control, InformationalExceptions, Pages, Parameters as ModeParameters,
};
use outboard_scsi::unmap::{UnmapLimits, UnmapList};
use outboard_scsi::vpd::{self, BlockLimits, Characteristics, ProvisioningType};
use outboard_scsi::{Sense, capacity};

use crate::attention::Attentions;

/// A direct access block device.
#[derive(Clone, Debug)]
pub struct LogicalUnit {
    config: UnitConfig,
    mode: Pages,
    not_ready: Option<Sense>,
    pub(crate) attentions: Attentions,
}

impl LogicalUnit {
    /// A unit that is ready, with no unit attention pending.
    #[must_use]
    pub fn new(mut config: UnitConfig) -> Self {
        config.limits.max_transfer =
            config.limits.max_transfer.clamp(1, u32::MAX / config.capacity.block_size());
        config.limits.max_write_same = config.limits.max_write_same.max(1);
        let mode = default_pages(&config);
        Self { config, mode, not_ready: None, attentions: Attentions::default() }
    }

    /// Sets or ends a condition that keeps the unit from executing media commands, such as
    /// [`Sense::NOT_READY_BECOMING_READY`] while its driver starts.
    pub fn set_not_ready(&mut self, sense: Option<Sense>) {
        self.not_ready = sense;
    }

    pub(crate) fn set_capacity(&mut self, capacity: Capacity) {
        self.config.capacity = capacity;
        let max = u32::MAX / capacity.block_size();
        self.config.limits.max_transfer = self.config.limits.max_transfer.min(max);
    }

    pub(crate) fn set_read_only(&mut self, read_only: bool) {
        self.config.read_only = read_only;
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

    /// MODE SENSE data.
    pub(crate) fn mode_sense(&self, request: &ModeSense, out: &mut [u8]) -> Result<usize, Sense> {
        let parameters = ModeParameters {
            write_protected: self.config.read_only,
            dpofua: true,
            blocks: self.config.capacity.blocks(),
            block_size: self.config.capacity.block_size(),
            current: self.mode,
            default: default_pages(&self.config),
            changeable: Pages::default(),
        };
        parameters.sense(request, out)
    }

    /// VPD page B0h.
    pub(crate) fn block_limits(&self) -> BlockLimits {
        let limits = self.config.limits;
        let thin = self.config.provisioning.thin();
        BlockLimits {
            write_same_non_zero: true,
            optimal_granularity: limits.granularity,
            max_transfer: limits.max_transfer,
            optimal_transfer: limits.optimal_transfer,
            max_unmap: thin.map_or(0, |thin| thin.max_unmap),
            max_unmap_descriptors: thin.map_or(0, |thin| thin.max_unmap_descriptors),
            unmap_granularity: thin.map_or(0, |thin| thin.granularity),
            unmap_alignment: thin.and_then(|thin| thin.alignment),
            max_write_same: u64::from(limits.max_write_same),
            ..BlockLimits::default()
        }
    }

    /// VPD page B1h.
    pub(crate) fn characteristics(&self) -> Characteristics {
        Characteristics { rotation_rate: self.config.rotation_rate, form_factor: 0 }
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

fn default_pages(config: &UnitConfig) -> Pages {
    Pages {
        caching: Caching { write_cache: config.volatile_cache, ..Caching::default() },
        control: Control {
            log_saving_disabled: true,
            queue_algorithm: UNRESTRICTED_REORDERING,
            ..Control::default()
        },
        exceptions: InformationalExceptions { disabled: true, method: 0 },
    }
}

/// QUEUE ALGORITHM MODIFIER: SIMPLE tasks may be reordered in any way.
const UNRESTRICTED_REORDERING: u8 = 1;

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
