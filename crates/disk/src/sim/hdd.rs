//! The timing of a spinning disk.
//!
//! Commands are served in order of arrival; up to [`HddTiming::queue_depth`] of them are inside the
//! drive, further ones wait outside until the oldest has ended. For each command:
//!
//! ```text
//! entered     = arrival, or the end of the command queue_depth before it, whichever is later
//! media_start = max(entered + overhead, end of the previous command's media time)
//! position    = 0 if it begins where the head is, else seek(distance) + rotation
//! end         = media_start + position + length / media rate
//! seek(d)     = seek_min + (seek_max - seek_min) * sqrt(d / size of the disk)
//! rotation    = uniform in one turn of the platter, from the seed
//! ```
//!
//! So the overhead hides behind the previous command's media time once two commands are queued:
//! sequential throughput is `length / (overhead + length / rate)` at depth 1, and the media rate
//! from depth 2 on if `length / rate >= overhead`. There is no write cache: a write has reached the
//! medium when it completes, and a flush costs the overhead alone. Zeroing without data writes at
//! the media rate.

use std::collections::VecDeque;

use outboard_slots::Time;
use serde::{Deserialize, Serialize};

use crate::contract::{Op, Request};
use crate::rng::Rng;
use crate::sim::transfer_nanos;

/// The figures of a spinning disk.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HddTiming {
    /// media rate in bytes per second
    pub rate: u64,
    /// command overhead in nanoseconds
    pub overhead_ns: u64,
    /// seek to the next track in nanoseconds
    pub seek_min_ns: u64,
    /// seek over the whole disk in nanoseconds
    pub seek_max_ns: u64,
    /// turns of the platter per minute
    pub rpm: u32,
    /// commands inside the drive
    pub queue_depth: u32,
    /// seed of the rotational positions
    pub seed: u64,
}

impl Default for HddTiming {
    /// The disks of the report that began this project: 322.5 MB/s each, 7200 turns a minute.
    fn default() -> Self {
        Self {
            rate: 322_500_000,
            overhead_ns: 50_000,
            seek_min_ns: 500_000,
            seek_max_ns: 16_000_000,
            rpm: 7200,
            queue_depth: 32,
            seed: 1,
        }
    }
}

/// A spinning disk's mechanical state.
#[derive(Debug)]
pub struct Hdd {
    timing: HddTiming,
    len_bytes: u64,
    rng: Rng,
    head: u64,
    media_free: Time,
    inside: VecDeque<Time>,
}

impl Hdd {
    /// A disk at rest with its head at byte 0.
    pub fn new(timing: HddTiming, len_bytes: u64) -> Self {
        let rng = Rng::new(timing.seed);
        let inside = VecDeque::with_capacity(timing.queue_depth as usize + 1);
        Self { timing, len_bytes, rng, head: 0, media_free: Time::ZERO, inside }
    }

    /// Takes the command that arrives `now` and says when it ends.
    pub fn completes_at(&mut self, now: Time, request: &Request<'_>) -> Time {
        let mut entered = now;
        if self.inside.len() >= self.timing.queue_depth.max(1) as usize {
            entered = now.max(self.inside.pop_front().unwrap_or(now));
        }
        let start = entered.plus_nanos(self.timing.overhead_ns).max(self.media_free);
        let end = match request.op {
            Op::Flush | Op::Discard => start,
            Op::Read | Op::Write { .. } | Op::WriteZeroes { .. } => {
                let media = self.position_nanos(request.offset)
                    + transfer_nanos(request.len, self.timing.rate);
                self.head = request.offset + request.len;
                start.plus_nanos(media)
            }
        };
        self.media_free = end;
        self.inside.push_back(end);
        end
    }

    fn position_nanos(&mut self, offset: u64) -> u64 {
        if offset == self.head {
            return 0;
        }
        let distance = offset.abs_diff(self.head) as f64 / self.len_bytes.max(1) as f64;
        let range = self.timing.seek_max_ns.saturating_sub(self.timing.seek_min_ns) as f64;
        let seek = self.timing.seek_min_ns + (range * distance.sqrt()) as u64;
        let turn = 60_000_000_000 / u64::from(self.timing.rpm.max(1));
        seek + self.rng.below(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Bytes per second of `count` sequential commands of `len` bytes at a constant depth.
    fn throughput(depth: usize, len: u64, count: u64) -> f64 {
        let mut hdd = Hdd::new(HddTiming::default(), 1 << 40);
        let mut ends: VecDeque<Time> = VecDeque::new();
        let mut now = Time::ZERO;
        for i in 0..count {
            if ends.len() == depth {
                now = ends.pop_front().unwrap();
            }
            ends.push_back(hdd.completes_at(now, &write(i * len, len)));
        }
        let end = ends.pop_back().unwrap();
        (count * len) as f64 / (end.as_nanos() as f64 / 1e9)
    }

    fn write(offset: u64, len: u64) -> Request<'static> {
        Request { tag: 0, op: Op::Write { fua: false }, offset, len, segments: &[] }
    }

    #[test]
    fn sequential_throughput_follows_the_formula() {
        let media = MIB as f64 / 322.5e6;
        let formula =
            [(1, MIB as f64 / (media + 50e-6)), (2, 322.5e6), (8, 322.5e6), (64, 322.5e6)];
        for (depth, expected) in formula {
            let measured = throughput(depth, MIB, 1000);
            assert!((measured / expected - 1.0).abs() < 0.01, "depth {depth}: {measured}");
        }
        // small commands are bound by the overhead, until enough of them overlap it
        let small = throughput(1, 4096, 1000);
        assert!((small / (4096.0 / (4096.0 / 322.5e6 + 50e-6)) - 1.0).abs() < 0.01, "{small}");
        assert!(throughput(8, 4096, 1000) > 0.99 * 322.5e6);
    }

    #[test]
    fn what_is_not_sequential_costs_a_seek_and_a_part_of_a_turn() {
        let mut hdd = Hdd::new(HddTiming::default(), 1 << 40);
        let mut rng = Rng::new(3);
        let (mut now, mut total) = (Time::ZERO, 0_u64);
        for _ in 0..2000 {
            let offset = rng.below((1 << 40) / 4096) * 4096;
            let end = hdd.completes_at(now, &write(offset, 4096));
            let took = end.since(now).as_nanos() as u64;
            assert!((550_000..24_500_000).contains(&took), "{took}");
            total += took;
            now = end;
        }
        // mean of sqrt over the distance of two random points is 8/15; half a turn is 4.17 ms
        let mean_ms = total as f64 / 2000.0 / 1e6;
        let expected = 0.05 + 0.5 + 15.5 * 8.0 / 15.0 + 8.333 / 2.0 + 0.0127;
        assert!((mean_ms / expected - 1.0).abs() < 0.03, "{mean_ms} ms, expected {expected} ms");
    }

    #[test]
    fn the_queue_inside_the_drive_is_bounded() {
        let timing = HddTiming { queue_depth: 1, ..HddTiming::default() };
        let mut hdd = Hdd::new(timing, 1 << 40);
        let first = hdd.completes_at(Time::ZERO, &write(0, MIB));
        let second = hdd.completes_at(Time::ZERO, &write(MIB, MIB));
        assert_eq!(second.since(first), first.since(Time::ZERO), "no overlap at depth 1");
    }

    #[test]
    fn a_seed_repeats() {
        let run = |seed| {
            let mut hdd = Hdd::new(HddTiming { seed, ..HddTiming::default() }, 1 << 40);
            (1..50)
                .map(|i| hdd.completes_at(Time::ZERO, &write(i * MIB * 7, 512)))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
