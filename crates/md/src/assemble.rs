//! From superblocks to an array: which members it has, in which order, and where their data is.
//!
//! The rules, each with its refusal in [`MdError`]:
//!
//! 1. All members name one array; the identifier that most of them have counts. Level, layout, chunk,
//!    number of members, creation time are the same on all.
//! 2. Level 0 or linear, and no feature beyond the layout of later zones: bad blocks, bitmaps,
//!    reshapes, journals are refused.
//! 3. Each place is there once. Nothing runs with fewer.
//! 4. Event counts differ by at most one, as for the kernel: an update of all members that was cut
//!    short leaves that much. Anything beyond is stale.
//! 5. The data area lies behind the superblock, on the disk, in whole blocks.
//! 6. A RAID 0 over members of unequal length says which of the two layouts it has
//!    ([`ZoneLayout`]), unless both are the same.
//! 7. [`Order::AsNamed`]: the members are named in their order.

use outboard_disk::{DiskSpec, WindowSpec};
use outboard_raid::{ArraySpec, Geometry, Level, RaidError, ZoneLayout};
use serde::Serialize;

use crate::error::MdError;
use crate::member;
use crate::superblock::{
    FEATURES, LEVEL_LINEAR, RAID0_LAYOUT, Role, SECTOR, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET,
    Superblock,
};
use crate::uuid::Uuid;

/// A disk and the superblock that was found on it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// the disk
    pub disk: DiskSpec,
    /// its length in bytes
    pub len_bytes: u64,
    /// its logical block in bytes
    pub block_size: u32,
    /// what it says
    pub superblock: Superblock,
}

/// In which order members may be named.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// in the array's: a configuration that says otherwise has disks swapped
    #[default]
    AsNamed,
    /// in any
    Any,
}

/// An array that can run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assembled {
    /// its identifier, which outlives renames and can serve as a serial number
    pub uuid: Uuid,
    /// its name, `host:name` or `name`
    pub name: String,
    /// level, chunk and layout
    pub spec: ArraySpec,
    /// length in bytes
    pub len_bytes: u64,
    /// event count
    pub events: u64,
    /// its members, in order
    pub members: Vec<Member>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Member {
    /// its data area, as a disk of its own (`offset=` and `length=` are set): open this
    #[serde(serialize_with = "as_text")]
    pub disk: DiskSpec,
    /// its identifier
    pub device_uuid: Uuid,
    /// first byte of its data, on the disk
    pub offset: u64,
    /// length of its data in bytes
    pub len: u64,
}

fn as_text<S: serde::Serializer>(disk: &DiskSpec, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(disk)
}

/// Reads the superblocks of `disks` and assembles the array. Nothing stays open.
///
/// # Errors
/// See the rules above; and a disk that cannot be read, or has no superblock of version 1.2.
pub fn assemble_disks(disks: &[DiskSpec], order: Order) -> Result<Assembled, MdError> {
    let read = |disk| member::Held::open(disk, member::Purpose::Look)?.candidate();
    assemble(&disks.iter().map(read).collect::<Result<Vec<_>, _>>()?, order)
}

/// Assembles the array of these members.
///
/// # Errors
/// See the rules above.
pub fn assemble(candidates: &[Candidate], order: Order) -> Result<Assembled, MdError> {
    let first = candidates.first().ok_or(MdError::NoMembers)?;
    let uuid = most_common(candidates).unwrap_or_else(|| first.superblock.uuid());
    for candidate in candidates {
        known(candidate, uuid)?;
    }
    let newest =
        candidates.iter().max_by_key(|c| c.superblock.header.events.get()).unwrap_or(first);
    for candidate in candidates {
        agrees(candidate, newest)?;
    }
    let members = placed(candidates, newest)?;
    let spec = spec(&members)?;
    let lens: Vec<u64> = members.iter().map(|c| data_len(c)).collect();
    let geometry = Geometry::new(&spec, &lens)?;
    if order == Order::AsNamed {
        in_order(candidates, &members)?;
    }
    Ok(Assembled {
        uuid,
        name: newest.superblock.name(),
        spec,
        len_bytes: geometry.len_bytes(),
        events: newest.superblock.header.events.get(),
        members: members.iter().map(|candidate| member(candidate)).collect(),
    })
}

fn member(candidate: &Candidate) -> Member {
    let header = &candidate.superblock.header;
    let (offset, len) = (header.data_offset.get().saturating_mul(SECTOR), data_len(candidate));
    let before = candidate.disk.window.map_or(0, |window| window.offset);
    let window = WindowSpec { offset: before.saturating_add(offset), len: Some(len) };
    let disk = DiskSpec { window: Some(window), ..candidate.disk.clone() };
    Member { disk, device_uuid: candidate.superblock.device_uuid(), offset, len }
}

fn data_len(candidate: &Candidate) -> u64 {
    candidate.superblock.header.data_size.get().saturating_mul(SECTOR)
}

/// The identifier that most of them have; the first of these.
fn most_common(candidates: &[Candidate]) -> Option<Uuid> {
    let uuid = |c: &Candidate| c.superblock.uuid();
    let count = |wanted| candidates.iter().filter(|c| uuid(c) == wanted).count();
    candidates.iter().rev().map(uuid).max_by_key(|&uuid| count(uuid))
}

/// What one member alone must say.
fn known(candidate: &Candidate, uuid: Uuid) -> Result<(), MdError> {
    let (name, found) = (candidate.disk.to_string(), candidate.superblock.uuid());
    if found != uuid {
        return Err(MdError::Foreign { member: name, found, expected: uuid });
    }
    supported(candidate)?;
    let header = &candidate.superblock.header;
    match candidate.superblock.role() {
        Role::Active(role) if u32::from(role) >= header.raid_disks.get() => {
            Err(MdError::BadRole { member: name, role, members: header.raid_disks.get() })
        }
        Role::Active(_) => window(candidate),
        Role::Spare => Err(MdError::NoRole { member: name, role: "a spare" }),
        Role::Faulty => Err(MdError::NoRole { member: name, role: "a faulty device" }),
        Role::Journal => Err(MdError::NoRole { member: name, role: "the journal" }),
    }
}

/// Level and features.
fn supported(candidate: &Candidate) -> Result<(), MdError> {
    let header = &candidate.superblock.header;
    let refuse = |what: String, mend| {
        Err(MdError::Unsupported { member: candidate.disk.to_string(), what, mend })
    };
    let level = header.level.get();
    if !matches!(level, 0 | LEVEL_LINEAR) {
        let what = format!("level {level}");
        return refuse(what, "levels 0 and linear are known: assemble it with mdadm");
    }
    let foreign = header.feature_map.get() & !RAID0_LAYOUT;
    if foreign != 0 {
        let known = FEATURES.iter().filter(|(bit, _)| foreign & bit != 0);
        let mut names: Vec<_> = known.map(|(_, name)| (*name).to_owned()).collect();
        let unknown = FEATURES.iter().fold(foreign, |bits, (bit, _)| bits & !bit);
        if unknown != 0 {
            names.push(format!("unknown features {unknown:#x}"));
        }
        let mend = match foreign {
            8 => {
                "replace the disk; `mdadm --examine-badblocks` lists them, and \
                  `mdadm --assemble --update=force-no-bbl` drops the list"
            }
            _ => "let mdadm finish or remove it first",
        };
        return refuse(names.join(", "), mend);
    }
    let chunk = header.chunksize.get();
    let none = chunk == 0 && level == LEVEL_LINEAR;
    if !none && !chunk.is_power_of_two() {
        let what = format!("a chunk of {chunk} sectors");
        return refuse(what, "a chunk is a power of two: copy its data to a new array");
    }
    Ok(())
}

/// Where its data is.
fn window(candidate: &Candidate) -> Result<(), MdError> {
    let header = &candidate.superblock.header;
    let (data_offset, data_size) = (header.data_offset.get(), header.data_size.get());
    let (name, block_size) = (candidate.disk.to_string(), candidate.block_size);
    let bad = |mend| {
        let member = name.clone();
        Err(MdError::BadWindow { member, data_offset, data_size, block_size, mend })
    };
    let behind = (SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES as u64) / SECTOR;
    if data_offset < behind || data_size == 0 {
        return bad("its superblock is damaged: restore the member from a backup");
    }
    let bytes = |sectors: u64| sectors.checked_mul(SECTOR);
    let end = data_offset.checked_add(data_size).and_then(bytes).unwrap_or(u64::MAX);
    if end > candidate.len_bytes {
        return Err(MdError::Shrunk { member: name, len: candidate.len_bytes, needed: end });
    }
    let sectors = (u64::from(block_size) / SECTOR).max(1);
    if !data_offset.is_multiple_of(sectors) || !data_size.is_multiple_of(sectors) {
        return bad("use a disk with smaller blocks, or copy its data to a new array");
    }
    Ok(())
}

/// What all members must say alike, and that it is up to date.
fn agrees(candidate: &Candidate, newest: &Candidate) -> Result<(), MdError> {
    let (ours, theirs) = (&candidate.superblock.header, &newest.superblock.header);
    let name = || candidate.disk.to_string();
    let other = || newest.disk.to_string();
    let (events, expected) = (ours.events.get(), theirs.events.get());
    if events.saturating_add(1) < expected {
        return Err(MdError::Stale { member: name(), events, newest: other(), expected });
    }
    let fields = [
        ("level", i64::from(ours.level.get()), i64::from(theirs.level.get())),
        ("layout", i64::from(ours.layout.get()), i64::from(theirs.layout.get())),
        ("features", i64::from(ours.feature_map.get()), i64::from(theirs.feature_map.get())),
        (
            "a chunk in sectors of",
            i64::from(ours.chunksize.get()),
            i64::from(theirs.chunksize.get()),
        ),
        (
            "a number of members of",
            i64::from(ours.raid_disks.get()),
            i64::from(theirs.raid_disks.get()),
        ),
        ("a creation time of", ours.ctime.get().cast_signed(), theirs.ctime.get().cast_signed()),
    ];
    for (what, says, expected) in fields {
        if says != expected {
            return Err(MdError::Disagrees {
                member: name(),
                what,
                says: says.to_string(),
                other: other(),
                expected: expected.to_string(),
            });
        }
    }
    let seen = newest.superblock.role_of(ours.dev_number.get());
    if seen != candidate.superblock.role() {
        return Err(MdError::Disagrees {
            member: name(),
            what: "its own role is",
            says: format!("{:?}", candidate.superblock.role()),
            other: other(),
            expected: format!("{seen:?}"),
        });
    }
    Ok(())
}

/// All members by their place.
fn placed<'a>(
    candidates: &'a [Candidate],
    newest: &Candidate,
) -> Result<Vec<&'a Candidate>, MdError> {
    let mut members: Vec<&Candidate> = Vec::new();
    // As many as were named at most, whatever the superblocks claim.
    let mut named: Vec<(u16, &Candidate)> =
        candidates.iter().filter_map(|c| Some((role(c)?, c))).collect();
    named.sort_by_key(|&(role, _)| role);
    for (&(role, candidate), next) in named.iter().zip(named.iter().skip(1).map(Some).chain([None]))
    {
        if let Some(&(_, other)) = next.filter(|&&(next, _)| next == role) {
            let (member, other) = (other.disk.to_string(), candidate.disk.to_string());
            return Err(MdError::SameRole { member, other, role });
        }
        members.push(candidate);
    }
    let expected = newest.superblock.header.raid_disks.get();
    if members.len() as u64 == u64::from(expected) {
        return Ok(members);
    }
    let there = |role: u32| named.iter().any(|&(named, _)| u32::from(named) == role);
    let mut missing: Vec<String> = (0..expected)
        .filter(|&role| !there(role))
        .take(LISTED + 1)
        .map(|r| r.to_string())
        .collect();
    if missing.len() > LISTED {
        missing.truncate(LISTED);
        missing.push("more".to_owned());
    }
    let word = if missing.len() == 1 { "member" } else { "members" };
    Err(MdError::Missing {
        uuid: newest.superblock.uuid(),
        name: newest.superblock.name(),
        members: expected,
        missing: format!(
            "{word} {} {}",
            missing.join(", "),
            if missing.len() == 1 { "is" } else { "are" }
        ),
    })
}

fn role(candidate: &Candidate) -> Option<u16> {
    match candidate.superblock.role() {
        Role::Active(role) => Some(role),
        _ => None,
    }
}

/// Level, chunk and layout of these members, in order.
fn spec(members: &[&Candidate]) -> Result<ArraySpec, MdError> {
    let first = members.first().ok_or(MdError::NoMembers)?;
    let header = &first.superblock.header;
    let chunk_sectors = u64::from(header.chunksize.get());
    if header.level.get() == LEVEL_LINEAR && chunk_sectors == 0 {
        // Members are not rounded; an array has chunks of a block at least.
        let aligned = members.iter().all(|c| data_len(c).is_multiple_of(4096));
        let chunk = if aligned { 4096 } else { SECTOR as u32 };
        return Ok(ArraySpec { level: Level::Linear, chunk, ..ArraySpec::default() });
    }
    let chunk = u32::try_from(chunk_sectors * SECTOR).map_err(|_| RaidError::ChunkSize {
        chunk: u32::MAX,
        min: SECTOR as u32,
        max: outboard_raid::spec::MAX_CHUNK_BYTES,
    })?;
    if header.level.get() == LEVEL_LINEAR {
        return Ok(ArraySpec { level: Level::Linear, chunk, ..ArraySpec::default() });
    }
    let said = match header.feature_map.get() & RAID0_LAYOUT {
        0 => 0,
        _ => header.layout.get(),
    };
    let zone_layout = match said {
        1 => ZoneLayout::Original,
        2 => ZoneLayout::Alternate,
        _ if one_layout(members, u64::from(chunk)) => ZoneLayout::Original,
        _ => {
            return Err(MdError::Unsupported {
                member: first.disk.to_string(),
                what: format!(
                    "members of unequal length and layout {said}, so that where the chunks of its later zones are is unknown"
                ),
                mend: "if it was last written by Linux before 3.14, say so with `mdadm --assemble \
                       --update=layout-original`, otherwise with `--update=layout-alternate`",
            });
        }
    };
    Ok(ArraySpec { level: Level::Raid0, chunk, zone_layout })
}

/// Whether both layouts are the same: one zone, or a second one on a single member.
fn one_layout(members: &[&Candidate], chunk: u64) -> bool {
    let whole = |c: &&Candidate| data_len(c) / chunk.max(1);
    let shortest = members.iter().map(whole).min().unwrap_or(0);
    members.iter().map(whole).filter(|&len| len > shortest).count() <= 1
}

fn in_order(named: &[Candidate], members: &[&Candidate]) -> Result<(), MdError> {
    for (place, candidate) in (0_u16..).zip(named) {
        if let Some(role) = role(candidate).filter(|&role| role != place) {
            let order: Vec<_> = members.iter().map(|c| c.disk.to_string()).collect();
            let member = candidate.disk.to_string();
            return Err(MdError::Swapped { member, role, place, order: order.join(", ") });
        }
    }
    Ok(())
}

/// Missing members that are listed.
const LISTED: usize = 8;

#[cfg(test)]
mod tests;
