//! Shares of the buffer pool: a session whose initiator does not read must not hold all of it.

/// Buffers by nexus.
///
/// A session may hold as much as is free beside it: alone, half of the pool; of several that take all
/// they can get, each less than the one before, and something is always free for the next.
#[derive(Debug, Default)]
pub struct Shares {
    /// bytes by nexus
    held: Vec<u64>,
    /// nexus and bytes by slot
    slots: Vec<(u16, u64)>,
}

impl Shares {
    /// Whether `nexus` may take `len` bytes more while `free` bytes are free. The first buffer is
    /// everybody's.
    #[inline]
    pub fn allow(&self, nexus: u16, len: u64, free: u64) -> bool {
        match self.held.get(usize::from(nexus)) {
            Some(&held) if held != 0 => held.saturating_add(len) <= free,
            _ => true,
        }
    }

    /// The task in `slot` has taken a buffer.
    #[inline]
    pub fn take(&mut self, slot: u16, nexus: u16, len: u64) {
        self.give_back(slot);
        let (at, of) = (usize::from(slot), usize::from(nexus));
        if self.slots.len() <= at {
            self.slots.resize(at + 1, (0, 0));
        }
        if self.held.len() <= of {
            self.held.resize(of + 1, 0);
        }
        if let (Some(slot), Some(held)) = (self.slots.get_mut(at), self.held.get_mut(of)) {
            *slot = (nexus, len);
            *held += len;
        }
    }

    /// It has given it back.
    #[inline]
    pub fn give_back(&mut self, slot: u16) {
        let Some(slot) = self.slots.get_mut(usize::from(slot)) else { return };
        let (nexus, len) = std::mem::take(slot);
        if let Some(held) = self.held.get_mut(usize::from(nexus)) {
            *held = held.saturating_sub(len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_free_for_the_next() {
        let mut shares = Shares::default();
        let (mut free, mut slot) = (64, 0);
        for nexus in 0..4 {
            while shares.allow(nexus, 1, free) {
                shares.take(slot, nexus, 1);
                (free, slot) = (free - 1, slot + 1);
            }
        }
        assert_eq!((shares.held.as_slice(), free), ([32, 16, 8, 4].as_slice(), 4));
        assert!(shares.allow(4, 8, free), "the first is everybody's");
        (0..32).for_each(|slot| shares.give_back(slot));
        assert!(shares.allow(0, 1, free + 32));
        shares.give_back(0);
        assert_eq!(shares.held[0], 0);

        // A slot has one task: what an earlier one was said to hold is not held any more.
        shares.take(1, 5, 5);
        shares.take(1, 6, 7);
        assert_eq!((shares.held[5], shares.held[6]), (0, 7));
    }
}
