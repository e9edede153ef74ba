//! UNMAP parameter lists.

use outboard_scsi::command::LbaRange;
use outboard_scsi::unmap::{DESCRIPTOR_LEN, HEADER_LEN, UnmapLimits, UnmapList, encode};

/// The first 16 bytes are the limits of the logical unit, the rest is a parameter list.
pub fn unmap(bytes: &[u8]) {
    let Some((limits, list)) = bytes.split_first_chunk() else { return };
    let limits = limits_of(limits);
    let Ok(parsed) = UnmapList::parse(list) else {
        assert!((1..HEADER_LEN).contains(&list.len()), "only a cut header is refused");
        return;
    };
    let ranges: Vec<LbaRange> = parsed.ranges().collect();
    assert!(ranges.len() * DESCRIPTOR_LEN <= list.len().saturating_sub(HEADER_LEN));

    if parsed.check(&limits).is_ok() {
        let blocks: u64 = ranges.iter().map(|range| range.blocks).sum();
        assert!(limits.max_blocks == u32::MAX || blocks <= u64::from(limits.max_blocks));
        for range in &ranges {
            let end = range.lba.checked_add(range.blocks);
            assert!(end.is_some_and(|end| end <= limits.capacity_blocks), "{range:?} is beyond");
        }
    }

    let mut again = vec![0; HEADER_LEN + ranges.len() * DESCRIPTOR_LEN];
    assert_eq!(encode(ranges.iter().copied(), &mut again), again.len());
    let again = UnmapList::parse(&again).expect("a whole header");
    assert!(again.ranges().eq(ranges), "the ranges are read back");
}

fn limits_of(bytes: &[u8; 16]) -> UnmapLimits {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
    UnmapLimits {
        capacity_blocks: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        max_blocks: u32::from_le_bytes([i, j, k, l]),
        max_descriptors: u32::from_le_bytes([m, n, o, p]),
    }
}
