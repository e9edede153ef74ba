//! Whether the driver's I/O thread lives: it publishes its progress itself, so that a hang is known
//! long before the first deadline. Looked at in the deadline round alone.
//!
//! A slow disk is not a hang: its driver's thread goes on looking, and says what it has in the
//! kernel. A driver that publishes falsely deceives nobody for long: its tasks' deadlines hold.

use outboard_slots::Time;

use super::deadline::TASK_TIMEOUT_NS;
use super::{DEADLINE_ROUND_NS, Stack, Unfit};
use crate::channel::{Channel, Pulse};
use crate::ledger::SlotState;

/// A thread that stands still so long, with tasks and nothing in the kernel, hangs, ns.
const HANG_NS: u64 = 2_000_000_000;
/// The same while it has a task that may write much at a time, ns.
const LONG_HANG_NS: u64 = 10_000_000_000;
/// One that has stood still so long reads no task management function either, ns.
const DEAF_NS: u64 = 5_000_000_000;
/// Most that counts between two looks, ns: a host that did not run has seen nothing.
const LOOK_MAX_NS: u64 = 2 * DEADLINE_ROUND_NS;
const _: () = assert!(HANG_NS >= 4 * outboard_hba::HEARTBEAT_NS, "a late thread does not hang");

/// What is known of the driver's I/O thread.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last: Pulse,
    looked: Time,
    /// how long it has stood still with tasks, as far as the host was there to see it
    still_ns: u64,
}

impl Watch {
    /// Of a thread that begins now.
    pub(super) fn from(now: Time) -> Self {
        Self { looked: now, ..Self::default() }
    }

    /// Takes a look in; how long the thread has stood still.
    fn look(&mut self, now: Time, pulse: Pulse, has_tasks: bool) -> u64 {
        let since = u64::try_from(now.since(self.looked).as_nanos()).unwrap_or(u64::MAX);
        self.looked = now;
        self.still_ns = match has_tasks && pulse == self.last {
            true => self.still_ns.saturating_add(since.min(LOOK_MAX_NS)),
            false => 0,
        };
        self.last = pulse;
        self.still_ns
    }
}

impl Stack {
    /// Declares a driver unfit whose I/O thread stands still with tasks and nothing in the kernel.
    pub(super) fn look_at_pulse(&mut self, now: Time, channel: &dyn Channel) {
        if self.detached || self.debug {
            return;
        }
        let Some(pulse) = channel.pulse() else { return };
        let still_ns = self.watch.look(now, pulse, self.in_driver != 0);
        if still_ns < HANG_NS || pulse.in_kernel != 0 {
            return;
        }
        let usual = (TASK_TIMEOUT_NS / 1_000_000) as u32;
        let works_long = self
            .ledger
            .iter()
            .any(|(_, r)| r.state == SlotState::InDriver && r.task.timeout_ms > usual);
        if works_long && still_ns < LONG_HANG_NS {
            return;
        }
        let (seconds, tasks) = (still_ns as f64 / 1e9, self.in_driver);
        let behind = channel.sequence().wrapping_sub(pulse.consumed);
        let reason = format!(
            "its I/O thread has stood still for {seconds:.1} s with {tasks} tasks, none of them in the kernel; {behind} submissions are not taken"
        );
        self.declare_unfit(Unfit::Hangs, reason);
    }

    /// How long its I/O thread has stood still, if for so long that it is no use to ask it to abort
    /// a task, ns.
    pub(super) fn is_deaf(&self) -> Option<u64> {
        (self.watch.still_ns >= DEAF_NS).then_some(self.watch.still_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Time {
        Time::from_nanos(ms * MS)
    }

    #[test]
    fn only_time_with_tasks_and_without_progress_counts() {
        let pulse = |progress| Pulse { progress, consumed: 0, in_kernel: 0 };
        let mut watch = Watch::default();
        assert_eq!(watch.look(at(100), pulse(1), true), 0);
        assert_eq!(watch.look(at(200), pulse(1), true), 100 * MS);
        assert_eq!(watch.look(at(300), pulse(1), true), 200 * MS);
        assert_eq!(watch.look(at(400), pulse(2), true), 0, "progress");
        assert_eq!(watch.look(at(500), pulse(2), false), 0, "nothing to do");
        assert_eq!(watch.look(at(3_600_000), pulse(2), true), 200 * MS, "the host was not there");
    }

    #[test]
    fn what_it_takes_and_has_in_the_kernel_is_progress() {
        let mut watch = Watch::default();
        let mut pulse = Pulse::default();
        watch.look(at(100), pulse, true);
        for n in 2..50 {
            match n % 2 {
                0 => pulse.consumed += 1,
                _ => pulse.in_kernel += 1,
            }
            assert_eq!(watch.look(at(n * 100), pulse, true), 0);
        }
    }
}
