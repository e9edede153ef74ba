//! The index ring alone: push, publish, ask whether to ring, poll, take.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64};

use outboard_slots::ring::{Native, RingWords};
use outboard_slots::{Consumer, Entry, Producer, SleepFlag};

/// `rounds` bundles of `N` entries to a consumer that is awake.
pub(crate) fn bundles<const N: u32>(rounds: u32) {
    let (tail, flag) = (AtomicU32::new(0), AtomicU32::new(0));
    let entries: [AtomicU64; 32] = std::array::from_fn(|_| AtomicU64::new(0));
    let ring = black_box(RingWords::<Native> { tail: &tail, entries: &entries });
    let flag = SleepFlag::<Native>::new(black_box(&flag));
    let (mut producer, mut consumer) = (Producer::new(), Consumer::new());
    for round in 0..rounds {
        for index in 0..N {
            producer.push(ring, Entry::new(index as u16, u64::from(round)));
        }
        producer.publish(ring);
        black_box(flag.must_ring());

        let waiting = consumer.poll(ring).unwrap_or(0);
        for _ in 0..waiting {
            black_box(consumer.take(ring));
        }
    }
}
