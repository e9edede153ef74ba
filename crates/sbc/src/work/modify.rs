//! Commands that read what they then write: COMPARE AND WRITE, ORWRITE.
//!
//! Nobody else may touch their blocks meanwhile. The host sees to that, above all queues (SBC-4:
//! their read, compare and write operations are one uninterrupted series).

use outboard_disk::{Op, Segment};
use outboard_scsi::Sense;
use outboard_slots::Memory;

use super::verify::{Unreadable, difference};
use super::{Failure, Next, Step, Tools, Transfer, Verify};
use crate::shape::Range;

/// COMPARE AND WRITE: all blocks are compared before the first is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompareAndWrite {
    /// with the first half of the data-out
    pub(crate) verify: Verify,
    /// of the second half
    pub(crate) write: Transfer,
    /// a driver that had it died: its write may have been done, in whole or in part
    pub(crate) is_repeated: bool,
}

impl CompareAndWrite {
    /// A piece has been read.
    pub(super) fn ended(&mut self, tools: &mut Tools<'_>) -> Result<(), Failure> {
        if !self.is_repeated {
            return self.verify.ended(tools);
        }
        let len = self.verify.step_bytes(tools);
        match self.unknown(tools, len) {
            Ok(None) => {
                self.verify.done += len;
                Ok(())
            }
            Ok(Some(offset)) => Err(self.verify.fail(Sense::miscompare(offset))),
            Err(Unreadable) => Err(self.verify.fail(Sense::INTERNAL_TARGET_FAILURE)),
        }
    }

    /// Where the piece, `len` bytes, holds a block that is neither what was to be compared nor what
    /// was to be written. Blocks are whole: the kernel ends what a dead process has begun.
    fn unknown(&self, tools: &Tools<'_>, len: u64) -> Result<Option<u64>, Unreadable> {
        let block = tools.shape.block();
        for at in (0..len).step_by(block as usize) {
            let (read, offset) = (tools.piece + at, self.verify.done + at);
            let old = difference(tools.memory, read, self.verify.data + offset, block)?;
            let Some(within) = old else { continue };
            if difference(tools.memory, read, self.write.data + offset, block)?.is_some() {
                return Ok(Some(offset + within));
            }
        }
        Ok(None)
    }
}

/// ORWRITE: piece by piece, each read, combined and written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrWrite {
    pub(crate) range: Range,
    /// first byte of the data-out
    pub(crate) data: u64,
    pub(crate) fua: bool,
    /// bytes written
    pub(crate) done: u64,
    /// the scratch piece holds what is to be written next
    pub(crate) is_combined: bool,
}

impl OrWrite {
    pub(super) fn next(&self, tools: &mut Tools<'_>) -> Next {
        let len = self.step_bytes(tools);
        if len == 0 {
            return Next::End;
        }
        tools.segments.push(Segment { offset: tools.piece, len: len as u32 });
        let op = if self.is_combined { Op::Write { fua: self.fua } } else { Op::Read };
        let range = Range { offset: self.range.offset + self.done, len };
        Next::Step(Step { op, range, number: 0 })
    }

    /// The piece has been read, or written.
    pub(super) fn ended(&mut self, tools: &Tools<'_>) -> Result<(), Failure> {
        let len = self.step_bytes(tools);
        if self.is_combined {
            self.done += len;
        } else if combine(tools.memory, tools.piece, self.data + self.done, len).is_none() {
            let failure = Failure::check(Sense::INTERNAL_TARGET_FAILURE);
            return Err(Failure { at: self.done, bytes: self.done, ..failure });
        }
        self.is_combined = !self.is_combined;
        Ok(())
    }

    /// Whether what is in flight reads the medium.
    pub(super) const fn reads(&self) -> bool {
        !self.is_combined
    }

    fn step_bytes(&self, tools: &Tools<'_>) -> u64 {
        (self.range.len - self.done).min(tools.piece_bytes)
    }
}

/// ORs `len` bytes of memory at `data` into those at `piece`; `None` if they cannot be read.
fn combine(memory: &Memory, piece: u64, data: u64, len: u64) -> Option<()> {
    const STRIDE: usize = 4096;
    let (mut left, mut right) = ([0; STRIDE], [0; STRIDE]);
    let mut at = 0;
    while at < len {
        let now = (len - at).min(STRIDE as u64) as usize;
        let (left, right) = (left.get_mut(..now)?, right.get_mut(..now)?);
        memory.read(piece + at, left).ok()?;
        memory.read(data + at, right).ok()?;
        left.iter_mut().zip(right.iter()).for_each(|(left, right)| *left |= right);
        memory.write(piece + at, left).ok()?;
        at += now as u64;
    }
    Some(())
}
