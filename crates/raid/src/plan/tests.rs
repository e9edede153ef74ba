use core::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::spec::{ArraySpec, Level};

const CHUNK: u64 = 4096;

/// A member request, as planned.
type Planned = (usize, u64, u64, Vec<Segment>);

fn geometry(level: Level, lens: &[u64]) -> Geometry {
    let spec = ArraySpec { level, chunk: CHUNK as u32, ..ArraySpec::default() };
    Geometry::new(&spec, lens).unwrap()
}

fn plan(
    planner: &mut Planner,
    geometry: &Geometry,
    offset: u64,
    segments: &[Segment],
) -> Vec<Planned> {
    let mut parts = Vec::new();
    let len = segments.iter().map(|s| u64::from(s.len)).sum();
    let planned = planner.data(geometry, offset, len, segments, |part| {
        parts.push((part.member, part.offset, part.len, part.segments.to_vec()));
        Ok::<(), Infallible>(())
    });
    assert_eq!(planned, Ok(()));
    parts
}

fn segment(offset: u64, len: u64) -> Segment {
    Segment { offset, len: len as u32 }
}

#[test]
fn a_range_over_many_chunks_is_one_request_per_member() {
    let geometry = geometry(Level::Raid0, &[64 * CHUNK, 64 * CHUNK]);
    let mut planner = Planner::new([1 << 20, 1 << 20]);
    let parts = plan(&mut planner, &geometry, 512, &[segment(0, 4 * CHUNK)]);
    assert_eq!(parts.len(), 2);
    let (member, offset, len, segments) = &parts[0];
    assert_eq!((*member, *offset, *len), (0, 512, 2 * CHUNK));
    let expected =
        [segment(0, CHUNK - 512), segment(2 * CHUNK - 512, CHUNK), segment(4 * CHUNK - 512, 512)];
    assert_eq!(segments[..], expected);
    assert_eq!(parts[1].0, 1);
    assert_eq!(parts[1].1, 0);
}

#[test]
fn neighbours_in_memory_become_one_segment() {
    let geometry = geometry(Level::Linear, &[64 * CHUNK]);
    let mut planner = Planner::new([1 << 20]);
    let list = [segment(0, 512), segment(512, 512), segment(4096, 512)];
    let parts = plan(&mut planner, &geometry, 0, &list);
    assert_eq!(parts, [(0, 0, 1536, vec![segment(0, 1024), segment(4096, 512)])]);
}

#[test]
fn what_exceeds_a_member_is_cut() {
    let geometry = geometry(Level::Linear, &[64 * CHUNK]);
    let mut planner = Planner::new([1024]);
    let parts = plan(&mut planner, &geometry, 0, &[segment(0, 2560)]);
    let lens: Vec<(u64, u64)> = parts.iter().map(|p| (p.1, p.2)).collect();
    assert_eq!(lens, [(0, 1024), (1024, 1024), (2048, 512)]);

    let mut planner = Planner::new([1 << 30]);
    let scattered: Vec<Segment> =
        (0..MAX_SEGMENTS as u64 + 1).map(|n| segment(n * 1024, 512)).collect();
    let geometry = self::geometry(Level::Linear, &[1 << 30]);
    let parts = plan(&mut planner, &geometry, 0, &scattered);
    let counts: Vec<usize> = parts.iter().map(|p| p.3.len()).collect();
    assert_eq!(counts, [MAX_SEGMENTS, 1]);
    assert_eq!(parts[1].1, MAX_SEGMENTS as u64 * 512);
}

#[test]
fn an_error_stops_the_plan_and_the_next_one_starts_afresh() {
    let geometry = geometry(Level::Raid0, &[64 * CHUNK, 64 * CHUNK]);
    let mut planner = Planner::new([1 << 20, 1 << 20]);
    let list = [segment(0, 4 * CHUNK)];
    let mut calls = 0;
    let stopped = planner.data(&geometry, 0, 4 * CHUNK, &list, |_| {
        calls += 1;
        Err("no")
    });
    assert_eq!((stopped, calls), (Err("no"), 1));
    assert_eq!(plan(&mut planner, &geometry, 0, &list).len(), 2);
}

#[test]
fn a_discard_of_everything_walks_no_chunks() {
    let huge = 1 << 60;
    let geometry = geometry(Level::Raid0, &[huge, huge, 2 * huge]);
    let mut parts = Vec::new();
    let planned = Planner::new([512; 3]).dataless(&geometry, 0, 4 * huge, huge, |part| {
        parts.push((part.member, part.offset, part.len));
        Ok::<(), Infallible>(())
    });
    assert_eq!(planned, Ok(()));
    assert_eq!(parts, [(0, 0, huge), (1, 0, huge), (2, 0, huge), (2, huge, huge)]);
}

proptest! {
    /// The memory of each byte is the same after planning, whatever the segment list; as few
    /// requests as the limits allow.
    #[test]
    fn every_byte_keeps_its_memory(
        level in prop_oneof![Just(Level::Raid0), Just(Level::Linear)],
        lens in prop::collection::vec(1_u64..8, 1..5),
        from in 0_u64..64,
        pieces in prop::collection::vec((1_u64..20, any::<bool>()), 1..12),
        max_blocks in prop_oneof![Just(1_u64 << 20), 1_u64..12],
    ) {
        let lens: Vec<u64> = lens.iter().map(|chunks| chunks * CHUNK).collect();
        let geometry = geometry(level, &lens);
        let from = from * 512 % geometry.len_bytes();
        let (mut segments, mut memory, mut left) = (Vec::new(), 0, geometry.len_bytes() - from);
        for (blocks, gap) in pieces {
            let len = (blocks * 512).min(left);
            if len > 0 {
                memory += if gap { 512 } else { 0 };
                segments.push(segment(memory, len));
                (memory, left) = (memory + len, left - len);
            }
        }
        let mut planner = Planner::new(vec![max_blocks * 512; lens.len()]);
        let parts = plan(&mut planner, &geometry, from, &segments);

        let blocks_of = |segments: &[Segment]| -> Vec<u64> {
            let block = |s: &Segment| (0..u64::from(s.len) / 512).map(|b| s.offset + b * 512).collect();
            segments.iter().flat_map(block as fn(&Segment) -> Vec<u64>).collect()
        };
        let mut found = Vec::new();
        for (member, offset, len, segments) in &parts {
            prop_assert!(*len <= max_blocks * 512 && segments.len() <= MAX_SEGMENTS);
            prop_assert_eq!(segments.iter().map(|s| u64::from(s.len)).sum::<u64>(), *len);
            for (n, memory) in blocks_of(segments).into_iter().enumerate() {
                found.push((geometry.offset_of(*member, offset + n as u64 * 512).unwrap(), memory));
            }
        }
        found.sort_unstable();
        let expected: Vec<(u64, u64)> = blocks_of(&segments)
            .into_iter()
            .enumerate()
            .map(|(n, memory)| (from + n as u64 * 512, memory))
            .collect();
        prop_assert_eq!(found, expected);

        let mut spans = Vec::new();
        geometry.spans(from, segments.iter().map(|s| u64::from(s.len)).sum(), &mut spans);
        let fewest: u64 = spans.iter().map(|span| span.len.div_ceil(max_blocks * 512)).sum();
        prop_assert_eq!(parts.len() as u64, fewest);
    }
}
