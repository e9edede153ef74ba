//! The pauses that initiators see when a driver is replaced, from its loss to the first task that its
//! successor completes, and where each went.

use std::collections::VecDeque;

use outboard_slots::Time;

use crate::io::supervisor;
use crate::status::{Latency, LatencyCounts, PAUSES_KEPT, Pause};

/// Those of one target.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    kept: VecDeque<Pause>,
    total: LatencyCounts,
    number: u64,
    under_way: Option<UnderWay>,
}

/// One that has not ended.
#[derive(Debug)]
struct UnderWay {
    lost: Time,
    pause: Pause,
    /// when a successor took over, and the tasks completed by then
    taken_over: Option<(Time, u64)>,
}

impl Pauses {
    /// The driver is lost, or leaves. If its predecessor's pause has not ended, that goes on.
    pub(super) fn lost(&mut self, now: Time) {
        let begun = || UnderWay {
            lost: now,
            pause: Pause { lost_ns: now.as_nanos(), ..Pause::default() },
            taken_over: None,
        };
        self.under_way.get_or_insert_with(begun).taken_over = None;
    }

    /// The supervisor has tried to put a successor in its place.
    pub(super) fn tried(&mut self, parts: &supervisor::Pause) {
        let Some(UnderWay { pause, .. }) = &mut self.under_way else { return };
        pause.end_ns += parts.end.as_nanos() as u64;
        pause.fence_ns += parts.fence.as_nanos() as u64;
        pause.back_off_ns += parts.back_off.as_nanos() as u64;
        pause.start_ns += parts.start.as_nanos() as u64;
    }

    /// A successor has the tasks; `completed` have been before. With nothing to do (`is_idle`) that
    /// is the end of the pause.
    pub(super) fn taken_over(&mut self, now: Time, completed: u64, is_idle: bool) {
        let Some(under_way) = &mut self.under_way else { return };
        under_way.taken_over = Some((now, completed));
        if is_idle {
            self.end(now);
        }
    }

    /// So many tasks have been completed now. Called each turn.
    #[inline]
    pub(super) fn completed(&mut self, now: Time, completed: u64) {
        if let Some(UnderWay { taken_over: Some((_, before)), .. }) = &self.under_way
            && *before != completed
        {
            self.end(now);
        }
    }

    fn end(&mut self, now: Time) {
        let Some(UnderWay { lost, mut pause, taken_over }) = self.under_way.take() else { return };
        self.number += 1;
        pause.number = self.number;
        pause.replay_ns = taken_over.map_or(0, |(at, _)| now.since(at).as_nanos() as u64);
        pause.total_ns = now.since(lost).as_nanos() as u64;
        self.total.record(pause.total_ns);
        if self.kept.len() == PAUSES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(pause);
    }

    /// The last ones, oldest first, and all by length.
    pub(super) fn report(&self) -> (Vec<Pause>, Latency) {
        (self.kept.iter().copied().collect(), self.total.summary())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    fn parts(start_ms: u64) -> supervisor::Pause {
        supervisor::Pause { start: Duration::from_millis(start_ms), ..Default::default() }
    }

    #[test]
    fn a_pause_ends_with_the_first_completed_task() {
        let mut pauses = Pauses::default();
        pauses.completed(at(1), 6);
        pauses.lost(at(10));
        pauses.completed(at(11), 7);
        pauses.tried(&parts(5));
        pauses.taken_over(at(20), 9, false);
        pauses.completed(at(21), 9);
        assert!(pauses.report().0.is_empty(), "nothing completed by the successor");
        pauses.completed(at(22), 10);
        pauses.completed(at(23), 11);
        let (kept, total) = pauses.report();
        assert_eq!((kept.len(), total.count), (1, 1));
        let Pause { number, start_ns, replay_ns, total_ns, .. } = kept[0];
        assert_eq!((number, start_ns, replay_ns, total_ns), (1, 5_000_000, 2_000_000, 12_000_000));
    }

    #[test]
    fn a_successor_that_dies_at_once_makes_it_longer() {
        let mut pauses = Pauses::default();
        pauses.lost(at(10));
        pauses.tried(&parts(5));
        pauses.taken_over(at(20), 9, false);
        pauses.lost(at(30));
        pauses.completed(at(35), 10);
        pauses.tried(&parts(6));
        pauses.taken_over(at(40), 10, true);
        let (kept, _) = pauses.report();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].start_ns, kept[0].total_ns), (11_000_000, 30_000_000));
    }

    #[test]
    fn the_last_ones_are_kept() {
        let mut pauses = Pauses::default();
        for n in 1..=100 {
            pauses.lost(at(n));
            pauses.taken_over(at(n), 0, true);
        }
        let (kept, total) = pauses.report();
        assert_eq!((kept.len(), total.count), (PAUSES_KEPT, 100));
        assert_eq!(kept.last().map(|p| p.number), Some(100));
    }
}
