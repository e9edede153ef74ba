//! The logical unit: tasks in, outcomes out.

use std::collections::VecDeque;

use outboard_disk::{Completion, Disk, DiskError, Engine, Op, Segment};
use outboard_scsi::command::parse;
use outboard_scsi::{Command, Sense};
use outboard_slots::{Time, planted};

use self::behind::Behind;
use self::steps::{STEP_SHIFT, Steps};
use crate::errors::{Access, SbcError, status_of};
use crate::report::UnitReport;
use crate::scratch::{Scratch, ScratchRange};
use crate::shape::Shape;
use crate::task::{Outcome, TaskIn};
use crate::work;

mod begin;
mod behind;
mod steps;

/// Most task slots of a logical unit.
pub const MAX_CAPACITY: usize = u16::MAX as usize;

/// A logical unit over a disk: see the crate's documentation.
pub struct LogicalUnit {
    disk: Box<dyn Disk>,
    shape: Shape,
    report: UnitReport,
    slots: Vec<Slot>,
    steps: Vec<Option<Steps>>,
    in_flight: u32,
    /// tasks without a request in flight that wait for room on the disk
    disk_queue: VecDeque<u16>,
    /// tasks without a request in flight that wait for a piece of scratch memory
    scratch_queue: VecDeque<u16>,
    /// a task in one of the queues has been aborted
    is_abort_waiting: bool,
    scratch: Scratch,
    behind: Behind,
    deferred: Option<Sense>,
    strays: u64,
    done: Vec<Completion>,
    segments: Vec<Segment>,
    parameters: Vec<u8>,
}

/// What every task has: all that a command of one disk request needs.
#[derive(Clone, Copy, Debug)]
struct Slot {
    state: State,
    reads: bool,
    is_aborted: bool,
    is_waiting: bool,
    /// disk requests in flight
    pending: u16,
    /// bytes transferred if all goes well
    bytes: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Free,
    /// one disk request, which is the whole command
    One,
    /// work in steps: see `Steps`
    Steps,
}

const FREE: Slot = Slot {
    state: State::Free,
    reads: false,
    is_aborted: false,
    is_waiting: false,
    pending: 0,
    bytes: 0,
};

impl LogicalUnit {
    /// A logical unit of `capacity` task slots (1 to [`MAX_CAPACITY`]) over `disk`.
    ///
    /// # Errors
    /// A capacity, disk or scratch range that cannot be: see [`SbcError`].
    pub fn new(
        disk: Box<dyn Disk>,
        scratch: ScratchRange,
        capacity: usize,
    ) -> Result<Self, SbcError> {
        if !(1..=MAX_CAPACITY).contains(&capacity) {
            return Err(SbcError::Capacity { capacity });
        }
        Ok(Self {
            shape: Shape::new(disk.limits())?,
            report: UnitReport::new(disk.limits()),
            scratch: Scratch::new(scratch, disk.limits())?,
            slots: vec![FREE; capacity],
            steps: (0..capacity).map(|_| None).collect(),
            in_flight: 0,
            disk_queue: VecDeque::with_capacity(capacity),
            scratch_queue: VecDeque::with_capacity(capacity),
            is_abort_waiting: false,
            behind: Behind::Nothing,
            deferred: None,
            strays: 0,
            done: Vec::with_capacity(capacity),
            segments: Vec::with_capacity(work::MAX_SEGMENTS),
            parameters: Vec::with_capacity(work::MAX_LIST_BYTES),
            disk,
        })
    }

    /// Starts a task, or ends it with the deferred error of an earlier one. Its outcome is appended to `out` here or by a later [`LogicalUnit::poll`].
    ///
    /// # Errors
    /// The slot does not exist or is in use: nothing is started, no outcome comes.
    #[inline]
    pub fn start(
        &mut self,
        engine: &mut Engine,
        task: TaskIn<'_>,
        out: &mut Vec<Outcome>,
    ) -> Result<(), SbcError> {
        match self.slots.get(usize::from(task.id)) {
            None => {
                return Err(SbcError::NoSuchSlot { id: task.id, capacity: self.slots.len() });
            }
            Some(slot) if slot.state != State::Free => {
                return Err(SbcError::SlotInUse { id: task.id });
            }
            Some(_) => {}
        }
        if self.deferred.is_some() {
            self.report_deferred(task.id, out);
            return Ok(());
        }
        let started = match parse(task.cdb) {
            Ok(Command::Read(transfer)) => self.transfer(engine, &task, &transfer, Op::Read, out),
            Ok(Command::Write(transfer)) => {
                let fua = transfer.fua && !planted::is("sbc: FUA ignored");
                let op = Op::Write { fua };
                self.transfer(engine, &task, &transfer, op, out)
            }
            Ok(command) => self.begin(engine, &task, &command, out),
            Err(sense) => Err(sense),
        };
        if let Err(sense) = started {
            out.push(Outcome::check(task.id, sense));
        }
        Ok(())
    }

    /// Takes what the disk has completed, goes on with tasks in steps, and appends the outcomes of
    /// those that have ended. Call it after each turn of the engine.
    pub fn poll(&mut self, engine: &mut Engine, out: &mut Vec<Outcome>) {
        let mut done = core::mem::take(&mut self.done);
        self.disk.poll(engine, &mut done);
        for completion in done.drain(..) {
            self.complete(engine, completion, out);
        }
        self.done = done;
        if !self.disk_queue.is_empty() || !self.scratch_queue.is_empty() {
            self.retry(engine, out);
        }
        if self.behind == Behind::Wanted {
            self.flush_behind(engine);
        }
    }

    /// Marks a task as aborted: no further disk request is made for it, and its outcome, TASK
    /// ABORTED, comes from a [`LogicalUnit::poll`] once those in flight have ended. So an aborted
    /// write never lands after its outcome. False if no task has this slot.
    pub fn abort(&mut self, id: u16) -> bool {
        let Some(slot) = self.slots.get_mut(usize::from(id)) else { return false };
        if slot.state == State::Free {
            return false;
        }
        slot.is_aborted = true;
        self.is_abort_waiting |= slot.is_waiting;
        true
    }

    /// [`LogicalUnit::abort`] of every task. Returns how many there were.
    pub fn abort_all(&mut self) -> u32 {
        let mut aborted = 0;
        for slot in self.slots.iter_mut().filter(|slot| slot.state != State::Free) {
            slot.is_aborted = true;
            self.is_abort_waiting |= slot.is_waiting;
            aborted += 1;
        }
        aborted
    }

    /// Tasks started whose outcome has not come.
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// No task, and nothing goes on behind a task that was answered at once.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.behind == Behind::Nothing && self.disk.in_flight() == 0
    }

    /// When [`LogicalUnit::poll`] next has something to do that no completion of the kernel tells:
    /// [`Time::ZERO`] for at once.
    pub fn next_event(&self) -> Time {
        let wants_disk = !self.disk_queue.is_empty() || self.behind == Behind::Wanted;
        let can_go_on = self.is_abort_waiting
            || (!self.scratch_queue.is_empty() && !self.scratch.is_exhausted())
            || (wants_disk && self.disk.in_flight() == 0);
        if can_go_on {
            return Time::ZERO;
        }
        self.disk.next_event()
    }

    /// What a host is told.
    pub const fn report(&self) -> &UnitReport {
        &self.report
    }

    /// The error of a flush whose command had been answered at once (IMMED) ends the next command,
    /// which is not executed (SPC-6 4.4.7: deferred errors).
    #[cold]
    fn report_deferred(&mut self, id: u16, out: &mut Vec<Outcome>) {
        if let Some(sense) = self.deferred.take() {
            out.push(Outcome::check(id, sense));
        }
    }

    /// Completions of the disk that belong to no request: 0 unless the disk breaks its contract.
    pub const fn strays(&self) -> u64 {
        self.strays
    }

    /// A disk request has ended.
    #[inline]
    fn complete(&mut self, engine: &mut Engine, done: Completion, out: &mut Vec<Outcome>) {
        let Completion { tag, result } = done;
        let id = tag as u16;
        let Some(slot) = self.slots.get_mut(usize::from(id)) else {
            return self.complete_behind(engine, done);
        };
        match slot.state {
            State::One if tag == u64::from(id) => {
                let Slot { is_aborted, bytes, reads, .. } = *slot;
                slot.state = State::Free;
                self.in_flight -= 1;
                out.push(match result {
                    _ if is_aborted => Outcome::aborted(id),
                    Ok(()) => Outcome::good(id, bytes),
                    Err(_) if planted::is("sbc: a disk's error ignored") => {
                        Outcome::good(id, bytes)
                    }
                    Err(error) => self.failed(id, error, reads),
                });
            }
            State::Steps if slot.pending > 0 => {
                slot.pending -= 1;
                self.complete_step(engine, id, (tag >> STEP_SHIFT) as u32, result, out);
            }
            _ => self.strays += 1,
        }
    }

    #[cold]
    fn failed(&self, id: u16, error: DiskError, reads: bool) -> Outcome {
        let access = if reads { Access::Read } else { Access::Write };
        let (status, sense) = status_of(error, access, self.shape.block_size);
        Outcome { id, status, sense, bytes_transferred: 0 }
    }
}

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;
