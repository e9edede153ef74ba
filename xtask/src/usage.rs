//! Processor time of processes, from `/proc`.

use std::fs;
use std::time::{Duration, Instant};

/// A process and all that it has started, now.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut pids = vec![root];
    let mut next = 0;
    while let Some(&pid) = pids.get(next) {
        pids.extend(children(pid));
        next += 1;
    }
    pids
}

/// What all threads of some processes have run so far; those that are gone count no more.
pub(crate) fn cpu(pids: &[u32]) -> Duration {
    let nanos = pids.iter().flat_map(|pid| tasks(*pid)).filter_map(|task| {
        let stat = fs::read_to_string(format!("{task}/schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Measures processes from its making on.
#[derive(Debug)]
pub(crate) struct Meter {
    pids: Vec<u32>,
    before: Duration,
    begun: Instant,
}

impl Meter {
    pub(crate) fn start(root: u32) -> Self {
        let pids = tree(root);
        let before = cpu(&pids);
        Self { pids, before, begun: Instant::now() }
    }

    /// In percent of one processor since the start.
    pub(crate) fn percent(&self) -> f64 {
        let ran = cpu(&self.pids).saturating_sub(self.before);
        ran.as_secs_f64() / self.begun.elapsed().as_secs_f64() * 100.0
    }
}

fn children(pid: u32) -> Vec<u32> {
    let lists = tasks(pid).into_iter();
    let lists = lists.filter_map(|task| fs::read_to_string(format!("{task}/children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
        .collect()
}

/// The folders of a process's threads.
fn tasks(pid: u32) -> Vec<String> {
    let folder = fs::read_dir(format!("/proc/{pid}/task"));
    let entries = folder.into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_is_seen() {
        let own = std::process::id();
        assert!(tree(own).contains(&own));
        let meter = Meter::start(own);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {}
        let percent = meter.percent();
        assert!(percent > 5.0, "{percent}");
    }
}
