//! Range locks: COMPARE AND WRITE, ORWRITE and WRITE ATOMIC share their blocks with no other task.
//!
//! They are kept above the driver's queues, between task set and outbox: what may not start yet
//! stays in the outbox. An exclusive task waits for every task on its blocks that the driver has,
//! and whoever comes later for any of these blocks waits for it: nobody overtakes, so each task is
//! started in the end. Tasks that are not exclusive never wait for each other.
//!
//! While no exclusive task is around, all of this is one test of a flag.

use outboard_scsi::command::build::REPEATED;
use outboard_scsi::command::opcode::COMPARE_AND_WRITE;
use outboard_slots::Time;

use super::Stack;
use crate::channel::{Channel, ChannelError};
use crate::ledger::{Record, SlotState};

/// The blocks of a task.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Claim {
    /// LUN, flat
    pub(super) lun: u16,
    /// first block, and number of blocks; one that leaves the numbers goes to the end
    pub(super) range: (u64, u64),
    /// nobody else may have them
    pub(super) exclusive: bool,
}

/// What one round of handing over knows: the tasks that run, and those that were held back before.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    shared: Vec<Claim>,
    exclusive: Vec<Claim>,
}

impl Claim {
    fn of(record: &Record) -> Self {
        Self { lun: record.lun, range: record.range, exclusive: record.exclusive }
    }

    fn meets(&self, other: &Self) -> bool {
        let ((a, a_len), (b, b_len)) = (self.range, other.range);
        self.lun == other.lun && a < b.saturating_add(b_len) && b < a.saturating_add(a_len)
    }
}

impl Ranges {
    fn clear(&mut self) {
        self.shared.clear();
        self.exclusive.clear();
    }

    /// A task that runs, or is held back: in both cases those that come later mind it.
    fn add(&mut self, claim: Claim) {
        match claim.exclusive {
            true => self.exclusive.push(claim),
            false => self.shared.push(claim),
        }
    }

    /// Whether the next task in the order of arrival may start.
    pub(super) fn admit(&mut self, claim: Claim) -> bool {
        let taken = self.exclusive.iter().any(|other| other.meets(&claim))
            || (claim.exclusive && self.shared.iter().any(|other| other.meets(&claim)));
        self.add(claim);
        !taken
    }
}

impl Record {
    /// Says in the CDB of a COMPARE AND WRITE, and there alone, whether a driver that died had it:
    /// its compare must not fail because of its own write.
    pub(super) fn repeat(&mut self, repeated: bool) {
        let cdb = &mut self.task.command_descriptor_block;
        if let [COMPARE_AND_WRITE, .., flags, _, _, _] = cdb {
            *flags = *flags & !REPEATED | if repeated { REPEATED } else { 0 };
        }
    }
}

impl Stack {
    /// A task that is to have its blocks for itself has been taken in.
    #[cold]
    pub(super) fn make_exclusive(&mut self, slot: u16) {
        if let Some(record) = self.ledger.record_mut(slot) {
            record.exclusive = true;
            record.repeat(false);
            self.exclusive_around = true;
        }
    }

    /// [`Stack::hand_over`] while there are exclusive tasks: those that may not start stay in the
    /// outbox, in their order.
    #[cold]
    pub(super) fn hand_over_apart(
        &mut self,
        now: Time,
        channel: &mut dyn Channel,
    ) -> Result<(), ChannelError> {
        let mut ranges = std::mem::take(&mut self.ranges);
        ranges.clear();
        let mut exclusive_around = false;
        for (_, record) in self.ledger.iter() {
            let ended = matches!(record.state, SlotState::Free | SlotState::Sending);
            exclusive_around |= record.exclusive && !ended;
            if record.state == SlotState::InDriver {
                ranges.add(Claim::of(record));
            }
        }
        self.exclusive_around = exclusive_around;
        let mut result = Ok(());
        let mut held = Vec::new();
        for slot in std::mem::take(&mut self.outbox) {
            let Some(claim) = self.ledger.record(slot).map(Claim::of) else { continue };
            if result.is_err() || !ranges.admit(claim) {
                held.push(slot);
                continue;
            }
            result = self.push(slot, channel);
        }
        self.outbox = held;
        self.ranges = ranges;
        result.and_then(|()| channel.publish(now))
    }

    /// One slot to the driver. If the channel refuses it, it is the driver's all the same.
    pub(super) fn push(
        &mut self,
        slot: u16,
        channel: &mut dyn Channel,
    ) -> Result<(), ChannelError> {
        let Some(entry) = self.ledger.submit(slot) else { return Ok(()) };
        self.in_driver += 1;
        self.handed_over = self.handed_over.wrapping_add(1);
        self.counters.submitted += 1;
        match self.ledger.record(slot) {
            Some(record) => channel.push(entry, record.nexus, &record.task),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn claim(lun: u16, range: (u64, u64), exclusive: bool) -> Claim {
        Claim { lun, range, exclusive }
    }

    #[test]
    fn the_end_of_the_medium_and_nothing_are_ranges() {
        let write = claim(0, (8, 8), true);
        assert!(write.meets(&claim(0, (0, u64::MAX), false)));
        assert!(write.meets(&claim(0, (15, u64::MAX), false)));
        assert!(!write.meets(&claim(0, (16, u64::MAX), false)));
        assert!(!write.meets(&claim(1, (8, 8), false)));
        assert!(!write.meets(&claim(0, (9, 0), false)) || write.range.1 > 1);
    }

    #[test]
    fn later_tasks_wait_behind_a_waiting_exclusive_one() {
        let mut ranges = Ranges::default();
        ranges.add(claim(0, (0, 4), false));
        assert!(ranges.admit(claim(0, (0, 4), false)), "readers and writers pass each other");
        assert!(!ranges.admit(claim(0, (3, 1), true)));
        assert!(!ranges.admit(claim(0, (3, 1), false)), "it does not overtake");
        assert!(ranges.admit(claim(0, (4, 1), false)));
        assert!(ranges.admit(claim(1, (3, 1), true)), "another unit");
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Arrive(Claim),
        /// one of those that run, by its place
        End(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        let range =
            prop_oneof![(0_u64..40, 1_u64..9), (0_u64..40).prop_map(|first| (first, u64::MAX)),];
        prop_oneof![
            (0_u16..2, range, any::<bool>())
                .prop_map(|(lun, range, exclusive)| Event::Arrive(claim(lun, range, exclusive))),
            any::<usize>().prop_map(Event::End),
        ]
    }

    /// A world of tasks that uses [`Ranges`] as the stack does.
    #[derive(Default)]
    struct World {
        waiting: VecDeque<(usize, Claim)>,
        running: Vec<(usize, Claim)>,
        started: Vec<usize>,
        ranges: Ranges,
    }

    impl World {
        fn hand_over(&mut self) {
            self.ranges.clear();
            self.running.iter().for_each(|&(_, claim)| self.ranges.add(claim));
            for (task, claim) in std::mem::take(&mut self.waiting) {
                if self.ranges.admit(claim) {
                    self.running.push((task, claim));
                    self.started.push(task);
                } else {
                    self.waiting.push_back((task, claim));
                }
            }
        }

        /// No two that run share blocks if one of them is exclusive; none waits for nothing.
        fn check(&self) {
            for (n, (_, a)) in self.running.iter().enumerate() {
                for (_, b) in &self.running[n + 1..] {
                    assert!(!(a.exclusive || b.exclusive) || !a.meets(b), "{a:?} {b:?}");
                }
            }
            for (n, (_, claim)) in self.waiting.iter().enumerate() {
                let before = self.running.iter().chain(self.waiting.iter().take(n));
                let minds =
                    |other: &Claim| (claim.exclusive || other.exclusive) && other.meets(claim);
                assert!(before.into_iter().any(|(_, other)| minds(other)), "{claim:?} waits");
            }
        }
    }

    proptest! {
        #[test]
        fn exclusive_tasks_are_alone_in_order_and_all_end(
            events in prop::collection::vec(event(), 1..120),
        ) {
            let mut world = World::default();
            let mut claims = Vec::new();
            for event in events {
                match event {
                    Event::Arrive(claim) => {
                        world.waiting.push_back((claims.len(), claim));
                        claims.push(claim);
                    }
                    Event::End(at) if !world.running.is_empty() => {
                        let at = at % world.running.len();
                        world.running.swap_remove(at);
                    }
                    Event::End(_) => {}
                }
                world.hand_over();
                world.check();
            }
            while !world.running.is_empty() {
                world.running.swap_remove(0);
                world.hand_over();
                world.check();
            }
            prop_assert_eq!(world.started.len(), claims.len(), "everything ends");
            // Tasks that mind each other start in the order of their arrival.
            for (n, &a) in world.started.iter().enumerate() {
                for &b in &world.started[n + 1..] {
                    let (first, second) = (claims[a], claims[b]);
                    let mind = (first.exclusive || second.exclusive) && first.meets(&second);
                    prop_assert!(!mind || a < b, "{} started before {}", a, b);
                }
            }
        }
    }
}
