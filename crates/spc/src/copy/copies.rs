//! The copies of a unit, for RECEIVE COPY RESULTS.

use outboard_scsi::Sense;
use outboard_scsi::copy::{CopyStatus, ManagerStatus};

use crate::nexus::NexusId;

/// Most copies that have ended and are remembered, on one unit.
const HELD_MAX: usize = 64;

/// Copies in progress, and those whose results are held, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    nexus: NexusId,
    identifier: u8,
    /// Results are held after its end.
    hold: bool,
    status: CopyStatus,
    failure: Option<Sense>,
}

impl Copies {
    pub(crate) fn is_in_progress(&self, nexus: NexusId, identifier: u8) -> bool {
        self.find(nexus, identifier).is_some_and(Entry::is_in_progress)
    }

    /// Begins a copy; the results of an earlier one of this identifier are forgotten.
    pub(crate) fn begin(&mut self, nexus: NexusId, identifier: u8, hold: bool) {
        self.entries.retain(|entry| !entry.is(nexus, identifier));
        let status = CopyStatus { status: ManagerStatus::InProgress, segments: 0, bytes: 0 };
        self.entries.push(Entry { nexus, identifier, hold, status, failure: None });
    }

    pub(crate) fn withdraw(&mut self, nexus: NexusId, identifier: u8) {
        self.entries.retain(|entry| !entry.is(nexus, identifier));
    }

    pub(crate) fn progress(&mut self, nexus: NexusId, identifier: u8, segments: u16, bytes: u64) {
        if let Some(entry) = self.find_mut(nexus, identifier) {
            entry.status.segments = segments;
            entry.status.bytes = bytes;
        }
    }

    pub(crate) fn end(&mut self, nexus: NexusId, identifier: u8, failure: Option<Sense>) {
        let Some(entry) = self.find_mut(nexus, identifier) else { return };
        entry.failure = failure;
        entry.status.status = match failure {
            None => ManagerStatus::Completed,
            Some(_) => ManagerStatus::CompletedWithErrors,
        };
        self.entries.retain(|entry| entry.is_in_progress() || entry.hold);
        let held = self.entries.iter().filter(|entry| !entry.is_in_progress()).count();
        if held > HELD_MAX
            && let Some(oldest) = self.entries.iter().position(|entry| !entry.is_in_progress())
        {
            self.entries.remove(oldest);
        }
    }

    pub(crate) fn status(&self, nexus: NexusId, identifier: u8) -> Option<CopyStatus> {
        self.find(nexus, identifier).map(|entry| entry.status)
    }

    pub(crate) fn failure(&self, nexus: NexusId, identifier: u8) -> Option<Sense> {
        self.find(nexus, identifier)?.failure
    }

    pub(crate) fn forget_failure(&mut self, nexus: NexusId, identifier: u8) {
        if let Some(entry) = self.find_mut(nexus, identifier) {
            entry.failure = None;
        }
    }

    /// A nexus has gone, and with it all that only it could ask about.
    pub(crate) fn nexus_lost(&mut self, nexus: NexusId) {
        self.entries.retain(|entry| entry.nexus != nexus);
    }

    /// Logical unit reset.
    pub(crate) fn reset(&mut self) {
        self.entries.clear();
    }

    fn find(&self, nexus: NexusId, identifier: u8) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(nexus, identifier))
    }

    fn find_mut(&mut self, nexus: NexusId, identifier: u8) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.is(nexus, identifier))
    }
}

impl Entry {
    fn is(&self, nexus: NexusId, identifier: u8) -> bool {
        self.nexus == nexus && self.identifier == identifier
    }

    fn is_in_progress(&self) -> bool {
        self.status.status == ManagerStatus::InProgress
    }
}
