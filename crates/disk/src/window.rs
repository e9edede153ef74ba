//! Window: a range of a disk that is a disk of its own, such as the data area of an array's member.

use outboard_slots::Time;
use serde::{Deserialize, Serialize};

use crate::contract::{Allocation, Completion, Disk, DiskError, Limits, Rejected, Request};
use crate::engine::Engine;

/// Which range, in bytes; both are multiples of the disk's block.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct WindowSpec {
    /// first byte
    pub offset: u64,
    /// length; `None` = up to the disk's end
    pub len: Option<u64>,
}

impl WindowSpec {
    /// The limits of the range of a disk with these limits; `None` if it leaves the disk, is empty,
    /// or is not made of whole blocks.
    pub fn limits(&self, disk: &Limits) -> Option<Limits> {
        let block = u64::from(disk.block_size);
        let rest = disk.len_bytes().checked_sub(self.offset)?;
        let len = self.len.unwrap_or(rest);
        let sound = (1..=rest).contains(&len)
            && self.offset.is_multiple_of(block)
            && len.is_multiple_of(block);
        // A discard that is aligned in the window is aligned on the disk, too.
        let discard = disk.discard.filter(|d| self.offset.is_multiple_of(d.granularity.max(1)));
        sound.then_some(Limits { blocks: len / block, discard, ..*disk })
    }
}

/// A range of the disk inside.
pub struct Window {
    inner: Box<dyn Disk>,
    offset: u64,
    limits: Limits,
}

impl Window {
    /// The range of `inner` that begins at byte `offset` and has these limits (see
    /// [`WindowSpec::limits`]).
    pub fn new(inner: Box<dyn Disk>, offset: u64, limits: Limits) -> Self {
        Self { inner, offset, limits }
    }

    /// A position on the disk inside, seen from the window. What lies before the window says
    /// nothing more than that it is bad.
    fn outwards(&self, error: DiskError) -> DiskError {
        match error {
            DiskError::Medium { at } => DiskError::Medium { at: at.saturating_sub(self.offset) },
            DiskError::Integrity { at } => {
                DiskError::Integrity { at: at.saturating_sub(self.offset) }
            }
            other => other,
        }
    }
}

impl Disk for Window {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    #[inline]
    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        // No overflow: the check admits what ends within the window, and the window within the disk.
        let offset = request.offset.saturating_add(self.offset);
        self.inner
            .submit(engine, Request { offset, ..request })
            .map_err(|rejected| Rejected { error: self.outwards(rejected.error), ..rejected })
    }

    #[inline]
    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        let from = done.len();
        self.inner.poll(engine, done);
        for completion in done.iter_mut().skip(from) {
            completion.result = completion.result.map_err(|error| self.outwards(error));
        }
    }

    fn next_event(&self) -> Time {
        self.inner.next_event()
    }

    fn in_flight(&self) -> u32 {
        self.inner.in_flight()
    }

    fn allocation(&self, offset: u64) -> Allocation {
        let rest = self.limits.len_bytes().saturating_sub(offset);
        let inner = self.inner.allocation(offset.saturating_add(self.offset));
        Allocation { len: inner.len.min(rest), ..inner }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Discard;

    fn limits(blocks: u64) -> Limits {
        Limits {
            block_size: 4096,
            physical_block_size: 4096,
            blocks,
            max_transfer: 1 << 20,
            optimal_transfer: 0,
            read_only: false,
            volatile_cache: false,
            rotational: false,
            discard: Some(Discard { granularity: 8192, max_bytes: 1 << 20, reads_zeroes: true }),
            write_zeroes: true,
        }
    }

    #[test]
    fn the_range_is_within_the_disk_and_in_whole_blocks() {
        let window = |offset, len| WindowSpec { offset, len }.limits(&limits(10));
        assert_eq!(window(0, None).unwrap().blocks, 10);
        assert_eq!(window(8192, None).unwrap().blocks, 8);
        assert_eq!(window(8192, Some(4096)).unwrap().blocks, 1);
        assert!(window(8192, None).unwrap().discard.is_some());
        assert!(window(4096, None).unwrap().discard.is_none(), "not aligned to its granularity");
        for (offset, len) in [
            (40960, None),
            (u64::MAX, None),
            (0, Some(0)),
            (4096, Some(40960)),
            (512, None),
            (0, Some(512)),
            (4096, Some(u64::MAX)),
        ] {
            assert_eq!(window(offset, len), None, "{offset} {len:?}");
        }
    }
}
