//! What only the file system knows: that two paths are one disk.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use outboard_disk::DiskKind;

use super::Config;
use super::problem::{At, Found, Problem};

impl Config {
    /// Files and devices that are members twice under several names: links, or the names of one
    /// device. Looks at the file system; members that are not there are not its concern.
    pub fn same_disks(&self) -> Vec<Problem> {
        let mut seen = HashMap::new();
        let mut problems = Vec::new();
        for array in &self.arrays {
            for member in &array.members {
                let DiskKind::File { path, .. } = &member.kind else { continue };
                let Ok(metadata) = fs::metadata(path) else { continue };
                let identity = match metadata.file_type().is_block_device() {
                    true => (true, metadata.rdev(), 0),
                    false => (false, metadata.dev(), metadata.ino()),
                };
                let Some((other, owner)) = seen.insert(identity, (path, &array.name)) else {
                    continue;
                };
                let rule = format!(
                    "{} of array {:?} and {} of array {owner:?} are one disk",
                    path.display(),
                    array.name,
                    other.display()
                );
                let found = Found::new(At::Whole, "array.members", rule, "leave one out");
                problems.push(found.locate(""));
            }
        }
        problems
    }

    /// Members that are not there, or are neither file nor block device.
    pub fn missing_disks(&self) -> Vec<Problem> {
        let members = self.arrays.iter().flat_map(|array| &array.members);
        let paths = members.filter_map(|member| match &member.kind {
            DiskKind::File { path, .. } => Some(path),
            _ => None,
        });
        let look = |path: &std::path::PathBuf| match fs::metadata(path) {
            Ok(metadata) => {
                let kind = metadata.file_type();
                let good = kind.is_file() || kind.is_block_device();
                (!good).then(|| format!("{}: it is neither file nor block device", path.display()))
            }
            Err(error) => Some(format!("{}: {error}", path.display())),
        };
        let problem = |rule| {
            let mend = "create it, for example with truncate -s 10G FILE, or correct the path";
            Found::new(At::Whole, "array.members", rule, mend).locate("")
        };
        paths.filter_map(look).map(problem).collect()
    }
}
