//! Times without a completion, over all sessions of a load.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use outboard_slots::Time;

/// Told of each completion.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: Time,
    longest: Duration,
    /// when the longest ended
    until: Time,
    completions: u64,
}

impl Gaps {
    /// A command has been completed.
    pub(crate) fn completed(&self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Time::now();
        let gap = now.since(inner.last);
        if gap > inner.longest {
            (inner.longest, inner.until) = (gap, now);
        }
        inner.last = now;
        inner.completions += 1;
    }

    /// Looks from now on.
    pub(crate) fn begin(&self) -> Time {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Time::now();
        (inner.last, inner.longest, inner.until) = (now, Duration::ZERO, now);
        now
    }

    /// When the longest gap since then ended.
    pub(crate) fn end_of_longest(&self) -> Time {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).until
    }

    /// Completions so far.
    pub(crate) fn completions(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).completions
    }
}
