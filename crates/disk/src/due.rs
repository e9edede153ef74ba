//! Completions that wait for their time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use outboard_slots::Time;

use crate::contract::Completion;

/// A queue ordered by time, then by order of entry. Does not allocate below its capacity.
#[derive(Debug)]
pub(crate) struct DueQueue {
    heap: BinaryHeap<Waiting>,
    sequence: u64,
}

impl DueQueue {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { heap: BinaryHeap::with_capacity(capacity), sequence: 0 }
    }

    pub(crate) fn push(&mut self, at: Time, completion: Completion) {
        self.heap.push(Waiting { at, sequence: self.sequence, completion });
        self.sequence += 1;
    }

    /// Moves everything due by `now` to `done`, oldest first.
    pub(crate) fn take_due(&mut self, now: Time, done: &mut Vec<Completion>) {
        while self.heap.peek().is_some_and(|first| first.at <= now) {
            done.extend(self.heap.pop().map(|first| first.completion));
        }
    }

    /// When the first of them is due; [`Time::NEVER`] if there is none.
    pub(crate) fn next(&self) -> Time {
        self.heap.peek().map_or(Time::NEVER, |first| first.at)
    }

    pub(crate) fn len(&self) -> u32 {
        self.heap.len() as u32
    }
}

#[derive(Debug)]
struct Waiting {
    at: Time,
    sequence: u64,
    completion: Completion,
}

impl Ord for Waiting {
    /// The heap gives out its greatest: the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_of_time_and_then_of_entry() {
        let at = Time::from_nanos;
        let mut queue = DueQueue::with_capacity(4);
        for (time, tag) in [(30, 0), (10, 1), (20, 2), (10, 3)] {
            queue.push(at(time), Completion { tag, result: Ok(()) });
        }
        assert_eq!(queue.next(), at(10));
        let mut done = Vec::new();
        queue.take_due(at(9), &mut done);
        assert!(done.is_empty());
        queue.take_due(at(20), &mut done);
        assert_eq!(done.iter().map(|c| c.tag).collect::<Vec<_>>(), [1, 3, 2]);
        assert_eq!((queue.len(), queue.next()), (1, at(30)));
    }
}
