//! One round of the simulated driver's loop, which it may not survive.

use std::sync::atomic::Ordering;

use outboard_hba::HEARTBEAT_NS;
use outboard_slots::{Entry, MAX_BUNDLE, Time};

use super::{MESSAGE_NS, SimulatedDriver};
use crate::fault::Fault;

/// Longest time between two rounds of a driver that is awake, ns.
const ROUND_NS: u64 = 20_000;
/// Places in a round where the process may die.
const STEPS: u64 = 8;

/// What a round was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Round {
    Lives,
    Died,
}

impl SimulatedDriver {
    /// One round of its loop, if it is time.
    pub(crate) fn run(&mut self, now: Time) -> Round {
        self.be_late(now);
        let asked = self.requests.front().is_some_and(|r| r.0 <= now);
        if now < self.hangs_until || (now < self.next_round && !asked) {
            return Round::Lives;
        }
        let mut dies_at = None;
        if self.take_armed(|f| f == Fault::Crash).is_some() {
            dies_at = Some(self.dice.below(STEPS));
        }
        let mut step = 0;
        let mut dies = || {
            step += 1;
            dies_at == Some(step - 1)
        };
        self.asleep = false;
        self.queue.words().driver_flag.withdraw();
        let mut bundle = [Entry::from_bits(0); MAX_BUNDLE];
        let mut count = 0;
        // The host keeps its ring in order.
        let waiting = self.consumer.poll(self.queue.words().submission).unwrap_or(0);
        let limit = self.dice.between(1, MAX_BUNDLE as u64) as usize;
        while count < limit {
            let Some(entry) = self.consumer.take(self.queue.words().submission) else { break };
            bundle[count] = entry;
            count += 1;
        }
        if self.is_poisoned(&bundle[..count]) {
            return self.die(Fault::Poison);
        }
        if dies() {
            return self.die(Fault::Crash);
        }
        if count != 0 {
            self.runner.bundle(now, &bundle[..count]);
        }
        self.staged.clone_from(self.runner.staged());
        self.answer_early(&bundle[..count]);
        if dies() {
            return self.die(Fault::Crash);
        }
        self.runner.poll(now);
        if dies() {
            return self.die(Fault::Crash);
        }
        let staged = std::mem::take(self.runner.staged());
        let completed = staged.len();
        for (number, entry) in staged.into_iter().enumerate() {
            if number == completed / 2 && dies() {
                return self.die(Fault::Crash);
            }
            self.complete(now, entry);
        }
        if dies() {
            return self.die(Fault::Crash);
        }
        self.publish();
        if dies() {
            return self.die(Fault::Crash);
        }
        while self.requests.front().is_some_and(|r| r.0 <= now) {
            let Some((_, request)) = self.requests.pop_front() else { break };
            self.runner.manage(request);
        }
        for id in self.runner.managed(0, self.consumer.sequence()) {
            self.managed.push_back((now.plus_nanos(self.dice.below(MESSAGE_NS)), id));
        }
        if dies() || dies_at.is_some() {
            return self.die(Fault::Crash);
        }
        let words = self.queue.words();
        if waiting != 0 || completed != 0 || now >= self.heartbeat {
            self.heartbeat = now.plus_nanos(HEARTBEAT_NS);
            words.progress.fetch_add(1, Ordering::Relaxed);
            words.consumed.store(self.consumer.sequence(), Ordering::Relaxed);
        }
        words.in_kernel.store(self.runner.in_flight() as u32, Ordering::Relaxed);
        self.rest(now, waiting as usize > count || completed != 0);
        Round::Lives
    }

    /// The next round comes soon, or when something wakes it.
    fn rest(&mut self, now: Time, busy: bool) {
        if busy {
            let slow = if now < self.slow_until { 1 << self.dice.between(18, 24) } else { 0 };
            self.next_round = now.plus_nanos(200 + self.dice.below(ROUND_NS) + slow);
            return;
        }
        if self.bell.settle(self.queue.words().host_flag) {
            self.ring();
        }
        let mut event = self.runner.next_event();
        if self.runner.in_flight() != 0 {
            event = event.min(self.heartbeat);
        }
        self.next_round = event.max(now.plus_nanos(200));
        self.queue.words().driver_flag.announce();
        if self.consumer.poll(self.queue.words().submission) == Ok(0) {
            self.asleep = true;
        } else {
            self.queue.words().driver_flag.withdraw();
            self.next_round = now.plus_nanos(200);
        }
    }

    fn is_poisoned(&self, bundle: &[Entry]) -> bool {
        let Some(tag) = self.poison else { return false };
        bundle.iter().any(|entry| {
            let task = self.queue.region().read_task(entry.index());
            task.is_some_and(|t| t.task_tag_identifier == tag)
        })
    }

    fn die(&mut self, by: Fault) -> Round {
        self.fired.push(by);
        Round::Died
    }
}
