//! Tasks in steps: what they have in flight, what they wait for, how they end.

use outboard_disk::{DiskError, Engine, Request};

use super::{FREE, LogicalUnit, Slot, State};
use crate::errors::{Access, status_of};
use crate::scratch::Piece;
use crate::shape::Shape;
use crate::task::Outcome;
use crate::work::{Failure, Next, Step, Tools, Work};

/// What a task in steps has besides its slot.
#[derive(Debug)]
pub(super) struct Steps {
    work: Work,
    piece: Option<Piece>,
    failure: Option<Failure>,
}

/// Tags are a slot and, above it, the number of a step.
pub(super) const STEP_SHIFT: u32 = 16;

/// How far a task came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Advanced {
    /// to the disk's limit: it is busy with others
    Busy,
    /// to its end, to a step in flight, or into the queue for scratch memory
    On,
}

impl LogicalUnit {
    /// Begins work in steps.
    pub(super) fn work(
        &mut self,
        engine: &mut Engine,
        id: u16,
        work: Work,
        out: &mut Vec<Outcome>,
    ) {
        let index = usize::from(id);
        let (Some(slot), Some(steps)) = (self.slots.get_mut(index), self.steps.get_mut(index))
        else {
            return;
        };
        *slot = Slot { state: State::Steps, ..FREE };
        *steps = Some(Steps { work, piece: None, failure: None });
        self.in_flight += 1;
        if self.advance(engine, id, out) == Advanced::Busy {
            self.disk_queue.push_back(id);
        }
    }

    /// Submits what a task in steps may have submitted; ends it if it has nothing more to do. A task
    /// that the disk has no room for is to be put in the queue by the caller.
    fn advance(&mut self, engine: &mut Engine, id: u16, out: &mut Vec<Outcome>) -> Advanced {
        let index = usize::from(id);
        loop {
            let (Some(slot), Some(Some(steps))) =
                (self.slots.get_mut(index), self.steps.get_mut(index))
            else {
                return Advanced::On;
            };
            if slot.is_aborted || steps.failure.is_some() {
                if slot.pending == 0 {
                    self.finish(id, out);
                }
                return Advanced::On;
            }
            if steps.piece.is_none() && steps.work.needs_scratch() {
                steps.piece = self.scratch.take();
                if steps.piece.is_none() {
                    slot.is_waiting = true;
                    self.scratch_queue.push_back(id);
                    return Advanced::On;
                }
            }
            let mut tools = Tools {
                shape: &self.shape,
                memory: engine.memory(),
                piece: steps.piece.as_ref().map_or(0, |piece| piece.offset),
                piece_bytes: self.scratch.piece_bytes(),
                segments: &mut self.segments,
                parameters: &mut self.parameters,
            };
            let step = match steps.work.next(slot.pending, &mut tools) {
                Next::Step(step) => step,
                Next::Again => continue,
                Next::Wait => return Advanced::On,
                Next::Fail(failure) => {
                    steps.failure = Some(failure);
                    continue;
                }
                Next::End => {
                    if slot.pending == 0 {
                        self.finish(id, out);
                    }
                    return Advanced::On;
                }
            };
            let Step { op, range, number } = step;
            let tag = u64::from(id) | (u64::from(number) << STEP_SHIFT);
            let segments = &self.segments;
            let request = Request { tag, op, offset: range.offset, len: range.len, segments };
            match self.disk.submit(engine, request).map_err(|rejected| rejected.error) {
                Ok(()) => {
                    slot.pending += 1;
                    steps.work.submitted(&step);
                }
                // It goes on when one of its own requests has ended, or else one of another's.
                Err(DiskError::Busy) if slot.pending > 0 => return Advanced::On,
                Err(DiskError::Busy) if self.disk.in_flight() > 0 || steps.work.is_torn() => {
                    slot.is_waiting = true;
                    return Advanced::Busy;
                }
                Err(error) => steps.fail(&self.shape, number, error),
            }
        }
    }

    /// A step has ended.
    pub(super) fn complete_step(
        &mut self,
        engine: &mut Engine,
        id: u16,
        number: u32,
        result: Result<(), DiskError>,
        out: &mut Vec<Outcome>,
    ) {
        let Some(Some(steps)) = self.steps.get_mut(usize::from(id)) else { return };
        let mut tools = Tools {
            shape: &self.shape,
            memory: engine.memory(),
            piece: steps.piece.as_ref().map_or(0, |piece| piece.offset),
            piece_bytes: self.scratch.piece_bytes(),
            segments: &mut self.segments,
            parameters: &mut self.parameters,
        };
        match result.map(|()| steps.work.ended(&mut tools)) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => steps.note(failure),
            Err(DiskError::Busy) if steps.work.again(number, &self.shape) => {}
            Err(error) => steps.fail(&self.shape, number, error),
        }
        if self.advance(engine, id, out) == Advanced::Busy {
            self.disk_queue.push_back(id);
        }
    }

    /// Lets the tasks that wait go on, in their order, as far as disk and scratch memory allow.
    #[inline(never)]
    pub(super) fn retry(&mut self, engine: &mut Engine, out: &mut Vec<Outcome>) {
        if core::mem::take(&mut self.is_abort_waiting) {
            self.end_aborted(out);
        }
        while let Some(id) = self.disk_queue.pop_front() {
            self.wake(id);
            if self.advance(engine, id, out) == Advanced::Busy {
                self.disk_queue.push_front(id);
                break;
            }
        }
        while !self.scratch.is_exhausted()
            && let Some(id) = self.scratch_queue.pop_front()
        {
            self.wake(id);
            if self.advance(engine, id, out) == Advanced::Busy {
                self.disk_queue.push_back(id);
            }
        }
    }

    /// Takes aborted tasks out of the queues.
    #[cold]
    fn end_aborted(&mut self, out: &mut Vec<Outcome>) {
        let is_aborted = |slots: &[Slot], id: u16| {
            slots.get(usize::from(id)).is_some_and(|slot| slot.is_aborted)
        };
        for _ in 0..self.disk_queue.len() {
            let Some(id) = self.disk_queue.pop_front() else { break };
            if is_aborted(&self.slots, id) {
                self.finish(id, out);
            } else {
                self.disk_queue.push_back(id);
            }
        }
        for _ in 0..self.scratch_queue.len() {
            let Some(id) = self.scratch_queue.pop_front() else { break };
            if is_aborted(&self.slots, id) {
                self.finish(id, out);
            } else {
                self.scratch_queue.push_back(id);
            }
        }
    }

    fn wake(&mut self, id: u16) {
        if let Some(slot) = self.slots.get_mut(usize::from(id)) {
            slot.is_waiting = false;
        }
    }

    /// Ends a task in steps that has no request in flight.
    fn finish(&mut self, id: u16, out: &mut Vec<Outcome>) {
        let index = usize::from(id);
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(steps) = self.steps.get_mut(index).and_then(Option::take) else { return };
        let is_aborted = slot.is_aborted;
        *slot = FREE;
        self.in_flight -= 1;
        if let Some(piece) = steps.piece {
            self.scratch.give_back(piece);
        }
        out.push(match steps.failure {
            _ if is_aborted => Outcome::aborted(id),
            None => Outcome::good(id, steps.work.bytes()),
            Some(Failure { status, sense, bytes, .. }) => {
                Outcome { id, status, sense, bytes_transferred: bytes }
            }
        });
    }
}

impl Steps {
    /// A step has failed on the disk.
    fn fail(&mut self, shape: &Shape, number: u32, error: DiskError) {
        let access = if self.work.reads() { Access::Read } else { Access::Write };
        let (status, sense) = status_of(error, access, shape.block_size);
        let at = self.work.position(number, shape);
        self.note(Failure { at, status, sense, bytes: at });
    }

    /// Of several failures the first on the medium is the task's.
    fn note(&mut self, failure: Failure) {
        if self.failure.is_none_or(|known| failure.at < known.at) {
            self.failure = Some(failure);
        }
    }
}
