use std::path::Path;

use outboard_disk::{DiskKind, DiskSpec};
use outboard_raid::{ArraySpec, Geometry, Level};
use serde::Serialize;

use super::PlanError;

/// The array that is measured.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ArrayPlan {
    /// its members' URLs, at least one, as they were said
    pub disks: Vec<String>,
    /// the same, read
    #[serde(skip)]
    pub members: Vec<DiskSpec>,
    /// RAID level
    pub level: Level,
    /// bytes of a chunk
    pub chunk: u32,
}

impl ArrayPlan {
    /// Reads the URLs. What is known without opening them is checked.
    pub fn new(disks: &[String], level: Level, chunk: u32) -> Result<Self, PlanError> {
        let members = disks.iter().map(|url| url.parse()).collect::<Result<Vec<DiskSpec>, _>>()?;
        let mut paths: Vec<&Path> = members.iter().filter_map(file_path).collect();
        paths.sort_unstable();
        if let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PlanError::SameDisk { path: twice[0].to_owned() });
        }
        let plan = Self { disks: disks.to_vec(), members, level, chunk };
        // rules that need no length: a chunk's form, the number of members
        Geometry::new(&plan.spec(), &vec![u64::from(chunk.max(1)); disks.len()])?;
        plan.known_capacity()?;
        Ok(plan)
    }

    /// How the members become one.
    pub fn spec(&self) -> ArraySpec {
        ArraySpec { level: self.level, chunk: self.chunk, ..ArraySpec::default() }
    }

    /// Bytes of the array; `None` where a member must be opened to know.
    pub fn known_capacity(&self) -> Result<Option<u64>, PlanError> {
        let lens: Option<Vec<u64>> = self.members.iter().map(known_len).collect();
        Ok(match lens.as_deref() {
            None => None,
            // A disk alone is no array: it need not hold whole chunks.
            Some([alone]) => Some(*alone),
            Some(lens) => Some(Geometry::new(&self.spec(), lens)?.len_bytes()),
        })
    }

    /// Bytes of the largest block of its members as far as it is known.
    pub fn known_block_size(&self) -> u32 {
        self.members.iter().map(|disk| disk.block_size.unwrap_or(512)).max().unwrap_or(512)
    }

    /// A member is a file or a block device, which other things than this run may care for.
    pub fn has_files(&self) -> bool {
        self.members.iter().any(|disk| file_path(disk).is_some())
    }
}

fn known_len(disk: &DiskSpec) -> Option<u64> {
    match disk.kind {
        DiskKind::Hdd { len_bytes, .. }
        | DiskKind::Memory { len_bytes }
        | DiskKind::Null { len_bytes }
        | DiskKind::Ssd { len_bytes, .. } => Some(len_bytes),
        _ => None,
    }
}

fn file_path(disk: &DiskSpec) -> Option<&Path> {
    match &disk.kind {
        DiskKind::File { path, .. } => Some(path),
        _ => None,
    }
}
