//! Task management (SAM-6 clause 7). A function is answered only after every task it concerns has
//! ended: those the driver has, by the driver's own word and its completions.

use outboard_hba::{ManagementFunction, TaskManagement};
use outboard_scsi::{Lun, Sense, Status};
use outboard_slots::{Time, planted};
use outboard_spc::{NexusId, Scope, UnitAttention};

use super::jobs::Outcome;
use super::{Answer, Stack, Unfit};
use crate::channel::Channel;
use crate::ledger::{Record, SlotState, Violation};

/// Functions that a driver may owe an answer at a time: one that answers none is unfit in the end.
pub(crate) const FUNCTIONS_MAX: usize = 1 << 16;

/// A task management function as a front end received it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Function {
    /// ABORT TASK
    AbortTask {
        /// the nexus
        nexus: NexusId,
        /// LUN
        lun: u16,
        /// tag of the task
        tag: u64,
    },
    /// ABORT TASK SET
    AbortTaskSet {
        /// the nexus
        nexus: NexusId,
        /// LUN
        lun: u16,
    },
    /// CLEAR TASK SET
    ClearTaskSet {
        /// the nexus that asks
        nexus: NexusId,
        /// LUN
        lun: u16,
    },
    /// LOGICAL UNIT RESET
    LogicalUnitReset {
        /// LUN
        lun: u16,
    },
    /// TARGET RESET
    TargetReset,
}

/// The end of a task management function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ManagementAnswer {
    /// the front end's name for it
    pub cookie: u64,
}

/// A function in progress.
#[derive(Debug)]
pub(super) struct Pending {
    id: u64,
    function: Function,
    then: Then,
    /// the driver has said that it is done
    confirmed: bool,
    /// when the driver has taken too long to say so; set by the first look at deadlines
    deadline: Time,
    /// the tasks it waits for, by slot and generation
    tasks: Vec<(u16, u64)>,
}

/// Who is told of the end of a function.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// nobody
    Nobody,
    /// the initiators of its tasks, each by its task's end: the host wants it of its own accord
    Initiators,
    /// the front end, by its name for the function
    FrontEnd(u64),
    /// a command of the host that has caused it, by its slot; `told` is the nexus that learns of
    /// its cleared commands
    Host { slot: u16, told: Option<NexusId> },
}

impl Stack {
    /// Begins a function. With a cookie its end is told by [`Self::managed`].
    pub fn manage(&mut self, _now: Time, function: Function, cookie: Option<u64>) {
        self.begin(function, cookie.map_or(Then::Nobody, Then::FrontEnd));
        self.settle();
    }

    /// Begins a function; [`Self::settle`] ends it if nothing is to be waited for.
    pub(super) fn begin(&mut self, function: Function, then: Then) {
        let cause = match then {
            Then::Host { slot, .. } => Some(slot),
            _ => None,
        };
        let aborts: Vec<u16> = self
            .ledger
            .iter()
            .filter(|(slot, r)| Some(*slot) != cause && self.concerns(&function, r))
            .map(|(slot, _)| slot)
            .collect();
        // Of pieces of a copy its nexus knows nothing.
        let is_job = |slot: &u16| self.ledger.record(*slot).is_some_and(|r| r.internal);
        let then = match then {
            Then::Host { slot, .. } if aborts.iter().all(is_job) => Then::Host { slot, told: None },
            then => then,
        };
        let mut tasks = Vec::new();
        let mut in_driver = false;
        for &slot in &aborts {
            let Some(record) = self.ledger.record_mut(slot) else { continue };
            // Once an initiator wants it aborted, nobody waits for its end.
            record.by_host =
                matches!(then, Then::Initiators) && (record.by_host || !record.aborted);
            record.aborted = true;
            match record.state {
                SlotState::InDriver => {
                    in_driver = true;
                    tasks.push((slot, record.generation));
                }
                SlotState::InHost => tasks.push((slot, record.generation)),
                // Ends when the front end is done with filling.
                SlotState::Filling => {}
                SlotState::Waiting => {}
                SlotState::Free | SlotState::Sending | SlotState::Quarantined => {}
            }
        }
        self.end_waiting(&aborts);
        let id = self.next_request;
        self.next_request += 1;
        // Where no driver is to come, none is there to be reset.
        let confirmed = self.gone_for_good || !in_driver && !function.resets();
        if !confirmed && !self.detached {
            let function = self.for_driver(&function, &tasks);
            let (target, sequence) = (self.target_id, vec![self.handed_over]);
            self.requests.push(TaskManagement { id, function, target, sequence });
        }
        let deadline = Time::NEVER;
        self.pending.push(Pending { id, function, then, confirmed, deadline, tasks });
    }

    /// Resets a logical unit for the sake of tasks that are late. They and all others on it end with
    /// ABORTED COMMAND, unless the driver has ended them before: an initiator whose task just
    /// vanished would wait for it until its own time is over.
    pub(super) fn reset_late(&mut self, lun: u16) {
        self.begin(Function::LogicalUnitReset { lun }, Then::Initiators);
        self.settle();
    }

    /// Aborts one task by its slot: the first step of giving it up.
    pub(super) fn abort_slot(&mut self, _now: Time, slot: u16) {
        let Some(record) = self.ledger.record(slot) else { return };
        let generation = record.generation;
        let id = self.next_request;
        self.next_request += 1;
        let function = ManagementFunction::AbortTask { slot, generation };
        let (target, sequence) = (self.target_id, vec![self.handed_over]);
        self.requests.push(TaskManagement { id, function, target, sequence });
    }

    /// Requests for the driver, with the submission sequence at the time of the function: what was
    /// handed over since then came after it and is not its concern. The caller sends them over the
    /// control socket.
    pub fn requests(&mut self, channel: &dyn Channel) -> Vec<TaskManagement> {
        let mut requests = std::mem::take(&mut self.requests);
        for request in &mut requests {
            for handed_over in &mut request.sequence {
                let since = self.handed_over.wrapping_sub(*handed_over);
                *handed_over = channel.sequence().wrapping_sub(since);
            }
        }
        self.asked.extend(requests.iter().map(|request| request.id));
        if self.asked.len() > FUNCTIONS_MAX {
            let reason =
                format!("it has answered none of {FUNCTIONS_MAX} task management functions");
            self.declare_unfit(Unfit::Late, reason);
        }
        requests
    }

    /// Whether [`Self::requests`] has something.
    #[inline]
    pub fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// The driver's answer to a request. Everything it completed before must have been reaped by a
    /// turn that follows; call this before that turn and [`Self::managed`] after it. An answer to
    /// nothing is a violation, counted by that turn.
    pub fn confirmed(&mut self, id: u64) {
        if self.detached {
            // The fence will say it of all.
            return;
        }
        let Ok(at) = self.asked.binary_search(&id) else { return self.unasked.push(id) };
        self.asked.remove(at);
        if let Some(p) = self.pending.iter_mut().find(|p| p.id == id) {
            p.confirmed = true;
        }
    }

    /// The driver has answered what it was not asked for.
    #[cold]
    pub(super) fn refuse_unasked(&mut self, now: Time) {
        for id in std::mem::take(&mut self.unasked) {
            self.violated(now, Violation::Function { id });
        }
    }

    /// Nobody is there to be asked, or to answer.
    pub(super) fn forget_requests(&mut self) {
        self.requests.clear();
        self.asked.clear();
        self.counters.violations += self.unasked.len() as u64;
        self.unasked.clear();
    }

    /// Functions that have ended since the last call; none while a turn still has answers to give
    /// out, since the tasks of a function are answered before it.
    pub fn managed(&mut self) -> Vec<ManagementAnswer> {
        if !self.answers.is_empty() {
            return Vec::new();
        }
        if !self.pending.is_empty() {
            self.settle();
        }
        std::mem::take(&mut self.managed)
    }

    /// Ends every function whose tasks have all ended.
    pub(super) fn settle(&mut self) {
        let mut ended = Vec::new();
        let ledger = &self.ledger;
        self.pending.retain_mut(|p| {
            p.tasks.retain(|&(slot, generation)| {
                ledger.record(slot).is_some_and(|r| {
                    matches!(r.state, SlotState::InDriver | SlotState::InHost)
                        && r.generation == generation
                })
            });
            let early = planted::is("host: functions end early");
            let over = p.confirmed && p.tasks.is_empty() || early;
            if over {
                ended.push((p.function, p.then));
            }
            !over
        });
        for (function, then) in ended {
            self.tell_others(&function);
            match then {
                Then::Nobody | Then::Initiators => {}
                Then::FrontEnd(cookie) => self.managed.push(ManagementAnswer { cookie }),
                Then::Host { slot, told } => {
                    if let (Some(nexus), Function::AbortTaskSet { lun, .. }) = (told, function) {
                        self.tell_cleared(nexus, lun);
                    }
                    self.go_on(slot);
                }
            }
        }
    }

    /// Whether the host's command in `slot` waits for a function.
    pub(super) fn waits_for_function(&self, slot: u16) -> bool {
        self.pending.iter().any(|p| matches!(p.then, Then::Host { slot: s, .. } if s == slot))
    }

    /// With TAS = 0 a nexus whose commands another one ended learns of it by a unit attention.
    fn tell_cleared(&mut self, nexus: NexusId, lun: u16) {
        let Some(lun) = Lun::new(lun) else { return };
        let scope = Scope::One(nexus);
        let _ = self.target.establish(lun, scope, UnitAttention::CommandsCleared);
    }

    /// Unit attentions that follow from a function (SAM-6 5.14, table of unit attentions).
    fn tell_others(&mut self, function: &Function) {
        let (lun, scope, attention) = match *function {
            Function::AbortTask { .. } | Function::AbortTaskSet { .. } => return,
            Function::ClearTaskSet { nexus, lun } => {
                (Some(lun), Scope::AllBut(nexus), UnitAttention::CommandsCleared)
            }
            Function::LogicalUnitReset { lun } => {
                (Some(lun), Scope::All, UnitAttention::LogicalUnitReset)
            }
            Function::TargetReset => (None, Scope::All, UnitAttention::TargetReset),
        };
        let luns: Vec<Lun> =
            self.target.luns().filter(|l| lun.is_none_or(|n| n == l.number())).collect();
        for lun in luns {
            if function.resets() {
                self.target.reset_unit(lun);
            }
            let _ = self.target.establish(lun, scope, attention);
        }
    }

    /// Ends the waiting ones among `slots` as aborted.
    fn end_waiting(&mut self, slots: &[u16]) {
        for slot in self.withdraw(slots) {
            self.end_aborted(slot);
        }
    }

    /// Takes the waiting ones among `slots` out of their task sets, and lets those behind them
    /// start; returns them.
    pub(super) fn withdraw(&mut self, slots: &[u16]) -> Vec<u16> {
        let first_slot = self.first_slot;
        let mut waiting: Vec<u16> = Vec::new();
        for set in self.task_sets.iter_mut().flatten() {
            let outbox = &mut self.outbox;
            set.remove_waiting(
                &mut |id| {
                    let slot = id + first_slot;
                    let ours = slots.contains(&slot);
                    if ours {
                        waiting.push(slot);
                    }
                    ours
                },
                &mut |id| outbox.push(id + first_slot),
            );
        }
        // Started, but not yet handed over in a turn: it may be taken back.
        let mut started = Vec::new();
        self.outbox.retain(|slot| {
            let ours = slots.contains(slot);
            if ours {
                started.push(*slot);
            }
            !ours
        });
        for slot in started {
            if let Some(lun) = self.ledger.record(slot).map(|r| usize::from(r.lun)) {
                self.leave_task_set(slot, lun);
            }
            waiting.push(slot);
        }
        waiting
    }

    /// Ends a task that the driver does not have, as aborted.
    pub(super) fn end_aborted(&mut self, slot: u16) {
        let Some(record) = self.ledger.record_mut(slot) else { return };
        if record.internal {
            return self.end_internal(slot, Outcome::Aborted);
        }
        if record.by_host {
            return self.end_with_sense(slot, &Sense::ABORTED_COMMAND);
        }
        record.state = SlotState::Sending;
        let cookie = record.cookie;
        let status = Status::TaskAborted;
        let answer = Answer { cookie, slot: Some(slot), status, aborted: true, ..Answer::EMPTY };
        self.answers.push(answer);
    }

    /// Whether a function ends a task. That of a copy belongs to the nexus that asked for the copy:
    /// what was on its way to the unit must not land after the function's answer. Its copy goes on,
    /// if nothing else ends it, by another task that is judged anew. A unit that is being sanitized
    /// goes on whatever happens.
    fn concerns(&self, function: &Function, record: &Record) -> bool {
        let is_of = |nexus: NexusId| match record.internal {
            true => self.jobs.copies_for(record.cookie, nexus),
            false => record.nexus == u32::from(nexus.index()),
        };
        let begun = match record.state {
            SlotState::Free | SlotState::Sending | SlotState::Quarantined => false,
            // A place without a task.
            SlotState::Filling => !record.internal,
            SlotState::Waiting | SlotState::InDriver | SlotState::InHost => true,
        };
        if !begun || record.internal && !self.jobs.is_copy(record.cookie) {
            return false;
        }
        match *function {
            Function::AbortTask { nexus, lun, tag } => {
                let is_it = record.lun == lun && record.task.task_tag_identifier == tag;
                is_it && !record.internal && is_of(nexus)
            }
            Function::AbortTaskSet { nexus, lun } => record.lun == lun && is_of(nexus),
            Function::ClearTaskSet { lun, .. } | Function::LogicalUnitReset { lun } => {
                record.lun == lun
            }
            Function::TargetReset => true,
        }
    }

    fn for_driver(&self, function: &Function, tasks: &[(u16, u64)]) -> ManagementFunction {
        let bytes = |lun: u16| Lun::new(lun).unwrap_or(Lun::ZERO).encode();
        match *function {
            Function::AbortTask { .. } => {
                let (slot, generation) = tasks.first().copied().unwrap_or_default();
                ManagementFunction::AbortTask { slot, generation }
            }
            Function::AbortTaskSet { nexus, lun } => ManagementFunction::AbortTaskSet {
                lun: bytes(lun),
                nexus: u64::from(nexus.index()),
            },
            Function::ClearTaskSet { lun, .. } => {
                ManagementFunction::ClearTaskSet { lun: bytes(lun) }
            }
            Function::LogicalUnitReset { lun } => {
                ManagementFunction::LogicalUnitReset { lun: bytes(lun) }
            }
            Function::TargetReset => ManagementFunction::TargetReset,
        }
    }

    /// Ends everything a dead driver still had: nothing more comes from it. `sense` says why.
    pub(super) fn end_all_in_driver(&mut self, sense: &Sense) {
        for slot in self.ledger.in_order(SlotState::InDriver) {
            let Some(record) = self.ledger.record(slot) else { continue };
            let (lun, aborted) = (usize::from(record.lun), record.aborted);
            self.in_driver -= 1;
            self.leave_task_set(slot, lun);
            match aborted {
                true => self.end_aborted(slot),
                false => self.end_with_sense(slot, sense),
            }
        }
    }

    /// Ends what may start but was not handed over, and what starts by that. `sense` says why.
    pub(super) fn end_outbox(&mut self, sense: &Sense) {
        while !self.outbox.is_empty() {
            for slot in std::mem::take(&mut self.outbox) {
                if let Some(lun) = self.ledger.record(slot).map(|r| usize::from(r.lun)) {
                    self.leave_task_set(slot, lun);
                }
                self.end_with_sense(slot, sense);
            }
        }
    }
}

impl Pending {
    /// Whether the driver is late with its word: it has `patience_ns` from the first look on.
    pub(super) fn is_late(&mut self, now: Time, patience_ns: u64) -> bool {
        if self.confirmed {
            return false;
        }
        self.deadline = self.deadline.min(now.plus_nanos(patience_ns));
        self.deadline <= now
    }

    /// The fence has done what the driver was asked to do.
    pub(super) fn confirm(&mut self) {
        self.confirmed = true;
    }
}

impl Function {
    const fn resets(&self) -> bool {
        matches!(self, Self::LogicalUnitReset { .. } | Self::TargetReset)
    }
}
