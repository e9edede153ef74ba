//! The parameter list of UNMAP (SBC-4, UNMAP).

use crate::bytes::{Writer, be16};
use crate::command::LbaRange;
use crate::sense::Sense;

/// Bytes before the first descriptor.
pub const HEADER_LEN: usize = 8;
/// Bytes of a descriptor.
pub const DESCRIPTOR_LEN: usize = 16;

/// A parameter list whose lengths are in order.
#[derive(Clone, Copy, Debug)]
pub struct UnmapList<'a> {
    /// Whole descriptors only.
    descriptors: &'a [u8],
}

/// What a logical unit takes in one UNMAP, as its Block Limits VPD page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnmapLimits {
    /// Number of logical blocks of the medium.
    pub capacity_blocks: u64,
    /// MAXIMUM UNMAP LBA COUNT over all descriptors; FFFF_FFFFh is no limit.
    pub max_blocks: u32,
    /// MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT; FFFF_FFFFh is no limit.
    pub max_descriptors: u32,
}

impl<'a> UnmapList<'a> {
    /// Parses a parameter list of as many bytes as the CDB's PARAMETER LIST LENGTH. An empty one
    /// is an UNMAP without effect, and so is one without descriptors.
    ///
    /// As the standard asks, a descriptor that its length fields or the end of the list cut off
    /// is ignored.
    ///
    /// # Errors
    /// PARAMETER LIST LENGTH ERROR if there are bytes, but not the 8 of the header.
    pub fn parse(list: &'a [u8]) -> Result<Self, Sense> {
        if list.is_empty() {
            return Ok(Self { descriptors: &[] });
        }
        let Some((&[data_high, data_low, high, low, ..], rest)) =
            list.split_first_chunk::<HEADER_LEN>()
        else {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        };
        // UNMAP DATA LENGTH counts from byte 2 on.
        let data = usize::from(u16::from_be_bytes([data_high, data_low])).saturating_sub(6);
        let descriptors = usize::from(u16::from_be_bytes([high, low]));
        let len = rest.len().min(data).min(descriptors);
        let whole = len - len % DESCRIPTOR_LEN;
        Ok(Self { descriptors: rest.get(..whole).unwrap_or(&[]) })
    }

    /// The ranges, in the list's order. A range of 0 blocks is legal and empty; ranges may
    /// overlap.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = LbaRange> + Clone + use<'a> {
        let (descriptors, _) = self.descriptors.as_chunks::<DESCRIPTOR_LEN>();
        descriptors.iter().map(|&[a, b, c, d, e, f, g, h, i, j, k, l, ..]| LbaRange {
            lba: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            blocks: u64::from(u32::from_be_bytes([i, j, k, l])),
        })
    }

    /// Checks all ranges before any of them is unmapped.
    ///
    /// # Errors
    /// INVALID FIELD IN PARAMETER LIST for too many descriptors or blocks, LOGICAL BLOCK ADDRESS
    /// OUT OF RANGE for a range beyond the medium.
    pub fn check(&self, limits: &UnmapLimits) -> Result<(), Sense> {
        if exceeds(self.ranges().len() as u64, limits.max_descriptors) {
            return Err(Sense::invalid_field_in_parameter_list(2, None));
        }
        let mut blocks = 0_u64;
        for (index, range) in self.ranges().enumerate() {
            if let Some(lba) = range.first_beyond(limits.capacity_blocks) {
                return Err(Sense::lba_out_of_range(lba));
            }
            blocks += range.blocks;
            if exceeds(blocks, limits.max_blocks) {
                let byte = HEADER_LEN + index * DESCRIPTOR_LEN + 8;
                return Err(Sense::invalid_field_in_parameter_list(byte as u16, None));
            }
        }
        Ok(())
    }
}

/// Writes a parameter list, for initiators and tests; returns its whole length. Blocks beyond
/// 32 bits are cut to FFFF_FFFFh.
pub fn encode(ranges: impl IntoIterator<Item = LbaRange>, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out);
    writer.zeros(HEADER_LEN);
    for range in ranges {
        let blocks = u32::try_from(range.blocks).unwrap_or(u32::MAX);
        writer.put(&range.lba.to_be_bytes()).put(&blocks.to_be_bytes()).zeros(4);
    }
    let len = writer.len();
    writer.patch(0, &be16(len - 2)).patch(2, &be16(len - HEADER_LEN));
    len
}

fn exceeds(value: u64, limit: u32) -> bool {
    limit != u32::MAX && value > u64::from(limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: UnmapLimits =
        UnmapLimits { capacity_blocks: 1000, max_blocks: 100, max_descriptors: 2 };

    fn list(ranges: &[(u64, u64)]) -> Vec<u8> {
        let mut out = [0; 256];
        let ranges = ranges.iter().map(|&(lba, blocks)| LbaRange { lba, blocks });
        let len = encode(ranges, &mut out);
        out[..len].to_vec()
    }

    fn check(ranges: &[(u64, u64)]) -> Result<(), Sense> {
        UnmapList::parse(&list(ranges)).unwrap().check(&LIMITS)
    }

    #[test]
    fn bytes() {
        let list = list(&[(0x0102, 3)]);
        assert_eq!(list[..8], [0, 22, 0, 16, 0, 0, 0, 0]);
        assert_eq!(list[8..], [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn lengths() {
        let parse = |list: &[u8]| UnmapList::parse(list).map(|list| list.ranges().len());
        let two = list(&[(0, 1), (5, 2)]);
        assert_eq!(parse(&[]), Ok(0));
        assert_eq!(parse(&two[..7]), Err(Sense::PARAMETER_LIST_LENGTH_ERROR));
        assert_eq!(parse(&two[..8]), Ok(0));
        assert_eq!(parse(&two[..39]), Ok(1), "the list cuts the second descriptor off");
        assert_eq!(parse(&two), Ok(2));

        let mut shorter = two.clone();
        shorter[3] = 31;
        assert_eq!(parse(&shorter), Ok(1), "the descriptor length cuts it off");
        let mut shorter = two;
        shorter[1] = 37;
        assert_eq!(parse(&shorter), Ok(1), "the data length cuts it off");
    }

    #[test]
    fn limits() {
        assert_eq!(check(&[(0, 50), (950, 50)]), Ok(()));
        assert_eq!(check(&[(1000, 0)]), Ok(()));
        assert_eq!(check(&[(951, 50)]), Err(Sense::lba_out_of_range(1000)));
        assert_eq!(
            check(&[(0, 50), (0, 51)]),
            Err(Sense::invalid_field_in_parameter_list(32, None))
        );
        assert_eq!(
            check(&[(0, 1), (0, 1), (0, 1)]),
            Err(Sense::invalid_field_in_parameter_list(2, None))
        );
    }

    proptest! {
        #[test]
        fn round_trips(ranges in prop::collection::vec((any::<u64>(), any::<u32>()), 0..15)) {
            let ranges: Vec<_> = ranges
                .into_iter()
                .map(|(lba, blocks)| LbaRange { lba, blocks: u64::from(blocks) })
                .collect();
            let mut out = [0; 256];
            let len = encode(ranges.iter().copied(), &mut out);
            let parsed: Vec<_> = UnmapList::parse(&out[..len]).unwrap().ranges().collect();
            prop_assert_eq!(parsed, ranges);
        }

        #[test]
        fn takes_any_bytes(list: Vec<u8>) {
            if let Ok(parsed) = UnmapList::parse(&list) {
                prop_assert!(parsed.ranges().len() * DESCRIPTOR_LEN <= list.len());
                let _ = parsed.check(&LIMITS);
            }
        }
    }
}
