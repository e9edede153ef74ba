//! What of an array storage holds, from what its members say of themselves.

use outboard_disk::Allocation;

use crate::geometry::Geometry;

/// Extents that one answer looks at: a longer stretch in one state is given in parts.
const MAX_EXTENTS: usize = 1 << 14;
/// Members whose last answer is remembered; what they said usually holds for many chunks.
const REMEMBERED: usize = 16;

/// What a member said last, as a range of its bytes.
#[derive(Clone, Copy)]
struct Said {
    member: usize,
    from: u64,
    to: u64,
    mapped: bool,
}

/// The state of the array's byte at `offset`, and how far it goes in whole blocks of `block` bytes.
/// `ask` gives the state of a member's byte, as [`outboard_disk::Disk::allocation`] does.
pub(crate) fn merge(
    geometry: &Geometry,
    block: u64,
    offset: u64,
    ask: impl Fn(usize, u64) -> Allocation,
) -> Allocation {
    let rest = geometry.len_bytes().saturating_sub(offset);
    let nobody = Said { member: usize::MAX, from: 0, to: 0, mapped: true };
    let mut said = [nobody; REMEMBERED];
    let mut state = None;
    let mut len = 0;
    for extent in geometry.map(offset, rest).take(MAX_EXTENTS) {
        let at = extent.member_offset;
        let Some(known) = said.get_mut(extent.member % REMEMBERED) else { break };
        if known.member != extent.member || !(known.from..known.to).contains(&at) {
            let Allocation { mapped, len } = ask(extent.member, at);
            *known = Said { member: extent.member, from: at, to: at.saturating_add(len), mapped };
        }
        if *state.get_or_insert(known.mapped) != known.mapped {
            break;
        }
        let same = (known.to - at).min(extent.len);
        len += same;
        if same < extent.len {
            break;
        }
    }
    let mapped = state.unwrap_or(true);
    // A block that is held in part is held.
    match len / block * block {
        0 => Allocation { mapped: true, len: block.min(rest) },
        whole if !mapped => Allocation { mapped, len: whole },
        _ => Allocation { mapped, len: len.next_multiple_of(block).min(rest) },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::{ArraySpec, Level};

    const BLOCK: u64 = 512;

    /// The whole array, answer by answer, as one state a block.
    fn states(geometry: &Geometry, block: u64, members: &[Vec<bool>]) -> Vec<bool> {
        let ask = |member: usize, at: u64| {
            let blocks = &members[member][(at / BLOCK) as usize..];
            let same = blocks.iter().take_while(|&&state| state == blocks[0]).count() as u64;
            Allocation { mapped: blocks[0], len: same * BLOCK - at % BLOCK }
        };
        let mut states = Vec::new();
        let mut at = 0;
        while at < geometry.len_bytes() {
            let Allocation { mapped, len } = merge(geometry, block, at, ask);
            assert!(len > 0 && len.is_multiple_of(block) && at + len <= geometry.len_bytes());
            states.extend((0..len / block).map(|_| mapped));
            at += len;
        }
        states
    }

    proptest! {
        #[test]
        fn every_block_is_in_the_state_its_member_says(
            lens in prop::collection::vec(8_usize..64, 1..5),
            level in prop_oneof![Just(Level::Raid0), Just(Level::Linear)],
            chunk in prop_oneof![Just(512_u32), Just(4096)],
            block in prop_oneof![Just(512_u64), Just(4096)],
            runs in prop::collection::vec(1_usize..20, 1..20),
        ) {
            prop_assume!(u64::from(chunk) >= block);
            let members: Vec<Vec<bool>> = lens
                .iter()
                .map(|&len| {
                    let runs = runs.iter().cycle().enumerate();
                    runs.flat_map(|(n, &run)| (0..run).map(move |_| n % 2 == 0)).take(len).collect()
                })
                .collect();
            let lens: Vec<u64> = lens.iter().map(|&len| len as u64 * BLOCK).collect();
            let spec = ArraySpec { chunk, level, ..ArraySpec::default() };
            let geometry = Geometry::new(&spec, &lens).unwrap();
            let expected: Vec<bool> = (0..geometry.len_bytes() / block)
                .map(|n| {
                    // Every byte of the block: held if one is.
                    geometry.map(n * block, block).any(|extent| {
                        let from = (extent.member_offset / BLOCK) as usize;
                        let to = from + (extent.len / BLOCK) as usize;
                        members[extent.member][from..to].contains(&true)
                    })
                })
                .collect();
            prop_assert_eq!(states(&geometry, block, &members), expected);
        }
    }
}
