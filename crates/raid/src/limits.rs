//! What an array can, from what its members can.

use outboard_disk::{Discard, Limits};

use crate::error::RaidError;
use crate::geometry::Geometry;
use crate::spec::{ArraySpec, Level, MAX_CHUNK_BYTES};

/// Chunks of one member in one request to the array, so that its gathered list stays far from
/// [`crate::plan::MAX_SEGMENTS`] even if the caller's list has many segments.
const MAX_PART_CHUNKS: u64 = 256;

/// The block of an array: the largest of its members', as their lengths are cut to whole chunks
/// anyway.
///
/// # Errors
/// No members, a block that is neither 512 nor 4096 bytes, a chunk smaller than the block or larger
/// than [`MAX_CHUNK_BYTES`].
pub fn block_size(spec: &ArraySpec, members: &[Limits]) -> Result<u32, RaidError> {
    for (member, limits) in members.iter().enumerate() {
        if !matches!(limits.block_size, 512 | 4096) {
            return Err(RaidError::BlockSize { member, block_size: limits.block_size });
        }
    }
    let min = members.iter().map(|l| l.block_size).max().ok_or(RaidError::NoMembers)?;
    if spec.chunk.is_power_of_two() && !(min..=MAX_CHUNK_BYTES).contains(&spec.chunk) {
        return Err(RaidError::ChunkSize { chunk: spec.chunk, min, max: MAX_CHUNK_BYTES });
    }
    Ok(min)
}

/// Most bytes that each member takes in one request, in whole blocks of the array.
///
/// # Errors
/// A member that takes less than a block.
pub fn max_transfers(block_size: u32, members: &[Limits]) -> Result<Vec<u64>, RaidError> {
    let whole = |(member, limits): (usize, &Limits)| {
        let max_transfer = limits.max_transfer / u64::from(block_size) * u64::from(block_size);
        match max_transfer {
            0 => Err(RaidError::TransferTooSmall {
                member,
                max_transfer: limits.max_transfer,
                block_size,
            }),
            _ => Ok(max_transfer),
        }
    };
    members.iter().enumerate().map(whole).collect()
}

/// Limits of the array.
///
/// - `max_transfer`: what the least member takes, times the width of the narrowest zone; in whole
///   chunks if that is a chunk or more. A range of that length is at most one request per member,
///   but where zones meet.
/// - `optimal_transfer`: a stripe (linear: the largest of the members').
/// - `discard`: if all members can; the granularity is their coarsest, aligned per member.
/// - `read_only`, `volatile_cache`, `rotational`: if any member is.
pub fn merge(
    spec: &ArraySpec,
    geometry: &Geometry,
    block_size: u32,
    max_transfers: &[u64],
    members: &[Limits],
) -> Limits {
    let chunk = u64::from(spec.chunk);
    let narrowest = geometry.narrowest();
    let share = |most: u64| match most / chunk * chunk {
        0 => most,
        whole => whole.checked_mul(narrowest).unwrap_or(whole),
    };
    let most = match spec.level {
        Level::Raid0 => chunk * MAX_PART_CHUNKS,
        Level::Linear => u64::MAX,
    };
    let least_transfer = max_transfers.iter().copied().min().unwrap_or(0);
    let optimal = members.iter().map(|l| l.optimal_transfer).max().unwrap_or(0);
    let physical = members.iter().map(|l| l.physical_block_size).max().unwrap_or(block_size);
    Limits {
        block_size,
        physical_block_size: physical.max(block_size),
        blocks: geometry.len_bytes() / u64::from(block_size),
        max_transfer: share(least_transfer.min(most)),
        optimal_transfer: match spec.level {
            Level::Raid0 => chunk * geometry.widest(),
            Level::Linear => optimal,
        },
        read_only: members.iter().any(|l| l.read_only),
        volatile_cache: members.iter().any(|l| l.volatile_cache),
        rotational: members.iter().any(|l| l.rotational),
        discard: discard(block_size, members)
            .map(|discard| Discard { max_bytes: share(discard.max_bytes), ..discard }),
        write_zeroes: members.iter().all(|l| l.write_zeroes),
    }
}

/// What every member can of a discard, in whole blocks; `None` if one cannot.
pub fn discard(block_size: u32, members: &[Limits]) -> Option<Discard> {
    let block = u64::from(block_size);
    let both = |a: Discard, b: Discard| Discard {
        granularity: a.granularity.max(b.granularity),
        max_bytes: a.max_bytes.min(b.max_bytes),
        reads_zeroes: a.reads_zeroes && b.reads_zeroes,
    };
    let mut all: Option<Discard> = None;
    for limits in members {
        let one = limits.discard?;
        all = Some(all.map_or(one, |all| both(all, one)));
    }
    let all = all?;
    let max_bytes = all.max_bytes / block * block;
    (max_bytes > 0).then_some(Discard { granularity: all.granularity.max(block), max_bytes, ..all })
}

#[cfg(test)]
mod tests {
    use outboard_disk::testkit::limits;

    use super::*;

    fn merged(spec: &ArraySpec, members: &[Limits]) -> Result<Limits, RaidError> {
        let block_size = block_size(spec, members)?;
        let transfers = max_transfers(block_size, members)?;
        let lens: Vec<u64> = members.iter().map(Limits::len_bytes).collect();
        let geometry = Geometry::new(spec, &lens)?;
        Ok(merge(spec, &geometry, block_size, &transfers, members))
    }

    #[test]
    fn equal_members_double_what_one_takes() {
        let spec = ArraySpec { chunk: 64 << 10, ..ArraySpec::default() };
        let one = Limits { max_transfer: 1 << 20, ..limits(512, 8 << 20) };
        let array = merged(&spec, &[one, one]).unwrap();
        assert_eq!(array.blocks, (16 << 20) / 512);
        assert_eq!(array.max_transfer, 2 << 20);
        assert_eq!(array.optimal_transfer, 128 << 10);
        assert!(!array.read_only && !array.volatile_cache && !array.rotational);
    }

    #[test]
    fn a_last_zone_of_one_member_takes_what_that_member_takes() {
        let spec = ArraySpec { chunk: 64 << 10, ..ArraySpec::default() };
        let short = Limits { max_transfer: 1 << 20, ..limits(512, 8 << 20) };
        let long = Limits { max_transfer: 1 << 20, ..limits(512, 9 << 20) };
        assert_eq!(merged(&spec, &[short, long]).unwrap().max_transfer, 1 << 20);
    }

    #[test]
    fn a_member_that_takes_less_than_a_chunk_sets_the_limit() {
        let spec = ArraySpec { chunk: 1 << 20, ..ArraySpec::default() };
        let one = Limits { max_transfer: 65_000, ..limits(512, 8 << 20) };
        assert_eq!(merged(&spec, &[one, one]).unwrap().max_transfer, 65_000 / 512 * 512);
    }

    #[test]
    fn the_largest_block_and_the_weakest_abilities_win() {
        let spec = ArraySpec { chunk: 64 << 10, ..ArraySpec::default() };
        let discard = Discard { granularity: 512, max_bytes: 1 << 30, reads_zeroes: true };
        let a = Limits { discard: Some(discard), write_zeroes: true, ..limits(512, 8 << 20) };
        let b = Limits {
            discard: Some(Discard { granularity: 8192, max_bytes: 1 << 21, reads_zeroes: false }),
            rotational: true,
            volatile_cache: true,
            read_only: true,
            ..limits(4096, 8 << 20)
        };
        let array = merged(&spec, &[a, b]).unwrap();
        assert_eq!((array.block_size, array.physical_block_size), (4096, 4096));
        let expected = Discard { granularity: 8192, max_bytes: 4 << 20, reads_zeroes: false };
        assert_eq!(array.discard, Some(expected));
        assert!(!array.write_zeroes);
        assert!(array.rotational && array.volatile_cache && array.read_only);
        let without = Limits { discard: None, ..b };
        assert_eq!(merged(&spec, &[a, without]).unwrap().discard, None);
    }

    #[test]
    fn what_cannot_be_an_array_says_why() {
        let good = limits(4096, 8 << 20);
        let spec = |chunk| ArraySpec { chunk, ..ArraySpec::default() };
        let said =
            |chunk, members: &[Limits]| merged(&spec(chunk), members).unwrap_err().to_string();
        assert!(said(1 << 16, &[]).contains("at least one member"));
        assert!(said(3 << 10, &[good]).contains("use 4096"));
        assert!(said(512, &[good]).contains("must be 4096"));
        assert!(said(1 << 31, &[good]).contains("to 1073741824 bytes"));
        assert!(said(16 << 20, &[good]).contains("no whole chunk"));
        let odd = Limits { block_size: 520, ..good };
        assert!(said(1 << 16, &[good, odd]).contains("member 1 has blocks of 520"));
        let tiny = Limits { max_transfer: 512, ..limits(512, 8 << 20) };
        assert!(said(1 << 16, &[tiny, good]).contains("member 0 takes at most 512"));
    }
}
