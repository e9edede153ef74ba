//! The host's buffer pool: a buddy allocator over the region's pool. Buffers are contiguous, whole
//! pages, aligned to their size class; every operation is bounded by the number of classes.

/// Smallest buffer in bytes: a page, so that no two tasks share one.
pub const UNIT_BYTES: u64 = 4096;
/// Size classes: 4 KiB to 1 GiB.
const CLASSES: usize = 19;
const NONE: u32 = u32::MAX;

/// A buffer: offset in the region, length as asked for, and its size class.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Buffer {
    /// first byte, as an offset in the region
    pub offset: u64,
    /// bytes asked for
    pub len: u64,
    class: u8,
}

impl Buffer {
    /// A task without data.
    pub const EMPTY: Self = Self { offset: 0, len: 0, class: u8::MAX };
}

/// The pool.
#[derive(Debug)]
pub struct BufferPool {
    base: u64,
    units: u32,
    /// first free block of each class, by unit
    free: [u32; CLASSES],
    /// for the first unit of a free block: its neighbours in the list and its class
    links: Vec<Link>,
    free_units: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    previous: u32,
    /// class of the free block that begins here; `u8::MAX` if none does
    class: u8,
}

impl BufferPool {
    /// A pool over `bytes` bytes from `base`, all free.
    pub fn new(base: u64, bytes: u64) -> Self {
        let units = (bytes / UNIT_BYTES).min(u64::from(u32::MAX - 1)) as u32;
        let unused = Link { next: NONE, previous: NONE, class: u8::MAX };
        let mut pool = Self {
            base,
            units,
            free: [NONE; CLASSES],
            links: vec![unused; units as usize],
            free_units: units,
        };
        // The largest aligned blocks that fit, from the front.
        let mut at = 0;
        while at < units {
            let by_alignment = if at == 0 { CLASSES as u32 - 1 } else { at.trailing_zeros() };
            let by_room = 31 - (units - at).leading_zeros();
            let class = by_alignment.min(by_room).min(CLASSES as u32 - 1);
            pool.link(at, class as u8);
            at += 1 << class;
        }
        pool
    }

    /// A buffer of `len` bytes; `None` if no block is large enough. Zero bytes need no buffer.
    #[inline]
    pub fn take(&mut self, len: u64) -> Option<Buffer> {
        if len == 0 {
            return Some(Buffer::EMPTY);
        }
        let units = len.div_ceil(UNIT_BYTES);
        let class = units.checked_next_power_of_two()?.trailing_zeros() as usize;
        let mut from = class;
        while *self.free.get(from)? == NONE {
            from += 1;
        }
        let unit = self.free[from];
        self.unlink(unit);
        while from > class {
            from -= 1;
            self.link(unit + (1 << from), from as u8);
        }
        self.free_units -= 1 << class;
        Some(Buffer { offset: self.base + u64::from(unit) * UNIT_BYTES, len, class: class as u8 })
    }

    /// Gives a buffer back. It must be one that this pool gave out and has not taken back.
    #[inline]
    pub fn give_back(&mut self, buffer: Buffer) {
        if usize::from(buffer.class) >= CLASSES {
            return;
        }
        let mut unit = ((buffer.offset - self.base) / UNIT_BYTES) as u32;
        let mut class = u32::from(buffer.class);
        self.free_units += 1 << class;
        debug_assert!(self.free_units <= self.units, "a buffer was given back twice");
        while class + 1 < CLASSES as u32 {
            let buddy = unit ^ (1 << class);
            match self.links.get(buddy as usize) {
                Some(link) if u32::from(link.class) == class => self.unlink(buddy),
                _ => break,
            }
            unit = unit.min(buddy);
            class += 1;
        }
        self.link(unit, class as u8);
    }

    /// Bytes not given out.
    pub fn free_bytes(&self) -> u64 {
        u64::from(self.free_units) * UNIT_BYTES
    }

    /// The largest buffer that this pool could ever give out, in bytes.
    pub fn largest(&self) -> u64 {
        UNIT_BYTES << self.units.max(1).ilog2().min(CLASSES as u32 - 1)
    }

    fn link(&mut self, unit: u32, class: u8) {
        let next = self.free[usize::from(class)];
        self.links[unit as usize] = Link { next, previous: NONE, class };
        if next != NONE {
            self.links[next as usize].previous = unit;
        }
        self.free[usize::from(class)] = unit;
    }

    fn unlink(&mut self, unit: u32) {
        let Link { next, previous, class } = self.links[unit as usize];
        if previous == NONE {
            self.free[usize::from(class)] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        self.links[unit as usize].class = u8::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buffers_never_overlap_and_all_come_back(
            pages in 1u64..700,
            ops in prop::collection::vec((0u64..200_000, any::<prop::sample::Index>()), 1..300),
        ) {
            let base = 12_288;
            let mut pool = BufferPool::new(base, pages * UNIT_BYTES);
            let mut live: Vec<Buffer> = Vec::new();
            for (len, pick) in ops {
                if len % 3 == 0 && !live.is_empty() {
                    let b = live.swap_remove(pick.index(live.len()));
                    pool.give_back(b);
                } else if let Some(b) = pool.take(len) {
                    if len == 0 { continue; }
                    prop_assert!(b.offset >= base && b.offset + b.len <= base + pages * UNIT_BYTES);
                    prop_assert_eq!((b.offset - base) % UNIT_BYTES, 0);
                    for o in &live {
                        prop_assert!(b.offset + b.len <= o.offset || o.offset + o.len <= b.offset);
                    }
                    live.push(b);
                }
            }
            for b in live { pool.give_back(b); }
            prop_assert_eq!(pool.free_bytes(), pages * UNIT_BYTES);
            // Everything merged again: the largest aligned block can be had.
            let largest = 1u64 << (63 - pages.leading_zeros());
            prop_assert_eq!(largest * UNIT_BYTES, pool.largest());
            prop_assert!(pool.take(pool.largest()).is_some());
            prop_assert!(pool.take(pool.largest() + 1).is_none());
        }
    }

    #[test]
    fn an_exhausted_pool_says_so() {
        let mut pool = BufferPool::new(0, 8 * UNIT_BYTES);
        assert!(pool.take(9 * UNIT_BYTES).is_none());
        assert!(pool.take(u64::MAX).is_none());
        let a = pool.take(8 * UNIT_BYTES).unwrap();
        assert!(pool.take(1).is_none());
        pool.give_back(a);
        assert!(pool.take(1).is_some());
        assert!(BufferPool::new(0, 0).take(1).is_none());
    }
}
