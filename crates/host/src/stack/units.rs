//! What a driver's report says about its units, as the host tells it to initiators.

use outboard_hba::UnitReport;
use outboard_spc::{Atomic, Capacity, Identity, Limits, Provisioning, Thin, UnitConfig};

use super::StackError;

/// MAXIMUM WRITE SAME LENGTH of a thin unit, in blocks: what WRITE SAME (10) can name too, and few
/// enough to be written within an initiator's patience, 256 MiB at most.
const MAX_WRITE_SAME_BLOCKS: u32 = 0xFFFF;
/// Bytes at whose multiples a WRITE ATOMIC begins and ends, if physical blocks are smaller: the page
/// of file systems, and what disks write at once whatever sectors they show.
const ATOMIC_GRANULE: u64 = 4096;

/// What the host tells initiators of a unit, from what its driver reported.
pub(super) fn unit_config(
    target: u64,
    unit: &UnitReport,
    max_transfer: u64,
) -> Result<UnitConfig, StackError> {
    let fail = |source| StackError::Unit { target, lun: unit.lun, source };
    let block = u64::from(unit.block_size);
    let blocks_of = |bytes: u64| u32::try_from(bytes / block).unwrap_or(u32::MAX);
    let exponent = (unit.physical_block_size / unit.block_size).trailing_zeros() as u8;
    let capacity =
        Capacity::new(unit.blocks, unit.block_size).map(|c| c.with_physical_exponent(exponent));
    let capacity = capacity.map_err(fail)?;
    let granule = (1 << exponent).max(blocks_of(ATOMIC_GRANULE));
    let max_transfer = match unit.max_transfer {
        0 => max_transfer,
        own => own.min(max_transfer),
    };
    let provisioning = match unit.unmap_granularity {
        None => Provisioning::Full,
        Some(granularity) => Provisioning::Thin(Thin {
            max_unmap: u32::MAX,
            max_unmap_descriptors: 256,
            granularity: blocks_of(granularity),
            alignment: Some(0),
            reads_zeros: unit.unmap_reads_zeroes,
            write_same: true,
        }),
    };
    Ok(UnitConfig {
        identity: Identity::new(&unit.vendor, &unit.product, &unit.revision, &unit.serial)
            .map_err(fail)?,
        capacity,
        limits: Limits {
            max_transfer: blocks_of(max_transfer).max(1),
            optimal_transfer: blocks_of(unit.optimal_transfer),
            granularity: 0,
            max_write_same: match (unit.max_write_same, unit.unmap_granularity) {
                (0, None) => u32::MAX,
                (0, Some(_)) => MAX_WRITE_SAME_BLOCKS,
                (most, None) => blocks_of(most),
                (most, Some(_)) => blocks_of(most).min(MAX_WRITE_SAME_BLOCKS),
            },
            max_compare_and_write: u8::try_from(blocks_of(max_transfer) / 2)
                .unwrap_or(u8::MAX)
                .min(unit.max_compare_and_write),
            atomic: match blocks_of(max_transfer.min(unit.max_atomic)) / granule * granule {
                0 => Atomic::default(),
                max => {
                    Atomic { max, alignment: granule, granularity: granule, ..Atomic::default() }
                }
            },
        },
        provisioning,
        read_only: unit.read_only,
        removable: unit.removable,
        volatile_cache: unit.volatile_cache,
        rotation_rate: if unit.rotational { 7200 } else { 1 },
    })
}
