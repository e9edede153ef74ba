//! What a member says about itself, as text in the form of `mdadm --examine` and as JSON.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::assemble::Candidate;
use crate::superblock::{CLEAN, FEATURES, LEVEL_LINEAR, RAID0_LAYOUT, Role, SECTOR};
use crate::text;
use crate::uuid::Uuid;

/// One member. Lengths and positions are bytes, times seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// the disk
    pub device: String,
    /// superblock version
    pub version: &'static str,
    /// feature bits
    pub feature_map: u32,
    /// what they stand for, but for the layout
    pub features: Vec<&'static str>,
    /// identifier of the array
    pub array_uuid: Uuid,
    /// its name
    pub name: String,
    /// when it was made
    pub created: u64,
    /// its level: `raid0`, `linear`, `raidN`
    pub level: String,
    /// members it has
    pub members: u32,
    /// length of the data on this member
    pub data_len: u64,
    /// where the data begins
    pub data_offset: u64,
    /// where the superblock is
    pub super_offset: u64,
    /// unused bytes behind the superblock, and behind the data
    pub unused: (u64, u64),
    /// whether nothing is to be resynchronised
    pub clean: bool,
    /// identifier of the member
    pub device_uuid: Uuid,
    /// when its superblock was written
    pub updated: u64,
    /// checksum, which is correct
    pub checksum: u32,
    /// event count
    pub events: u64,
    /// layout of later zones: `original`, `alternate`, `unknown`; RAID 0 only
    pub layout: Option<&'static str>,
    /// chunk in bytes, or what a linear array's members are rounded to
    pub chunk: u64,
    /// its role: `active 0`, `spare`, `faulty`, `journal`
    pub role: String,
    /// a letter for each member: `A` = it was there, `.` = it was missing
    pub state: String,
}

impl Report {
    /// What this member says.
    pub fn new(candidate: &Candidate) -> Self {
        let Candidate { disk, superblock, len_bytes, .. } = candidate;
        let header = &superblock.header;
        let bytes = |sectors: u64| sectors.saturating_mul(SECTOR);
        let (data_offset, data_len) =
            (bytes(header.data_offset.get()), bytes(header.data_size.get()));
        let level = header.level.get();
        let features = header.feature_map.get();
        Self {
            device: disk.to_string(),
            version: "1.2",
            feature_map: features,
            features: FEATURES
                .iter()
                .filter(|(bit, _)| features & bit != 0 && *bit != RAID0_LAYOUT)
                .map(|(_, name)| *name)
                .collect(),
            array_uuid: superblock.uuid(),
            name: superblock.name(),
            created: header.ctime.get() & SECONDS,
            level: if level == LEVEL_LINEAR { "linear".to_owned() } else { format!("raid{level}") },
            members: header.raid_disks.get(),
            data_len,
            data_offset,
            super_offset: bytes(header.super_offset.get()),
            unused: (
                data_offset.saturating_sub(2 * 4096),
                len_bytes.saturating_sub(data_offset.saturating_add(data_len)),
            ),
            clean: header.resync_offset.get() == CLEAN,
            device_uuid: superblock.device_uuid(),
            updated: header.utime.get() & SECONDS,
            checksum: header.sb_csum.get(),
            events: header.events.get(),
            layout: (level == 0).then(|| match (features & RAID0_LAYOUT, header.layout.get()) {
                (RAID0_LAYOUT, 1) => "original",
                (RAID0_LAYOUT, 2) => "alternate",
                _ => "unknown",
            }),
            chunk: bytes(header.chunksize.get().into()),
            role: match superblock.role() {
                Role::Active(place) => format!("active {place}"),
                Role::Spare => "spare".to_owned(),
                Role::Faulty => "faulty".to_owned(),
                Role::Journal => "journal".to_owned(),
            },
            state: state(candidate),
        }
    }
}

/// A letter for each member, no more than the table of roles could name.
fn state(candidate: &Candidate) -> String {
    let mut letters = vec!['.'; candidate.superblock.header.raid_disks.get().min(MOST) as usize];
    for role in candidate.superblock.roles() {
        if let Role::Active(place) = role
            && let Some(letter) = letters.get_mut(usize::from(place))
        {
            *letter = 'A';
        }
    }
    letters.into_iter().collect()
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.device)?;
        writeln!(f, "          Magic : a92b4efc")?;
        writeln!(f, "        Version : {}", self.version)?;
        writeln!(f, "    Feature Map : {:#x}", self.feature_map)?;
        if !self.features.is_empty() {
            writeln!(f, "       Features : {}", self.features.join(", "))?;
        }
        writeln!(f, "     Array UUID : {}", self.array_uuid)?;
        writeln!(f, "           Name : {}", self.name)?;
        writeln!(f, "  Creation Time : {}", text::time(self.created))?;
        writeln!(f, "     Raid Level : {}", self.level)?;
        writeln!(f, "   Raid Devices : {}", self.members)?;
        writeln!(f)?;
        writeln!(f, " Avail Dev Size : {}", text::sectors(self.data_len / SECTOR))?;
        writeln!(f, "    Data Offset : {} sectors", self.data_offset / SECTOR)?;
        writeln!(f, "   Super Offset : {} sectors", self.super_offset / SECTOR)?;
        let (before, after) = (self.unused.0 / SECTOR, self.unused.1 / SECTOR);
        writeln!(f, "   Unused Space : before={before} sectors, after={after} sectors")?;
        writeln!(f, "          State : {}", if self.clean { "clean" } else { "active" })?;
        writeln!(f, "    Device UUID : {}", self.device_uuid)?;
        writeln!(f)?;
        writeln!(f, "    Update Time : {}", text::time(self.updated))?;
        writeln!(f, "       Checksum : {:x} - correct", self.checksum)?;
        writeln!(f, "         Events : {}", self.events)?;
        writeln!(f)?;
        match self.layout {
            Some(layout) => {
                writeln!(f, "         Layout : {layout}")?;
                writeln!(f, "     Chunk Size : {}K", self.chunk / 1024)?;
            }
            None => writeln!(f, "       Rounding : {}K", self.chunk / 1024)?,
        }
        writeln!(f)?;
        let role = match self.role.strip_prefix("active ") {
            Some(place) => format!("Active device {place}"),
            None => self.role.clone(),
        };
        writeln!(f, "    Device Role : {role}")?;
        writeln!(f, "    Array State : {} ('A' == active, '.' == missing)", self.state)
    }
}

/// The seconds of a time.
const SECONDS: u64 = (1 << 40) - 1;
/// Most letters of a state.
const MOST: u32 = 1920;

#[cfg(test)]
mod tests;
