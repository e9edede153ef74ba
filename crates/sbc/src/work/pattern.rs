//! WRITE SAME with a pattern that has to be written: one block, repeated through scratch memory.

use outboard_disk::{Op, Segment};
use outboard_scsi::Sense;

use super::{Failure, Next, Step, Tools};
use crate::shape::Range;

/// Times that the piece is named in one write.
pub(super) const MAX_REPEATS: u64 = 32;

/// WRITE SAME of a pattern.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    pub(crate) range: Range,
    /// first byte of the block; `None`: zeroes
    pub(crate) data: Option<u64>,
    /// the piece holds the pattern
    pub(crate) is_filled: bool,
    /// bytes submitted
    pub(crate) done: u64,
    /// data-out that came with the command
    pub(crate) bytes: u64,
}

impl Pattern {
    pub(super) fn next(&mut self, tools: &mut Tools<'_>) -> Next {
        if !self.is_filled {
            if self.fill(tools).is_none() {
                return Next::Fail(Failure::check(Sense::INTERNAL_TARGET_FAILURE));
            }
            self.is_filled = true;
        }
        let most = (tools.piece_bytes * MAX_REPEATS).min(tools.shape.transfer_step);
        let len = (self.range.len - self.done).min(most);
        if len == 0 {
            return Next::End;
        }
        let mut left = len;
        while left > 0 {
            let now = left.min(tools.piece_bytes);
            tools.segments.push(Segment { offset: tools.piece, len: now as u32 });
            left -= now;
        }
        let range = Range { offset: self.range.offset + self.done, len };
        Next::Step(Step { op: Op::Write { fua: false }, range, number: 0 })
    }

    /// Fills as much of the piece as the range needs, doubling what is there.
    fn fill(&self, tools: &Tools<'_>) -> Option<()> {
        let Tools { memory, piece, .. } = *tools;
        let len = self.range.len.min(tools.piece_bytes);
        let Some(data) = self.data else {
            return memory.fill(piece, len as usize, 0).ok();
        };
        let mut filled = tools.shape.block();
        memory.copy_from(piece, memory, data, filled as usize).ok()?;
        while filled < len {
            let now = filled.min(len - filled);
            memory.copy_from(piece + filled, memory, piece, now as usize).ok()?;
            filled += now;
        }
        Some(())
    }
}
