//! VERIFY: reads into scratch memory, and compares with the data-out if asked to.

use outboard_disk::{Op, Segment};
use outboard_scsi::command::ByteCheck;
use outboard_scsi::{Sense, Status};
use outboard_slots::Memory;

use super::{Failure, Next, Step, Tools};
use crate::shape::Range;

/// VERIFY, and the second half of WRITE AND VERIFY.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verify {
    pub(crate) range: Range,
    pub(crate) check: ByteCheck,
    /// first byte of the data-out
    pub(crate) data: u64,
    /// bytes verified
    pub(crate) done: u64,
    /// data-out that came with the command
    pub(crate) bytes: u64,
}

impl Verify {
    pub(super) fn next(&self, tools: &mut Tools<'_>) -> Next {
        let len = self.step_bytes(tools);
        if len == 0 {
            return Next::End;
        }
        tools.segments.push(Segment { offset: tools.piece, len: len as u32 });
        let range = Range { offset: self.range.offset + self.done, len };
        Next::Step(Step { op: Op::Read, range, number: 0 })
    }

    /// The step has been read into the piece.
    pub(super) fn ended(&mut self, tools: &Tools<'_>) -> Result<(), Failure> {
        let len = self.step_bytes(tools);
        let difference = match self.check {
            ByteCheck::Medium => None,
            ByteCheck::Compare => first_difference(tools, self.data + self.done, len)
                .map_err(|Unreadable| self.fail(Sense::INTERNAL_TARGET_FAILURE))?
                .map(|at| self.done + at),
            ByteCheck::CompareOneBlock => one_block_difference(tools, self.data, len)
                .map_err(|Unreadable| self.fail(Sense::INTERNAL_TARGET_FAILURE))?,
        };
        if let Some(offset) = difference {
            return Err(self.fail(Sense::miscompare(offset)));
        }
        self.done += len;
        Ok(())
    }

    /// Everything has been read and found as it should be.
    pub(super) const fn is_done(&self) -> bool {
        self.done == self.range.len
    }

    pub(super) fn step_bytes(&self, tools: &Tools<'_>) -> u64 {
        (self.range.len - self.done).min(tools.piece_bytes)
    }

    pub(super) const fn fail(&self, sense: Sense) -> Failure {
        let status = Status::CheckCondition;
        Failure { at: self.done, status, sense: Some(sense), bytes: self.bytes }
    }
}

/// Memory that was checked when the command came and cannot be read now.
pub(super) struct Unreadable;

/// The first of `len` bytes in which the piece differs from the memory at `data`.
fn first_difference(tools: &Tools<'_>, data: u64, len: u64) -> Result<Option<u64>, Unreadable> {
    difference(tools.memory, tools.piece, data, len)
}

/// The first byte of the block at `data` that differs from a block in the piece.
fn one_block_difference(tools: &Tools<'_>, data: u64, len: u64) -> Result<Option<u64>, Unreadable> {
    let block = tools.shape.block();
    for n in 0..len / block {
        let at = difference(tools.memory, tools.piece + n * block, data, block)?;
        if at.is_some() {
            return Ok(at);
        }
    }
    Ok(None)
}

/// Compares two ranges of shared memory by copies: what is compared cannot change meanwhile.
pub(super) fn difference(
    memory: &Memory,
    a: u64,
    b: u64,
    len: u64,
) -> Result<Option<u64>, Unreadable> {
    const STRIDE: usize = 4096;
    let (mut left, mut right) = ([0; STRIDE], [0; STRIDE]);
    let mut at = 0;
    while at < len {
        let now = (len - at).min(STRIDE as u64) as usize;
        let (Some(left), Some(right)) = (left.get_mut(..now), right.get_mut(..now)) else {
            return Err(Unreadable);
        };
        memory.read(a + at, left).map_err(|_| Unreadable)?;
        memory.read(b + at, right).map_err(|_| Unreadable)?;
        if left != right {
            let within = left.iter().zip(right.iter()).position(|(l, r)| l != r);
            return Ok(within.map(|within| at + within as u64));
        }
        at += now as u64;
    }
    Ok(None)
}
