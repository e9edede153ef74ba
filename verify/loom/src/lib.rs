//! Model checks of the rings and of the sleep hand-shake: `cargo xtask loom`.
//!
//! The code under test is `outboard_slots` itself, run on the model checker's atomics through
//! [`Atomics`]. Each model in `tests/` is also run on [`Atomics`] that lack one ordering; such a
//! run must fail, which shows that the model sees what the ordering is for.

use std::sync::atomic::Ordering;

use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex};
use outboard_slots::SleepFlag;
use outboard_slots::doorbell::SLEEPING;
use outboard_slots::ring::{Atomics, RingWords};

/// The model checker's atomics; `FENCED` and `RELEASED` say which orderings are kept.
#[derive(Clone, Copy, Debug)]
pub struct Model<const FENCED: bool, const RELEASED: bool>;

/// As the machine has it.
pub type Sound = Model<true, true>;
/// The sleep hand-shake without its fences.
pub type WithoutFence = Model<false, true>;
/// A ring that is published without release.
pub type WithoutRelease = Model<true, false>;

impl<const FENCED: bool, const RELEASED: bool> Atomics for Model<FENCED, RELEASED> {
    type Word32 = AtomicU32;
    type Word64 = AtomicU64;

    fn load32(word: &AtomicU32, order: Ordering) -> u32 {
        word.load(order)
    }

    /// A store that follows a swap of another thread, as the owner of a sleep flag does it. Read-
    /// modify-write operations are atomic, so the store comes after the swap in the word's order of
    /// modification; loom 0.7 leaves the two unordered and lets a third load see the swap last. A
    /// swap in place of the store has the order that the language guarantees.
    fn store32(word: &AtomicU32, value: u32, order: Ordering) {
        word.swap(value, if RELEASED { order } else { Ordering::Relaxed });
    }

    fn swap32(word: &AtomicU32, value: u32) -> u32 {
        word.swap(value, Ordering::AcqRel)
    }

    fn load64(word: &AtomicU64) -> u64 {
        word.load(Ordering::Relaxed)
    }

    fn store64(word: &AtomicU64, value: u64) {
        word.store(value, Ordering::Relaxed);
    }

    fn fence_seq_cst() {
        if FENCED {
            fence(Ordering::SeqCst);
        }
    }
}

/// [`Atomics`] on the model checker's words.
pub trait LoomAtomics: Atomics<Word32 = AtomicU32, Word64 = AtomicU64> + Send + 'static {}

impl<const FENCED: bool, const RELEASED: bool> LoomAtomics for Model<FENCED, RELEASED> {}

/// One direction of a queue pair: a ring, and the sleep flag of the side that takes from it.
#[derive(Debug)]
pub struct Way {
    tail: AtomicU32,
    entries: Vec<AtomicU64>,
    flag: AtomicU32,
    futex: Futex,
}

impl Way {
    /// An empty ring of `capacity` entries, a power of two; its taker is awake.
    pub fn new(capacity: usize) -> Self {
        Self {
            tail: AtomicU32::new(0),
            entries: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            flag: AtomicU32::new(0),
            futex: Futex::default(),
        }
    }

    /// The ring.
    pub fn ring<A: LoomAtomics>(&self) -> RingWords<'_, A> {
        RingWords { tail: &self.tail, entries: &self.entries }
    }

    /// The sleep flag of the taking side.
    pub fn flag<A: LoomAtomics>(&self) -> SleepFlag<'_, A> {
        SleepFlag::new(&self.flag)
    }

    /// Sleeps while the flag is raised; may return early, as a futex does.
    pub fn sleep(&self) {
        self.futex.wait(&self.flag);
    }

    /// Wakes the sleeper.
    pub fn wake(&self) {
        self.futex.wake();
    }
}

/// What a futex promises: comparing the word and going to sleep is one step for those who wake.
#[derive(Debug, Default)]
struct Futex {
    lock: Mutex<()>,
    wakes: Condvar,
}

impl Futex {
    fn wait(&self, word: &AtomicU32) {
        // A poisoned lock is a model that has failed already.
        let Ok(guard) = self.lock.lock() else { return };
        if word.load(Ordering::Relaxed) == SLEEPING {
            drop(self.wakes.wait(guard));
        }
    }

    fn wake(&self) {
        drop(self.lock.lock());
        self.wakes.notify_one();
    }
}
