//! Latencies: counted by an I/O thread in constant time, summed up when somebody asks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Number of buckets. Bucket `i` counts what took less than 2^i microseconds and not less than the
/// bucket before; the last one has no upper end.
pub const LATENCY_BUCKETS: usize = 26;

/// Counts by latency, kept by one thread.
///
/// ```
/// let mut counts = outboard_serve::status::LatencyCounts::default();
/// counts.record(1_500);
/// assert_eq!(counts.summary().count, 1);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LatencyCounts {
    buckets: [u64; LATENCY_BUCKETS],
    sum_ns: u64,
}

/// A summary. Percentiles are the upper ends of their buckets: right to a factor of two.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    /// tasks counted
    pub count: u64,
    /// sum over them
    pub sum_ns: u64,
    /// half of them took less
    pub p50_ns: u64,
    /// 99 of 100 took less
    pub p99_ns: u64,
    /// 999 of 1000 took less
    pub p999_ns: u64,
    /// tasks by latency: entry `i` took less than 2^i microseconds and not less than the entry
    /// before; the last entry has no upper end
    pub buckets: Vec<u64>,
}

impl LatencyCounts {
    /// Counts a task.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket(ns)) {
            *bucket = bucket.wrapping_add(1);
        }
        self.sum_ns = self.sum_ns.wrapping_add(ns);
    }

    /// Adds what another thread has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.wrapping_add(*theirs);
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }

    /// In figures.
    pub fn summary(&self) -> Latency {
        let count: u64 = self.buckets.iter().sum();
        Latency {
            count,
            sum_ns: self.sum_ns,
            p50_ns: self.percentile(count, 500),
            p99_ns: self.percentile(count, 990),
            p999_ns: self.percentile(count, 999),
            buckets: self.buckets.to_vec(),
        }
    }

    /// The upper end of the bucket in which `per_mille` of all tasks are reached.
    fn percentile(&self, count: u64, per_mille: u128) -> u64 {
        let wanted = (u128::from(count) * per_mille).div_ceil(1000);
        let mut reached = 0_u128;
        for (i, bucket) in self.buckets.iter().enumerate() {
            reached += u128::from(*bucket);
            if wanted > 0 && reached >= wanted {
                return upper_ns(i);
            }
        }
        0
    }
}

impl Latency {
    /// The mean; 0 if nothing was counted.
    pub fn mean_ns(&self) -> u64 {
        self.sum_ns.checked_div(self.count).unwrap_or(0)
    }
}

/// Upper end of a bucket; of the last one its lower end doubled.
pub(crate) fn upper_ns(bucket: usize) -> u64 {
    1000 << bucket.min(LATENCY_BUCKETS - 1)
}

#[inline]
fn bucket(ns: u64) -> usize {
    let us = ns / 1000;
    ((u64::BITS - us.leading_zeros()) as usize).min(LATENCY_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_zero() {
        let summary = LatencyCounts::default().summary();
        assert_eq!((summary.count, summary.p50_ns, summary.p999_ns), (0, 0, 0));
        assert_eq!(summary.mean_ns(), 0);
    }

    #[test]
    fn percentiles_are_upper_ends() {
        let mut counts = LatencyCounts::default();
        for _ in 0..990 {
            counts.record(3_000);
        }
        for _ in 0..10 {
            counts.record(900_000);
        }
        let summary = counts.summary();
        assert_eq!((summary.count, summary.mean_ns()), (1000, 11_970));
        assert_eq!((summary.p50_ns, summary.p99_ns, summary.p999_ns), (4_000, 4_000, 1_024_000));
        let mut twice = counts.clone();
        twice.merge(&counts);
        assert_eq!(twice.summary().count, 2000);
    }

    proptest! {
        #[test]
        fn each_latency_has_its_bucket(ns: u64) {
            let i = bucket(ns);
            prop_assert!(i < LATENCY_BUCKETS);
            prop_assert!(ns < upper_ns(i) || i == LATENCY_BUCKETS - 1);
            prop_assert!(i == 0 || ns >= upper_ns(i - 1));
        }
    }
}
