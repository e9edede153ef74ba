//! Task management (RFC 7143 4.2.3.3, 11.5, 11.6).
//!
//! Tasks that a function ends get no status (TAS = 0). Data for them that is still on its way is
//! dropped. The answer waits until the backend has ended all of them.

use outboard_scsi::Lun;
use outboard_slots::Time;

use super::config::MAX_FUNCTIONS;
use super::connection::Job;
use super::session::{Held, Session};
use super::slab::Key;
use super::task::{Phase, Task};
use super::{Backend, Function, Managed, Server};
use crate::pdu::serial::{after, before};
use crate::pdu::{TaskFunction, TaskOutcome, TaskRequest, TaskResponse};

/// A function that the backend is busy with.
#[derive(Debug)]
pub(super) struct Pending {
    session: Key,
    connection: Key,
    task_tag: u32,
    cold: bool,
}

/// Which tasks a function ends.
#[derive(Clone, Copy, Debug)]
struct Concern {
    /// of one session, or of all
    session: Option<Key>,
    /// of one logical unit, whichever way it is addressed, or of all
    lun: Option<[u8; 8]>,
    /// with this or an earlier CmdSN, for the session that asked
    asked_by: Key,
    cmd_sn: u32,
}

impl Server {
    /// A task management function has ended.
    pub fn managed(&mut self, now: Time, b: &mut impl Backend, cookie: u64) {
        let Some(pending) = self.functions.remove(Key::from_u64(cookie)) else { return };
        if let Some(session) = self.sessions.get_mut(pending.session) {
            session.functions = session.functions.saturating_sub(1);
        }
        if self.connections.get(pending.connection).is_some_and(|c| c.is_open()) {
            self.task_response(b, pending.connection, pending.task_tag, TaskOutcome::Complete);
        }
        if pending.cold {
            // 11.5.1: a cold reset ends all sessions, like a power-on.
            self.lose_after_output(now, b, pending.connection);
            for session in self.sessions.keys() {
                self.end_session(now, b, session);
            }
        }
        self.retry(now, b);
    }

    /// The unit at `lun` has gone, or is another one from now on: commands that wait for their turn
    /// or for room were meant for the old one, and end LOGICAL UNIT NOT SUPPORTED; so do those
    /// whose data is still coming in to wait with them.
    pub fn unit_lost(&mut self, lun: [u8; 8]) {
        for key in self.sessions.keys() {
            let Some(session) = self.sessions.get_mut(key) else { continue };
            for held in session.pending.iter_mut().chain(&mut session.gap) {
                held.gone |= held.is_command() && is_same_unit(held.bhs.lun(), lun);
            }
        }
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let rx = &mut connection.rx;
            rx.gone |= rx.job == Job::Request && is_same_unit(rx.bhs.lun(), lun);
        }
    }

    pub(super) fn task_management(
        &mut self,
        b: &mut impl Backend,
        key: Key,
        request: &TaskRequest,
    ) {
        let Some(session_key) = self.connections.get(key).and_then(|c| c.session) else { return };
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let nexus = session.nexus;
        let lun = request.lun;
        let everywhere = Concern {
            session: None,
            lun: Some(lun),
            asked_by: session_key,
            cmd_sn: request.cmd_sn,
        };
        let (function, concern) = match request.function {
            Some(TaskFunction::AbortTask) => {
                return self.abort_task(b, key, session_key, request);
            }
            Some(TaskFunction::AbortTaskSet) => (
                Function::AbortTaskSet { nexus, lun },
                Concern { session: Some(session_key), ..everywhere },
            ),
            Some(TaskFunction::ClearTaskSet) => (Function::ClearTaskSet { nexus, lun }, everywhere),
            Some(TaskFunction::LogicalUnitReset) => {
                (Function::LogicalUnitReset { nexus, lun }, everywhere)
            }
            Some(TaskFunction::TargetWarmReset | TaskFunction::TargetColdReset) => {
                (Function::TargetReset { nexus }, Concern { lun: None, ..everywhere })
            }
            Some(TaskFunction::TaskReassign) => {
                let outcome = TaskOutcome::ReassignmentNotSupported;
                return self.task_response(b, key, request.task_tag, outcome);
            }
            _ => {
                return self.task_response(b, key, request.task_tag, TaskOutcome::NotSupported);
            }
        };
        let cold = request.function == Some(TaskFunction::TargetColdReset);
        if self.begin_function(b, key, session_key, request.task_tag, &function, cold) {
            self.end_concerned(b, &concern);
        }
    }

    /// Hands a function to the backend; whether it has begun.
    fn begin_function(
        &mut self,
        b: &mut impl Backend,
        key: Key,
        session_key: Key,
        task_tag: u32,
        function: &Function,
        cold: bool,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(session_key) else { return false };
        if session.functions >= MAX_FUNCTIONS {
            self.task_response(b, key, task_tag, TaskOutcome::Rejected);
            return false;
        }
        let pending = Pending { session: session_key, connection: key, task_tag, cold };
        let cookie = self.functions.insert(pending);
        let refused = match b.manage(function, cookie.to_u64()) {
            Managed::Begun => {
                session.functions += 1;
                return true;
            }
            Managed::NoLun => TaskOutcome::LunDoesNotExist,
            Managed::NotSupported => TaskOutcome::NotSupported,
        };
        self.functions.remove(cookie);
        self.task_response(b, key, task_tag, refused);
        false
    }

    /// ABORT TASK, with the rules of 11.5.5 and 11.6.1 for tasks that are not there.
    fn abort_task(
        &mut self,
        b: &mut impl Backend,
        key: Key,
        session_key: Key,
        request: &TaskRequest,
    ) {
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        if let Some(&task_key) = session.tasks.get(&request.referenced) {
            return self.abort_present(b, key, session_key, task_key, request);
        }
        let outcome = if let Some(held) = session.held(request.referenced) {
            held.void = true;
            session.forget_void_pending();
            TaskOutcome::Complete
        } else if self.plug(key, session_key, request) {
            TaskOutcome::Complete
        } else {
            TaskOutcome::TaskDoesNotExist
        };
        self.task_response(b, key, request.task_tag, outcome);
    }

    fn abort_present(
        &mut self,
        b: &mut impl Backend,
        key: Key,
        session_key: Key,
        task_key: Key,
        request: &TaskRequest,
    ) {
        let Some(task) = self.tasks.get_mut(task_key) else { return };
        if !is_same_unit(task.lun, request.lun) {
            let outcome = TaskOutcome::TaskDoesNotExist;
            return self.task_response(b, key, request.task_tag, outcome);
        }
        if task.slot.is_none() {
            // The backend does not know it any more.
            self.drop_task(b, task_key);
            return self.task_response(b, key, request.task_tag, TaskOutcome::Complete);
        }
        let Some(session) = self.sessions.get(session_key) else { return };
        let function = Function::AbortTask {
            nexus: session.nexus,
            lun: request.lun,
            tag: Task::tag(request.referenced),
        };
        if self.begin_function(b, key, session_key, request.task_tag, &function, false) {
            self.abort_collecting(b, task_key);
            if let Some(task) = self.tasks.get_mut(task_key) {
                task.silent = true;
            }
        }
    }

    /// 11.6.1: the task's command may be lost on its way. If its CmdSN is in the window and before
    /// the function's, it counts as received, so that the requests behind it can go on.
    fn plug(&mut self, key: Key, session_key: Key, request: &TaskRequest) -> bool {
        let Some(session) = self.sessions.get_mut(session_key) else { return false };
        let sn = request.ref_cmd_sn;
        if before(sn, session.exp_cmd_sn)
            || after(sn, session.max_cmd_sn)
            || !before(sn, request.cmd_sn)
            || session.gap.iter().any(|held| held.bhs.cmd_sn() == sn)
        {
            return false;
        }
        let at = session.gap.partition_point(|held| before(held.bhs.cmd_sn(), sn));
        session.gap.insert(at, Session::void(key, sn));
        true
    }

    /// Ends what the front end still holds of the tasks that a function concerns. The backend ends
    /// those it has by itself.
    fn end_concerned(&mut self, b: &mut impl Backend, concern: &Concern) {
        for session_key in self.sessions.keys() {
            if concern.session.is_some_and(|s| s != session_key) {
                continue;
            }
            let own = session_key == concern.asked_by;
            let Some(session) = self.sessions.get_mut(session_key) else { continue };
            let hit = |held: &Held| {
                concern.lun.is_none_or(|lun| is_same_unit(held.bhs.lun(), lun))
                    && held.is_command()
                    && !(own && after(held.bhs.cmd_sn(), concern.cmd_sn))
            };
            for held in session.pending.iter_mut().chain(&mut session.gap) {
                held.void |= hit(held);
            }
            session.forget_void_pending();
            let tasks: Vec<Key> = session.tasks.values().copied().collect();
            for task_key in tasks {
                let Some(task) = self.tasks.get_mut(task_key) else { continue };
                if concern.lun.is_some_and(|lun| !is_same_unit(task.lun, lun))
                    || (own && after(task.cmd_sn, concern.cmd_sn))
                {
                    continue;
                }
                if task.slot.is_none() {
                    self.drop_task(b, task_key);
                    continue;
                }
                task.silent |= own;
                self.abort_collecting(b, task_key);
            }
        }
    }

    /// A task that still collects data becomes ready, as the backend ends it then; not as long as
    /// the edge receives into its buffer.
    fn abort_collecting(&mut self, b: &mut impl Backend, key: Key) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let lent = self.connections.get(task.connection).and_then(|c| c.lent()) == Some(key);
        if let (Phase::Collecting, Some(slot)) = (&task.phase, task.slot) {
            if lent {
                task.phase = Phase::Doomed { cancel: false };
            } else {
                task.phase = Phase::Running;
                b.ready(slot, task.attribute);
            }
        }
    }

    /// Forgets a task that the backend has answered or never had.
    fn drop_task(&mut self, b: &mut impl Backend, key: Key) {
        if let Some(task) = self.remove_task(key)
            && let Phase::Draining(answer) = task.phase
            && let Some(slot) = answer.slot
        {
            b.finish(slot);
        }
    }

    pub(super) fn task_response(
        &mut self,
        b: &impl Backend,
        key: Key,
        task_tag: u32,
        outcome: TaskOutcome,
    ) {
        let sequence = self.sequence(b, key);
        self.count_status(key);
        let bhs = crate::pdu::Response::Task(TaskResponse { outcome, task_tag, sequence }).encode();
        self.send(key, bhs, &[]);
    }
}

/// Whether two LUNs name one logical unit: it has one number in several forms (SAM-6 4.7).
fn is_same_unit(a: [u8; 8], b: [u8; 8]) -> bool {
    a == b || Lun::decode(a).is_ok_and(|lun| Lun::decode(b) == Ok(lun))
}

impl Held {
    fn is_command(&self) -> bool {
        self.bhs.opcode() == crate::pdu::InitiatorOpcode::Command.code()
    }
}

impl Session {
    /// Drops commands in order that are not to be carried out: their CmdSN has counted already.
    fn forget_void_pending(&mut self) {
        let mut freed = 0;
        self.pending.retain(|held| {
            if held.void {
                freed += held.cost();
            }
            !held.void
        });
        self.held_bytes = self.held_bytes.saturating_sub(freed);
    }
}
