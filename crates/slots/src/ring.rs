//! An index ring: one producer, one consumer, in shared memory.
//!
//! A ring never fills: its capacity is at least the number of slots, and an index is pushed only
//! by the side that owns its slot. So the producer never reads the consumer's position, and one
//! word (`tail`) crosses the boundary per *bundle*.
//!
//! The algorithm is generic over the words it runs on, so that the model checker can run the very
//! same code on its own atomics (`verify/loom`).

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A ring entry: a slot and the generation of its submission.
///
/// The generation is new for each submission and echoed by the completion, so that a second
/// completion after the slot's reuse is recognised.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Entry(u64);

impl Entry {
    const INDEX_BITS: u32 = 16;

    /// Slot `index`, submission `generation` (its low 48 bits count).
    pub const fn new(index: u16, generation: u64) -> Self {
        Self((generation << Self::INDEX_BITS) | index as u64)
    }

    /// The slot. A peer's index is data, not a promise: check it before use.
    pub const fn index(self) -> u16 {
        self.0 as u16
    }

    /// The submission's generation, 48 bits.
    pub const fn generation(self) -> u64 {
        self.0 >> Self::INDEX_BITS
    }

    /// The next generation after `generation`, wrapping at 48 bits and never 0.
    pub const fn next_generation(generation: u64) -> u64 {
        let next = (generation + 1) & (u64::MAX >> Self::INDEX_BITS);
        if next == 0 { 1 } else { next }
    }

    /// As stored in the ring.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// From the ring.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// The atomics a ring and its sleep flags run on: the machine's, or a model checker's.
pub trait Atomics {
    /// A 32-bit word.
    type Word32;
    /// A 64-bit word.
    type Word64;

    /// Loads with `order`.
    fn load32(word: &Self::Word32, order: Ordering) -> u32;
    /// Stores with `order`.
    fn store32(word: &Self::Word32, value: u32, order: Ordering);
    /// Swaps, acquiring and releasing.
    fn swap32(word: &Self::Word32, value: u32) -> u32;
    /// Loads, relaxed.
    fn load64(word: &Self::Word64) -> u64;
    /// Stores, relaxed.
    fn store64(word: &Self::Word64, value: u64);
    /// A sequentially consistent fence.
    fn fence_seq_cst();
}

/// The machine's atomics.
#[derive(Clone, Copy, Debug)]
pub struct Native;

impl Atomics for Native {
    type Word32 = AtomicU32;
    type Word64 = AtomicU64;

    #[inline]
    fn load32(word: &AtomicU32, order: Ordering) -> u32 {
        word.load(order)
    }

    #[inline]
    fn store32(word: &AtomicU32, value: u32, order: Ordering) {
        word.store(value, order);
    }

    #[inline]
    fn swap32(word: &AtomicU32, value: u32) -> u32 {
        word.swap(value, Ordering::AcqRel)
    }

    #[inline]
    fn load64(word: &AtomicU64) -> u64 {
        word.load(Ordering::Relaxed)
    }

    #[inline]
    fn store64(word: &AtomicU64, value: u64) {
        word.store(value, Ordering::Relaxed);
    }

    #[inline]
    fn fence_seq_cst() {
        fence(Ordering::SeqCst);
    }
}

/// The shared words of one ring.
#[derive(Debug)]
pub struct RingWords<'a, A: Atomics = Native> {
    /// Number of entries ever published, modulo 2^32.
    pub tail: &'a A::Word32,
    /// The entries; a power of two of them.
    pub entries: &'a [A::Word64],
}

impl<A: Atomics> Clone for RingWords<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Atomics> Copy for RingWords<'_, A> {}

impl<A: Atomics> RingWords<'_, A> {
    #[inline]
    fn entry(&self, position: u32) -> &A::Word64 {
        // A power-of-two length keeps the masked index inside; see `Producer::new`.
        &self.entries[position as usize & (self.entries.len() - 1)]
    }
}

/// The pushing side. Its position is private: nothing the peer writes is read back.
#[derive(Debug, Default)]
pub struct Producer {
    next: u32,
    published: u32,
}

impl Producer {
    /// At the beginning of a zeroed ring.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes an entry; the consumer sees it with the next [`Self::publish`].
    #[inline]
    pub fn push<A: Atomics>(&mut self, ring: RingWords<'_, A>, entry: Entry) {
        A::store64(ring.entry(self.next), entry.to_bits());
        self.next = self.next.wrapping_add(1);
    }

    /// How many entries are pushed and not yet published.
    #[inline]
    pub fn unpublished(&self) -> u32 {
        self.next.wrapping_sub(self.published)
    }

    /// Entries ever published, modulo 2^32: the *submission sequence* of this ring.
    #[inline]
    pub fn sequence(&self) -> u32 {
        self.published
    }

    /// Makes all pushed entries visible: one bundle. Returns how many there were.
    #[inline]
    pub fn publish<A: Atomics>(&mut self, ring: RingWords<'_, A>) -> u32 {
        let count = self.unpublished();
        if count != 0 {
            A::store32(ring.tail, self.next, Ordering::Release);
            self.published = self.next;
        }
        count
    }
}

/// The producer's tail claims more entries than the ring holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "ring index jumped: {claimed} entries claimed, capacity {capacity}; the peer spoiled its ring"
)]
pub struct RingViolation {
    /// entries the peer claims to have published
    pub claimed: u32,
    /// entries the ring holds
    pub capacity: u32,
}

/// The taking side.
#[derive(Debug, Default)]
pub struct Consumer {
    head: u32,
    seen: u32,
}

impl Consumer {
    /// At the beginning of a zeroed ring.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries wait. Reads the peer's tail once.
    #[inline]
    pub fn poll<A: Atomics>(&mut self, ring: RingWords<'_, A>) -> Result<u32, RingViolation> {
        self.seen = A::load32(ring.tail, Ordering::Acquire);
        let claimed = self.seen.wrapping_sub(self.head);
        let capacity = ring.entries.len() as u32;
        if claimed > capacity {
            return Err(RingViolation { claimed, capacity });
        }
        Ok(claimed)
    }

    /// The next entry of those that the last [`Self::poll`] saw.
    #[inline]
    pub fn take<A: Atomics>(&mut self, ring: RingWords<'_, A>) -> Option<Entry> {
        if self.head == self.seen {
            return None;
        }
        let bits = A::load64(ring.entry(self.head));
        self.head = self.head.wrapping_add(1);
        Some(Entry::from_bits(bits))
    }

    /// Entries ever taken, modulo 2^32.
    #[inline]
    pub fn sequence(&self) -> u32 {
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(n: usize) -> (AtomicU32, Vec<AtomicU64>) {
        (AtomicU32::new(0), (0..n).map(|_| AtomicU64::new(0)).collect())
    }

    #[test]
    fn an_unpublished_entry_is_invisible() {
        let (tail, entries) = words(4);
        let ring = RingWords::<Native> { tail: &tail, entries: &entries };
        let (mut p, mut c) = (Producer::new(), Consumer::new());
        p.push(ring, Entry::new(3, 9));
        assert_eq!(c.poll(ring), Ok(0));
        assert_eq!(c.take(ring), None);
        assert_eq!(p.publish(ring), 1);
        assert_eq!(c.poll(ring), Ok(1));
        assert_eq!(c.take(ring), Some(Entry::new(3, 9)));
        assert_eq!(c.take(ring), None);
    }

    #[test]
    fn a_tail_that_jumps_is_a_violation() {
        let (tail, entries) = words(4);
        let ring = RingWords::<Native> { tail: &tail, entries: &entries };
        let mut c = Consumer::new();
        tail.store(5, Ordering::Relaxed);
        assert_eq!(c.poll(ring), Err(RingViolation { claimed: 5, capacity: 4 }));
        tail.store(u32::MAX, Ordering::Relaxed);
        assert!(c.poll(ring).is_err(), "a tail that runs backwards");
    }

    #[test]
    fn generations_skip_zero_and_wrap_at_48_bits() {
        assert_eq!(Entry::next_generation(0), 1);
        assert_eq!(Entry::next_generation((1 << 48) - 1), 1);
        let e = Entry::new(u16::MAX, (1 << 48) - 1);
        assert_eq!((e.index(), e.generation()), (u16::MAX, (1 << 48) - 1));
    }

    proptest! {
        #[test]
        fn everything_arrives_once_and_in_order(batches in prop::collection::vec((0u32..9, 0u32..9), 1..200)) {
            let (tail, entries) = words(8);
            let ring = RingWords::<Native> { tail: &tail, entries: &entries };
            // Start near the wrap of the 32-bit position.
            let start = u32::MAX - 20;
            tail.store(start, Ordering::Relaxed);
            let mut p = Producer { next: start, published: start };
            let mut c = Consumer { head: start, seen: start };
            let (mut sent, mut got) = (0u64, 0u64);
            for (push, take) in batches {
                for _ in 0..push.min(8 - (sent - got) as u32) {
                    p.push(ring, Entry::new(sent as u16, sent));
                    sent += 1;
                }
                p.publish(ring);
                prop_assert_eq!(u64::from(c.poll(ring).unwrap()), sent - got);
                for _ in 0..take {
                    if let Some(e) = c.take(ring) {
                        prop_assert_eq!(e, Entry::new(got as u16, got));
                        got += 1;
                    }
                }
            }
        }
    }
}
