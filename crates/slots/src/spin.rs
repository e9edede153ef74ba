//! How long to look before sleeping.
//!
//! A wake costs 50-110 us on a virtual machine, a look 0.1-0.3 us. Each wait is predicted from the
//! waits before it: a short one is spun through; a long one is slept through up to shortly before
//! its expected end, then spun through. What is not predictable is not spun for.

use core::time::Duration;

use crate::time::Time;

/// Longest spin without a sleep before it, ns.
const SPIN_LIMIT_NS: u64 = 60_000;
/// How long before the expected end of a slept wait the spin begins, ns: what a timer may be late.
const GUARD_NS: u64 = 150_000;
/// A wait predicted longer than this is not worth a timed wake.
const HORIZON_NS: u64 = 20_000_000;
/// Credit of a predictor that is always right; each miss costs some, at 0 it only sleeps.
const CREDIT_MAX: i32 = 16;
const MISS_COST: i32 = 4;
/// How many waits a predictor without credit sleeps through before it tries again.
const RETRY_AFTER: u32 = 64;

/// A moment, some 200 ns, without touching shared lines: for what is about to come anyway.
#[inline]
pub fn pause() {
    for _ in 0..PAUSES {
        core::hint::spin_loop();
    }
}

/// `PAUSE` takes 40 to 140 cycles on machines of the last years.
const PAUSES: u32 = 4;

/// What to do now in a wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Advice {
    /// look again at once
    Spin,
    /// sleep, at most until then
    SleepUntil(Time),
}

/// Predicts the waits of one thread for one kind of event.
#[derive(Clone, Debug)]
pub struct Spinner {
    mean_ns: u64,
    spread_ns: u64,
    credit: i32,
    slept: u32,
    start: Option<Time>,
    spun: bool,
}

impl Default for Spinner {
    fn default() -> Self {
        Self::new()
    }
}

impl Spinner {
    /// Knows nothing yet and begins by spinning.
    pub const fn new() -> Self {
        Self {
            mean_ns: 0,
            spread_ns: 0,
            credit: CREDIT_MAX / 2,
            slept: 0,
            start: None,
            spun: false,
        }
    }

    /// The event came: the wait, if there was one, is over. Call it in each round that found work.
    #[inline]
    pub fn hit(&mut self, now: Time) {
        let Some(start) = self.start.take() else { return };
        self.learn(now.since(start));
    }

    /// Nothing came in this round. `until` bounds any sleep; with `shared_core` the peer needs
    /// this very core to make progress, so spinning would only delay it.
    pub fn idle(&mut self, now: Time, until: Time, shared_core: bool) -> Advice {
        let start = *self.start.get_or_insert_with(|| {
            self.spun = false;
            now
        });
        if shared_core {
            return Advice::SleepUntil(until);
        }
        if self.credit <= 0 {
            self.slept += 1;
            if self.slept < RETRY_AFTER {
                return Advice::SleepUntil(until);
            }
            self.slept = 0;
            self.credit = MISS_COST;
        }
        let waited = now.since(start).as_nanos() as u64;
        let guard = GUARD_NS + self.spread_ns;
        let begin =
            if self.mean_ns <= SPIN_LIMIT_NS { 0 } else { self.mean_ns.saturating_sub(guard) };
        let end = if self.mean_ns <= SPIN_LIMIT_NS { SPIN_LIMIT_NS } else { self.mean_ns + guard };
        if self.mean_ns > HORIZON_NS {
            return Advice::SleepUntil(until);
        }
        if waited < begin {
            return Advice::SleepUntil(until.min(start.plus_nanos(begin)));
        }
        if waited < end {
            self.spun = true;
            return Advice::Spin;
        }
        if self.spun {
            self.spun = false;
            self.credit -= MISS_COST;
        }
        Advice::SleepUntil(until)
    }

    fn learn(&mut self, waited: Duration) {
        let ns = waited.as_nanos() as u64;
        if self.spun {
            self.credit = (self.credit + 1).min(CREDIT_MAX);
        }
        self.spun = false;
        if self.mean_ns == 0 {
            self.mean_ns = ns;
            return;
        }
        // Exponential averages with weight 1/4, as round-trip timers have them.
        let error = ns.abs_diff(self.mean_ns);
        self.mean_ns = self.mean_ns - self.mean_ns / 4 + ns / 4;
        self.spread_ns = (self.spread_ns - self.spread_ns / 4 + error / 4).min(GUARD_NS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays waits of `ns` each against a spinner; returns (rounds that spun, time slept) of the last.
    fn play(s: &mut Spinner, waits: &[u64], shared: bool) -> (u64, u64) {
        let mut now = 0u64;
        let mut last = (0, 0);
        for ns in waits {
            let end = now + ns;
            last = (0, 0);
            while now < end {
                match s.idle(Time::from_nanos(now), Time::NEVER, shared) {
                    Advice::Spin => {
                        now += 200;
                        last.0 += 200;
                    }
                    Advice::SleepUntil(t) => {
                        let to = t.as_nanos().min(end);
                        last.1 += to - now;
                        now = to.max(now + 1);
                    }
                }
            }
            s.hit(Time::from_nanos(now));
        }
        last
    }

    #[test]
    fn short_waits_are_spun_through() {
        let (spun, slept) = play(&mut Spinner::new(), &[2_000; 50], false);
        assert!(spun >= 2_000 && slept == 0);
    }

    #[test]
    fn long_regular_waits_are_slept_through_but_for_the_end() {
        let (spun, slept) = play(&mut Spinner::new(), &[1_600_000; 60], false);
        assert!(slept > 1_000_000, "{slept}");
        assert!(spun > 0 && spun < 500_000, "{spun}");
    }

    #[test]
    fn two_ends_on_one_core_never_spin() {
        let (spun, _) = play(&mut Spinner::new(), &[2_000; 50], true);
        assert_eq!(spun, 0);
    }

    #[test]
    fn very_long_waits_are_not_spun_for() {
        let (spun, _) = play(&mut Spinner::new(), &[3_000_000_000; 40], false);
        assert_eq!(spun, 0);
    }
}
