//! What a host is told about a logical unit once, for its READ CAPACITY, mode and VPD pages.

use outboard_disk::Limits;
use outboard_scsi::capacity::Capacity;

/// Most bytes of a WRITE SAME that has to be written: more would keep an initiator waiting beyond
/// its patience, at 30 MB/s. Zeroes that a disk makes without data have no limit.
pub const MAX_WRITE_SAME_BYTES: u64 = 1 << 30;
/// Most blocks of one COMPARE AND WRITE: what the VPD page's field holds.
pub const MAX_COMPARE_AND_WRITE_BLOCKS: u8 = 255;
/// Most bytes of one WRITE ATOMIC.
pub const MAX_ATOMIC_BYTES: u64 = 1 << 20;
/// Most descriptors of one UNMAP.
pub const MAX_UNMAP_DESCRIPTORS: u32 = 256;

/// Size, limits and abilities of a logical unit. Lengths are in logical blocks unless they say
/// otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnitReport {
    /// bytes of a logical block: 512 or 4096
    pub block_size_bytes: u32,
    /// bytes of a physical block
    pub physical_block_size_bytes: u32,
    /// number of logical blocks
    pub blocks: u64,
    /// blocks that the disk takes in one request; longer commands are done in steps, so this is
    /// advice and no limit of a command
    pub max_request_blocks: u64,
    /// OPTIMAL TRANSFER LENGTH of VPD page B0h: a stripe of an array; 0 = none
    pub optimal_transfer_blocks: u64,
    /// WRITE and its kin are refused
    pub read_only: bool,
    /// WCE of mode page 08h: writes may be lost before SYNCHRONIZE CACHE
    pub volatile_cache: bool,
    /// MEDIUM ROTATION RATE of VPD page B1h: a spinning disk
    pub rotational: bool,
    /// LBPU and LBPWS of VPD page B2h and their limits; `None`: UNMAP is refused
    pub unmap: Option<UnmapReport>,
    /// MAXIMUM WRITE SAME LENGTH of VPD page B0h, 0: none is reported, for it depends on the data
    /// ([`MAX_WRITE_SAME_BYTES`]). A WRITE SAME of 0 blocks goes to the end of the medium, if the host
    /// lets it pass
    pub max_write_same_blocks: u64,
    /// MAXIMUM COMPARE AND WRITE LENGTH of VPD page B0h
    pub max_compare_and_write_blocks: u8,
    /// MAXIMUM ATOMIC TRANSFER LENGTH of VPD page B0h, a multiple of the next; 0: WRITE ATOMIC is
    /// refused. There are no atomic boundaries.
    pub max_atomic_blocks: u64,
    /// ATOMIC ALIGNMENT and ATOMIC TRANSFER LENGTH GRANULARITY of VPD page B0h: a physical block
    pub atomic_granularity_blocks: u64,
}

/// How blocks are given back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnmapReport {
    /// OPTIMAL UNMAP GRANULARITY: what does not fill a multiple stays mapped
    pub granularity_blocks: u64,
    /// MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT
    pub max_descriptors: u32,
    /// MAXIMUM UNMAP LBA COUNT; FFFF_FFFFh = no limit
    pub max_blocks: u32,
    /// LBPRZ: unmapped blocks read as zeroes
    pub reads_zeroes: bool,
}

impl UnitReport {
    /// What follows from a disk's limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        let block = u64::from(limits.block_size);
        let physical = u64::from(limits.physical_block_size.max(limits.block_size));
        let atomic = limits.max_transfer.min(MAX_ATOMIC_BYTES) / physical * physical;
        Self {
            block_size_bytes: limits.block_size,
            physical_block_size_bytes: limits.physical_block_size.max(limits.block_size),
            blocks: limits.blocks,
            max_request_blocks: limits.max_transfer / block,
            optimal_transfer_blocks: limits.optimal_transfer / block,
            read_only: limits.read_only,
            volatile_cache: limits.volatile_cache,
            rotational: limits.rotational,
            unmap: limits.discard.map(|discard| UnmapReport {
                granularity_blocks: discard.granularity.div_ceil(block).max(1),
                max_descriptors: MAX_UNMAP_DESCRIPTORS,
                max_blocks: u32::MAX,
                reads_zeroes: discard.reads_zeroes,
            }),
            max_write_same_blocks: 0,
            max_compare_and_write_blocks: MAX_COMPARE_AND_WRITE_BLOCKS,
            max_atomic_blocks: atomic / block,
            atomic_granularity_blocks: physical / block,
        }
    }

    /// As READ CAPACITY says it.
    pub fn capacity(&self) -> Capacity {
        let ratio = self.physical_block_size_bytes / self.block_size_bytes.max(1);
        Capacity {
            physical_exponent: ratio.checked_ilog2().unwrap_or(0).min(15) as u8,
            provisioned: self.unmap.is_some(),
            unmapped_reads_zeros: self.unmap.is_some_and(|unmap| unmap.reads_zeroes),
            ..Capacity::new(self.blocks, self.block_size_bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use outboard_disk::Discard;
    use outboard_disk::testkit::limits;

    use super::*;

    #[test]
    fn lengths_become_blocks() {
        let discard = Discard { granularity: 65_536, max_bytes: 1 << 30, reads_zeroes: true };
        let limits = Limits {
            physical_block_size: 4096,
            optimal_transfer: 128 << 10,
            discard: Some(discard),
            ..limits(512, 1 << 20)
        };
        let report = UnitReport::new(&limits);
        assert_eq!((report.blocks, report.optimal_transfer_blocks), (2048, 256));
        assert_eq!(report.unmap.unwrap().granularity_blocks, 128);
        assert_eq!((report.max_atomic_blocks, report.atomic_granularity_blocks), (2048, 8));
        let capacity = report.capacity();
        assert_eq!((capacity.physical_exponent, capacity.blocks), (3, 2048));
        assert!(capacity.provisioned && capacity.unmapped_reads_zeros);
    }
}
