//! What only the file system knows: that two paths are one disk.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use outboard_disk::{DiskKind, DiskSpec};

use super::Config;
use outboard_settings::{At, Found, Problem};

impl Config {
    /// Files and devices that are members twice under several names: links, or the names of one
    /// device. Looks at the file system; members that are not there are not its concern.
    pub fn same_disks(&self) -> Vec<Problem> {
        let mut seen = HashMap::new();
        let mut problems = Vec::new();
        for (owner, disks) in self.owners() {
            for disk in disks {
                let DiskKind::File { path, .. } = &disk.kind else { continue };
                let Ok(metadata) = fs::metadata(path) else { continue };
                let identity = match metadata.file_type().is_block_device() {
                    true => (true, metadata.rdev(), 0),
                    false => (false, metadata.dev(), metadata.ino()),
                };
                let Some((other, before)) = seen.insert(identity, (path, owner.clone())) else {
                    continue;
                };
                let rule = format!(
                    "{} of {owner} and {} of {before} are one disk",
                    path.display(),
                    other.display()
                );
                let found = Found::new(At::Whole, "array.members", rule, "leave one out");
                problems.push(found.locate(""));
            }
        }
        problems
    }

    /// Arrays and targets with extensions, and the disks of each.
    fn owners(&self) -> Vec<(String, &[DiskSpec])> {
        let array = |a: &'_ super::Array| format!("array {:?}", a.name);
        let arrays = self.arrays.iter().map(|a| (array(a), a.members.as_slice()));
        let targets = self.targets.iter().filter_map(|target| {
            let disks = target.extension.as_ref()?.disks.as_slice();
            Some((format!("target {}", target.name), disks))
        });
        arrays.chain(targets).collect()
    }

    /// Members that are not there, or are neither file nor block device.
    pub fn missing_disks(&self) -> Vec<Problem> {
        let members = self.owners().into_iter().flat_map(|(_, disks)| disks);
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
