//! What the LUNs of one target have done, counted by its I/O thread alone.

use outboard_host::stack::Answer;
use outboard_scsi::{Direction, Lun, Status};
use outboard_slots::Time;

use super::shares::Shares;
use crate::status::{Counters, LatencyCounts};

/// Counts by LUN.
#[derive(Debug, Default)]
pub struct Tally {
    luns: Vec<Counts>,
    /// by slot
    begun: Vec<Option<Begun>>,
    /// buffers by session
    pub shares: Shares,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    counters: Counters,
    latency: LatencyCounts,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    at: Time,
    lun: u16,
    direction: Direction,
}

impl Tally {
    /// A task has a slot.
    #[inline]
    pub fn begin(&mut self, now: Time, slot: u16, lun: [u8; 8], direction: Direction) {
        self.forget(slot);
        let lun = Lun::decode(lun).map_or(0, |lun| lun.number());
        let at = usize::from(slot);
        if self.begun.len() <= at {
            self.begun.resize(at + 1, None);
        }
        if let Some(begun) = self.begun.get_mut(at) {
            *begun = Some(Begun { at: now, lun, direction });
        }
        self.counts(lun).counters.outstanding += 1;
    }

    /// It ends.
    #[inline]
    pub fn end(&mut self, now: Time, answer: &Answer) {
        let begun = answer.slot.and_then(|slot| self.begun.get_mut(usize::from(slot))?.take());
        let Some(begun) = begun else { return };
        let counts = self.counts(begun.lun);
        let counters = &mut counts.counters;
        counters.outstanding = counters.outstanding.saturating_sub(1);
        if answer.aborted {
            counters.aborted += 1;
            return;
        }
        if is_error(answer.status) {
            counters.errors += 1;
        }
        match begun.direction {
            Direction::FromDevice => {
                counters.reads += 1;
                counters.read_bytes += answer.transferred;
            }
            Direction::ToDevice => {
                counters.writes += 1;
                counters.written_bytes += answer.transferred;
            }
            Direction::None => {
                counters.others += 1;
                return;
            }
        }
        counts.latency.record(now.since(begun.at).as_nanos() as u64);
    }

    /// Ends what has left its slot without an answer that names it: a driver's lie about a read ends
    /// the task at once and the slot after the fence.
    pub fn sweep(&mut self, is_held: impl Fn(u16) -> bool) {
        for slot in 0..self.begun.len() as u16 {
            if !is_held(slot) {
                self.forget(slot);
                self.shares.give_back(slot);
            }
        }
    }

    fn forget(&mut self, slot: u16) {
        if let Some(begun) = self.begun.get_mut(usize::from(slot)).and_then(Option::take) {
            let counters = &mut self.counts(begun.lun).counters;
            counters.outstanding = counters.outstanding.saturating_sub(1);
            counters.errors += 1;
        }
    }

    /// It never ran.
    pub fn cancelled(&mut self, slot: u16) {
        if let Some(begun) = self.begun.get_mut(usize::from(slot)).and_then(Option::take) {
            let counters = &mut self.counts(begun.lun).counters;
            counters.outstanding = counters.outstanding.saturating_sub(1);
            counters.aborted += 1;
        }
    }

    /// The host has answered by itself.
    pub fn answered_at_once(&mut self, lun: [u8; 8], answer: &Answer) {
        let Ok(lun) = Lun::decode(lun) else { return };
        // A LUN that nobody has is nobody's count.
        let Some(counts) = self.luns.get_mut(usize::from(lun.number())) else { return };
        counts.counters.others += 1;
        if is_error(answer.status) {
            counts.counters.errors += 1;
        }
    }

    /// The counts of a LUN so far.
    pub fn of(&mut self, lun: u16) -> Counters {
        let counts = self.counts(lun);
        Counters { latency: counts.latency.summary(), ..counts.counters.clone() }
    }

    fn counts(&mut self, lun: u16) -> &mut Counts {
        let at = usize::from(lun);
        if self.luns.len() <= at {
            self.luns.resize_with(at + 1, Counts::default);
        }
        &mut self.luns[at]
    }
}

fn is_error(status: Status) -> bool {
    !matches!(status, Status::Good | Status::ConditionMet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_without_its_slot_is_not_outstanding_for_ever() {
        let mut tally = Tally::default();
        for slot in 0..3 {
            tally.begin(Time::ZERO, slot, Lun::ZERO.encode(), Direction::FromDevice);
            tally.shares.take(slot, 0, 1 << 20);
        }
        tally.sweep(|slot| slot == 1);
        let counters = tally.of(0);
        assert_eq!((counters.outstanding, counters.errors), (1, 2));
        assert!(tally.shares.allow(0, 1, 2 << 20), "the session's share is its own again");

        tally.begin(Time::ZERO, 1, Lun::ZERO.encode(), Direction::FromDevice);
        assert_eq!(tally.of(0).outstanding, 1, "a slot has one task");
    }
}
