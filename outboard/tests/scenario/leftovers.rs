//! What a process has: descriptors, mappings, threads, children. Nothing of it may stay behind.

use std::fs;
use std::time::{Duration, Instant};

/// What this process has now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Holdings {
    descriptors: Vec<String>,
    shared_mappings: usize,
    watchers: usize,
    children: Vec<u32>,
}

impl Holdings {
    pub(crate) fn now() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        Self {
            descriptors: descriptors(),
            shared_mappings: maps.lines().filter(|line| line.contains("memfd:")).count(),
            watchers: watchers(),
            children: children_of(std::process::id()),
        }
    }

    /// Waits a moment for the kernel to be done with what has ended, then compares.
    #[track_caller]
    pub(crate) fn unchanged(&self) {
        let same = within(Duration::from_secs(1), || Self::now() == *self);
        assert!(same, "left behind:\nbefore {self:#?}\nafter {:#?}", Self::now());
    }
}

/// What each descriptor of this process leads to, sorted.
fn descriptors() -> Vec<String> {
    let mut all: Vec<String> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| !target.starts_with("/proc/"))
        .collect();
    all.sort();
    all
}

/// Threads that watch a driver; those of the test runner come and go.
fn watchers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "driver watch").count()
}

/// Processes whose parent is `pid`, zombies among them.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&child| stat(child).is_some_and(|(_, parent)| parent == pid))
        .collect()
}

/// Whether the process runs: it exists and is no zombie.
pub(crate) fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Waits until `condition` holds, at most `limit`.
pub(crate) fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
