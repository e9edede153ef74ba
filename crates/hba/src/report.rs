//! What a controller reports of itself, once, and the rules it must keep.

use serde::{Deserialize, Serialize};

/// Bytes of the most one task may transfer on any controller.
pub const MAX_TRANSFER_LIMIT: u64 = 1 << 30;

/// A controller: the answers of DriverKit's `UserReport...` methods in one place.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct HbaReport {
    /// the controller's own identifier; no target may have it
    pub initiator_id: u64,
    /// inclusive
    pub highest_target_id: u64,
    /// inclusive
    pub highest_lun: u16,
    /// tasks the controller takes at a time, over all queues; the number of slots
    pub maximum_task_count: u32,
    /// segment rules
    pub constraints: Constraints,
    /// transfer rules
    pub dma: DmaSpecification,
    /// its targets
    pub targets: Vec<TargetReport>,
}

/// The seven mandatory keys of `UserReportHBAConstraints`. Leaving one out panics a macOS kernel;
/// here it is a message.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Constraints {
    /// IOMaximumSegmentCountRead
    pub maximum_segment_count_read: Option<u64>,
    /// IOMaximumSegmentCountWrite
    pub maximum_segment_count_write: Option<u64>,
    /// IOMaximumSegmentByteCountRead, bytes
    pub maximum_segment_byte_count_read: Option<u64>,
    /// IOMaximumSegmentByteCountWrite, bytes
    pub maximum_segment_byte_count_write: Option<u64>,
    /// IOMinimumSegmentAlignmentByteCount, bytes
    pub minimum_segment_alignment: Option<u64>,
    /// IOMaximumSegmentAddressableBitCount, bits
    pub maximum_segment_addressable_bits: Option<u64>,
    /// HBA Data Alignment: low bits clear for alignment, width by the highest bit set
    pub data_alignment_mask: Option<u64>,
}

impl Constraints {
    /// One contiguous segment of up to `bytes`, any alignment: what a driver on Outboard's region
    /// needs.
    pub const fn contiguous(bytes: u64) -> Self {
        Self {
            maximum_segment_count_read: Some(1),
            maximum_segment_count_write: Some(1),
            maximum_segment_byte_count_read: Some(bytes),
            maximum_segment_byte_count_write: Some(bytes),
            minimum_segment_alignment: Some(1),
            maximum_segment_addressable_bits: Some(64),
            data_alignment_mask: Some(u64::MAX),
        }
    }

    fn keys(&self) -> [(&'static str, Option<u64>); 7] {
        [
            ("IOMaximumSegmentCountRead", self.maximum_segment_count_read),
            ("IOMaximumSegmentCountWrite", self.maximum_segment_count_write),
            ("IOMaximumSegmentByteCountRead", self.maximum_segment_byte_count_read),
            ("IOMaximumSegmentByteCountWrite", self.maximum_segment_byte_count_write),
            ("IOMinimumSegmentAlignmentByteCount", self.minimum_segment_alignment),
            ("IOMaximumSegmentAddressableBitCount", self.maximum_segment_addressable_bits),
            ("HBA Data Alignment", self.data_alignment_mask),
        ]
    }
}

/// `UserGetDMASpecification`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DmaSpecification {
    /// most bytes of one task
    pub max_transfer_size: u64,
    /// alignment of a buffer's offset in bytes, a power of two
    pub alignment: u32,
    /// width of an address
    pub address_bits: u8,
}

/// A target with its logical units.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TargetReport {
    /// its identifier
    pub id: u64,
    /// its logical units
    pub units: Vec<UnitReport>,
}

/// A logical unit: identity, size and limits, once.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct UnitReport {
    /// LUN, flat
    pub lun: u16,
    /// T10 vendor identification, at most 8 ASCII characters
    pub vendor: String,
    /// product identification, at most 16 ASCII characters
    pub product: String,
    /// product revision, at most 4 ASCII characters
    pub revision: String,
    /// unit serial number
    pub serial: String,
    /// bytes of a logical block
    pub block_size: u32,
    /// bytes of a physical block
    pub physical_block_size: u32,
    /// logical blocks
    pub blocks: u64,
    /// most bytes of one command; 0 = no limit of its own
    pub max_transfer: u64,
    /// bytes of a command that suits it well; 0 = no preference
    pub optimal_transfer: u64,
    /// writes are refused
    pub read_only: bool,
    /// writes may be lost before a SYNCHRONIZE CACHE
    pub volatile_cache: bool,
    /// a spinning disk
    pub rotational: bool,
    /// UNMAP granularity in bytes, if it can
    pub unmap_granularity: Option<u64>,
    /// unmapped ranges read as zeroes
    pub unmap_reads_zeroes: bool,
    /// most bytes of a WRITE SAME; 0 = no limit of its own
    #[serde(default)]
    pub max_write_same: u64,
    /// most logical blocks of a COMPARE AND WRITE; 0 = it cannot
    #[serde(default)]
    pub max_compare_and_write: u8,
    /// most bytes of a WRITE ATOMIC, in whole physical blocks; 0 = it cannot
    #[serde(default)]
    pub max_atomic: u64,
    /// what the driver has answered with GOOD survives its death
    pub acks_survive_death: bool,
    /// the medium can be ejected
    #[serde(default)]
    pub removable: bool,
}

/// A report that breaks a rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// a mandatory constraint key is missing
    #[error(
        "constraint {key:?} is missing; all seven are mandatory (a macOS kernel panics on it): set it in HbaReport::constraints"
    )]
    MissingConstraint {
        /// the DriverKit key
        key: &'static str,
    },
    /// the task count
    #[error(
        "maximum task count is {count}; report 1 to {limit} (more than 1, or one lost completion is fatal)"
    )]
    TaskCount {
        /// as reported
        count: u32,
        /// most slots of a region
        limit: u32,
    },
    /// transfer size against segments
    #[error(
        "max_transfer_size {transfer} is above segment count x segment size {segments}; larger transfers would be cut: report the same numbers in both places"
    )]
    TransferAboveSegments {
        /// reported transfer size
        transfer: u64,
        /// what the segments allow
        segments: u64,
    },
    /// transfer size out of range
    #[error("max_transfer_size is {0}; report 512 to {MAX_TRANSFER_LIMIT} bytes")]
    TransferSize(u64),
    /// alignment
    #[error("DMA alignment {0} is not a power of two up to 4096")]
    Alignment(u32),
    /// a target's identifier
    #[error(
        "target {id} {what}; target ids are unique, at most highest_target_id and never initiator_id"
    )]
    Target {
        /// the target
        id: u64,
        /// what is wrong with it
        what: &'static str,
    },
    /// a unit's numbers
    #[error("target {target} LUN {lun}: {what}")]
    Unit {
        /// the target
        target: u64,
        /// the LUN
        lun: u16,
        /// what is wrong and what is right
        what: &'static str,
    },
    /// a task identifier
    #[error(
        "task identifier {id} of slot {slot} is {what}; map_hba_data hands out unique identifiers, never 0 (0 means \"the head of the list\")"
    )]
    Identifier {
        /// the slot
        slot: u16,
        /// the identifier
        id: u32,
        /// what is wrong
        what: &'static str,
    },
}

impl HbaReport {
    /// Checks every rule; the host does it before the first task.
    pub fn check(&self) -> Result<(), ReportError> {
        for (key, value) in self.constraints.keys() {
            if value.is_none() {
                return Err(ReportError::MissingConstraint { key });
            }
        }
        let limit = outboard_slots::MAX_SLOTS;
        if self.maximum_task_count == 0 || self.maximum_task_count > limit {
            return Err(ReportError::TaskCount { count: self.maximum_task_count, limit });
        }
        self.check_transfers()?;
        for (i, target) in self.targets.iter().enumerate() {
            let wrong = |what| Err(ReportError::Target { id: target.id, what });
            if target.id == self.initiator_id {
                return wrong("has the initiator's identifier");
            }
            if target.id > self.highest_target_id {
                return wrong("is above highest_target_id");
            }
            if self.targets[..i].iter().any(|t| t.id == target.id) {
                return wrong("is reported twice");
            }
            self.check_units(target)?;
        }
        Ok(())
    }

    fn check_transfers(&self) -> Result<(), ReportError> {
        let transfer = self.dma.max_transfer_size;
        if !(512..=MAX_TRANSFER_LIMIT).contains(&transfer) {
            return Err(ReportError::TransferSize(transfer));
        }
        if !self.dma.alignment.is_power_of_two() || self.dma.alignment > 4096 {
            return Err(ReportError::Alignment(self.dma.alignment));
        }
        let c = &self.constraints;
        for (count, bytes) in [
            (c.maximum_segment_count_read, c.maximum_segment_byte_count_read),
            (c.maximum_segment_count_write, c.maximum_segment_byte_count_write),
        ] {
            let segments = count.unwrap_or(0).saturating_mul(bytes.unwrap_or(0));
            if segments < transfer {
                return Err(ReportError::TransferAboveSegments { transfer, segments });
            }
        }
        Ok(())
    }

    fn check_units(&self, target: &TargetReport) -> Result<(), ReportError> {
        for (i, unit) in target.units.iter().enumerate() {
            let wrong = |what| Err(ReportError::Unit { target: target.id, lun: unit.lun, what });
            if unit.lun > self.highest_lun || unit.lun > 16_383 {
                return wrong("LUN is above highest_lun or above 16383");
            }
            if target.units[..i].iter().any(|u| u.lun == unit.lun) {
                return wrong("LUN is reported twice");
            }
            if !matches!(unit.block_size, 512 | 1024 | 2048 | 4096) {
                return wrong("block size must be 512, 1024, 2048 or 4096");
            }
            if unit.physical_block_size < unit.block_size
                || !unit.physical_block_size.is_power_of_two()
            {
                return wrong(
                    "physical block size must be a power of two, at least the block size",
                );
            }
            if unit.blocks == 0 || unit.blocks.checked_mul(u64::from(unit.block_size)).is_none() {
                return wrong("size must be at least one block and below 2^64 bytes");
            }
        }
        Ok(())
    }
}

/// Checks the identifiers a driver handed out for its slots.
pub fn check_identifiers(identifiers: &[u32]) -> Result<(), ReportError> {
    let mut seen = std::collections::HashSet::with_capacity(identifiers.len());
    for (slot, &id) in identifiers.iter().enumerate() {
        let wrong = |what| Err(ReportError::Identifier { slot: slot as u16, id, what });
        if id == 0 {
            return wrong("0");
        }
        if !seen.insert(id) {
            return wrong("handed out twice");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::Ram;

    #[test]
    fn a_whole_report_passes() {
        Ram::report().check().unwrap();
    }

    #[test]
    fn each_missing_constraint_is_named() {
        type Clear = fn(&mut Constraints);
        let clear: [Clear; 7] = [
            |c| c.maximum_segment_count_read = None,
            |c| c.maximum_segment_count_write = None,
            |c| c.maximum_segment_byte_count_read = None,
            |c| c.maximum_segment_byte_count_write = None,
            |c| c.minimum_segment_alignment = None,
            |c| c.maximum_segment_addressable_bits = None,
            |c| c.data_alignment_mask = None,
        ];
        for (i, clear) in clear.into_iter().enumerate() {
            let mut r = Ram::report();
            clear(&mut r.constraints);
            let key = Constraints::default().keys()[i].0;
            assert_eq!(r.check(), Err(ReportError::MissingConstraint { key }));
        }
    }

    #[test]
    fn contradictions_are_refused() {
        type Spoil = fn(&mut HbaReport);
        let spoil: [Spoil; 9] = [
            |r| r.maximum_task_count = 0,
            |r| r.maximum_task_count = u32::MAX,
            |r| r.dma.max_transfer_size = 0,
            |r| r.dma.alignment = 3,
            |r| r.constraints.maximum_segment_byte_count_write = Some(4096),
            |r| r.initiator_id = r.targets[0].id,
            |r| r.highest_target_id = 0,
            |r| r.targets.push(r.targets[0].clone()),
            |r| r.targets[0].units[0].blocks = u64::MAX,
        ];
        for (i, spoil) in spoil.into_iter().enumerate() {
            let mut r = Ram::report();
            r.targets[0].id = 1;
            spoil(&mut r);
            assert!(r.check().is_err(), "case {i}");
        }
    }

    #[test]
    fn identifiers_are_unique_and_never_zero() {
        assert!(check_identifiers(&[1, 2, 3]).is_ok());
        assert!(check_identifiers(&[1, 0]).unwrap_err().to_string().contains("never 0"));
        assert!(check_identifiers(&[7, 7]).unwrap_err().to_string().contains("twice"));
    }
}
