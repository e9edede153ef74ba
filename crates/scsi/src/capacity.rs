//! READ CAPACITY parameter data (SBC-4, READ CAPACITY(10) and (16)).

use crate::bytes::Writer;

/// Size and alignment of a logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Number of logical blocks, at least 1: the wire holds the last LBA.
    pub blocks: u64,
    /// Logical block length in bytes.
    pub block_size: u32,
    /// LBPPBE, 0 to 15: a physical block holds `1 << physical_exponent` logical blocks.
    pub physical_exponent: u8,
    /// LALBA, 14 bits: the lowest LBA that starts a physical block.
    pub lowest_aligned: u16,
    /// LBPME: logical block provisioning (thin or resource) is managed.
    pub provisioned: bool,
    /// LBPRZ: an unmapped block reads as zeros.
    pub unmapped_reads_zeros: bool,
}

impl Capacity {
    /// Length of READ CAPACITY(10) parameter data.
    pub const LEN_10: usize = 8;
    /// Length of READ CAPACITY(16) parameter data.
    pub const LEN_16: usize = 32;

    /// Blocks of `block_size` bytes, one to a physical block, fully provisioned.
    #[must_use]
    pub const fn new(blocks: u64, block_size: u32) -> Self {
        Self {
            blocks,
            block_size,
            physical_exponent: 0,
            lowest_aligned: 0,
            provisioned: false,
            unmapped_reads_zeros: false,
        }
    }

    /// READ CAPACITY(10) parameter data. A last LBA of FFFF_FFFFh or more is given as FFFF_FFFFh,
    /// which tells the initiator to use READ CAPACITY(16).
    #[must_use]
    pub fn encode_10(&self) -> [u8; Self::LEN_10] {
        let last = u32::try_from(self.blocks.saturating_sub(1)).unwrap_or(u32::MAX);
        let [a, b, c, d] = last.to_be_bytes();
        let [e, f, g, h] = self.block_size.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// READ CAPACITY(16) parameter data. PROT_EN is 0: no protection information.
    #[must_use]
    pub fn encode_16(&self) -> [u8; Self::LEN_16] {
        let [high, low] = (self.lowest_aligned & 0x3FFF).to_be_bytes();
        let flags = if self.provisioned { LBPME } else { 0 }
            | if self.unmapped_reads_zeros { LBPRZ } else { 0 };
        let mut data = [0; Self::LEN_16];
        Writer::new(&mut data)
            .put(&self.blocks.saturating_sub(1).to_be_bytes())
            .put(&self.block_size.to_be_bytes())
            .put(&[0, self.physical_exponent & 0x0F, high | flags, low]);
        data
    }

    /// Reads READ CAPACITY(10) parameter data; `None` if it is too short, or if its last LBA is
    /// FFFF_FFFFh and only READ CAPACITY(16) can tell.
    #[must_use]
    pub fn parse_10(data: &[u8]) -> Option<Self> {
        let &[a, b, c, d, e, f, g, h] = data.first_chunk()?;
        let last = u32::from_be_bytes([a, b, c, d]);
        if last == u32::MAX {
            return None;
        }
        Some(Self::new(u64::from(last) + 1, u32::from_be_bytes([e, f, g, h])))
    }

    /// Reads READ CAPACITY(16) parameter data, of which the first 12 bytes must be there; `None`
    /// if they are not, or if the last LBA leaves no room for a number of blocks.
    #[must_use]
    pub fn parse_16(data: &[u8]) -> Option<Self> {
        let &[a, b, c, d, e, f, g, h, i, j, k, l] = data.first_chunk()?;
        let blocks = u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_add(1)?;
        let mut capacity = Self::new(blocks, u32::from_be_bytes([i, j, k, l]));
        if let Some(&[_, exponent, flags, low]) = data.get(12..).and_then(|rest| rest.first_chunk())
        {
            capacity.physical_exponent = exponent & 0x0F;
            capacity.provisioned = flags & LBPME != 0;
            capacity.unmapped_reads_zeros = flags & LBPRZ != 0;
            capacity.lowest_aligned = u16::from_be_bytes([flags & 0x3F, low]);
        }
        Some(capacity)
    }
}

const LBPME: u8 = 0x80;
const LBPRZ: u8 = 0x40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_saturates() {
        assert_eq!(Capacity::new(0x1000, 512).encode_10(), [0, 0, 0x0F, 0xFF, 0, 0, 2, 0]);
        assert_eq!(
            Capacity::new(1 << 32, 4096).encode_10(),
            [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x10, 0]
        );
        assert_eq!(Capacity::parse_10(&[0xFF; 8]), None);
        assert_eq!(Capacity::parse_10(&[0; 7]), None);
    }

    #[test]
    fn sixteen_bytes() {
        let capacity = Capacity {
            physical_exponent: 3,
            lowest_aligned: 0x0107,
            provisioned: true,
            unmapped_reads_zeros: true,
            ..Capacity::new(1 << 33, 512)
        };
        let data = capacity.encode_16();
        assert_eq!(data[..12], [0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 2, 0]);
        assert_eq!(data[12..16], [0, 3, 0xC1, 0x07]);
        assert_eq!(data[16..], [0; 16]);
    }

    proptest! {
        #[test]
        fn round_trips(
            blocks in 1_u64..,
            block_size: u32,
            physical_exponent in 0_u8..16,
            lowest_aligned in 0_u16..0x4000,
            provisioned: bool,
            unmapped_reads_zeros: bool,
        ) {
            let capacity = Capacity {
                blocks,
                block_size,
                physical_exponent,
                lowest_aligned,
                provisioned,
                unmapped_reads_zeros,
            };
            prop_assert_eq!(Capacity::parse_16(&capacity.encode_16()), Some(capacity));
        }

        #[test]
        fn takes_any_bytes(data: Vec<u8>) {
            let _ = (Capacity::parse_10(&data), Capacity::parse_16(&data));
        }
    }
}
