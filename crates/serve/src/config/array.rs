//! `[[array]]`: an array over disks.

use std::path::{Path, PathBuf};

use outboard_disk::{DiskKind, DiskSpec};
use outboard_raid::{ArraySpec, Level};
use serde::Serialize;

use super::names;
use super::shown;
use outboard_settings::{Fault, Section, Value};

/// Largest chunk.
const MAX_CHUNK_BYTES: u32 = 1 << 30;
/// Most members of an array.
pub const MAX_MEMBERS: usize = 128;

/// An array over disks: what is behind a LUN.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Array {
    /// its name
    pub name: String,
    /// how the members become one
    pub layout: Layout,
    /// its members in order; paths of files are absolute
    #[serde(serialize_with = "shown::disks")]
    pub members: Vec<DiskSpec>,
    /// unit serial number: as said, or made from machine and members, so that it stays the same;
    /// none only with [`Layout::Md`], where the superblock's UUID is it
    pub serial: Option<String>,
    /// writes are refused
    pub read_only: bool,
    /// the medium can be ejected
    pub removable: bool,
    /// thin provisioned or not; none: as the disks can
    pub thin: Option<bool>,
    /// bytes of a logical block, 512 or 4096; none: as the disks say. The members have it too
    pub block_size: Option<u32>,
    /// the file of the key that its data is encrypted under, absolute; none: it is not
    pub key_file: Option<PathBuf>,
}

/// How members become one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// a single member is the unit
    Disk,
    /// as said here
    Array(ArraySpec),
    /// as the members' md superblocks say
    Md,
}

/// What was said of an array, before it is known whether it makes sense.
pub(super) struct Said {
    pub(super) name: String,
    pub(super) level: Option<String>,
    pub(super) chunk: Option<u32>,
    pub(super) md: bool,
    pub(super) members: Vec<DiskSpec>,
}

impl Array {
    /// Reads a section. What is wrong is written down there.
    pub(super) fn read(mut section: Section<'_, '_>, folder: &Path) -> Option<Self> {
        let name = section
            .need("name", "write for example name = \"data\"", |value| value.parse(names::array));
        let level = section.get("level", Value::word);
        let chunk =
            section.get("chunk", |value| chunk(value.size(512..=u64::from(MAX_CHUNK_BYTES))?));
        let md = section.get("md", Value::flag).unwrap_or(false);
        let mend = "write for example members = [\"/dev/sdb\", \"/dev/sdc\"]";
        let members = section.need("members", mend, |value| {
            value.list(|value| value.parse(|text| member(text, folder)))
        });
        let serial = section.get("serial", |value| value.parse(names::serial));
        let read_only = section.get("read_only", Value::flag).unwrap_or(false);
        let removable = section.get("removable", Value::flag).unwrap_or(false);
        let thin = section.get("thin", Value::flag);
        let block_size = section.get("block_size", block_size);
        let key_file = section.get("key_file", |value| {
            value.parse(|text| Ok::<_, Fault>(absolute(folder, Path::new(text))))
        });
        let (Some(name), Some(members)) = (name, members) else {
            section.finish();
            return None;
        };
        let said = Said { name, level, chunk, md, members };
        let layout = match said.layout() {
            Ok(layout) => layout,
            Err((key, rule, mend)) => {
                section.problem(key, rule, mend);
                section.finish();
                return None;
            }
        };
        let Said { name, members, .. } = said;
        let mut array = Self {
            name,
            layout,
            members,
            serial,
            read_only,
            removable,
            thin,
            block_size,
            key_file,
        };
        if let Err((key, rule, mend)) = array.spread() {
            section.problem(key, rule, mend);
        }
        section.finish();
        Some(array)
    }

    /// Gives the members what is said of the whole, unless they say otherwise: then the key that is
    /// wrong, the rule and the mend. What a member says of itself holds for the whole.
    pub(super) fn spread(&mut self) -> Result<(), (&'static str, String, String)> {
        let twice = || "say it in one of the two places only".to_owned();
        for disk in &mut self.members {
            if let Some(size) = self.block_size {
                if let Some(other) = disk.block_size.filter(|&other| other != size) {
                    let rule = format!("blocks of {size} bytes, and those of {disk} have {other}");
                    return Err(("block_size", rule, twice()));
                }
                disk.block_size = Some(size);
            }
            if let Some(thin) = self.thin {
                if disk.thin == Some(!thin) {
                    return Err(("thin", format!("{disk} says the opposite"), twice()));
                }
                disk.thin = Some(thin);
            }
            disk.read_only |= self.read_only;
        }
        self.read_only = self.members.iter().any(|disk| disk.read_only);
        Ok(())
    }
}

impl Said {
    /// The layout, or the key that is wrong, the rule and the mend.
    pub(super) fn layout(&self) -> Result<Layout, (&'static str, String, String)> {
        let count = self.members.len();
        if count == 0 || count > MAX_MEMBERS {
            let rule = format!("an array has 1 to {MAX_MEMBERS} members, and this one {count}");
            let mend = "write for example members = [\"/dev/sdb\", \"/dev/sdc\"]".to_owned();
            return Err(("members", rule, mend));
        }
        if self.md {
            return self.md_layout();
        }
        let level = match (self.level.as_deref(), count) {
            (None, 1) | (Some("disk"), _) => None,
            (None, _) => Some(Level::Raid0),
            (Some(name), _) => Some(name.parse::<Level>().map_err(|_| {
                let rule = format!("{name:?} is no level");
                ("level", rule, "write 0 (striped), \"linear\" or \"disk\"".to_owned())
            })?),
        };
        let Some(level) = level else {
            if count > 1 {
                let rule = format!("\"disk\" is one disk alone, and there are {count} members");
                let mend = "use level 0 (striped) or linear".to_owned();
                return Err(("level", rule, mend));
            }
            if self.chunk.is_some() {
                let rule = "a disk alone has no chunks".to_owned();
                return Err(("chunk", rule, "leave it out".to_owned()));
            }
            return Ok(Layout::Disk);
        };
        let chunk = self.chunk.unwrap_or_else(|| ArraySpec::default().chunk);
        Ok(Layout::Array(ArraySpec { level, chunk, ..ArraySpec::default() }))
    }

    fn md_layout(&self) -> Result<Layout, (&'static str, String, String)> {
        let said = [("level", self.level.is_some()), ("chunk", self.chunk.is_some())];
        if let Some((key, _)) = said.iter().find(|(_, said)| *said) {
            let rule = "with md = true the superblocks say it".to_owned();
            return Err((key, rule, format!("leave {key} or md out")));
        }
        match self.members.iter().find(|disk| !matches!(disk.kind, DiskKind::File { .. })) {
            None => Ok(Layout::Md),
            Some(disk) => {
                let rule = format!("{disk} is no file or block device and has no md superblock");
                Err(("members", rule, "leave md out".to_owned()))
            }
        }
    }
}

/// A disk by path or URL; a relative path is relative to `folder`.
pub(super) fn member(text: &str, folder: &Path) -> Result<DiskSpec, Fault> {
    let mut disk: DiskSpec = text.parse().map_err(|error: outboard_disk::SpecError| {
        Fault::new(format!("disk {:?}: {:?}: {}", error.url, error.part, error.rule), error.mend)
    })?;
    if let DiskKind::File { path, .. } = &mut disk.kind {
        *path = absolute(folder, path);
    }
    Ok(disk)
}

/// The path without `.` and doubled slashes, from `folder` if it is relative.
pub(super) fn absolute(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path).components().collect()
}

fn chunk(bytes: u64) -> Result<u32, Fault> {
    u32::try_from(bytes).ok().filter(|chunk| chunk.is_power_of_two()).ok_or_else(|| {
        Fault::new("a chunk is a power of two", "write for example \"64Ki\" or \"512Ki\"")
    })
}

pub(super) fn chunk_text(text: &str) -> Result<u32, Fault> {
    let bytes = outboard_disk::units::parse_size(text)
        .filter(|bytes| (512..=u64::from(MAX_CHUNK_BYTES)).contains(bytes));
    chunk(bytes.unwrap_or(0))
}

fn block_size(value: Value<'_, '_>) -> Result<u32, Fault> {
    match value.count(1..=u32::MAX) {
        Ok(size @ (512 | 4096)) => Ok(size),
        _ => Err(Fault::new("a logical block has 512 or 4096 bytes", "write 512 or 4096")),
    }
}
