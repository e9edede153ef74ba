//! Where everything stands in a region: computed from four numbers, the same on both sides.

use crate::memory::PAGE_BYTES;

/// Most indices in one bundle (`kMaxBundledParallelTasks`).
pub const MAX_BUNDLE: usize = 32;
/// Most slots of a region; an index is 16 bits, and 65535 is left free as "no slot".
pub const MAX_SLOTS: u32 = 32_768;
/// Most queue pairs of a region.
pub const MAX_QUEUES: u32 = 64;
/// Most bytes of the buffer area: what one io_uring buffer registration takes.
pub const MAX_BUFFER_BYTES: u64 = 1 << 30;

pub(crate) const COMMAND_BYTES: u64 = 128;
pub(crate) const RESPONSE_BYTES: u64 = 384;
pub(crate) const EXTENSION_BYTES: u64 = 64;
/// One cache line per word that one side writes and the other reads.
pub(crate) const LINE: u64 = 64;
/// Shared words of one queue pair: see [`crate::QueueWords`].
pub(crate) const WORD_LINES: u64 = 6;

const _: () = assert!(MAX_SLOTS < u16::MAX as u32);

/// The four numbers that a region is made from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RegionConfig {
    /// slots of one queue pair, 1 to [`MAX_SLOTS`] over all queues
    pub slots_per_queue: u32,
    /// queue pairs, 1 to [`MAX_QUEUES`]; queue `q` owns slots `q * slots_per_queue ..`
    pub queues: u32,
    /// bytes of the host's buffer pool
    pub pool_bytes: u64,
    /// bytes of scratch memory for the driver's own use, per queue
    pub scratch_bytes: u64,
}

/// Why four numbers make no region.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// slots or queues
    #[error(
        "{queues} queues of {slots} slots: need 1 to {MAX_QUEUES} queues and 1 to {MAX_SLOTS} slots in all"
    )]
    Counts {
        /// queues asked for
        queues: u32,
        /// slots asked for, per queue
        slots: u32,
    },
    /// buffers
    #[error(
        "{bytes} bytes of buffers: at most {MAX_BUFFER_BYTES} can be registered; lower the queue depth or the command size"
    )]
    Buffers {
        /// bytes asked for
        bytes: u64,
    },
}

/// Offsets of a region's areas, in bytes from its beginning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// what it was made from; areas are rounded up to whole pages
    pub config: RegionConfig,
    /// entries of each ring, a power of two
    pub ring_entries: u32,
    pub(crate) words: u64,
    pub(crate) rings: u64,
    pub(crate) commands: u64,
    pub(crate) responses: u64,
    pub(crate) extensions: u64,
    /// where the buffer pool begins
    pub pool: u64,
    /// where the scratch memory begins
    pub scratch: u64,
    /// length of the whole region
    pub len: u64,
}

impl Layout {
    /// Checks the numbers and places the areas.
    pub fn new(config: RegionConfig) -> Result<Self, LayoutError> {
        let RegionConfig { slots_per_queue, queues, pool_bytes, scratch_bytes } = config;
        let slots = u64::from(slots_per_queue) * u64::from(queues);
        if slots == 0 || slots > u64::from(MAX_SLOTS) || queues > MAX_QUEUES {
            return Err(LayoutError::Counts { queues, slots: slots_per_queue });
        }
        let buffers = scratch_bytes
            .checked_mul(u64::from(queues))
            .and_then(|s| s.checked_add(pool_bytes).filter(|b| *b <= MAX_BUFFER_BYTES));
        if buffers.is_none() {
            return Err(LayoutError::Buffers { bytes: pool_bytes.saturating_add(scratch_bytes) });
        }
        let ring_entries = slots_per_queue.next_power_of_two();
        let mut end = 0;
        let mut place = |bytes: u64| {
            let at = end;
            end = (at + bytes).next_multiple_of(PAGE_BYTES as u64);
            at
        };
        place(PAGE_BYTES as u64); // header
        let words = place(u64::from(queues) * WORD_LINES * LINE);
        let rings = place(u64::from(queues) * u64::from(ring_entries) * 8 * 2);
        let commands = place(slots * COMMAND_BYTES);
        let responses = place(slots * RESPONSE_BYTES);
        let extensions = place(slots * EXTENSION_BYTES);
        let pool = place(pool_bytes);
        let scratch_each = scratch_bytes.next_multiple_of(PAGE_BYTES as u64);
        let scratch = place(scratch_each * u64::from(queues));
        let config = RegionConfig {
            pool_bytes: pool_bytes.next_multiple_of(PAGE_BYTES as u64),
            scratch_bytes: scratch_each,
            ..config
        };
        Ok(Self {
            config,
            ring_entries,
            words,
            rings,
            commands,
            responses,
            extensions,
            pool,
            scratch,
            len: end,
        })
    }

    /// All slots of the region.
    pub const fn slots(&self) -> u32 {
        self.config.slots_per_queue * self.config.queues
    }

    /// The slots that queue `queue` owns.
    pub fn slots_of(&self, queue: u32) -> core::ops::Range<u32> {
        let first = queue * self.config.slots_per_queue;
        first..first + self.config.slots_per_queue
    }

    /// Offset and length of the area that data buffers and scratch memory share: what a driver
    /// registers with the kernel.
    pub const fn buffers(&self) -> (u64, u64) {
        (self.pool, self.len - self.pool)
    }

    /// Offset and length of queue `queue`'s scratch memory.
    pub const fn scratch_of(&self, queue: u32) -> (u64, u64) {
        (self.scratch + queue as u64 * self.config.scratch_bytes, self.config.scratch_bytes)
    }

    /// Whether `len` bytes from `offset` lie in the buffer pool: the rule for every buffer a
    /// command names.
    #[inline]
    pub const fn pool_contains(&self, offset: u64, len: u64) -> bool {
        offset >= self.pool
            && offset - self.pool <= self.config.pool_bytes
            && len <= self.config.pool_bytes - (offset - self.pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn areas_follow_each_other_and_never_overlap(
            slots_per_queue in 1u32..600, queues in 1u32..20,
            pool_bytes in 0u64..100_000_000, scratch_bytes in 0u64..1_000_000,
        ) {
            let l = Layout::new(RegionConfig { slots_per_queue, queues, pool_bytes, scratch_bytes }).unwrap();
            let n = u64::from(l.slots());
            let ends = [
                (l.words, u64::from(queues) * WORD_LINES * LINE),
                (l.rings, u64::from(queues) * u64::from(l.ring_entries) * 16),
                (l.commands, n * 128), (l.responses, n * 384), (l.extensions, n * 64),
                (l.pool, pool_bytes), (l.scratch, u64::from(queues) * scratch_bytes),
            ];
            let mut last = PAGE_BYTES as u64;
            for (at, bytes) in ends {
                prop_assert!(at >= last);
                prop_assert_eq!(at % PAGE_BYTES as u64, 0);
                last = at + bytes;
            }
            prop_assert!(l.len >= last);
            prop_assert!(l.ring_entries >= slots_per_queue);
        }
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let ok =
            RegionConfig { slots_per_queue: 32, queues: 1, pool_bytes: 1 << 20, scratch_bytes: 0 };
        assert!(Layout::new(ok).is_ok());
        assert!(Layout::new(RegionConfig { slots_per_queue: 0, ..ok }).is_err());
        assert!(Layout::new(RegionConfig { queues: 0, ..ok }).is_err());
        assert!(Layout::new(RegionConfig { slots_per_queue: 40_000, ..ok }).is_err());
        assert!(
            Layout::new(RegionConfig { slots_per_queue: u32::MAX, queues: u32::MAX, ..ok })
                .is_err()
        );
        assert!(Layout::new(RegionConfig { pool_bytes: u64::MAX, ..ok }).is_err());
        assert!(Layout::new(RegionConfig { scratch_bytes: u64::MAX, ..ok }).is_err());
    }

    #[test]
    fn the_pool_rule_holds_at_its_edges() {
        let l = Layout::new(RegionConfig {
            slots_per_queue: 1,
            queues: 1,
            pool_bytes: 8192,
            scratch_bytes: 4096,
        })
        .unwrap();
        assert!(l.pool_contains(l.pool, 8192));
        assert!(!l.pool_contains(l.pool, 8193));
        assert!(!l.pool_contains(l.pool - 1, 1));
        assert!(l.pool_contains(l.pool + 8192, 0));
        assert!(!l.pool_contains(l.pool + 8193, 0));
        assert!(!l.pool_contains(u64::MAX, u64::MAX));
    }
}
