//! Segments as the kernel takes them: address ranges, and the registered buffer they lie in.

use outboard_slots::Memory;

use super::Io;
use crate::contract::{DiskError, Segment};

/// The parts of the memory that are registered with the kernel, pinned once.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// first byte and one past the last, as offsets in the memory; empty if nothing is registered
    pub(super) start: u64,
    pub(super) end: u64,
    /// where the memory began for whoever registered it
    pub(super) base: u64,
}

impl Buffers {
    /// The buffer that holds all of `segments`, and the address their offsets count from.
    pub(super) fn of(&self, segments: &[Segment], memory: &Memory) -> (Option<u16>, u64) {
        let index_of = |offset: u64| offset.wrapping_sub(self.start) / Self::LARGEST;
        let inside = |s: &Segment| {
            s.offset >= self.start && s.offset.saturating_add(u64::from(s.len)) <= self.end
        };
        let one = segments.first().map(|first| index_of(first.offset)).filter(|&index| {
            segments.iter().all(|s| {
                inside(s)
                    && index_of(s.offset) == index
                    && index_of(s.offset + u64::from(s.len).max(1) - 1) == index
            })
        });
        match one {
            Some(index) => (Some(index as u16), self.base),
            None => (None, memory.base_address()),
        }
    }

    /// Bytes of one registered buffer, at most.
    pub(super) const LARGEST: u64 = 1 << 30;
}

/// `struct iovec` by its numbers.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Range {
    pub(super) base: usize,
    pub(super) len: usize,
}

const _: () = assert!(size_of::<Range>() == size_of::<libc::iovec>());

/// The lists of ranges of the entries that the kernel has not consumed yet.
pub(super) struct Ranges {
    all: Box<[Range]>,
    used: usize,
}

impl Ranges {
    pub(super) fn new() -> Self {
        Self { all: vec![Range::default(); Self::CAPACITY].into_boxed_slice(), used: 0 }
    }

    pub(super) fn have_room(&self, segments: usize) -> bool {
        self.all.len() - self.used >= segments.min(Self::PER_REQUEST)
    }

    /// The address ranges of a request, neighbours joined, as many as one entry can name.
    pub(super) fn add(
        &mut self,
        io: &Io<'_>,
        memory: &Memory,
        base: u64,
    ) -> Result<&[Range], DiskError> {
        let first = self.used;
        let mut skip = io.skip;
        for segment in io.segments {
            let len = u64::from(segment.len);
            if skip >= len {
                skip -= len;
                continue;
            }
            if !memory.contains(segment.offset, segment.len as usize) {
                return Err(DiskError::OutOfRange);
            }
            let range =
                Range { base: (base + segment.offset + skip) as usize, len: (len - skip) as usize };
            skip = 0;
            match self.all[first..self.used].last_mut() {
                Some(last) if last.base + last.len == range.base => last.len += range.len,
                _ if self.used - first == Self::PER_REQUEST => break,
                _ => {
                    let place = self.all.get_mut(self.used).ok_or(DiskError::Busy)?;
                    *place = range;
                    self.used += 1;
                }
            }
        }
        let list = &self.all[first..self.used];
        if list.is_empty() { Err(DiskError::OutOfRange) } else { Ok(list) }
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Ranges that one entry can name (`UIO_MAXIOV`).
    pub(super) const PER_REQUEST: usize = 1024;
    const CAPACITY: usize = 4 * Self::PER_REQUEST;
}
