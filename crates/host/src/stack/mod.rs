//! One I/O thread's SCSI stack: it owns the target, the task sets, the ledger and the buffers, and
//! tells its caller what to hand to the driver and what to answer. Sans-I/O: time and the channel
//! are lent to each call.
//!
//! The way of a task: [`Stack::submit`] judges it and gives a buffer; the front end fills the buffer
//! and calls [`Stack::ready`]; [`Stack::turn`] hands it to the driver with the rest of the bundle and
//! later returns its [`Answer`]; the front end takes the data out and calls [`Stack::finish`].

mod acked;
mod adopt;
mod alone;
mod complete;
mod deadline;
mod guard;
mod host_task;
mod jobs;
mod manage;
mod names;
mod pulse;
mod ranges;
mod restart;
mod rights;
mod states;
mod submit;
#[cfg(test)]
mod tests;
mod through;
mod units;

use std::collections::VecDeque;

use outboard_hba::{HbaReport, TaskManagement};
use outboard_scsi::{Direction, Lun, Sense};
use outboard_slots::{Memory, Region, Time};
use outboard_spc::{LogicalUnit, NexusId, SpcError, Target, TaskSet};

use crate::buffers::BufferPool;
use crate::channel::{Channel, ChannelError, Completed};
use crate::ledger::{Ledger, SlotState, Violation};
use acked::AckedWrites;
use host_task::HostTask;
use manage::Pending;
use units::unit_config;

pub use adopt::Adopted;
pub use complete::Answer;
pub use host_task::StateRecord;
pub(crate) use manage::FUNCTIONS_MAX;
pub use manage::{Function, ManagementAnswer};
pub use names::TargetNames;
pub use restart::NamedTask;
pub use submit::{Accepted, Command};

/// Most nexuses of a target.
const NEXUSES: u16 = 256;
/// How often deadlines are looked at, ns.
const DEADLINE_ROUND_NS: u64 = 100_000_000;
/// Violations within [`VIOLATION_WINDOW_NS`] that make the driver unfit to go on.
const VIOLATIONS_MAX: usize = 3;
const VIOLATION_WINDOW_NS: u64 = 10_000_000_000;

/// Why a stack cannot be made of a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// a unit's names
    #[error("target {target} LUN {lun}: {source}")]
    Unit {
        /// the target
        target: u64,
        /// the LUN
        lun: u16,
        /// what is wrong
        source: SpcError,
    },
    /// a unit's numbers
    #[error("target {target} LUN {lun}: {blocks} blocks of {block_size} bytes make no capacity")]
    Capacity {
        /// the target
        target: u64,
        /// the LUN
        lun: u16,
        /// as reported
        blocks: u64,
        /// as reported
        block_size: u32,
    },
    /// no such target
    #[error("the driver reports no target {0}")]
    NoTarget(u64),
}

/// What a driver is unfit for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unfit {
    /// its I/O thread makes no progress
    Hangs,
    /// a task or a task management function has not ended in its time
    Late,
    /// its completions or answers cannot be
    Violates,
}

/// Counters, for reports.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// tasks handed to the driver
    pub submitted: u64,
    /// tasks the driver has ended
    pub completed: u64,
    /// completions and answers refused
    pub violations: u64,
    /// tasks given up by their deadline
    pub timed_out: u64,
    /// tasks submitted again after a driver's death
    pub replayed: u64,
    /// tasks that a dead driver had completed, and that were answered by that
    pub recovered: u64,
    /// tasks ended because they were in flight at too many deaths, see [`Stack::poison`]
    pub poisoned: u64,
    /// writes not repeated because their data was no longer what it had been
    pub spoiled: u64,
    /// units whose acknowledged writes a driver's death may have undone, once for each death
    pub acks_lost: u64,
}

/// One I/O thread's SCSI stack, for one target of one driver.
pub struct Stack {
    target_id: u64,
    target: Target,
    /// by LUN number
    task_sets: Vec<Option<TaskSet>>,
    ledger: Ledger,
    buffers: BufferPool,
    identifiers: Vec<u32>,
    first_slot: u16,
    /// slots to hand to the driver, in order
    outbox: Vec<u16>,
    /// there may be tasks that share their blocks with no other
    exclusive_around: bool,
    ranges: ranges::Ranges,
    /// answers made between turns
    answers: Vec<Answer>,
    completed: Vec<Completed>,
    acked: AckedWrites,
    pending: Vec<Pending>,
    memory: Memory,
    /// slots in use by commands of the host
    host_tasks: usize,
    /// those that wait for what follows from them
    in_host: Vec<HostTask>,
    jobs: jobs::Jobs,
    parameter_list: Vec<u8>,
    state_changes: Vec<StateRecord>,
    /// nexuses whose last tasks have not ended
    closing: Vec<NexusId>,
    requests: Vec<TaskManagement>,
    /// functions that the driver was asked for and has not answered, by number, in order
    asked: VecDeque<u64>,
    /// numbers that it has answered without being asked
    unasked: Vec<u64>,
    managed: Vec<ManagementAnswer>,
    next_request: u64,
    violations: Vec<(Time, Violation)>,
    /// why the driver must be restarted, once it must
    unfit: Option<(Unfit, String)>,
    watch: pulse::Watch,
    restart: restart::Restart,
    /// there may be tasks that go to a driver alone
    suspects: bool,
    /// data-out is guarded from the first submission on
    verify_replay: bool,
    /// nothing is given up for being slow
    debug: bool,
    /// the driver takes no tasks now
    detached: bool,
    /// it gets none, but what it has still comes back
    held: bool,
    /// and never will
    gone_for_good: bool,
    /// tasks handed over, over all incarnations of the driver
    handed_over: u32,
    next_deadline_round: Time,
    in_driver: usize,
    counters: Counters,
}

impl Stack {
    /// For target `target_id` of a driver with `report`, over queue `queue` of `region`; a target
    /// without names, with one port.
    ///
    /// # Errors
    /// See [`Self::named`].
    pub fn new(
        report: &HbaReport,
        target_id: u64,
        identifiers: &[u32],
        region: &Region,
        queue: u32,
    ) -> Result<Self, StackError> {
        Self::named(TargetNames::default(), report, target_id, identifiers, region, queue)
    }

    /// The same under its names, with its ports.
    ///
    /// # Errors
    /// [`StackError`] for a report that makes no target.
    pub fn named(
        names: TargetNames,
        report: &HbaReport,
        target_id: u64,
        identifiers: &[u32],
        region: &Region,
        queue: u32,
    ) -> Result<Self, StackError> {
        let described = report.targets.iter().find(|t| t.id == target_id);
        let described = described.ok_or(StackError::NoTarget(target_id))?;
        let slots = region.layout().slots_of(queue);
        let count = slots.len() as u16;
        let mut target = Target::new(&names.name, names.ports, NEXUSES);
        let mut task_sets: Vec<Option<TaskSet>> = Vec::new();
        let mut restart = restart::Restart::default();
        let layout = region.layout();
        // Each queue allocates from its own share of the pool, so that threads share nothing.
        let share = layout.config.pool_bytes / u64::from(layout.config.queues) / 4096 * 4096;
        let base = layout.pool + share * u64::from(queue);
        let buffers = BufferPool::new(base, share);
        // What no buffer can hold no command may ask for.
        let longest = report.dma.max_transfer_size.min(buffers.largest());
        for unit in &described.units {
            let fail = |source| StackError::Unit { target: target_id, lun: unit.lun, source };
            let config = unit_config(target_id, unit, longest)?;
            let lun = Lun::new(unit.lun).unwrap_or(Lun::ZERO);
            target.add_unit(lun, LogicalUnit::new(config)).map_err(fail)?;
            if !unit.acks_survive_death {
                restart.forgetful.push(lun);
            }
            let index = usize::from(unit.lun);
            if task_sets.len() <= index {
                task_sets.resize_with(index + 1, || None);
            }
            task_sets[index] = Some(TaskSet::new(count));
        }
        Ok(Self {
            target_id,
            target,
            task_sets,
            ledger: Ledger::new(slots.start as u16, count),
            buffers,
            identifiers: identifiers.to_vec(),
            first_slot: slots.start as u16,
            outbox: Vec::with_capacity(usize::from(count)),
            exclusive_around: false,
            ranges: ranges::Ranges::default(),
            answers: Vec::with_capacity(usize::from(count)),
            completed: Vec::with_capacity(usize::from(count) * 2),
            acked: AckedWrites::new(usize::from(count) * 8),
            pending: Vec::new(),
            memory: region.memory().clone(),
            host_tasks: 0,
            in_host: Vec::new(),
            jobs: jobs::Jobs::default(),
            parameter_list: Vec::new(),
            state_changes: Vec::new(),
            closing: Vec::new(),
            requests: Vec::new(),
            asked: VecDeque::new(),
            unasked: Vec::new(),
            managed: Vec::new(),
            next_request: 1,
            violations: Vec::new(),
            unfit: None,
            watch: pulse::Watch::default(),
            restart,
            suspects: false,
            verify_replay: false,
            debug: false,
            detached: false,
            held: false,
            gone_for_good: false,
            handed_over: 0,
            next_deadline_round: Time::ZERO,
            in_driver: 0,
            counters: Counters::default(),
        })
    }

    /// One round: hands the driver what is ready as one bundle, takes what it has completed, looks at
    /// deadlines. Answers are appended to `answers`. Returns whether anything moved.
    pub fn turn(
        &mut self,
        now: Time,
        channel: &mut dyn Channel,
        answers: &mut Vec<Answer>,
    ) -> Result<bool, ChannelError> {
        let before = answers.len();
        let mut moved = false;
        // What ended between turns ended before anything that is handed over now.
        answers.append(&mut self.answers);
        if self.host_tasks != 0 {
            self.run_host_tasks();
        }
        if !self.jobs.is_empty() {
            moved |= self.run_jobs(now);
        }
        if !self.unasked.is_empty() {
            self.refuse_unasked(now);
        }
        if !self.detached {
            // What is ready goes first: looking for completions waits for lines of the driver's core.
            self.hand_over(now, channel)?;
            let mut completed = std::mem::take(&mut self.completed);
            let reaped = channel.reap(now, &mut completed);
            self.complete_all(now, channel, &completed, answers);
            completed.clear();
            self.completed = completed;
            match reaped {
                Err(ChannelError::Violation(v)) => self.violated(now, v),
                other => other?,
            }
            if !self.jobs.is_empty() {
                moved |= self.run_jobs(now);
            }
            self.hand_over(now, channel)?;
        } else if self.gone_for_good {
            self.end_outbox(&Sense::INTERNAL_TARGET_FAILURE);
        }
        if now >= self.next_deadline_round {
            self.next_deadline_round = now.plus_nanos(DEADLINE_ROUND_NS);
            self.look_at_pulse(now, channel);
            self.look_at_deadlines(now);
        }
        if !self.pending.is_empty() {
            self.settle();
        }
        if self.host_tasks != 0 {
            self.run_host_tasks();
        }
        if !self.closing.is_empty() {
            self.close_ended();
        }
        answers.append(&mut self.answers);
        Ok(moved || answers.len() != before)
    }

    /// Hands the driver what is ready, as one bundle. [`Self::turn`] does it too; a front end with
    /// much to submit calls this between, so that the driver begins before it is done.
    pub fn hand_over(&mut self, now: Time, channel: &mut dyn Channel) -> Result<(), ChannelError> {
        if self.host_tasks != 0 {
            self.run_host_tasks();
        }
        if self.outbox.is_empty() || self.detached || self.held {
            return Ok(());
        }
        if self.verify_replay {
            self.guard_outbox();
        }
        if self.suspects {
            return self.hand_over_alone(now, channel);
        }
        self.hand_over_all(now, channel)
    }

    /// All that is ready and that no exclusive task keeps back.
    #[inline]
    fn hand_over_all(&mut self, now: Time, channel: &mut dyn Channel) -> Result<(), ChannelError> {
        if self.exclusive_around {
            return self.hand_over_apart(now, channel);
        }
        for i in 0..self.outbox.len() {
            let slot = self.outbox[i];
            let Some(entry) = self.ledger.submit(slot) else { continue };
            self.in_driver += 1;
            self.handed_over = self.handed_over.wrapping_add(1);
            let Some(record) = self.ledger.record(slot) else { continue };
            if let Err(error) = channel.push(entry, record.nexus, &record.task) {
                // Those up to here are the driver's; the others still wait.
                self.counters.submitted += i as u64 + 1;
                self.outbox.drain(..=i);
                return Err(error);
            }
        }
        self.counters.submitted += self.outbox.len() as u64;
        self.outbox.clear();
        channel.publish(now)
    }

    /// The target: nexuses, units, unit attentions.
    pub fn target_mut(&mut self) -> &mut Target {
        &mut self.target
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Tasks the driver has.
    #[inline]
    pub fn in_driver(&self) -> usize {
        self.in_driver
    }

    /// Slots that are nobody's.
    #[inline]
    pub fn free_slots(&self) -> u32 {
        u32::try_from(self.ledger.slots() - self.ledger.in_use()).unwrap_or(u32::MAX)
    }

    /// Which way the data of the task in `slot` goes.
    #[inline]
    pub fn direction(&self, slot: u16) -> Direction {
        match self.ledger.record(slot).map_or(0, |r| r.task.transfer_direction) {
            1 => Direction::ToDevice,
            2 => Direction::FromDevice,
            _ => Direction::None,
        }
    }

    /// Whether `slot` has a task.
    pub fn holds(&self, slot: u16) -> bool {
        self.ledger.record(slot).is_some_and(|r| r.state != SlotState::Free)
    }

    /// Whether the host itself executes the task in `slot`.
    pub fn is_host_task(&self, slot: u16) -> bool {
        self.ledger.record(slot).is_some_and(|r| r.host)
    }

    /// Holds back what is ready (`true`), so that the driver runs empty and can be replaced in
    /// order; what it has still comes back. `false` lets it go on.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Slots in use, by tasks in any state.
    pub fn in_use(&self) -> usize {
        self.ledger.in_use()
    }

    /// Bytes of the buffer pool that are free.
    pub fn free_buffer_bytes(&self) -> u64 {
        self.buffers.free_bytes()
    }

    /// Counters so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Guards the data of every write by a CRC32C from its first submission on (`true`), so that
    /// what a dying driver spoils is not repeated; otherwise from a write's first repetition on.
    pub fn set_verify_replay(&mut self, on: bool) {
        self.verify_replay = on;
    }

    /// Gives nothing up for being slow (`true`): no deadline passes and no hang is found, so that a
    /// debugger can stop the driver. What the driver says is checked as ever.
    pub fn set_debug(&mut self, on: bool) {
        self.debug = on;
    }

    /// Why the driver must be killed, fenced and restarted, if it must.
    pub fn unfit(&self) -> Option<&str> {
        self.unfit.as_ref().map(|(_, reason)| reason.as_str())
    }

    /// What kind of reason that is.
    pub fn unfit_kind(&self) -> Option<Unfit> {
        self.unfit.as_ref().map(|(kind, _)| *kind)
    }

    /// The violations seen so far, at most the last few.
    pub fn violations(&self) -> &[(Time, Violation)] {
        &self.violations
    }
}
