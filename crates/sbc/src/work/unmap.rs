//! UNMAP: a list of ranges.
//!
//! Where unmapped blocks are said to read as zeroes (LBPRZ), initiators expect it of every block they
//! named. So a disk that can zero without data is asked for that, over all of a range: it gives back
//! whole granules and writes what is left of the others. Any other disk is asked to discard whole
//! granules; the rest stays mapped, as SBC-4 (UNMAP) allows for any block.

use outboard_disk::Op;
use outboard_scsi::Sense;
use outboard_scsi::command::LbaRange;
use outboard_scsi::unmap::{DESCRIPTOR_LEN, HEADER_LEN, UnmapLimits, UnmapList};
use outboard_slots::Memory;

use super::{Failure, Next, Step, Tools};
use crate::report::MAX_UNMAP_DESCRIPTORS;
use crate::shape::{Range, Shape};
use crate::task::BufferRange;

/// Longest parameter list that is read: one descriptor more than allowed, so that too many are seen.
pub(crate) const MAX_LIST_BYTES: usize =
    HEADER_LEN + (MAX_UNMAP_DESCRIPTORS as usize + 1) * DESCRIPTOR_LEN;

/// UNMAP whose parameter list has been checked once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unmap {
    list: BufferRange,
    /// the next descriptor
    index: usize,
    /// what is left of the one before it
    left: Range,
}

impl Unmap {
    /// # Errors
    /// See [`UnmapList::parse`] and [`UnmapList::check`].
    pub(crate) fn new(
        shape: &Shape,
        memory: &Memory,
        list: BufferRange,
        parameters: &mut Vec<u8>,
    ) -> Result<Self, Sense> {
        read(memory, list, parameters)?;
        UnmapList::parse(parameters)?.check(&limits(shape))?;
        Ok(Self { list, index: 0, left: Range { offset: 0, len: 0 } })
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.list.len
    }

    pub(super) fn next(&mut self, tools: &mut Tools<'_>) -> Next {
        let Some(discard) = tools.shape.discard else {
            return Next::Fail(Failure::check(Sense::INVALID_OPCODE));
        };
        if self.left.len == 0 {
            match self.load(tools) {
                Err(sense) => return Next::Fail(Failure::check(sense)),
                Ok(false) => return Next::End,
                Ok(true) => {}
            }
        }
        let (op, most) = match tools.shape.unmaps_by_zeroing() {
            true => (Op::WriteZeroes { may_unmap: true }, tools.shape.zero_step),
            false => (Op::Discard, discard.max_bytes),
        };
        let range = Range { offset: self.left.offset, len: self.left.len.min(most) };
        Next::Step(Step { op, range, number: 0 })
    }

    pub(super) const fn submitted(&mut self, step: &Step) {
        self.left.offset += step.range.len;
        self.left.len -= step.range.len;
    }

    /// Makes `left` the next range that holds a granule; false at the list's end. The list is read
    /// again, and so is checked again: it is in memory that others can write.
    fn load(&mut self, tools: &mut Tools<'_>) -> Result<bool, Sense> {
        read(tools.memory, self.list, tools.parameters)?;
        let list = UnmapList::parse(tools.parameters)?;
        for range in list.ranges().skip(self.index) {
            self.index += 1;
            self.left = granules(tools.shape, range)?;
            if self.left.len > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What of `range` is unmapped: all of it, or its whole granules; the disk's last one may be short.
pub(crate) fn granules(shape: &Shape, range: LbaRange) -> Result<Range, Sense> {
    let Range { offset, len } = shape.range(range)?;
    if shape.unmaps_by_zeroing() {
        return Ok(Range { offset, len });
    }
    let granularity = shape.discard.map_or(1, |discard| discard.granularity).max(1);
    let end = offset + len;
    let from = offset.checked_next_multiple_of(granularity).unwrap_or(end);
    let to = if end == shape.len { end } else { end / granularity * granularity };
    Ok(Range { offset: from, len: to.saturating_sub(from) })
}

fn limits(shape: &Shape) -> UnmapLimits {
    UnmapLimits {
        capacity_blocks: shape.blocks,
        max_blocks: u32::MAX,
        max_descriptors: MAX_UNMAP_DESCRIPTORS,
    }
}

fn read(memory: &Memory, list: BufferRange, parameters: &mut Vec<u8>) -> Result<(), Sense> {
    parameters.clear();
    parameters.resize((list.len as usize).min(MAX_LIST_BYTES), 0);
    memory.read(list.offset, parameters).map_err(|_| Sense::INTERNAL_TARGET_FAILURE)
}
