//! What can go wrong, and what it met: the coverage table of faults by the states of slots.

use outboard_host::ledger::SlotState;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    /// the driver's process dies at some step of its round
    Crash,
    /// it dies whenever it takes a certain task
    Poison,
    /// it does nothing for a time, or for ever
    Hang,
    /// each of its rounds takes long, for a time
    Slow,
    /// a task is completed twice, at once or later
    DoubleCompletion,
    /// a completion names a slot that it is not of, or that does not exist
    WrongIndex,
    /// a completion has a generation that it was not submitted with
    WrongGeneration,
    /// a response of another version
    WrongVersion,
    /// a response that names another task
    WrongIdentifier,
    /// a response with more bytes than were asked for
    WrongBytes,
    /// a response whose service response means nothing
    WrongStatus,
    /// a response is written over after its completion
    Rewritten,
    /// the tail of the completion ring jumps
    RingJump,
    /// a ring of the doorbell wakes nobody
    LostDoorbell,
    /// somebody is woken for nothing
    SpuriousDoorbell,
    /// a request of a dead driver reaches its disk, or its memory
    LandsAfterDeath,
    /// a disk fails a request
    DiskError,
    /// a disk takes seconds
    SlowDisk,
    /// a write is done in part and fails, or says that all is well
    TornWrite,
    /// a write lands elsewhere and says that all is well
    MisdirectedWrite,
    /// everything stops; what no disk has flushed is lost block by block
    PowerLoss,
    /// the host process ends; its successor begins with nothing but the disks
    HostDeath,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Crash,
        Self::Poison,
        Self::Hang,
        Self::Slow,
        Self::DoubleCompletion,
        Self::WrongIndex,
        Self::WrongGeneration,
        Self::WrongVersion,
        Self::WrongIdentifier,
        Self::WrongBytes,
        Self::WrongStatus,
        Self::Rewritten,
        Self::RingJump,
        Self::LostDoorbell,
        Self::SpuriousDoorbell,
        Self::LandsAfterDeath,
        Self::DiskError,
        Self::SlowDisk,
        Self::TornWrite,
        Self::MisdirectedWrite,
        Self::PowerLoss,
        Self::HostDeath,
    ];

    /// Whether it is one of a disk.
    pub(crate) const fn is_of_disk(self) -> bool {
        matches!(self, Self::DiskError | Self::SlowDisk | Self::TornWrite | Self::MisdirectedWrite)
    }

    /// Whether it is a lie in a completion or in its ring.
    pub(crate) const fn is_lie(self) -> bool {
        matches!(
            self,
            Self::DoubleCompletion
                | Self::WrongIndex
                | Self::WrongGeneration
                | Self::WrongVersion
                | Self::WrongIdentifier
                | Self::WrongBytes
                | Self::WrongStatus
                | Self::Rewritten
                | Self::RingJump
        )
    }

    /// Whether tasks may fail, or be given up, because of it.
    pub(crate) const fn ends_tasks(self) -> bool {
        !matches!(self, Self::SpuriousDoorbell | Self::LandsAfterDeath)
    }
}

/// The states of a slot.
const STATES: [SlotState; 7] = [
    SlotState::Free,
    SlotState::Filling,
    SlotState::Waiting,
    SlotState::InDriver,
    SlotState::InHost,
    SlotState::Sending,
    SlotState::Quarantined,
];

/// How often each fault happened while some slot was in each state.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coverage {
    counts: [[u64; STATES.len()]; Fault::ALL.len()],
}

impl Coverage {
    /// A fault has happened while the slots are in `states`.
    pub(crate) fn note(&mut self, fault: Fault, states: impl Iterator<Item = SlotState>) {
        let mut seen = [false; STATES.len()];
        for state in states {
            if let Some(at) = STATES.iter().position(|s| *s == state) {
                seen[at] = true;
            }
        }
        let Some(row) = self.counts.get_mut(fault as usize) else { return };
        for (count, seen) in row.iter_mut().zip(seen) {
            *count += u64::from(seen);
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (row, others) in self.counts.iter_mut().zip(&other.counts) {
            for (count, more) in row.iter_mut().zip(others) {
                *count += more;
            }
        }
    }

    /// Pairs that have not been met.
    pub fn missing(&self) -> Vec<(Fault, SlotState)> {
        let pairs = Fault::ALL.iter().zip(&self.counts).flat_map(|(fault, row)| {
            STATES.iter().zip(row).map(move |(state, count)| (*fault, *state, *count))
        });
        pairs.filter(|(.., count)| *count == 0).map(|(fault, state, _)| (fault, state)).collect()
    }

    /// As a table, a fault a line.
    pub fn table(&self) -> String {
        let mut text = format!("{:<18}", "fault");
        for state in STATES {
            text += &format!("{:>12}", format!("{state:?}"));
        }
        text.push('\n');
        for (fault, row) in Fault::ALL.iter().zip(&self.counts) {
            text += &format!("{:<18}", format!("{fault:?}"));
            for count in row {
                text += &format!("{count:>12}");
            }
            text.push('\n');
        }
        text
    }
}
