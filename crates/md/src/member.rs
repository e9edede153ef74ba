//! Members as files and block devices: held under a lock, read, written, and what else is on them.

use std::os::fd::BorrowedFd;

use outboard_disk::open::Lock;
use outboard_disk::{DiskKind, DiskSpec, OpenError, OpenOptions, Opened, open};
use rustix::io::Errno;

use crate::assemble::Candidate;
use crate::error::MdError;
use crate::superblock::{
    MAGIC, SECTOR, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Superblock, SuperblockError,
};

/// What a member is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// reading, whoever uses it
    Examine,
    /// reading; nobody may hold it exclusively
    Look,
    /// writing; nobody else may hold it, and it must be empty
    Create,
    /// writing; nobody else may hold it
    Write,
}

/// Which superblock a disk has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Version {
    /// version 1.2, and sound
    V1_2(Box<Superblock>),
    /// something at 4 KiB that begins as one and is not sound
    Damaged(SuperblockError),
    /// 0.90, 1.0 or 1.1
    Other(&'static str),
    /// none
    None,
}

/// An open member. The lock ends with it.
#[derive(Debug)]
pub struct Held {
    disk: DiskSpec,
    opened: Opened,
}

impl Held {
    /// Opens the disk, through the page cache.
    ///
    /// # Errors
    /// A disk that is in use, missing, no file and no device; one that is not empty for
    /// [`Purpose::Create`].
    pub fn open(disk: &DiskSpec, purpose: Purpose) -> Result<Self, MdError> {
        let DiskKind::File { path, .. } = &disk.kind else {
            return Err(MdError::NotLasting { member: disk.to_string() });
        };
        let kind = DiskKind::File { path: path.clone(), direct: false };
        let spec = DiskSpec { kind, window: disk.window, ..DiskSpec::plain(disk.kind.clone()) };
        let options = OpenOptions {
            writable: matches!(purpose, Purpose::Create | Purpose::Write),
            lock: match purpose {
                Purpose::Examine => Lock::None,
                Purpose::Look => Lock::Shared,
                Purpose::Create | Purpose::Write => Lock::Exclusive,
            },
            must_be_empty: purpose == Purpose::Create,
            ..OpenOptions::default()
        };
        match open(&spec, &options) {
            Ok(opened) => Ok(Self { disk: disk.clone(), opened }),
            Err(OpenError::NotEmpty { at, .. }) => {
                let what = Self::open(disk, Purpose::Examine)?.content()?;
                let what = what.unwrap_or_else(|| format!("data (near byte {at})"));
                Err(MdError::HoldsData { member: disk.to_string(), what })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What tells two disks apart: device and inode, or the device number of a block device, and where
    /// on it the disk begins.
    ///
    /// # Errors
    /// There is no such disk, or it is no file.
    pub fn identity(disk: &DiskSpec) -> Result<(u64, u64, u64), MdError> {
        let DiskKind::File { path, .. } = &disk.kind else {
            return Err(MdError::NotLasting { member: disk.to_string() });
        };
        let system = |source| MdError::System { member: disk.to_string(), call: "stat", source };
        let stat = match rustix::fs::stat(path) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Err(OpenError::Missing { path: path.clone() }.into()),
            Err(source) => return Err(system(source)),
        };
        let begin = disk.window.map_or(0, |window| window.offset);
        match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::BlockDevice => Ok((u64::MAX, stat.st_rdev, begin)),
            _ => Ok((stat.st_dev, stat.st_ino, begin)),
        }
    }

    /// The disk.
    pub const fn disk(&self) -> &DiskSpec {
        &self.disk
    }

    /// The disk, for messages.
    pub fn name(&self) -> String {
        self.disk.to_string()
    }

    /// Its length in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.opened.limits().len_bytes()
    }

    /// Its logical block in bytes: that of its spec, or of the disk.
    pub fn block_size(&self) -> u32 {
        self.disk.block_size.unwrap_or_else(|| self.opened.limits().block_size)
    }

    /// Looks for a superblock, of version 1.2 first.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn version(&self) -> Result<Version, MdError> {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        let len = self.read(SUPERBLOCK_OFFSET, &mut bytes)?;
        let bytes = bytes.get(..len).unwrap_or_default();
        match Superblock::parse(bytes, SUPERBLOCK_OFFSET / SECTOR) {
            Ok(superblock) => return Ok(Version::V1_2(Box::new(superblock))),
            Err(SuperblockError::NoMagic | SuperblockError::Short { len: 0..4 }) => {}
            Err(error) => return Ok(Version::Damaged(error)),
        }
        for (version, at) in self.other_places() {
            let mut word = [0; 4];
            if self.read(at, &mut word)? == word.len()
                && [MAGIC.to_le_bytes(), MAGIC.to_be_bytes()].contains(&word)
            {
                return Ok(Version::Other(version));
            }
        }
        Ok(Version::None)
    }

    /// The member with its superblock, for [`crate::assemble()`].
    ///
    /// # Errors
    /// There is none of version 1.2, or it is damaged.
    pub fn candidate(&self) -> Result<Candidate, MdError> {
        let superblock = self.superblock()?;
        Ok(Candidate {
            disk: self.disk.clone(),
            len_bytes: self.len_bytes(),
            block_size: self.block_size(),
            superblock,
        })
    }

    /// Its superblock of version 1.2.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn superblock(&self) -> Result<Superblock, MdError> {
        let refused = |source, mend| MdError::Superblock { member: self.name(), source, mend };
        match self.version()? {
            Version::V1_2(superblock) => Ok(*superblock),
            Version::Damaged(error) => {
                Err(refused(error, "restore the member from a backup, or create the array anew"))
            }
            Version::Other(version) => Err(MdError::OtherVersion { member: self.name(), version }),
            Version::None => Err(refused(
                SuperblockError::NoMagic,
                "name the array's members, or make one with `outboard array create`",
            )),
        }
    }

    /// Writes the superblock, past every cache.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn write(&self, superblock: &Superblock) -> Result<(), MdError> {
        self.write_at(SUPERBLOCK_OFFSET, &superblock.to_bytes())?;
        let synced = self.fd()?;
        rustix::fs::fsync(synced).map_err(|source| self.failed("fsync", source))
    }

    /// Removes what was there before: the first 4 KiB (partition tables, most file systems) and md
    /// superblocks of other versions.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn wipe(&self) -> Result<(), MdError> {
        let zeroes = [0; SUPERBLOCK_BYTES];
        self.write_at(0, &zeroes)?;
        for (_, at) in self.other_places() {
            if at.saturating_add(zeroes.len() as u64) <= self.len_bytes() {
                self.write_at(at, &zeroes)?;
            }
        }
        Ok(())
    }

    /// What is on it, as far as it is known; `None` for anything else, and nothing.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn content(&self) -> Result<Option<String>, MdError> {
        match self.version()? {
            Version::V1_2(superblock) => {
                let (uuid, name) = (superblock.uuid(), superblock.name());
                return Ok(Some(format!("a member of the md array {uuid} ({name})")));
            }
            Version::Damaged(_) => return Ok(Some("a damaged md superblock".to_owned())),
            Version::Other(version) => return Ok(Some(format!("an md superblock {version}"))),
            Version::None => {}
        }
        for (at, signature, what) in SIGNATURES {
            let mut bytes = [0; 8];
            let Some(bytes) = bytes.get_mut(..signature.len()) else { continue };
            if self.read(*at, bytes)? == bytes.len() && bytes == *signature {
                return Ok(Some((*what).to_owned()));
            }
        }
        Ok(None)
    }

    /// Where superblocks of other versions are, in bytes.
    fn other_places(&self) -> [(&'static str, u64); 3] {
        let len = self.len_bytes();
        let v1_0 = (len / SECTOR).saturating_sub(16) / 8 * 8 * SECTOR;
        let v0_90 = (len / (64 << 10) * (64 << 10)).saturating_sub(64 << 10);
        [("1.1", 0), ("1.0", v1_0), ("0.90", v0_90)]
    }

    /// Fills the buffer from byte `at` of the disk; how much of it there is.
    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<usize, MdError> {
        let fd = self.fd()?;
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let from = at.saturating_add(filled as u64);
            let room = self.len_bytes().saturating_sub(from);
            let want = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let Some(rest) = rest.get_mut(..want).filter(|rest| !rest.is_empty()) else { break };
            match rustix::io::pread(fd, rest, from.saturating_add(self.begin())) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(source) => return Err(self.failed("pread", source)),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), MdError> {
        let fd = self.fd()?;
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let to = at.saturating_add(self.begin()).saturating_add(written as u64);
            match rustix::io::pwrite(fd, rest, to) {
                Ok(0) => return Err(self.failed("pwrite", Errno::IO)),
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(source) => return Err(self.failed("pwrite", source)),
            }
        }
        Ok(())
    }

    fn begin(&self) -> u64 {
        self.disk.window.map_or(0, |window| window.offset)
    }

    fn fd(&self) -> Result<BorrowedFd<'_>, MdError> {
        self.opened.fd().ok_or_else(|| MdError::NotLasting { member: self.name() })
    }

    fn failed(&self, call: &'static str, source: Errno) -> MdError {
        MdError::System { member: self.name(), call, source }
    }
}

/// What begins what: the byte, the bytes there, the name.
const SIGNATURES: &[(u64, &[u8], &str)] = &[
    (512, b"EFI PART", "a GPT partition table"),
    (0x438, &[0x53, 0xef], "an ext2, ext3 or ext4 file system"),
    (0, b"XFSB", "an XFS file system"),
    (0x1_0040, b"_BHRfS_M", "a Btrfs file system"),
    (0, b"LUKS\xba\xbe", "a LUKS volume"),
    (512, b"LABELONE", "an LVM physical volume"),
    (4086, b"SWAPSPAC", "swap space"),
    (3, b"NTFS    ", "an NTFS file system"),
    (0, b"bcachefs", "a bcachefs file system"),
    (0x8001, b"CD001", "an ISO 9660 file system"),
    (510, &[0x55, 0xaa], "a partition table or a boot sector"),
];
