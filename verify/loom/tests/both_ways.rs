//! Submission and completion at once, each side sleeping when it has nothing to do, over rings as
//! small as they get: one slot, used again and again. It shows why a producer need not read its
//! consumer's position: only the owner of a slot pushes its index, so the entry it overwrites has
//! been taken.

#![allow(clippy::unwrap_used, reason = "a model that cannot go on has failed")]

use std::sync::atomic::Ordering;

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use outboard_loom::{Sound, Way};
use outboard_slots::{Consumer, Entry, Producer};

const TASKS: u64 = 3;
/// Involuntary switches of threads that are explored: seconds instead of hours.
const SWITCHES: usize = 3;

#[derive(Debug)]
struct Pair {
    submission: Way,
    completion: Way,
    /// The command and response slot 0.
    command: AtomicU32,
    response: AtomicU32,
}

/// The host reuses slot 0 for each task; the driver answers with the command plus one. A lost
/// wake-up of either side is a deadlock.
#[test]
fn a_slot_is_used_again_and_again() {
    let mut model = Builder::new();
    model.preemption_bound = Some(SWITCHES);
    model.check(|| {
        let pair = Arc::new(Pair {
            submission: Way::new(1),
            completion: Way::new(1),
            command: AtomicU32::new(0),
            response: AtomicU32::new(0),
        });
        let driver = thread::spawn({
            let pair = pair.clone();
            move || drive(&pair)
        });
        let (mut producer, mut consumer) = (Producer::new(), Consumer::new());
        for generation in 1..=TASKS {
            pair.command.store(10 * generation as u32, Ordering::Relaxed);
            send(&mut producer, &pair.submission, generation);
            receive(&mut consumer, &pair.completion, generation);
            assert_eq!(pair.response.load(Ordering::Relaxed), 10 * generation as u32 + 1);
        }
        driver.join().unwrap();
    });
}

fn drive(pair: &Pair) {
    let (mut producer, mut consumer) = (Producer::new(), Consumer::new());
    for generation in 1..=TASKS {
        receive(&mut consumer, &pair.submission, generation);
        let command = pair.command.load(Ordering::Relaxed);
        pair.response.store(command + 1, Ordering::Relaxed);
        send(&mut producer, &pair.completion, generation);
    }
}

fn send(producer: &mut Producer, way: &Way, generation: u64) {
    producer.push(way.ring::<Sound>(), Entry::new(0, generation));
    producer.publish(way.ring::<Sound>());
    if way.flag::<Sound>().must_ring() {
        way.wake();
    }
}

fn receive(consumer: &mut Consumer, way: &Way, generation: u64) {
    while consumer.poll(way.ring::<Sound>()) == Ok(0) {
        way.flag::<Sound>().announce();
        if consumer.poll(way.ring::<Sound>()) == Ok(0) {
            way.sleep();
        }
        way.flag::<Sound>().withdraw();
    }
    assert_eq!(consumer.take(way.ring::<Sound>()), Some(Entry::new(0, generation)));
    assert_eq!(consumer.take(way.ring::<Sound>()), None);
}
