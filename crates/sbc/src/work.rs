//! Work in steps: commands that need more than one disk request, or more than a disk request.
//!
//! A [`Work`] is asked for its next [`Step`] and told when one has ended. It submits nothing itself
//! and never has more steps in flight than it allows, so a task that is aborted ends when those have
//! ended.

use outboard_disk::{Op, Segment};
use outboard_scsi::{Sense, Status};
use outboard_slots::Memory;

use crate::shape::{Range, Shape};

mod modify;
mod pattern;
mod unmap;
mod verify;

pub(crate) use modify::{CompareAndWrite, OrWrite};
pub(crate) use pattern::Pattern;
pub(crate) use unmap::{MAX_LIST_BYTES, Unmap};
pub(crate) use verify::Verify;

/// Most segments of a step.
pub(crate) const MAX_SEGMENTS: usize = pattern::MAX_REPEATS as usize;

/// Steps of one READ or WRITE in flight.
const TRANSFER_WINDOW: u16 = 8;

/// What a task has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Clear(Clear),
    CompareAndWrite(CompareAndWrite),
    Flush(Flush),
    OrWrite(OrWrite),
    Pattern(Pattern),
    Transfer(Transfer),
    Unmap(Unmap),
    Verify(Verify),
}

/// A disk request to submit; its segments are in [`Tools::segments`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) range: Range,
    /// number of the step, for its tag
    pub(crate) number: u32,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// ask again: the work has become another
    Again,
    /// nothing; the task ends when its steps in flight have
    End,
    /// the command cannot be finished
    Fail(Failure),
    Step(Step),
    /// steps in flight must end first
    Wait,
}

/// How a task fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// where, in bytes from the command's beginning: of several failures the first counts
    pub(crate) at: u64,
    pub(crate) status: Status,
    pub(crate) sense: Option<Sense>,
    /// bytes that were transferred all the same
    pub(crate) bytes: u64,
}

/// What work needs besides itself.
pub(crate) struct Tools<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) memory: &'a Memory,
    /// the scratch piece, an offset in `memory`, for work that asked for one
    pub(crate) piece: u64,
    pub(crate) piece_bytes: u64,
    /// where a step's segments go
    pub(crate) segments: &'a mut Vec<Segment>,
    /// room for a parameter list
    pub(crate) parameters: &'a mut Vec<u8>,
}

/// READ, WRITE, the first half of WRITE AND VERIFY, the second half of COMPARE AND WRITE.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) op: Op,
    pub(crate) range: Range,
    /// first byte of the data
    pub(crate) data: u64,
    /// bytes submitted
    pub(crate) done: u64,
    /// what is verified afterwards
    pub(crate) then: Option<Verify>,
    /// bytes transferred from or to the initiator when all has gone well
    pub(crate) bytes: u64,
    pub(crate) whole: Whole,
}

/// Whether a busy disk may end a [`Transfer`] with a part of it written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Whole {
    /// it may: the initiator sends the command again
    No,
    /// it may not, and nothing has been submitted
    Wanted,
    /// a part may be written: what the disk is too busy for it is asked for again
    Begun,
    /// so is what lies from this byte on, once no step is in flight
    Again(u64),
}

/// A range that is zeroed or discarded, without data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clear {
    pub(crate) op: Op,
    pub(crate) range: Range,
    pub(crate) step: u64,
    /// bytes submitted
    pub(crate) done: u64,
    /// data-out that came with the command
    pub(crate) bytes: u64,
}

/// SYNCHRONIZE CACHE and the flush of a stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flush {
    pub(crate) range: Range,
    pub(crate) asked: bool,
}

impl Work {
    /// Whether it needs a piece of scratch memory before its next step.
    pub(crate) const fn needs_scratch(&self) -> bool {
        matches!(
            self,
            Self::CompareAndWrite(_) | Self::OrWrite(_) | Self::Pattern(_) | Self::Verify(_)
        )
    }

    /// What comes next while `pending` steps are in flight.
    pub(crate) fn next(&mut self, pending: u16, tools: &mut Tools<'_>) -> Next {
        tools.segments.clear();
        if let Self::Transfer(transfer) = self
            && let Some(verify) = transfer.then
            && transfer.done == transfer.range.len
            && pending == 0
        {
            *self = Self::Verify(verify);
            return Next::Again;
        }
        if let Self::CompareAndWrite(compare) = self
            && compare.verify.is_done()
        {
            *self = Self::Transfer(compare.write);
            return Next::Again;
        }
        if let Self::Transfer(transfer) = self
            && let Whole::Again(from) = transfer.whole
            && pending == 0
        {
            (transfer.done, transfer.whole) = (from, Whole::Begun);
        }
        let window = if matches!(self, Self::Transfer(_)) { TRANSFER_WINDOW } else { 1 };
        if pending >= window {
            return Next::Wait;
        }
        match self {
            Self::Clear(clear) => clear.next(),
            Self::CompareAndWrite(compare) => compare.verify.next(tools),
            Self::Flush(flush) => flush.next(),
            Self::OrWrite(or) => or.next(tools),
            Self::Pattern(pattern) => pattern.next(tools),
            Self::Transfer(transfer) => transfer.next(tools),
            Self::Unmap(unmap) => unmap.next(tools),
            Self::Verify(verify) => verify.next(tools),
        }
    }

    /// The step that [`Work::next`] gave has been accepted.
    pub(crate) fn submitted(&mut self, step: &Step) {
        match self {
            Self::Clear(clear) => clear.done += step.range.len,
            Self::Flush(flush) => flush.asked = true,
            Self::Pattern(pattern) => pattern.done += step.range.len,
            Self::Transfer(transfer) => transfer.submitted(step),
            Self::Unmap(unmap) => unmap.submitted(step),
            Self::CompareAndWrite(_) | Self::OrWrite(_) | Self::Verify(_) => {}
        }
    }

    /// A step has ended well; data is where it should be.
    pub(crate) fn ended(&mut self, tools: &mut Tools<'_>) -> Result<(), Failure> {
        match self {
            Self::CompareAndWrite(compare) => compare.ended(tools),
            Self::OrWrite(or) => or.ended(tools),
            Self::Verify(verify) => verify.ended(tools),
            _ => Ok(()),
        }
    }

    /// The disk was too busy for a step that it had accepted. Whether the step comes again; if not,
    /// the task ends BUSY.
    pub(crate) fn again(&mut self, number: u32, shape: &Shape) -> bool {
        let at = self.position(number, shape);
        match self {
            Self::Transfer(transfer) => transfer.again(at),
            _ => false,
        }
    }

    /// Whether a part may be written of what must be written whole.
    pub(crate) const fn is_torn(&self) -> bool {
        matches!(self, Self::Transfer(transfer) if matches!(transfer.whole, Whole::Begun | Whole::Again(_)))
    }

    /// Where the step `number` begins, in bytes from the command's beginning.
    pub(crate) const fn position(&self, number: u32, shape: &Shape) -> u64 {
        match self {
            Self::Transfer(_) => number as u64 * shape.transfer_step,
            _ => 0,
        }
    }

    /// Whether disk errors are errors of reading.
    pub(crate) const fn reads(&self) -> bool {
        match self {
            Self::CompareAndWrite(_) | Self::Verify(_) => true,
            Self::OrWrite(or) => or.reads(),
            Self::Transfer(transfer) => matches!(transfer.op, Op::Read),
            _ => false,
        }
    }

    /// Bytes transferred from or to the initiator when all has gone well.
    pub(crate) const fn bytes(&self) -> u64 {
        match self {
            Self::Clear(clear) => clear.bytes,
            Self::CompareAndWrite(compare) => compare.write.bytes,
            Self::OrWrite(or) => or.range.len,
            Self::Flush(_) => 0,
            Self::Pattern(pattern) => pattern.bytes,
            Self::Transfer(transfer) => transfer.bytes,
            Self::Unmap(unmap) => unmap.bytes(),
            Self::Verify(verify) => verify.bytes,
        }
    }
}

impl Failure {
    /// CHECK CONDITION at the command's beginning.
    pub(crate) const fn check(sense: Sense) -> Self {
        Self { at: 0, status: Status::CheckCondition, sense: Some(sense), bytes: 0 }
    }
}

impl Transfer {
    fn next(&self, tools: &mut Tools<'_>) -> Next {
        if matches!(self.whole, Whole::Again(_)) {
            return Next::Wait;
        }
        let len = (self.range.len - self.done).min(tools.shape.transfer_step);
        if len == 0 {
            return Next::End;
        }
        tools.segments.push(Segment { offset: self.data + self.done, len: len as u32 });
        Next::Step(Step {
            op: self.op,
            range: Range { offset: self.range.offset + self.done, len },
            number: (self.done / tools.shape.transfer_step) as u32,
        })
    }

    fn submitted(&mut self, step: &Step) {
        self.done += step.range.len;
        if self.whole == Whole::Wanted {
            self.whole = Whole::Begun;
        }
    }

    fn again(&mut self, at: u64) -> bool {
        self.whole = match self.whole {
            Whole::No | Whole::Wanted => return false,
            Whole::Begun => Whole::Again(at),
            Whole::Again(from) => Whole::Again(from.min(at)),
        };
        true
    }
}

impl Clear {
    fn next(&self) -> Next {
        let len = (self.range.len - self.done).min(self.step);
        if len == 0 {
            return Next::End;
        }
        let range = Range { offset: self.range.offset + self.done, len };
        Next::Step(Step { op: self.op, range, number: 0 })
    }
}

impl Flush {
    const fn next(&self) -> Next {
        if self.asked {
            return Next::End;
        }
        Next::Step(Step { op: Op::Flush, range: self.range, number: 0 })
    }
}
