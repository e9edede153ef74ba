//! The ledger: the host's own book of every task, slot by slot. What a driver says is checked
//! against it, and after a driver's death the command slots are rebuilt from it. Sans-I/O.

use outboard_slots::{Entry, ParallelTask, Time, planted};

use crate::buffers::Buffer;

/// Where a slot is in its life.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SlotState {
    /// nobody's
    #[default]
    Free,
    /// the front end puts data into the buffer
    Filling,
    /// complete, and waits for its turn in the task set
    Waiting,
    /// the driver's
    InDriver,
    /// the host itself executes it, and waits for what follows from it
    InHost,
    /// ended; the front end takes data out of the buffer
    Sending,
    /// the task has been ended for the initiator, but the driver may still touch the slot and the
    /// buffer: nobody's until the fence
    Quarantined,
}

/// One task.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// where it is
    pub state: SlotState,
    /// an abort waits for its end
    pub aborted: bool,
    /// and nobody but the host wants it aborted: its initiator is told, and may try again
    pub by_host: bool,
    /// it changes the medium
    pub writes: bool,
    /// the host executes it, not the driver
    pub host: bool,
    /// it is a job's, and its cookie the job's identifier
    pub internal: bool,
    /// it shares its blocks with no other task
    pub exclusive: bool,
    /// its logical unit has gone
    pub gone: bool,
    /// the driver's cache is to be written before it ends
    pub then_flush: bool,
    /// bytes that it has moved before its cache was written
    pub moved: u32,
    /// driver deaths it was in flight at, in a row
    pub deaths: u8,
    /// which step of giving up it has reached
    pub given_up: u8,
    /// LUN, flat
    pub lun: u16,
    /// what the unit's checks depended on when it was judged ([`outboard_spc::Target::generation`])
    pub rights: u32,
    /// number of the I_T nexus
    pub nexus: u32,
    /// generation of the submission that the driver holds
    pub generation: u64,
    /// order of reception
    pub order: u64,
    /// bytes it would move if the initiator had room for them
    pub length: u32,
    /// the front end's name for it
    pub cookie: u64,
    /// when the host gives it up
    pub deadline: Time,
    /// first block and number of blocks it concerns
    pub range: (u64, u64),
    /// its data
    pub buffer: Buffer,
    /// its command slot, as submitted
    pub task: ParallelTask,
}

impl Record {
    const FREE: Self = Self {
        state: SlotState::Free,
        aborted: false,
        by_host: false,
        writes: false,
        host: false,
        internal: false,
        exclusive: false,
        gone: false,
        then_flush: false,
        moved: 0,
        deaths: 0,
        given_up: 0,
        lun: 0,
        rights: 0,
        nexus: 0,
        generation: 0,
        order: 0,
        length: 0,
        cookie: 0,
        deadline: Time::NEVER,
        range: (0, 0),
        buffer: Buffer::EMPTY,
        task: ParallelTask::EMPTY,
    };

    /// Whether it ends without a status: an initiator has had it aborted (SAM-6 5.3.1, TAS = 0).
    #[inline]
    pub const fn is_silent(&self) -> bool {
        self.aborted && !self.by_host
    }
}

/// A completion that cannot be what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// no such slot
    #[error("completion of slot {slot}, which this queue does not have")]
    Index {
        /// the slot
        slot: u16,
    },
    /// not the driver's
    #[error("completion of slot {slot}, which the driver does not own (completed twice?)")]
    NotOwned {
        /// the slot
        slot: u16,
    },
    /// of another submission
    #[error(
        "completion of slot {slot} with generation {got}; the slot holds generation {expected}"
    )]
    Generation {
        /// the slot
        slot: u16,
        /// as completed
        got: u64,
        /// as submitted
        expected: u64,
    },
    /// response version
    #[error(
        "response in slot {slot} has version {version}; set SCSIUserParallelResponse.version to 1"
    )]
    Version {
        /// the slot
        slot: u16,
        /// as found
        version: u64,
    },
    /// identifier or target
    #[error(
        "response in slot {slot} names task {got} of target {target}; the command was task {expected}: copy fControllerTaskIdentifier and fTargetID"
    )]
    Identifier {
        /// the slot
        slot: u16,
        /// as found
        got: u64,
        /// target as found
        target: u64,
        /// as submitted
        expected: u64,
    },
    /// an answer to nothing
    #[error(
        "an answer to task management function {id}, which waits for none (answered twice?): answer each once, with its number"
    )]
    Function {
        /// the number
        id: u64,
    },
    /// status or service response
    #[error(
        "response in slot {slot} has service response {service} with status {status:#04x}, which do not fit together"
    )]
    Status {
        /// the slot
        slot: u16,
        /// as found
        service: u32,
        /// as found
        status: u32,
    },
    /// byte count
    #[error("response in slot {slot} claims {bytes} bytes transferred; the task has {expected}")]
    Bytes {
        /// the slot
        slot: u16,
        /// as found
        bytes: u64,
        /// as submitted
        expected: u64,
    },
    /// a ring index jumped
    #[error("{0}")]
    Ring(outboard_slots::RingViolation),
}

impl Violation {
    /// The slot whose task is known to be meant, if any.
    pub const fn task(&self) -> Option<u16> {
        match *self {
            Self::Version { slot, .. }
            | Self::Identifier { slot, .. }
            | Self::Status { slot, .. }
            | Self::Bytes { slot, .. } => Some(slot),
            _ => None,
        }
    }
}

/// The book.
#[derive(Debug)]
pub struct Ledger {
    first_slot: u16,
    records: Vec<Record>,
    free: Vec<u16>,
    next_order: u64,
    /// by slot: the task whose data-out was guarded, by its order, and the checksum; empty until one
    /// was
    guards: Vec<(u64, u32)>,
}

impl Ledger {
    /// For the slots `first_slot ..  first_slot + slots`.
    pub fn new(first_slot: u16, slots: u16) -> Self {
        Self {
            first_slot,
            records: vec![Record::FREE; usize::from(slots)],
            // The last used is the next used: its lines are warm.
            free: (0..slots).rev().map(|s| first_slot + s).collect(),
            next_order: 0,
            guards: Vec::new(),
        }
    }

    /// Takes a free slot for filling; `None` if none is free.
    #[inline]
    pub fn take(&mut self) -> Option<u16> {
        let slot = self.free.pop()?;
        let order = self.next_order;
        self.next_order += 1;
        let record = &mut self.records[usize::from(slot - self.first_slot)];
        debug_assert_eq!(record.state, SlotState::Free);
        record.state = SlotState::Filling;
        record.order = order;
        record.aborted = false;
        record.by_host = false;
        record.host = false;
        record.internal = false;
        record.exclusive = false;
        record.gone = false;
        record.then_flush = false;
        record.moved = 0;
        record.deaths = 0;
        record.given_up = 0;
        Some(slot)
    }

    /// Makes a slot that is kept ready for another task, received now.
    pub fn renew(&mut self, slot: u16) {
        let order = self.next_order;
        self.next_order += 1;
        if let Some(record) = self.record_mut(slot) {
            record.order = order;
            record.aborted = false;
            record.by_host = false;
            record.exclusive = false;
            record.gone = false;
            record.then_flush = false;
            record.moved = 0;
            record.deaths = 0;
            record.given_up = 0;
        }
    }

    /// Frees a slot.
    #[inline]
    pub fn release(&mut self, slot: u16) {
        if let Some(record) = self.record_mut(slot) {
            debug_assert_ne!(record.state, SlotState::Free);
            record.state = SlotState::Free;
            self.free.push(slot);
        }
    }

    /// A slot's record.
    #[inline]
    pub fn record(&self, slot: u16) -> Option<&Record> {
        self.records.get(usize::from(slot.wrapping_sub(self.first_slot)))
    }

    /// A slot's record, to change.
    #[inline]
    pub fn record_mut(&mut self, slot: u16) -> Option<&mut Record> {
        self.records.get_mut(usize::from(slot.wrapping_sub(self.first_slot)))
    }

    /// Hands a slot to the driver under a new generation.
    #[inline]
    pub fn submit(&mut self, slot: u16) -> Option<Entry> {
        let record = self.record_mut(slot)?;
        record.generation = Entry::next_generation(record.generation);
        record.state = SlotState::InDriver;
        Some(Entry::new(slot, record.generation))
    }

    /// Checks that a completion names a task the driver owns.
    #[inline]
    pub fn owned(&self, entry: Entry) -> Result<&Record, Violation> {
        let slot = entry.index();
        let record = self.record(slot).ok_or(Violation::Index { slot })?;
        if record.state != SlotState::InDriver && !planted::is("host: owner not checked") {
            return Err(Violation::NotOwned { slot });
        }
        if record.generation != entry.generation() && !planted::is("host: generation not checked") {
            let (got, expected) = (entry.generation(), record.generation);
            return Err(Violation::Generation { slot, got, expected });
        }
        Ok(record)
    }

    /// Keeps the CRC32C of the data-out of the task in `slot`.
    pub fn guard(&mut self, slot: u16, checksum: u32) {
        let Some(order) = self.record(slot).map(|record| record.order) else { return };
        if self.guards.is_empty() {
            self.guards.resize(self.records.len(), (u64::MAX, 0));
        }
        if let Some(guard) = self.guards.get_mut(usize::from(slot.wrapping_sub(self.first_slot))) {
            *guard = (order, checksum);
        }
    }

    /// The checksum that was kept for the task in `slot`, if one was.
    pub fn guard_of(&self, slot: u16) -> Option<u32> {
        let (order, checksum) =
            *self.guards.get(usize::from(slot.wrapping_sub(self.first_slot)))?;
        (self.record(slot)?.order == order).then_some(checksum)
    }

    /// Every slot with its record.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Record)> {
        self.records.iter().enumerate().map(|(i, r)| (self.first_slot + i as u16, r))
    }

    /// Slots in `state`, oldest task first.
    pub fn in_order(&self, state: SlotState) -> Vec<u16> {
        let mut slots: Vec<_> = self.iter().filter(|(_, r)| r.state == state).collect();
        slots.sort_by_key(|(_, r)| r.order);
        slots.into_iter().map(|(s, _)| s).collect()
    }

    /// Slots in all.
    pub fn slots(&self) -> usize {
        self.records.len()
    }

    /// Slots not free.
    pub fn in_use(&self) -> usize {
        self.records.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_completion_is_seen_even_after_reuse() {
        let mut l = Ledger::new(32, 4);
        let slot = l.take().unwrap();
        let first = l.submit(slot).unwrap();
        assert!(l.owned(first).is_ok());
        l.release(slot);
        assert!(matches!(l.owned(first), Err(Violation::NotOwned { .. })));
        assert_eq!(l.take(), Some(slot));
        let second = l.submit(slot).unwrap();
        assert!(matches!(l.owned(first), Err(Violation::Generation { .. })));
        assert!(l.owned(second).is_ok());
        assert!(matches!(l.owned(Entry::new(31, 1)), Err(Violation::Index { .. })));
        assert!(matches!(l.owned(Entry::new(36, 1)), Err(Violation::Index { .. })));
    }

    #[test]
    fn a_checksum_is_that_of_one_task() {
        let mut l = Ledger::new(32, 2);
        let slot = l.take().unwrap();
        assert_eq!(l.guard_of(slot), None);
        l.guard(slot, 7);
        assert_eq!((l.guard_of(slot), l.guard_of(32), l.guard_of(34)), (Some(7), Some(7), None));
        l.renew(slot);
        assert_eq!(l.guard_of(slot), None, "another task in the slot");
        l.guard(slot, 8);
        l.release(slot);
        l.take();
        assert_eq!(l.guard_of(slot), None);
        l.guard(99, 9);
    }

    #[test]
    fn slots_run_out_and_come_back() {
        let mut l = Ledger::new(0, 2);
        let (a, b) = (l.take().unwrap(), l.take().unwrap());
        assert!(l.take().is_none());
        assert_eq!(l.in_order(SlotState::Filling), [a, b]);
        l.release(a);
        assert_eq!((l.take(), l.in_use()), (Some(a), 2));
    }
}
