use proptest::prelude::*;

use super::*;

const CHUNK: u64 = 4096;

fn geometry(level: Level, zone_layout: ZoneLayout, lens: &[u64]) -> Geometry {
    Geometry::new(&ArraySpec { level, chunk: CHUNK as u32, zone_layout }, lens).unwrap()
}

/// The array byte by byte (chunk by chunk), written down the way md's documentation tells it.
fn naive(level: Level, layout: ZoneLayout, lens: &[u64]) -> Vec<(usize, u64)> {
    let chunks: Vec<u64> = lens.iter().map(|len| len / CHUNK).collect();
    let mut out = Vec::new();
    match level {
        Level::Linear => {
            for (member, &n) in chunks.iter().enumerate() {
                out.extend((0..n).map(|row| (member, row)));
            }
        }
        Level::Raid0 => {
            let mut row = 0;
            while chunks.iter().any(|&n| n > row) {
                let alive: Vec<usize> = (0..lens.len()).filter(|&m| chunks[m] > row).collect();
                let first = out.len() as u64;
                for position in 0..alive.len() as u64 {
                    // `first` grows by the width each row: modulo the width it is constant in a zone.
                    let column = match layout {
                        ZoneLayout::Original => (first + position) % alive.len() as u64,
                        ZoneLayout::Alternate => position,
                    };
                    out.push((alive[column as usize], row));
                }
                row += 1;
            }
        }
    }
    out
}

fn arrays() -> impl Strategy<Value = (Level, ZoneLayout, Vec<u64>)> {
    let level = prop_oneof![Just(Level::Raid0), Just(Level::Linear)];
    let layout = prop_oneof![Just(ZoneLayout::Original), Just(ZoneLayout::Alternate)];
    let rest = prop_oneof![2 => Just(0), 1 => 0..CHUNK / 512];
    let len = (1_u64..12, rest).prop_map(|(chunks, rest)| chunks * CHUNK + rest * 512);
    let equal = (1_u64..12, 1_usize..6).prop_map(|(chunks, n)| vec![chunks * CHUNK; n]);
    let lens = prop_oneof![3 => prop::collection::vec(len, 1..7), 1 => equal];
    (level, layout, lens)
}

proptest! {
    #[test]
    fn every_byte_is_where_the_model_says((level, layout, lens) in arrays()) {
        let geometry = geometry(level, layout, &lens);
        let model = naive(level, layout, &lens);
        prop_assert_eq!(geometry.len_bytes(), model.len() as u64 * CHUNK);
        for (chunk, &(member, row)) in model.iter().enumerate() {
            for within in [0, 512, CHUNK - 1] {
                let (offset, member_offset) = (chunk as u64 * CHUNK + within, row * CHUNK + within);
                prop_assert_eq!(geometry.single(offset, 1), Some((member, member_offset)));
                prop_assert_eq!(geometry.offset_of(member, member_offset), Some(offset));
            }
        }
        prop_assert_eq!(geometry.single(geometry.len_bytes(), 1), None);
        for (member, len) in lens.iter().enumerate() {
            prop_assert_eq!(geometry.offset_of(member, len / CHUNK * CHUNK), None);
        }
    }

    #[test]
    fn no_byte_is_held_twice((level, layout, lens) in arrays()) {
        let geometry = geometry(level, layout, &lens);
        let mut held: Vec<(usize, u64, u64)> = geometry
            .map(0, u64::MAX)
            .map(|e| (e.member, e.member_offset, e.member_offset + e.len))
            .collect();
        held.sort_unstable();
        for pair in held.windows(2) {
            prop_assert!(pair[0].0 != pair[1].0 || pair[0].2 <= pair[1].1);
        }
        let all: u64 = held.iter().map(|(_, from, to)| to - from).sum();
        prop_assert_eq!(all, lens.iter().map(|len| len / CHUNK * CHUNK).sum::<u64>());
    }

    #[test]
    fn a_range_is_its_bytes_in_order(
        (level, layout, lens) in arrays(),
        from in 0_u64..300,
        blocks in 0_u64..300,
    ) {
        let geometry = geometry(level, layout, &lens);
        let from = (from * 512).min(geometry.len_bytes());
        let len = (blocks * 512).min(geometry.len_bytes() - from);
        let mut next = from;
        for extent in geometry.map(from, len) {
            prop_assert_eq!(extent.offset, next);
            prop_assert!(extent.len > 0);
            for byte in [0, extent.len - 1] {
                let at = geometry.offset_of(extent.member, extent.member_offset + byte);
                prop_assert_eq!(at, Some(extent.offset + byte));
            }
            let end = extent.member_offset + extent.len;
            prop_assert!(end <= lens[extent.member]);
            next += extent.len;
        }
        prop_assert_eq!(next, from + len);
        let whole = geometry.single(from, len);
        let mut extents = geometry.map(from, len);
        match (extents.next(), extents.next()) {
            (Some(one), None) => prop_assert_eq!(whole, Some((one.member, one.member_offset))),
            _ => prop_assert_eq!(whole, None),
        }
    }

    #[test]
    fn spans_are_the_extents_of_each_member(
        (level, layout, lens) in arrays(),
        from in 0_u64..300,
        blocks in 0_u64..300,
    ) {
        let geometry = geometry(level, layout, &lens);
        let (from, len) = (from * 512, blocks * 512);
        let mut spans = Vec::new();
        geometry.spans(from, len, &mut spans);
        spans.sort_unstable_by_key(|span| span.member);
        let mut expected: Vec<Span> = Vec::new();
        for member in 0..lens.len() {
            let mut one: Option<Span> = None;
            for e in geometry.map(from, len).filter(|e| e.member == member) {
                match &mut one {
                    // This is the claim that a member's share is contiguous.
                    Some(one) => {
                        prop_assert_eq!(one.member_offset + one.len, e.member_offset);
                        one.len += e.len;
                    }
                    None => {
                        let Extent { member_offset, len, .. } = e;
                        one = Some(Span { member, member_offset, len });
                    }
                }
            }
            expected.extend(one);
        }
        prop_assert_eq!(spans, expected);
    }
}

#[test]
fn two_members_take_turns() {
    let geometry = geometry(Level::Raid0, ZoneLayout::Original, &[8 * CHUNK, 8 * CHUNK]);
    let members: Vec<(usize, u64)> =
        geometry.map(0, 4 * CHUNK).map(|e| (e.member, e.member_offset)).collect();
    assert_eq!(members, [(0, 0), (1, 0), (0, CHUNK), (1, CHUNK)]);
    assert_eq!((geometry.narrowest(), geometry.widest()), (2, 2));
}

/// Members of 3, 1 and 2 chunks: md's zones are [0 1 2], [0 2], [0]; the second begins with chunk 3
/// of the array, which the original layout puts on its column 3 % 2.
#[test]
fn zones_of_both_layouts() {
    let lens = [3 * CHUNK, CHUNK, 2 * CHUNK + 512];
    let order = |layout| -> Vec<usize> {
        geometry(Level::Raid0, layout, &lens).map(0, u64::MAX).map(|e| e.member).collect()
    };
    assert_eq!(order(ZoneLayout::Original), [0, 1, 2, 2, 0, 0]);
    assert_eq!(order(ZoneLayout::Alternate), [0, 1, 2, 0, 2, 0]);
}

#[test]
fn the_ends_are_exact() {
    let max = u64::MAX / 2 / CHUNK * CHUNK;
    let two = geometry(Level::Raid0, ZoneLayout::Original, &[max, max]);
    let last = two.len_bytes() - 1;
    assert_eq!(two.single(last, 1), Some((1, max - 1)));
    assert_eq!(two.single(last, 2), None);
    assert_eq!(two.map(last, u64::MAX).count(), 1);
    let mut spans = Vec::new();
    two.spans(0, u64::MAX, &mut spans);
    assert_eq!(spans.iter().map(|s| s.len).collect::<Vec<_>>(), [max, max]);

    let spec = ArraySpec { chunk: CHUNK as u32, ..ArraySpec::default() };
    assert_eq!(Geometry::new(&spec, &[u64::MAX, u64::MAX]).unwrap_err(), RaidError::TooLarge);
    let many = vec![CHUNK; MAX_MEMBERS + 1];
    assert!(matches!(Geometry::new(&spec, &many), Err(RaidError::TooManyMembers { .. })));
}
