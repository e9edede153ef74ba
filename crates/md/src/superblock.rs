//! The version 1 superblock of Linux md: 256 bytes, then a role for each device number.
//!
//! All fields are little-endian; lengths and positions are sectors of 512 bytes. Version 1.2 has it
//! at byte 4096 of each member. What md leaves to chance is not trusted: parsing checks the magic, the
//! version, the checksum, the length of the role table and that the superblock is where it says it is.

use zerocopy::byteorder::little_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::uuid::Uuid;

/// Bytes of a superblock with its role table.
pub const SUPERBLOCK_BYTES: usize = 4096;
/// Where version 1.2 has it, in bytes.
pub const SUPERBLOCK_OFFSET: u64 = 4096;
/// Bytes of a sector, md's unit.
pub const SECTOR: u64 = 512;
/// The first word.
pub const MAGIC: u32 = 0xa92b_4efc;
/// Most device numbers.
pub const MAX_DEVICES: usize = (SUPERBLOCK_BYTES - size_of::<Header>()) / 2;
/// A resync offset that means: nothing to resynchronise.
pub const CLEAN: u64 = u64::MAX;
/// Level of a linear array; striped ones have 0.
pub const LEVEL_LINEAR: i32 = -1;

/// Bits of [`Header::feature_map`] and what they stand for.
pub const FEATURES: [(u32, &str); 13] = [
    (1, "a write-intent bitmap"),
    (2, "an unfinished recovery"),
    (4, "an unfinished reshape"),
    (8, "a list of bad blocks"),
    (16, "a replacement under way"),
    (32, "a reshape that runs backwards"),
    (64, "a data offset under change"),
    (128, "a recovery with bitmap"),
    (256, "a versioned bitmap"),
    (512, "a journal"),
    (1024, "a partial parity log"),
    (2048, "several partial parity logs"),
    (RAID0_LAYOUT, "the layout of later zones of RAID 0"),
];
/// The one feature that arrays without redundancy have: [`Header::layout`] says how the chunks of the
/// second and later zones of a RAID 0 are laid out.
pub const RAID0_LAYOUT: u32 = 4096;

/// The fixed part.
#[derive(Clone, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`]
    pub magic: U32,
    /// 1
    pub major_version: U32,
    /// see [`FEATURES`]
    pub feature_map: U32,
    /// zero
    pub pad0: U32,
    /// the array's identifier
    pub set_uuid: [u8; 16],
    /// the array's name, padded with zero bytes: `host:name` or `name`
    pub set_name: [u8; 32],
    /// creation time: 40 bits of seconds since 1970, 24 bits of microseconds
    pub ctime: U64,
    /// RAID level: 0, -1 = linear, others
    pub level: I32,
    /// of RAID 0: 0 = unknown, 1 = original, 2 = alternate
    pub layout: U32,
    /// used length of each member in sectors; 0 for levels without redundancy
    pub size: U64,
    /// chunk in sectors; of a linear array what members are rounded to, or 0
    pub chunksize: U32,
    /// members of the array
    pub raid_disks: U32,
    /// where the bitmap is
    pub bitmap_offset: U32,
    /// reshape: the level
    pub new_level: U32,
    /// reshape: how far
    pub reshape_position: U64,
    /// reshape: members more
    pub delta_disks: U32,
    /// reshape: the layout
    pub new_layout: U32,
    /// reshape: the chunk
    pub new_chunk: U32,
    /// reshape: the data offset
    pub new_offset: U32,
    /// where the data begins on this member, in sectors
    pub data_offset: U64,
    /// its length in sectors
    pub data_size: U64,
    /// where this superblock is, in sectors
    pub super_offset: U64,
    /// how far it has been recovered
    pub recovery_offset: U64,
    /// this member's number, which is not its role
    pub dev_number: U32,
    /// corrected read errors
    pub cnt_corrected_read: U32,
    /// this member's identifier
    pub device_uuid: [u8; 16],
    /// flags of this member: 1 = write-mostly, 2 = fail fast
    pub devflags: u8,
    /// list of bad blocks: shift from sectors to its unit
    pub bblog_shift: u8,
    /// list of bad blocks: sectors it may have; 0 = there is none
    pub bblog_size: U16,
    /// list of bad blocks: sectors from the superblock to it
    pub bblog_offset: U32,
    /// when the superblock was last written, as `ctime`
    pub utime: U64,
    /// goes up with each change of the array's state
    pub events: U64,
    /// what lies before it is in step; [`CLEAN`] = all
    pub resync_offset: U64,
    /// over the 256 bytes and the role table
    pub sb_csum: U32,
    /// entries of the role table
    pub max_dev: U32,
    /// zeroes
    pub pad3: [u8; 32],
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Header>() == 256);
    assert!(offset_of!(Header, set_name) == 32);
    assert!(offset_of!(Header, ctime) == 64);
    assert!(offset_of!(Header, size) == 80);
    assert!(offset_of!(Header, bitmap_offset) == 96);
    assert!(offset_of!(Header, data_offset) == 128);
    assert!(offset_of!(Header, dev_number) == 160);
    assert!(offset_of!(Header, devflags) == 184);
    assert!(offset_of!(Header, utime) == 192);
    assert!(offset_of!(Header, sb_csum) == 216);
    assert!(offset_of!(Header, pad3) == 224);
};

/// What a device does in the array.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// a member, by its place
    Active(u16),
    /// a spare, or no such device
    Spare,
    /// taken out for its errors
    Faulty,
    /// the journal of a parity array
    Journal,
}

/// Bytes that are no superblock.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SuperblockError {
    /// fewer bytes than it claims or needs
    #[error("its superblock is cut off after {len} bytes")]
    Short {
        /// bytes there are
        len: usize,
    },
    /// another first word: nothing of md
    #[error("there is no md superblock")]
    NoMagic,
    /// another major version
    #[error("its superblock has version {version}; version 1 is known")]
    Version {
        /// what it says
        version: u32,
    },
    /// a role table beyond the 4 KiB
    #[error("its superblock claims {max_dev} devices; there is room for {max}", max = MAX_DEVICES)]
    TooManyDevices {
        /// what it says
        max_dev: u32,
    },
    /// damaged
    #[error("its superblock is damaged: checksum {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// what it says
        stored: u32,
        /// what the bytes give
        computed: u32,
    },
    /// a copy of another place
    #[error("its superblock says that it is at sector {says} and is at {at}")]
    Misplaced {
        /// sector it names
        says: u64,
        /// sector where it was found
        at: u64,
    },
}

/// A superblock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Superblock {
    /// the fixed part; checksum and `max_dev` are set by [`Superblock::to_bytes`]
    pub header: Header,
    /// what each device number does, at most [`MAX_DEVICES`]
    roles: Vec<U16>,
}

impl Superblock {
    /// The superblock of a device whose table of roles is `roles`.
    ///
    /// # Errors
    /// More than [`MAX_DEVICES`] roles.
    pub fn new(header: Header, roles: &[Role]) -> Result<Self, SuperblockError> {
        if roles.len() > MAX_DEVICES {
            let max_dev = u32::try_from(roles.len()).unwrap_or(u32::MAX);
            return Err(SuperblockError::TooManyDevices { max_dev });
        }
        Ok(Self { header, roles: roles.iter().map(|role| role.code().into()).collect() })
    }

    /// Reads the bytes found at sector `at`; what follows the role table is of no interest.
    ///
    /// # Errors
    /// See [`SuperblockError`].
    pub fn parse(bytes: &[u8], at: u64) -> Result<Self, SuperblockError> {
        let short = SuperblockError::Short { len: bytes.len() };
        let (header, table) = Header::read_from_prefix(bytes).map_err(|_| short)?;
        if header.magic.get() != MAGIC {
            return Err(SuperblockError::NoMagic);
        }
        if header.major_version.get() != 1 {
            return Err(SuperblockError::Version { version: header.major_version.get() });
        }
        let max_dev = header.max_dev.get();
        let count = usize::try_from(max_dev).ok().filter(|&count| count <= MAX_DEVICES);
        let count = count.ok_or(SuperblockError::TooManyDevices { max_dev })?;
        let (roles, _) = <[U16]>::ref_from_prefix_with_elems(table, count).map_err(|_| short)?;
        let superblock = Self { header, roles: roles.to_vec() };
        let (stored, computed) = (superblock.header.sb_csum.get(), superblock.checksum());
        if stored != computed {
            return Err(SuperblockError::Checksum { stored, computed });
        }
        match superblock.header.super_offset.get() {
            says if says != at => Err(SuperblockError::Misplaced { says, at }),
            _ => Ok(superblock),
        }
    }

    /// The 4 KiB to write, with the checksum that the bytes have; zeroes behind the role table.
    pub fn to_bytes(&self) -> [u8; SUPERBLOCK_BYTES] {
        let mut header = self.header.clone();
        header.max_dev = (self.roles.len() as u32).into();
        let mut bytes = [0; SUPERBLOCK_BYTES];
        header.sb_csum =
            Self { header: header.clone(), roles: self.roles.clone() }.checksum().into();
        let table = self.roles.as_bytes();
        for (to, from) in bytes.iter_mut().zip(header.as_bytes().iter().chain(table)) {
            *to = *from;
        }
        bytes
    }

    /// md's checksum: the sum of the little-endian words with the checksum's own taken as zero, a
    /// last half word added as it is, the carries added once.
    pub fn checksum(&self) -> u32 {
        let mut header = self.header.clone();
        header.sb_csum = 0.into();
        let words = |bytes: &[u8]| -> u64 {
            bytes
                .chunks(4)
                .map(|word| word.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte)))
                .sum()
        };
        let sum = words(header.as_bytes()) + words(self.roles.as_bytes());
        // The sum of at most 1024 words has few carries; md, too, folds once and cuts.
        ((sum & 0xffff_ffff) + (sum >> 32)) as u32
    }

    /// The array's identifier.
    pub fn uuid(&self) -> Uuid {
        Uuid(self.header.set_uuid)
    }

    /// This member's identifier.
    pub fn device_uuid(&self) -> Uuid {
        Uuid(self.header.device_uuid)
    }

    /// The array's name, with what is no UTF-8 or no printable character replaced.
    pub fn name(&self) -> String {
        let bytes = self.header.set_name.split(|&byte| byte == 0).next().unwrap_or_default();
        let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        String::from_utf8_lossy(bytes).chars().map(printable).collect()
    }

    /// What this device does in the array.
    pub fn role(&self) -> Role {
        self.role_of(self.header.dev_number.get())
    }

    /// What the device of that number does.
    pub fn role_of(&self, dev_number: u32) -> Role {
        let index = usize::try_from(dev_number).ok();
        index
            .and_then(|index| self.roles.get(index))
            .map_or(Role::Spare, |code| Role::of(code.get()))
    }

    /// The roles by device number.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.roles.iter().map(|code| Role::of(code.get()))
    }
}

impl Role {
    const fn of(code: u16) -> Self {
        match code {
            0xffff => Self::Spare,
            0xfffe => Self::Faulty,
            0xfffd => Self::Journal,
            place => Self::Active(place),
        }
    }

    const fn code(self) -> u16 {
        match self {
            Self::Active(place) => place,
            Self::Spare => 0xffff,
            Self::Faulty => 0xfffe,
            Self::Journal => 0xfffd,
        }
    }
}

#[cfg(test)]
mod tests;
