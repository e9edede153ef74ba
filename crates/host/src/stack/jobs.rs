//! Jobs: work of the host that goes through the driver as tasks of the host's own, beside the tasks
//! of initiators. EXTENDED COPY reads and writes ([`copy`]), SANITIZE overwrites or unmaps
//! ([`sanitize`]), or waits while its caller replaces a key.
//!
//! A job has a *place*: one slot, with a buffer, taken once and kept to its end, so that it cannot
//! starve between two tasks. Its tasks belong to no nexus and to no task set; deadlines, range locks
//! and replays hold for them as for all others. How a task ended is noted where it ends
//! ([`Jobs::note`]) and looked at in the next turn ([`Stack::run_jobs`]), which starts the job's
//! next one.
//!
//! The command that asked for the job waits in the host (`SlotState::InHost`). There are at most a
//! quarter as many jobs as slots: commands that wait and places together leave half of the slots to
//! others, so that every job gets its place in the end.

mod copy;
mod sanitize;

use outboard_scsi::command::{build::Cdb, parse};
use outboard_scsi::{Direction, Lun, Sense, Status, TaskAttribute};
use outboard_slots::{ParallelTask, ResponseHead, Time};
use outboard_spc::{Effect, NexusId, Response};

use super::Stack;
use super::deadline::{TASK_TIMEOUT_NS, timeout_ns};
use crate::channel::Channel;
use crate::ledger::SlotState;
use copy::Copying;
use sanitize::Sanitizing;

/// Most jobs of a stack.
const JOBS_MAX: usize = 16;
/// One in this many slots may be a job's.
const SLOT_SHARE: usize = 4;
/// A task that others aborted is tried again so many times.
const RETRIES_MAX: u8 = 8;
/// The nexus of the host's own tasks, as the driver sees it: the number of none.
const NO_NEXUS: u32 = 0xFFFF;
const _: () = assert!(NO_NEXUS >= super::NEXUSES as u32);

/// All jobs of a stack.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    list: Vec<Job>,
    next_id: u64,
    /// how tasks ended, by job
    ended: Vec<(u64, Outcome)>,
    /// some job waits for a place
    hungry: bool,
    /// some unit is being sanitized
    pub(super) sanitizing: bool,
}

/// One job.
#[derive(Debug)]
struct Job {
    id: u64,
    work: Work,
    /// the command that waits for its end
    command: Option<u16>,
    slot: Option<u16>,
    /// bytes of the buffer that it waits for, and what it makes do with
    wanted: Option<(u64, u64)>,
    /// its task is on its way
    running: bool,
    /// times in a row that its task was aborted by others
    retries: u8,
}

#[derive(Debug)]
enum Work {
    Copy(Box<Copying>),
    Sanitize(Box<Sanitizing>),
}

/// How a task of a job ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Good,
    Failed(Sense),
    /// by a task management function for others
    Aborted,
    /// its slot is the driver's until the fence
    Lost,
}

/// What a job does next.
enum Step {
    /// This task.
    Start(Task),
    /// It needs a place, with a buffer of so many bytes, or of half as many and so on.
    Place { bytes: u64, least: u64 },
    /// Nothing, until something ends.
    Wait,
    /// It has ended; this is the answer to its command.
    End(Response),
}

/// A task of the host's own.
struct Task {
    lun: Lun,
    cdb: Cdb,
    direction: Direction,
    /// bytes of the place's buffer
    bytes: u64,
    range: (u64, u64),
    /// it changes the medium
    writes: bool,
    /// as with FUA
    through: bool,
}

impl Jobs {
    /// How the task of job `id` ended.
    pub(super) fn note(&mut self, id: u64, outcome: Outcome) {
        self.ended.push((id, outcome));
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether a job waits for a slot or a buffer.
    #[inline]
    pub(super) fn is_hungry(&self) -> bool {
        self.hungry
    }

    fn outcome_of(&mut self, id: u64) -> Option<Outcome> {
        let at = self.ended.iter().position(|(job, _)| *job == id)?;
        Some(self.ended.swap_remove(at).1)
    }

    /// Whether job `id` is a copy.
    pub(super) fn is_copy(&self, id: u64) -> bool {
        self.copy(id).is_some()
    }

    /// Whether it is a copy that `nexus` asked for.
    pub(super) fn copies_for(&self, id: u64, nexus: NexusId) -> bool {
        self.copy(id).is_some_and(|copying| copying.nexus() == nexus)
    }

    fn copy(&self, id: u64) -> Option<&Copying> {
        match &self.list.iter().find(|job| job.id == id)?.work {
            Work::Copy(copying) => Some(copying),
            Work::Sanitize(_) => None,
        }
    }

    fn sanitizing(&self) -> impl Iterator<Item = &Sanitizing> {
        self.list.iter().filter_map(|job| match &job.work {
            Work::Sanitize(sanitizing) => Some(&**sanitizing),
            Work::Copy(_) => None,
        })
    }

    fn sanitizing_mut(&mut self) -> impl Iterator<Item = &mut Sanitizing> {
        self.list.iter_mut().filter_map(|job| match &mut job.work {
            Work::Sanitize(sanitizing) => Some(&mut **sanitizing),
            Work::Copy(_) => None,
        })
    }

    /// The disk at `lun` is another one from now on, or none: no copy goes on from it or to it.
    pub(super) fn lose_disk(&mut self, lun: Lun) {
        for job in &mut self.list {
            if let Work::Copy(copying) = &mut job.work {
                copying.lose_disk(lun);
            }
        }
    }

    /// What the driver has acknowledged for `lun` may be lost: what is to be on the medium is done
    /// once more.
    pub(super) fn begin_again(&mut self, lun: Lun) {
        for sanitizing in self.sanitizing_mut() {
            sanitizing.begin_again(lun);
        }
    }

    fn copies(&self) -> usize {
        self.list.iter().filter(|job| matches!(job.work, Work::Copy(_))).count()
    }
}

impl Stack {
    /// Begins what an effect asks for; `command` is the slot of the command that waits for its end.
    /// `Err` is the answer if it cannot be begun, `Ok(true)` if the command has to wait.
    pub(super) fn begin_job(&mut self, effect: Effect, command: u16) -> Result<bool, Response> {
        const BUSY: Response = Response::of_status(Status::Busy);

        let room = (self.ledger.slots() / SLOT_SHARE).clamp(1, JOBS_MAX);
        let full = self.jobs.list.len() >= room;
        let (work, waits) = match effect {
            Effect::Copy(plan) => {
                if full || self.jobs.copies() >= usize::from(outboard_spc::copy::CONCURRENT_COPIES)
                {
                    self.target.copy_withdrawn(&plan);
                    return Err(BUSY);
                }
                (Work::Copy(Box::new(Copying::new(*plan))), true)
            }
            Effect::Sanitize(plan) => {
                if full {
                    self.target.sanitize_withdrawn(plan.lun);
                    return Err(BUSY);
                }
                let waits = !plan.immediate;
                self.clear_for_sanitize(plan.lun, command);
                self.jobs.sanitizing = true;
                (Work::Sanitize(Box::new(Sanitizing::new(*plan))), waits)
            }
            _ => return Ok(false),
        };
        let id = self.jobs.next_id;
        self.jobs.next_id += 1;
        let command = waits.then_some(command);
        self.jobs.list.push(Job {
            id,
            work,
            command,
            slot: None,
            wanted: None,
            running: false,
            retries: 0,
        });
        Ok(waits)
    }

    /// Looks at what has ended, and starts what comes next; whether anything moved.
    #[cold]
    pub(super) fn run_jobs(&mut self, now: Time) -> bool {
        let mut moved = false;
        self.jobs.hungry = false;
        let mut list = std::mem::take(&mut self.jobs.list);
        list.retain_mut(|job| {
            self.leave_if_aborted(job);
            let outcome = self.jobs.outcome_of(job.id);
            if job.running && outcome.is_none() {
                return true;
            }
            moved |= outcome.is_some();
            job.running = false;
            let mut next = self.step(job, outcome);
            if let Step::Place { bytes, least } = next {
                job.slot = self.take_place(job.id, bytes, least);
                job.wanted = job.slot.is_none().then_some((bytes, least));
                if job.slot.is_none() {
                    self.jobs.hungry = true;
                    return true;
                }
                next = self.step(job, None);
            }
            match next {
                Step::Wait | Step::Place { .. } => true,
                Step::Start(task) => {
                    moved = true;
                    job.running = self.start(now, job, &task);
                    true
                }
                Step::End(response) => {
                    moved = true;
                    self.end_job(job, response);
                    false
                }
            }
        });
        self.jobs.list = list;
        self.jobs.sanitizing =
            self.jobs.list.iter().any(|job| matches!(job.work, Work::Sanitize(_)));
        if moved {
            self.settle();
        }
        moved
    }

    fn step(&mut self, job: &mut Job, outcome: Option<Outcome>) -> Step {
        if matches!(outcome, Some(Outcome::Lost)) {
            job.slot = None;
        }
        let outcome = match outcome {
            Some(Outcome::Aborted) if job.retries < RETRIES_MAX => {
                job.retries += 1;
                None
            }
            Some(Outcome::Aborted | Outcome::Lost) => Some(Outcome::Failed(Sense::ABORTED_COMMAND)),
            Some(Outcome::Good) => {
                job.retries = 0;
                outcome
            }
            other => other,
        };
        match &mut job.work {
            Work::Copy(copying) => {
                let record = job.command.and_then(|command| self.ledger.record(command));
                let aborted = record.is_none_or(|record| record.aborted);
                copying.step(self, outcome, aborted, job.slot)
            }
            Work::Sanitize(sanitizing) => sanitizing.step(self, outcome, job.slot),
        }
    }

    /// A command that is to be aborted waits for its copy, which does not go on; what is being
    /// sanitized goes on without its command.
    fn leave_if_aborted(&mut self, job: &mut Job) {
        let Some(command) = job.command else { return };
        if !self.ledger.record(command).is_some_and(|record| record.aborted) {
            return;
        }
        match job.work {
            Work::Sanitize(_) => {
                job.command = None;
                self.finish_work(command, Some(Sense::ABORTED_COMMAND.into()));
            }
            Work::Copy(_) => {
                // A task that the driver has not got yet never gets to it.
                let waits = |slot: &u16| Some(*slot) == job.slot;
                if let Some(at) = self.outbox.iter().position(waits) {
                    let slot = self.outbox.remove(at);
                    if let Some(record) = self.ledger.record_mut(slot) {
                        record.state = SlotState::Filling;
                    }
                    self.jobs.note(job.id, Outcome::Failed(Sense::ABORTED_COMMAND));
                }
            }
        }
    }

    fn end_job(&mut self, job: &mut Job, response: Response) {
        if let Some(slot) = job.slot.take()
            && let Some(record) = self.ledger.record(slot)
        {
            self.buffers.give_back(record.buffer);
            self.ledger.release(slot);
        }
        if let Some(command) = job.command {
            self.finish_work(command, Some(response));
        }
    }

    /// Something has been freed: jobs that wait for a place take it before anybody else does.
    #[cold]
    pub(super) fn feed_jobs(&mut self) {
        let mut list = std::mem::take(&mut self.jobs.list);
        for job in &mut list {
            if let (None, Some((bytes, least))) = (job.slot, job.wanted) {
                job.slot = self.take_place(job.id, bytes, least);
            }
        }
        self.jobs.hungry = list.iter().any(|job| job.slot.is_none() && job.wanted.is_some());
        self.jobs.list = list;
    }

    /// A slot with a buffer for job `id`.
    fn take_place(&mut self, id: u64, bytes: u64, least: u64) -> Option<u16> {
        let mut wanted = bytes;
        let buffer = loop {
            match self.buffers.take(wanted) {
                Some(buffer) => break buffer,
                None if wanted / 2 >= least.max(1) => wanted /= 2,
                None => return None,
            }
        };
        let Some(slot) = self.ledger.take() else {
            self.buffers.give_back(buffer);
            return None;
        };
        let identifier = self.identifiers.get(usize::from(slot)).copied().unwrap_or(0);
        if let Some(record) = self.ledger.record_mut(slot) {
            record.internal = true;
            record.writes = false;
            record.nexus = NO_NEXUS;
            record.cookie = id;
            record.buffer = buffer;
            record.task = ParallelTask {
                controller_task_identifier: u64::from(identifier),
                ..ParallelTask::EMPTY
            };
        }
        Some(slot)
    }

    /// Puts a task of a job where the next bundle takes it from; false if the job has no place.
    fn start(&mut self, now: Time, job: &Job, task: &Task) -> bool {
        let Some(slot) = job.slot else { return false };
        self.ledger.renew(slot);
        let timeout = parse(task.cdb.bytes()).map_or(TASK_TIMEOUT_NS, |c| timeout_ns(&c));
        let Some(record) = self.ledger.record_mut(slot) else { return false };
        record.state = SlotState::Waiting;
        record.writes = task.writes;
        record.lun = task.lun.number();
        record.length = u32::try_from(task.bytes).unwrap_or(u32::MAX);
        record.deadline = now.plus_nanos(timeout);
        record.range = task.range;
        record.task = ParallelTask {
            target_id: self.target_id,
            controller_task_identifier: record.task.controller_task_identifier,
            requested_transfer_count: task.bytes,
            buffer_iovm_addr: record.buffer.offset,
            task_attribute: TaskAttribute::Simple as u32,
            logical_unit_bytes: task.lun.encode(),
            command_descriptor_block: *task.cdb.bytes(),
            command_size: task.cdb.len() as u8,
            transfer_direction: match task.direction {
                Direction::None => 0,
                Direction::ToDevice => 1,
                Direction::FromDevice => 2,
            },
            timeout_ms: (timeout / 1_000_000) as u32,
            ..ParallelTask::EMPTY
        };
        if task.through {
            record.write_through();
        }
        self.outbox.push(slot);
        true
    }

    /// The driver has ended a task of a job.
    #[cold]
    pub(super) fn complete_internal(
        &mut self,
        channel: &dyn Channel,
        slot: u16,
        status: Status,
        head: &ResponseHead,
    ) {
        let Some(record) = self.ledger.record(slot) else { return };
        let (order, lun, range, writes) = (record.order, record.lun, record.range, record.writes);
        let (bytes, whole) = (head.bytes_transferred, record.task.requested_transfer_count);
        let unit = record.task.logical_unit_bytes;
        let outcome = match status {
            Status::Good if bytes == whole => {
                if writes {
                    self.acked.note(order, lun, range);
                }
                Outcome::Good
            }
            Status::Good => Outcome::Failed(Sense::INTERNAL_TARGET_FAILURE),
            Status::CheckCondition => {
                let sense = self.sense_of(channel, slot, head, unit, writes);
                let sense = sense.and_then(|bytes| Sense::parse(&bytes));
                Outcome::Failed(sense.unwrap_or(Sense::INTERNAL_TARGET_FAILURE))
            }
            _ => Outcome::Aborted,
        };
        self.counters.completed += 1;
        self.in_driver -= 1;
        self.end_internal(slot, outcome);
    }

    /// A task of a job has ended: its place is the job's again.
    pub(super) fn end_internal(&mut self, slot: u16, outcome: Outcome) {
        let Some(record) = self.ledger.record_mut(slot) else { return };
        record.state = SlotState::Filling;
        record.aborted = false;
        record.by_host = false;
        record.gone = false;
        let id = record.cookie;
        self.jobs.note(id, outcome);
    }
}
