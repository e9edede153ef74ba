//! What is declared about a logical unit.

use crate::error::SpcError;
use crate::identity::Identity;

/// What the owner of a logical unit declares about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitConfig {
    /// Its names.
    pub identity: Identity,
    /// Its size.
    pub capacity: Capacity,
    /// The largest commands it takes.
    pub limits: Limits,
    /// Whether blocks can be unmapped.
    pub provisioning: Provisioning,
    /// Commands that change the medium are refused.
    pub read_only: bool,
    /// The medium can be ejected and loaded (RMB).
    pub removable: bool,
    /// Writes may end before their data is on the medium (WCE).
    pub volatile_cache: bool,
    /// Revolutions a minute; 1 is a solid-state medium, 0 is not known.
    pub rotation_rate: u16,
}

/// Size and block lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    blocks: u64,
    block_size: u32,
    physical_exponent: u8,
}

/// The largest and the best commands, in logical blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most blocks of a READ, WRITE, VERIFY or WRITE AND VERIFY, at least 1; cut so that the
    /// bytes fit 32 bits.
    pub max_transfer: u32,
    /// Blocks of a command that gives the best throughput; 0 is not known.
    pub optimal_transfer: u32,
    /// Multiple that a command's length should have, such as a stripe unit; 0 is not known.
    pub granularity: u16,
    /// Most blocks of a WRITE SAME, at least 1.
    pub max_write_same: u32,
    /// Most blocks of a COMPARE AND WRITE; 0 is "not supported".
    pub max_compare_and_write: u8,
    /// WRITE ATOMIC.
    pub atomic: Atomic,
}

/// Limits of WRITE ATOMIC (SBC-4, Block Limits VPD page), in logical blocks. All zeros is "not
/// supported".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Atomic {
    /// Most blocks without an atomic boundary.
    pub max: u32,
    /// Multiple that the first LBA must be; 0 and 1 are any.
    pub alignment: u32,
    /// Multiple that the number of blocks must be; 0 and 1 are any.
    pub granularity: u32,
    /// Most blocks with an atomic boundary.
    pub max_with_boundary: u32,
    /// Largest atomic boundary; 0 is "none is supported".
    pub max_boundary: u32,
}

/// Logical block provisioning (SBC-4, logical block provisioning).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    /// Every block has its place; UNMAP is not supported.
    Full,
    /// Blocks can be unmapped.
    Thin(Thin),
}

/// How a thin-provisioned unit unmaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thin {
    /// Most blocks of one UNMAP; FFFF_FFFFh is no limit.
    pub max_unmap: u32,
    /// Most descriptors of one UNMAP; FFFF_FFFFh is no limit.
    pub max_unmap_descriptors: u32,
    /// Blocks that are unmapped together; 0 is not known.
    pub granularity: u32,
    /// First LBA that is a start of a granule; `None` is not known.
    pub alignment: Option<u32>,
    /// An unmapped block reads as zeros.
    pub reads_zeros: bool,
    /// WRITE SAME with UNMAP is supported too.
    pub write_same: bool,
}

impl Capacity {
    /// `blocks` logical blocks of `block_size` bytes, each a physical block.
    ///
    /// # Errors
    /// [`SpcError::NoBlocks`], or [`SpcError::InvalidBlockSize`] unless `block_size` is a
    /// multiple of 512 from 512 to 65536.
    pub fn new(blocks: u64, block_size: u32) -> Result<Self, SpcError> {
        if blocks == 0 {
            return Err(SpcError::NoBlocks);
        }
        if !(512..=65536).contains(&block_size) || !block_size.is_multiple_of(512) {
            return Err(SpcError::InvalidBlockSize(block_size));
        }
        Ok(Self { blocks, block_size, physical_exponent: 0 })
    }

    /// The same with `1 << exponent` logical blocks in a physical block; 0 to 15.
    #[must_use]
    pub fn with_physical_exponent(self, exponent: u8) -> Self {
        Self { physical_exponent: exponent.min(15), ..self }
    }

    /// Number of logical blocks, at least 1.
    #[inline]
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Logical block length in bytes, 512 to 65536.
    #[inline]
    #[must_use]
    pub const fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Logical blocks in a physical block, as a power of two.
    #[must_use]
    pub const fn physical_exponent(&self) -> u8 {
        self.physical_exponent
    }
}

impl Provisioning {
    /// How the unit unmaps, if it does.
    #[must_use]
    pub const fn thin(&self) -> Option<&Thin> {
        match self {
            Self::Full => None,
            Self::Thin(thin) => Some(thin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_checked() {
        assert!(matches!(Capacity::new(0, 512), Err(SpcError::NoBlocks)));
        for size in [0, 511, 520, 65536 + 512] {
            assert!(matches!(Capacity::new(1, size), Err(SpcError::InvalidBlockSize(_))));
        }
        assert_eq!(Capacity::new(1, 4096).unwrap().block_size(), 4096);
        assert_eq!(Capacity::new(1, 512).unwrap().with_physical_exponent(3).physical_exponent(), 3);
    }
}
