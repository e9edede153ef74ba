//! What one process holds, its children left out.

use std::fs;
use std::path::PathBuf;

/// So much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    /// memory of its own, KiB; shared regions not among it
    pub(crate) kib: usize,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Self {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let count = |name: &str| fs::read_dir(folder.join(name)).unwrap().count();
        let status = fs::read_to_string(folder.join("status")).unwrap();
        let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        let kib = anonymous.trim().trim_end_matches(" kB").parse().unwrap();
        Self { descriptors: count("fd"), threads: count("task"), kib }
    }
}
