//! What the targets of a configuration serve, and what of it only one of them can have.

use std::collections::HashMap;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use crate::config::{Config, Lun, Target as TargetConfig};
use crate::io::plan::Serves;

/// What a target serves: an extension, or LUNs and the arrays under them.
pub(super) fn serves(config: &Config, target: &TargetConfig) -> Serves {
    if let Some(extension) = &target.extension {
        return Serves::Extension(Box::new(extension.clone()));
    }
    let array = |lun: &Lun| Some((lun.lun, config.array(&lun.array)?.clone()));
    Serves::Arrays(target.luns.iter().filter_map(array).collect())
}

/// How long files and devices are: one that has grown is a reason to look at it again.
pub(super) fn sizes(config: &Config) -> HashMap<PathBuf, u64> {
    let paths = config.targets.iter().flat_map(|target| serves(config, target).paths());
    let size = |path: PathBuf| {
        let end = std::fs::File::open(&path).and_then(|mut f| f.seek(SeekFrom::End(0)));
        (path, end.unwrap_or(0))
    };
    paths.map(size).collect()
}

/// The targets as far as log-ins know them.
pub(super) fn for_log_ins(config: &Config) -> Vec<TargetConfig> {
    let without = |target: &TargetConfig| TargetConfig { extension: None, ..target.clone() };
    config.targets.iter().map(without).collect()
}

/// Names of what only one target can have: arrays and disks.
pub(super) fn holds(config: &Config, target: &TargetConfig) -> Vec<String> {
    let arrays = target.luns.iter().map(|lun| lun.array.clone());
    let paths = serves(config, target).paths();
    arrays.chain(paths.iter().map(|path| path.display().to_string())).collect()
}
