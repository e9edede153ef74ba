//! A new array: the superblocks of its members.

use std::collections::HashSet;

use outboard_disk::DiskSpec;
use outboard_raid::spec::MAX_CHUNK_BYTES;
use outboard_raid::{ArraySpec, Geometry, Level, RaidError, ZoneLayout};
use zerocopy::FromZeros;

use crate::assemble::{Assembled, Candidate, Order, assemble};
use crate::error::MdError;
use crate::member::{Held, Purpose};
use crate::superblock::{
    CLEAN, Header, LEVEL_LINEAR, MAGIC, RAID0_LAYOUT, Role, SECTOR, SUPERBLOCK_BYTES,
    SUPERBLOCK_OFFSET, Superblock,
};
use crate::uuid::Uuid;

/// Where data begins if nothing is said, in bytes: mdadm's least.
pub const DEFAULT_DATA_OFFSET: u64 = 1 << 20;
/// Entries of the role table of a small array, as the kernel has it.
const ROLES: usize = 128;

/// What the array is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreateOptions {
    /// level and layout; the chunk is that of level 0
    pub spec: ArraySpec,
    /// what the members of a linear array are rounded to in bytes; `None` = not at all
    pub rounding: Option<u32>,
    /// `host:name` or `name`
    pub name: String,
    /// its identifier
    pub uuid: Uuid,
    /// seconds since 1970
    pub now: u64,
    /// where data begins on each member, in bytes
    pub data_offset: u64,
}

/// A disk that becomes a member.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewMember {
    /// for messages
    pub name: String,
    /// its length in bytes
    pub len_bytes: u64,
    /// its identifier
    pub device_uuid: Uuid,
}

/// The superblocks of a new array, in the order of its members.
///
/// # Errors
/// No members or too many, a chunk, a name or a data offset that cannot be, a member without room.
pub fn create(options: &CreateOptions, members: &[NewMember]) -> Result<Vec<Superblock>, MdError> {
    let CreateOptions { spec, name, data_offset, .. } = options;
    if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
        return Err(MdError::Name { name: name.clone(), len: name.len() });
    }
    let least = SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES as u64;
    if *data_offset < least || !data_offset.is_multiple_of(4096) {
        return Err(MdError::DataOffset { offset: *data_offset });
    }
    let rounding = match spec.level {
        Level::Linear => options.rounding.unwrap_or(0),
        _ => spec.chunk,
    };
    let rounded = rounding != 0 || spec.level != Level::Linear;
    if rounded && !rounding.is_power_of_two() {
        return Err(RaidError::ChunkNotPowerOfTwo { chunk: rounding }.into());
    }
    if rounded && !(MIN_CHUNK..=MAX_CHUNK_BYTES).contains(&rounding) {
        let error = RaidError::ChunkSize { chunk: rounding, min: MIN_CHUNK, max: MAX_CHUNK_BYTES };
        return Err(error.into());
    }
    let whole = u64::from(rounding.max(MIN_CHUNK));
    let mut lens = Vec::new();
    for NewMember { name, len_bytes, .. } in members {
        let len = len_bytes.saturating_sub(*data_offset) / whole * whole;
        if len == 0 {
            let (member, len) = (name.clone(), *len_bytes);
            return Err(MdError::NoRoom { member, len, data_offset: *data_offset });
        }
        lens.push(len);
    }
    Geometry::new(&ArraySpec { chunk: rounding.max(MIN_CHUNK), ..*spec }, &lens)?;
    let roles = roles(members.len());
    let common = header(options, rounding, members.len());
    let mut superblocks = Vec::new();
    for ((number, member), len) in (0_u32..).zip(members).zip(lens) {
        let mut header = common.clone();
        header.data_size = (len / SECTOR).into();
        header.dev_number = number.into();
        header.device_uuid = member.device_uuid.0;
        let superblock = Superblock::new(header, &roles);
        superblocks.push(superblock.map_err(|source| MdError::Superblock {
            member: member.name.clone(),
            source,
            mend: "use fewer, larger disks",
        })?);
    }
    Ok(superblocks)
}

/// What all members' superblocks have in common.
fn header(options: &CreateOptions, rounding: u32, members: usize) -> Header {
    let mut header = Header::new_zeroed();
    header.magic = MAGIC.into();
    header.major_version = 1.into();
    header.set_uuid = options.uuid.0;
    for (to, from) in header.set_name.iter_mut().zip(options.name.bytes()) {
        *to = from;
    }
    header.ctime = (options.now & TIME_MASK).into();
    header.utime = header.ctime;
    if options.spec.level == Level::Linear {
        header.level = LEVEL_LINEAR.into();
    } else {
        header.feature_map = RAID0_LAYOUT.into();
        header.layout = match options.spec.zone_layout {
            ZoneLayout::Original => 1,
            ZoneLayout::Alternate => 2,
        }
        .into();
    }
    header.chunksize = (rounding / SECTOR as u32).into();
    header.raid_disks = (members as u32).into();
    header.data_offset = (options.data_offset / SECTOR).into();
    header.super_offset = (SUPERBLOCK_OFFSET / SECTOR).into();
    header.resync_offset = CLEAN.into();
    header
}

/// Device numbers are places; the table is as long as the kernel's, so that it need not grow it.
fn roles(members: usize) -> Vec<Role> {
    let active = (0_u16..).take(members).map(Role::Active);
    let spare = members.max(ROLES) - members;
    active.chain(std::iter::repeat_n(Role::Spare, spare)).collect()
}

/// Makes the array on these disks, in their order; `random` are the members' identifiers. Each disk is
/// held exclusively. With `force` what is on them is given up.
///
/// # Errors
/// Those of [`create`]; a disk that is in use, holds data, or cannot be written: those before it
/// have their superblocks then, and `--force` begins again.
pub fn create_on(
    options: &CreateOptions,
    disks: &[DiskSpec],
    device_uuids: impl IntoIterator<Item = Uuid>,
    force: bool,
) -> Result<Assembled, MdError> {
    let mut files = HashSet::new();
    for disk in disks {
        if !files.insert(Held::identity(disk)?) {
            return Err(MdError::Twice { member: disk.to_string() });
        }
    }
    let purpose = if force { Purpose::Write } else { Purpose::Create };
    let held: Vec<Held> =
        disks.iter().map(|disk| Held::open(disk, purpose)).collect::<Result<_, _>>()?;
    let member = |(held, device_uuid): (&Held, Uuid)| NewMember {
        name: held.name(),
        len_bytes: held.len_bytes(),
        device_uuid,
    };
    let members: Vec<_> = held.iter().zip(device_uuids).map(member).collect();
    let superblocks = create(options, &members)?;
    // What was made must be what is understood: one function judges both.
    let candidate = |(held, superblock): (&Held, &Superblock)| Candidate {
        disk: held.disk().clone(),
        len_bytes: held.len_bytes(),
        block_size: held.block_size(),
        superblock: superblock.clone(),
    };
    let candidates: Vec<_> = held.iter().zip(&superblocks).map(candidate).collect();
    let assembled = assemble(&candidates, Order::AsNamed)?;
    for (held, superblock) in held.iter().zip(&superblocks) {
        if force {
            held.wipe()?;
        }
        held.write(superblock)?;
    }
    Ok(assembled)
}

/// Least chunk in bytes: a page, as md has it.
const MIN_CHUNK: u32 = 4096;
/// Bytes of a name.
const NAME_BYTES: usize = 32;
/// The seconds of a time.
const TIME_MASK: u64 = (1 << 40) - 1;

#[cfg(test)]
mod tests;
