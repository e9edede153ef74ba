//! The sleep hand-shake: work that is published wakes a sleeper, and wakes it once.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a model that cannot go on has failed")]

use loom::sync::Arc;
use loom::thread;
use outboard_loom::{LoomAtomics, Sound, Way, WithoutFence};
use outboard_slots::doorbell::Bell;
use outboard_slots::{Consumer, Entry, Producer};

/// One hand-shake, judged by its outcome: who sees no work sleeps, and who sleeps is rung.
fn no_wake_up_is_lost<A: LoomAtomics>() {
    loom::model(|| {
        let way = Arc::new(Way::new(1));
        let ringing = thread::spawn({
            let way = way.clone();
            move || {
                let mut producer = Producer::new();
                producer.push(way.ring::<A>(), Entry::new(0, 1));
                producer.publish(way.ring::<A>());
                way.flag::<A>().must_ring()
            }
        });
        way.flag::<A>().announce();
        let sleeps = Consumer::new().poll(way.ring::<A>()) == Ok(0);
        let rung = ringing.join().unwrap();
        assert!(rung || !sleeps, "lost wake-up: the sleeper saw no work, the ringer no sleeper");
    });
}

/// The whole loop of a consumer that sleeps whenever there is nothing: a lost wake-up is a
/// deadlock.
fn a_sleeping_consumer_gets_everything<A: LoomAtomics>() {
    const ENTRIES: u64 = 2;
    loom::model(|| {
        let way = Arc::new(Way::new(2));
        let producing = thread::spawn({
            let way = way.clone();
            move || {
                let mut producer = Producer::new();
                for n in 0..ENTRIES {
                    producer.push(way.ring::<A>(), Entry::new(n as u16, n));
                    producer.publish(way.ring::<A>());
                    if way.flag::<A>().must_ring() {
                        way.wake();
                    }
                }
            }
        });
        let (mut consumer, mut got) = (Consumer::new(), 0);
        while got < ENTRIES {
            way.flag::<A>().announce();
            if consumer.poll(way.ring::<A>()) == Ok(0) {
                way.sleep();
            }
            way.flag::<A>().withdraw();
            consumer.poll(way.ring::<A>()).expect("no more than the ring holds");
            while let Some(entry) = consumer.take(way.ring::<A>()) {
                assert_eq!(entry, Entry::new(got as u16, got));
                got += 1;
            }
        }
        producing.join().unwrap();
    });
}

/// The same with the fence put off until the ringer has nothing left to do.
fn a_late_fence_is_enough<A: LoomAtomics>() {
    loom::model(|| {
        let way = Arc::new(Way::new(2));
        let ringing = thread::spawn({
            let way = way.clone();
            move || {
                let (mut producer, mut bell) = (Producer::new(), Bell::default());
                let mut rung = false;
                for n in 0..2 {
                    producer.push(way.ring::<A>(), Entry::new(n, 1));
                    producer.publish(way.ring::<A>());
                    rung |= bell.published(way.flag::<A>());
                }
                rung | bell.settle(way.flag::<A>())
            }
        });
        way.flag::<A>().announce();
        let sees = Consumer::new().poll(way.ring::<A>()).unwrap();
        let rung = ringing.join().unwrap();
        assert!(rung || sees == 2, "lost wake-up: the sleeper saw {sees} of 2");
    });
}

#[test]
fn the_fence_may_come_late() {
    a_late_fence_is_enough::<Sound>();
}

#[test]
#[should_panic(expected = "lost wake-up")]
fn the_fence_must_come() {
    a_late_fence_is_enough::<WithoutFence>();
}

#[test]
fn a_sleeper_is_rung() {
    no_wake_up_is_lost::<Sound>();
}

#[test]
#[should_panic(expected = "lost wake-up")]
fn without_the_fence_a_sleeper_is_not_rung() {
    no_wake_up_is_lost::<WithoutFence>();
}

#[test]
fn a_sleeper_goes_on() {
    a_sleeping_consumer_gets_everything::<Sound>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_fence_a_sleeper_sleeps_for_ever() {
    a_sleeping_consumer_gets_everything::<WithoutFence>();
}

#[test]
fn one_of_two_ringers_rings() {
    loom::model(|| {
        let way = Arc::new(Way::new(1));
        way.flag::<Sound>().announce();
        let other = thread::spawn({
            let way = way.clone();
            move || way.flag::<Sound>().must_ring()
        });
        let ours = way.flag::<Sound>().must_ring();
        assert!(ours != other.join().unwrap(), "one system call for one sleep");
    });
}
