//! The timing of flash.
//!
//! A drive has [`SsdTiming::channels`] that work in parallel and one bus to the host:
//!
//! ```text
//! channel = the one that is free first;  start = max(arrival, channel free)
//! array   = start + latency of a read or a write + jitter
//! bus     = max(arrival, bus reserved) + length / bandwidth of a read or a write
//! end     = max(array, bus)
//! jitter  = uniform in a quarter of the latency, from the seed
//! ```
//!
//! The channel is free again at `array`, the bus at `bus`. So small requests reach
//! `channels / latency` per second, large ones the bandwidth, and requests end out of order.
//! A flush takes a write's latency (no volatile cache), a discard and a zeroing the same.

use outboard_slots::Time;
use serde::{Deserialize, Serialize};

use crate::contract::{Op, Request};
use crate::rng::Rng;
use crate::sim::transfer_nanos;

/// The figures of a flash disk.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SsdTiming {
    /// nanoseconds until a read's data leaves the array
    pub read_latency_ns: u64,
    /// nanoseconds until a write's data is in the array
    pub write_latency_ns: u64,
    /// bytes per second of reads
    pub read_rate: u64,
    /// bytes per second of writes
    pub write_rate: u64,
    /// requests that proceed at the same time
    pub channels: u32,
    /// seed of the jitter
    pub seed: u64,
}

impl Default for SsdTiming {
    /// A current NVMe disk, roughly.
    fn default() -> Self {
        Self {
            read_latency_ns: 70_000,
            write_latency_ns: 20_000,
            read_rate: 3_500_000_000,
            write_rate: 3_000_000_000,
            channels: 32,
            seed: 1,
        }
    }
}

/// A flash disk's state.
#[derive(Debug)]
pub struct Ssd {
    timing: SsdTiming,
    rng: Rng,
    channels: Vec<Time>,
    bus: Time,
}

impl Ssd {
    /// A disk at rest.
    pub fn new(timing: SsdTiming) -> Self {
        let rng = Rng::new(timing.seed);
        let channels = vec![Time::ZERO; timing.channels.max(1) as usize];
        Self { timing, rng, channels, bus: Time::ZERO }
    }

    /// Takes the request that arrives `now` and says when it ends.
    pub fn completes_at(&mut self, now: Time, request: &Request<'_>) -> Time {
        let timing = &self.timing;
        let (latency, rate, bytes) = match request.op {
            Op::Read => (timing.read_latency_ns, timing.read_rate, request.len),
            Op::Write { .. } => (timing.write_latency_ns, timing.write_rate, request.len),
            Op::Flush | Op::Discard | Op::WriteZeroes { .. } => {
                (timing.write_latency_ns, timing.write_rate, 0)
            }
        };
        let jitter = self.rng.below(latency / 4 + 1);
        let mut array = now.plus_nanos(latency + jitter);
        if let Some(channel) = self.channels.iter_mut().min() {
            array = now.max(*channel).plus_nanos(latency + jitter);
            *channel = array;
        }
        if bytes == 0 {
            return array;
        }
        self.bus = now.max(self.bus).plus_nanos(transfer_nanos(bytes, rate));
        array.max(self.bus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(len: u64) -> Request<'static> {
        Request { tag: 0, op: Op::Read, offset: 0, len, segments: &[] }
    }

    /// Requests per second of `count` reads at a constant depth.
    fn rate(depth: usize, len: u64, count: usize) -> f64 {
        let mut ssd = Ssd::new(SsdTiming::default());
        let mut ends = Vec::new();
        let mut now = Time::ZERO;
        for _ in 0..count {
            if ends.len() == depth {
                ends.sort();
                now = ends.remove(0);
            }
            ends.push(ssd.completes_at(now, &read(len)));
        }
        let end = ends.into_iter().max().unwrap();
        count as f64 / (end.as_nanos() as f64 / 1e9)
    }

    #[test]
    fn small_reads_scale_with_the_channels_and_large_ones_meet_the_bandwidth() {
        let latency = 70e-6 * 1.125;
        for depth in [1, 8, 32] {
            let measured = rate(depth, 512, 20_000);
            let expected = depth as f64 / latency;
            assert!((measured / expected - 1.0).abs() < 0.03, "{depth}: {measured} {expected}");
        }
        assert!((rate(64, 512, 20_000) / rate(32, 512, 20_000) - 1.0).abs() < 0.03);
        let large = rate(8, 1 << 20, 2000) * f64::from(1 << 20);
        assert!((large / 3.5e9 - 1.0).abs() < 0.02, "{large}");
    }

    #[test]
    fn requests_end_out_of_order() {
        let mut ssd = Ssd::new(SsdTiming::default());
        let ends: Vec<_> = (0..16).map(|_| ssd.completes_at(Time::ZERO, &read(512))).collect();
        assert!(ends.windows(2).any(|w| w[0] > w[1]));
    }
}
