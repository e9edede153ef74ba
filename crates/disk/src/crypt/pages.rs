//! Scratch memory in pages, for ciphertext on its way to the disk.

use crate::contract::Segment;

/// Bytes of a page, where there is memory enough.
const PAGE_BYTES: u64 = 16 << 10;
/// Smallest page: the largest logical block.
const MIN_PAGE_BYTES: u64 = 4 << 10;
/// Pages that there should be.
const WANTED_PAGES: u64 = 64;
/// Most bytes that one request may ask for: several should find room at a time.
const LARGEST_BYTES: u64 = 256 << 10;
/// Requests of the largest kind that should find room at a time.
const WANTED_REQUESTS: u64 = 4;

/// Least bytes of scratch memory of an encrypted disk.
pub const MIN_SCRATCH_BYTES: u64 = MIN_PAGE_BYTES;

/// Too little scratch memory, or memory that is not aligned.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{len} bytes of scratch memory at {offset} are too few for an encrypted disk, or not aligned to \
     512; it needs {MIN_SCRATCH_BYTES}: give the driver fewer units"
)]
pub struct ScratchTooSmall {
    offset: u64,
    len: u64,
}

/// The pages that no request has.
#[derive(Debug)]
pub(super) struct Pages {
    page_bytes: u64,
    largest: u64,
    /// the first byte of each; the last one is taken first
    free: Vec<u64>,
}

impl Pages {
    pub(super) fn new(offset: u64, len: u64) -> Result<Self, ScratchTooSmall> {
        let fits = offset.checked_add(len).is_some() && offset.is_multiple_of(512);
        if !fits || len < MIN_SCRATCH_BYTES {
            return Err(ScratchTooSmall { offset, len });
        }
        let page_bytes = (len / WANTED_PAGES).clamp(MIN_PAGE_BYTES, PAGE_BYTES);
        let page_bytes = page_bytes / MIN_PAGE_BYTES * MIN_PAGE_BYTES;
        let count = len / page_bytes;
        let free: Vec<u64> = (0..count).rev().map(|n| offset + n * page_bytes).collect();
        let largest = (count / WANTED_REQUESTS).max(1) * page_bytes;
        Ok(Self { page_bytes, largest: largest.min(LARGEST_BYTES), free })
    }

    /// Most bytes of a request.
    pub(super) const fn largest(&self) -> u64 {
        self.largest
    }

    /// Appends room for `len` bytes to `taken`, in as few segments as possible; false, and nothing
    /// is taken, if there is not enough.
    pub(super) fn take(&mut self, len: u64, taken: &mut Vec<Segment>) -> bool {
        let count = usize::try_from(len.div_ceil(self.page_bytes)).unwrap_or(usize::MAX);
        if self.free.len() < count {
            return false;
        }
        let mut left = len;
        for page in self.free.drain(self.free.len() - count..).rev() {
            let bytes = left.min(self.page_bytes) as u32;
            left -= u64::from(bytes);
            match taken.last_mut() {
                Some(last) if last.offset + u64::from(last.len) == page => last.len += bytes,
                _ => taken.push(Segment { offset: page, len: bytes }),
            }
        }
        true
    }

    /// Takes back what [`Self::take`] gave.
    pub(super) fn give_back(&mut self, taken: &mut Vec<Segment>) {
        // In the order that lets the next one find neighbours again.
        for segment in taken.drain(..).rev() {
            let pages = u64::from(segment.len).div_ceil(self.page_bytes);
            self.free.extend((0..pages).rev().map(|n| segment.offset + n * self.page_bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_become_one_segment() {
        let mut pages = Pages::new(1 << 20, 2 << 20).unwrap();
        assert_eq!((pages.page_bytes, pages.largest()), (16 << 10, 256 << 10));
        let mut taken = Vec::new();
        assert!(pages.take(100 << 10, &mut taken));
        assert_eq!(taken, [Segment { offset: 1 << 20, len: 100 << 10 }]);
        pages.give_back(&mut taken);
        assert!(pages.take(256 << 10, &mut taken));
        assert_eq!(taken, [Segment { offset: 1 << 20, len: 256 << 10 }]);
    }

    #[test]
    fn what_cannot_be_scratch_is_refused() {
        for (offset, len) in [(0, 4095), (100, 8192), (u64::MAX - 511, 4096)] {
            assert!(Pages::new(offset, len).is_err());
        }
        assert_eq!(Pages::new(0, 4096).unwrap().largest(), 4096);
    }

    proptest! {
        #[test]
        fn nobody_gets_what_another_has(len in 4096_u64..1 << 20, asked: Vec<(bool, u64)>) {
            let mut pages = Pages::new(512, len).unwrap();
            let all = pages.free.len();
            let mut held: Vec<Vec<Segment>> = Vec::new();
            for (gives_back, len) in asked {
                if gives_back && !held.is_empty() {
                    let at = len as usize % held.len();
                    pages.give_back(&mut held.swap_remove(at));
                }
                let len = (len % pages.largest() / 512 + 1) * 512;
                let mut taken = Vec::new();
                if pages.take(len, &mut taken) {
                    prop_assert_eq!(taken.iter().map(|s| u64::from(s.len)).sum::<u64>(), len);
                    held.push(taken);
                }
                let mut ranges: Vec<_> =
                    held.iter().flatten().map(|s| (s.offset, s.offset + u64::from(s.len))).collect();
                ranges.sort_unstable();
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
                prop_assert!(ranges.iter().all(|r| r.0 >= 512 && r.1 <= 512 + (1 << 20)));
            }
            held.iter_mut().for_each(|taken| pages.give_back(taken));
            prop_assert_eq!(pages.free.len(), all);
        }
    }
}
