//! Entries arrive once, in order, with everything written before they were published.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a model that cannot go on has failed")]

use std::sync::atomic::Ordering;

use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use outboard_loom::{LoomAtomics, Sound, Way, WithoutRelease};
use outboard_slots::{Consumer, Entry, Producer};

const BUNDLES: [u16; 2] = [2, 1];
const ENTRIES: usize = 3;

/// The producer fills a slot, pushes its index, and publishes bundle after bundle; the consumer
/// polls meanwhile. Slots are relaxed words: only the ring orders them.
fn bundles_to_a_polling_consumer<A: LoomAtomics>() {
    loom::model(|| {
        let way = Arc::new(Way::new(4));
        let slots: Arc<[AtomicU32; ENTRIES]> = Arc::new(std::array::from_fn(|_| AtomicU32::new(0)));

        let producing = thread::spawn({
            let (way, slots) = (way.clone(), slots.clone());
            move || produce::<A>(&way, &*slots)
        });
        let (mut consumer, mut taken) = (Consumer::new(), 0);
        for _ in 0..2 {
            taken = take_all::<A>(&mut consumer, &way, &*slots, taken);
        }
        producing.join().unwrap();
        taken = take_all::<A>(&mut consumer, &way, &*slots, taken);
        assert_eq!(taken, ENTRIES, "everything published has arrived");
    });
}

fn produce<A: LoomAtomics>(way: &Way, slots: &[AtomicU32]) {
    let (mut producer, mut next) = (Producer::new(), 0);
    for bundle in BUNDLES {
        for _ in 0..bundle {
            slots[usize::from(next)].store(content(next), Ordering::Relaxed);
            producer.push(way.ring::<A>(), entry(next));
            next += 1;
        }
        assert_eq!(producer.publish(way.ring::<A>()), u32::from(bundle));
    }
}

fn take_all<A: LoomAtomics>(
    consumer: &mut Consumer,
    way: &Way,
    slots: &[AtomicU32],
    mut taken: usize,
) -> usize {
    let waiting = consumer.poll(way.ring::<A>()).expect("no more than the ring holds");
    for _ in 0..waiting {
        let index = taken as u16;
        assert_eq!(consumer.take(way.ring::<A>()), Some(entry(index)), "once, in order, whole");
        assert_eq!(slots[taken].load(Ordering::Relaxed), content(index), "with its slot");
        taken += 1;
    }
    assert_eq!(consumer.take(way.ring::<A>()), None, "nothing unpublished");
    taken
}

fn entry(index: u16) -> Entry {
    Entry::new(index, 7 + u64::from(index))
}

fn content(index: u16) -> u32 {
    100 + u32::from(index)
}

#[test]
fn everything_arrives_once_and_in_order() {
    bundles_to_a_polling_consumer::<Sound>();
}

#[test]
#[should_panic(expected = "once, in order, whole")]
fn without_release_an_entry_is_seen_too_early() {
    bundles_to_a_polling_consumer::<WithoutRelease>();
}
