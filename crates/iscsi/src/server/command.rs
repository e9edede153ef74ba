//! SCSI commands (RFC 7143 11.3).

use outboard_scsi::{Direction, Sense, Status};
use outboard_slots::Time;

use super::config::{MAX_IMMEDIATE, MAX_TASKS};
use super::connection::{Dest, Job};
use super::order::Admission;
use super::session::Held;
use super::slab::Key;
use super::task::{Failure, Phase, Task};
use super::{Backend, ScsiAnswer, ScsiCommand, Server, Submitted};
use crate::pdu::ahs::{Ahs, MAX_CDB_LEN};
use crate::pdu::{CommandRequest, RejectReason, Request};

impl Server {
    /// The header of a command is there. If it can start at once, its data goes straight into its
    /// buffer; else the data is kept until it is complete.
    #[inline]
    pub(super) fn route_command(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        key: Key,
        request: &CommandRequest,
    ) -> (Dest, Job) {
        const IGNORED: (Dest, Job) = (Dest::Skip, Job::Nothing);
        let Some(connection) = self.connections.get_mut(key) else { return IGNORED };
        let bhs = connection.rx.bhs;
        let Some(session_key) = connection.session else { return IGNORED };
        let Some(session) = self.sessions.get_mut(session_key) else { return IGNORED };
        let reject = |reason| (Dest::Skip, Job::Reject(reason));
        let admission = session.admit(&bhs);
        if admission == Admission::Ignore {
            return IGNORED;
        }
        let queued = !session.pending.is_empty() || !session.gap.is_empty();
        if session.tasks.contains_key(&request.task_tag)
            || (queued && session.held(request.task_tag).is_some())
        {
            return reject(RejectReason::TaskInProgress);
        }
        if bhs.data_len() != 0 && !request.write {
            return reject(RejectReason::ProtocolError);
        }
        let most = self.config.queue_depth.saturating_add(MAX_IMMEDIATE);
        if request.immediate && session.live >= most {
            return reject(RejectReason::ImmediateCommandReject);
        }
        if !connection.rx.ahs.is_empty() && Ahs::parse(&connection.rx.ahs).is_none() {
            return reject(RejectReason::InvalidPduField);
        }
        if admission == Admission::Early || (!request.immediate && !session.pending.is_empty()) {
            return (Dest::Scratch, Job::Request);
        }
        let ahs = std::mem::take(&mut connection.rx.ahs);
        let unsolicited = request.write && !request.last && !session.initial_r2t;
        let started = self.submit(now, b, key, request, &ahs, unsolicited);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.rx.ahs = ahs;
        }
        let Some(task_key) = started else { return (Dest::Scratch, Job::Request) };
        if !request.immediate {
            if let Some(session) = self.sessions.get_mut(session_key) {
                session.next_cmd_sn();
            }
            self.close_gap(now, b, session_key);
        }
        if bhs.data_len() == 0 {
            self.advance(now, b, task_key);
            return IGNORED;
        }
        self.immediate_data(session_key, task_key, bhs.data_len());
        let job = Job::Arrived { task: task_key, ends: false };
        (self.place(task_key, 0, bhs.data_len()), job)
    }

    /// Checks the length of immediate data and counts it.
    fn immediate_data(&mut self, session: Key, task: Key, len: u32) {
        let Some(session) = self.sessions.get(session) else { return };
        let Some(task) = self.tasks.get_mut(task) else { return };
        if len == 0 {
            return;
        }
        let most = session.first_burst.min(u64::from(task.expected));
        if !session.immediate_data {
            task.failure.get_or_insert(Failure::UnexpectedUnsolicitedData);
        } else if u64::from(len) > most {
            task.failure.get_or_insert(Failure::IncorrectAmountOfData);
        }
        task.received = len;
    }

    /// Where `len` bytes of a task's data from `from` on go.
    pub(super) fn place(&self, key: Key, from: u32, len: u32) -> Dest {
        let Some(task) = self.tasks.get(key) else { return Dest::Skip };
        let keep = len.min(task.need.saturating_sub(from));
        if keep == 0 || task.failure.is_some() || !matches!(task.phase, Phase::Collecting) {
            return Dest::Skip;
        }
        let offset = task.offset + u64::from(from);
        Dest::Region { task: key, offset, keep, lent: false }
    }

    /// Hands a command to the backend. `None`: there is no room now.
    #[inline]
    fn submit(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        key: Key,
        request: &CommandRequest,
        ahs: &[u8],
        unsolicited: bool,
    ) -> Option<Key> {
        let session_key = self.connections.get(key)?.session?;
        let session = self.sessions.get_mut(session_key)?;
        if self.tasks.len() >= MAX_TASKS {
            return None;
        }
        let task_key = self.tasks.insert(new_task(now, session_key, key, request, unsolicited));
        let mut long = [0; MAX_CDB_LEN];
        let cdb = if ahs.is_empty() { &request.cdb } else { long_cdb(request, ahs, &mut long) };
        let submitted = b.submit(&ScsiCommand {
            nexus: session.nexus,
            lun: request.lun,
            cdb,
            attribute: request.attribute,
            tag: Task::tag(request.task_tag),
            expected: u64::from(request.expected),
            cookie: task_key.to_u64(),
            write: request.write,
            read: request.read,
        });
        let task = self.tasks.get_mut(task_key)?;
        match submitted {
            Submitted::Full => {
                self.tasks.remove(task_key);
                return None;
            }
            Submitted::Answered(answer) => task.phase = Phase::Draining(Box::new(answer)),
            Submitted::Buffer { slot, offset, len, direction } => {
                let takes = direction == Direction::ToDevice;
                if takes && !request.write && len != 0 {
                    // The buffer's old content must not be taken for data of the initiator.
                    b.cancel(slot);
                    task.failure = Some(Failure::Direction);
                } else {
                    task.slot = Some(slot);
                    task.offset = offset;
                    task.unwanted = direction == Direction::FromDevice
                        && !request.read
                        && request.expected != 0;
                    if takes {
                        task.need = u32::try_from(len).unwrap_or(u32::MAX).min(request.expected);
                    }
                }
            }
        }
        session.tasks.insert(request.task_tag, task_key);
        session.live += 1;
        session.commands += 1;
        Some(task_key)
    }

    /// Starts a command that has waited, with the data that came meanwhile; hands it back if there
    /// is still no room.
    pub(super) fn start(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        session_key: Key,
        held: Held,
    ) -> Result<(), Held> {
        let key = held.connection;
        let Ok(Request::Command(request)) = Request::parse(&held.bhs) else { return Ok(()) };
        if !self.connections.get(key).is_some_and(|c| c.is_open()) {
            return Ok(());
        }
        let taken =
            self.sessions.get(session_key).is_some_and(|s| s.tasks.contains_key(&request.task_tag));
        if taken {
            // Its tag came twice, on two connections at a time.
            return Ok(());
        }
        if held.refused || held.gone {
            self.refuse(now, b, session_key, &held, &request);
            return Ok(());
        }
        let Some(task_key) = self.submit(now, b, key, &request, &held.ahs, held.unsolicited) else {
            return Err(held);
        };
        self.immediate_data(session_key, task_key, held.bhs.data_len());
        if let Some(task) = self.tasks.get_mut(task_key) {
            task.received = held.received;
            task.data_sn = held.data_sn;
            task.failure = task.failure.or(held.failure);
            if matches!(task.phase, Phase::Collecting) && task.failure.is_none() {
                let keep = held.data.len().min(task.need as usize);
                b.copy_in(task.offset, held.data.get(..keep).unwrap_or_default());
            }
        }
        self.advance(now, b, task_key);
        Ok(())
    }

    /// Ends a command that could not be kept, TASK SET FULL, or whose unit has gone, as soon as its
    /// data is all gone.
    fn refuse(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        session_key: Key,
        held: &Held,
        request: &CommandRequest,
    ) {
        let key = held.connection;
        let mut task = new_task(now, session_key, key, request, held.unsolicited);
        task.received = held.received;
        task.data_sn = held.data_sn;
        let (status, sense) = match held.gone {
            true => (Status::CheckCondition, Some(Sense::LOGICAL_UNIT_NOT_SUPPORTED)),
            false => (Status::TaskSetFull, None),
        };
        task.phase = Phase::Draining(Box::new(ScsiAnswer {
            cookie: 0,
            slot: None,
            status,
            aborted: false,
            sense: sense.map(|sense| sense.encode_fixed().into()),
            transferred: 0,
            length: 0,
            offset: 0,
            data: Vec::new(),
        }));
        let task_key = self.tasks.insert(task);
        if let Some(session) = self.sessions.get_mut(session_key) {
            session.tasks.insert(request.task_tag, task_key);
            session.live += 1;
        }
        self.advance(now, b, task_key);
    }
}

fn new_task(
    now: Time,
    session: Key,
    connection: Key,
    request: &CommandRequest,
    unsolicited: bool,
) -> Task {
    Task {
        session,
        connection,
        task_tag: request.task_tag,
        lun: request.lun,
        cmd_sn: request.cmd_sn,
        attribute: request.attribute,
        expected: request.expected,
        write: request.write,
        unwanted: false,
        phase: Phase::Collecting,
        since: now,
        began: now,
        arrived: 0,
        silent: false,
        slot: None,
        offset: 0,
        need: 0,
        received: 0,
        unsolicited,
        data_sn: 0,
        solicited_from: 0,
        r2t_sent: 0,
        r2t_done: 0,
        failure: None,
    }
}

/// The CDB with its continuation in the additional header segments.
fn long_cdb<'a>(request: &CommandRequest, ahs: &[u8], out: &'a mut [u8; MAX_CDB_LEN]) -> &'a [u8] {
    let rest = Ahs::parse(ahs).map_or(&[][..], |ahs| ahs.extended_cdb);
    let (head, tail) = out.split_at_mut(16);
    head.copy_from_slice(&request.cdb);
    let len = rest.len().min(tail.len());
    for (to, from) in tail.iter_mut().zip(rest) {
        *to = *from;
    }
    out.get(..16 + len).unwrap_or_default()
}
