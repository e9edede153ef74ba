//! Commands of the host that come with a parameter list (MODE SELECT, PERSISTENT RESERVE OUT...):
//! collected like a write, ordered by the task set like every task, executed here.

use outboard_scsi::{Direction, Lun, Sense};
use outboard_slots::Time;
use outboard_spc::reservation::StateChange;
use outboard_spc::{Effect, Forwarded, Parameters, Response};

use super::manage::Then;
use super::{Accepted, Answer, Command, Function, Stack};
use crate::ledger::SlotState;

/// A command that has been executed, and is answered once what follows from it has happened.
#[derive(Debug)]
pub(super) struct HostTask {
    slot: u16,
    response: Response,
    /// records of its that are not on their medium yet
    unkept: Vec<u64>,
    /// a job of its goes on
    working: bool,
}

/// A record of a unit's persistent state, to be written and synchronized by the caller, who then
/// calls [`Stack::state_kept`]: the command that caused it is answered only then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateRecord {
    /// names it to [`Stack::state_kept`]
    pub id: u64,
    /// where it goes, and what it is
    pub change: StateChange,
}

impl Stack {
    /// Takes slot and buffer for a command of the host with its parameter list.
    pub(super) fn collect(
        &mut self,
        now: Time,
        command: &Command<'_>,
        parameters: Parameters,
    ) -> Accepted {
        let Parameters { lun, length, command: parsed } = parameters;
        let direction = if length == 0 { Direction::None } else { Direction::ToDevice };
        let accepted = self.forward(
            now,
            command,
            Forwarded { lun, direction, length, through: false, command: parsed },
        );
        if let Accepted::Slot { slot, .. } = accepted
            && let Some(record) = self.ledger.record_mut(slot)
        {
            record.host = true;
            record.writes = false;
            self.host_tasks += 1;
        }
        accepted
    }

    /// Executes the host's own tasks that may start, and those that start by that.
    #[cold]
    pub(super) fn run_host_tasks(&mut self) {
        loop {
            let ledger = &self.ledger;
            let of_host = |slot: &u16| ledger.record(*slot).is_some_and(|r| r.host);
            let Some(at) = self.outbox.iter().position(of_host) else { return };
            let slot = self.outbox.remove(at);
            self.execute(slot);
        }
    }

    fn execute(&mut self, slot: u16) {
        let Some(record) = self.ledger.record_mut(slot) else { return };
        record.state = SlotState::InHost;
        record.generation = outboard_slots::Entry::next_generation(record.generation);
        let (buffer, task, lun) = (record.buffer, record.task, record.lun);
        let nexus = u16::try_from(record.nexus).unwrap_or(u16::MAX);
        let mut bytes = std::mem::take(&mut self.parameter_list);
        bytes.clear();
        // At most PARAMETER_LIST_MAX, see `spc`.
        bytes.resize(usize::try_from(buffer.len).unwrap_or(0), 0);
        let read = bytes.is_empty() || self.memory.read(buffer.offset, &mut bytes).is_ok();
        let response = match (self.target.nexuses().at(nexus), Lun::new(lun)) {
            (Some(nexus), Some(lun)) if read => {
                self.target.parameters(nexus, lun, &task.command_descriptor_block, &bytes)
            }
            _ => Sense::INTERNAL_TARGET_FAILURE.into(),
        };
        self.parameter_list = bytes;
        let mut unkept = Vec::new();
        while let Some(change) = self.target.take_state_changes() {
            let id = self.next_request;
            self.next_request += 1;
            unkept.push(id);
            self.state_changes.push(StateRecord { id, change });
        }
        self.in_host.push(HostTask { slot, response, unkept, working: false });
        self.carry_out_effects(Some(slot));
        self.go_on(slot);
        self.settle();
    }

    /// Records to be written since the last call. There are none unless the state of a unit was
    /// restored ([`outboard_spc::Target::restore`]).
    pub fn state_records(&mut self) -> Vec<StateRecord> {
        std::mem::take(&mut self.state_changes)
    }

    /// A record is on its medium (`kept`), or could not be written: the command that caused it
    /// fails then. Its answer comes with the next turn.
    pub fn state_kept(&mut self, record: &StateRecord, kept: bool) {
        let id = record.id;
        let Some(task) = self.in_host.iter_mut().find(|task| task.unkept.contains(&id)) else {
            return;
        };
        task.unkept.retain(|other| *other != id);
        if !kept {
            task.response = Sense::INTERNAL_TARGET_FAILURE.into();
            self.target.state_lost(&record.change);
        }
        let slot = task.slot;
        self.go_on(slot);
    }

    /// Does what the last command of the host asks for beside its answer. `cause` is its slot.
    pub(super) fn carry_out_effects(&mut self, cause: Option<u16>) {
        for effect in self.target.take_effects() {
            let (nexus, lun) = match effect {
                Effect::AbortTasks { nexus, lun } => (nexus, lun),
                job => {
                    // Jobs are commands with a slot.
                    if let Some(slot) = cause {
                        self.work_for(slot, job);
                    }
                    continue;
                }
            };
            let function = Function::AbortTaskSet { nexus, lun: lun.number() };
            let then = cause.map_or(Then::Nobody, |slot| Then::Host { slot, told: Some(nexus) });
            self.begin(function, then);
        }
    }

    /// Begins a job for the host's command in `slot`.
    fn work_for(&mut self, slot: u16, effect: Effect) {
        let begun = self.begin_job(effect, slot);
        let Some(task) = self.in_host.iter_mut().find(|task| task.slot == slot) else { return };
        match begun {
            Ok(waits) => task.working = waits,
            Err(response) => task.response = response,
        }
    }

    /// The job of the host's command in `slot` has ended, or goes on without it.
    pub(super) fn finish_work(&mut self, slot: u16, response: Option<Response>) {
        let Some(task) = self.in_host.iter_mut().find(|task| task.slot == slot) else { return };
        task.working = false;
        if let Some(response) = response {
            task.response = response;
        }
        self.go_on(slot);
    }

    /// Ends the host's command in `slot` unless something is still to be waited for.
    pub(super) fn go_on(&mut self, slot: u16) {
        if self.waits_for_function(slot) {
            return;
        }
        let over = |task: &HostTask| task.slot == slot && task.unkept.is_empty() && !task.working;
        let Some(at) = self.in_host.iter().position(over) else { return };
        let HostTask { response, .. } = self.in_host.swap_remove(at);
        self.end_host_task(slot, response);
    }

    /// The end of a command that the host executes.
    pub(super) fn end_host_task(&mut self, slot: u16, response: Response) {
        let Some(record) = self.ledger.record_mut(slot) else { return };
        let (lun, aborted) = (usize::from(record.lun), record.is_silent());
        record.state = SlotState::Sending;
        let mut answer = Answer {
            cookie: record.cookie,
            slot: Some(slot),
            status: response.status,
            aborted,
            transferred: record.buffer.len,
            length: u64::from(record.length),
            offset: record.buffer.offset,
            data: response.data,
            ..Answer::EMPTY
        };
        let lun_bytes = record.task.logical_unit_bytes;
        answer.sense = response.sense.map(|sense| self.encode(lun_bytes, &sense));
        self.leave_task_set(slot, lun);
        self.answers.push(answer);
    }
}
