//! Which drivers have had which task: one that was in flight at two deaths in a row has the next
//! driver for itself, and no task has a fourth.

use std::collections::{BTreeMap, BTreeSet};

/// Books on what drivers have had, by tag.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    has: BTreeSet<u64>,
    deaths: BTreeMap<u64, u32>,
}

impl Attempts {
    /// The driver gets a task.
    pub(crate) fn handed_over(&mut self, tag: u64) -> Result<(), String> {
        let deaths = self.deaths_of(tag);
        if deaths > 2 {
            return Err(format!("task {tag} was handed over after {deaths} deaths"));
        }
        let beside = self.has.iter().find(|other| deaths == 2 || self.deaths_of(**other) >= 2);
        if let Some(beside) = beside.filter(|other| **other != tag) {
            return Err(format!("task {tag} is not alone: the driver has task {beside}"));
        }
        self.has.insert(tag);
        Ok(())
    }

    /// A task has ended.
    pub(crate) fn ended(&mut self, tag: u64) {
        self.has.remove(&tag);
    }

    /// The driver has died and is fenced; what it had completed has ended.
    pub(crate) fn died(&mut self) {
        for tag in std::mem::take(&mut self.has) {
            *self.deaths.entry(tag).or_default() += 1;
        }
    }

    fn deaths_of(&self, tag: u64) -> u32 {
        self.deaths.get(&tag).copied().unwrap_or(0)
    }
}
