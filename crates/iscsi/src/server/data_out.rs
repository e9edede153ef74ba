//! Data-Out: unsolicited after a command, solicited by R2T (RFC 7143 4.2.5, 11.7, 11.8).

use outboard_slots::Time;

use super::connection::{Dest, Job};
use super::slab::Key;
use super::task::{Failure, Phase, Task};
use super::{Backend, Server};
use crate::pdu::{Bhs, DataOut, NO_TAG, R2t, RejectReason, Request};

impl Server {
    /// The header of a Data-Out is there. Data of a task that is gone is dropped silently: the
    /// initiator may not know yet.
    pub(super) fn route_data_out(
        &mut self,
        now: Time,
        key: Key,
        pdu: &DataOut,
        len: u32,
    ) -> (Dest, Job) {
        const DROPPED: (Dest, Job) = (Dest::Skip, Job::Nothing);
        let Some(session_key) = self.connections.get(key).and_then(|c| c.session) else {
            return DROPPED;
        };
        let Some(session) = self.sessions.get_mut(session_key) else { return DROPPED };
        let Some(&task_key) = session.tasks.get(&pdu.task_tag) else {
            let held = pdu.transfer_tag == NO_TAG && session.held(pdu.task_tag).is_some();
            return if held { (Dest::Scratch, Job::HeldData) } else { DROPPED };
        };
        let max_burst = session.max_burst;
        let first_burst = session.first_burst;
        let Some(task) = self.tasks.get_mut(task_key) else { return DROPPED };
        if !matches!(task.phase, Phase::Collecting | Phase::Draining(_)) {
            return DROPPED;
        }
        if task.connection != key {
            return (Dest::Skip, Job::Reject(RejectReason::ProtocolError));
        }
        let limit = if pdu.transfer_tag == NO_TAG {
            if !task.unsolicited {
                task.failure.get_or_insert(Failure::UnexpectedUnsolicitedData);
                return (Dest::Skip, Job::Arrived { task: task_key, ends: false });
            }
            first_burst.min(u64::from(task.expected))
        } else {
            // Sequences come in order (DataSequenceInOrder): only the oldest R2T is served.
            let open = task.r2t_sent != task.r2t_done;
            if !open || pdu.transfer_tag != Task::transfer_tag(task_key, task.r2t_done) {
                return (Dest::Skip, Job::Reject(RejectReason::InvalidPduField));
            }
            u64::from(task.burst(task.r2t_done, max_burst).1)
        };
        if pdu.data_sn != task.data_sn {
            // A PDU is missing, as if its digest had been wrong (7.9).
            task.failure.get_or_insert(Failure::ProtocolServiceCrc);
        }
        let from = task.received;
        if pdu.offset != from || u64::from(from) + u64::from(len) > limit {
            task.failure.get_or_insert(Failure::IncorrectAmountOfData);
        }
        task.data_sn = task.data_sn.wrapping_add(1);
        // A PDU without data is no sign that data comes.
        if len != 0 {
            task.since = now;
            task.arrived += u64::from(len);
        }
        if task.failure.is_none() {
            task.received = from.saturating_add(len);
        }
        let job = Job::Arrived { task: task_key, ends: pdu.last };
        (self.place(task_key, from, len), job)
    }

    /// Unsolicited data of a command that waits for its turn.
    pub(super) fn held_data(&mut self, key: Key, bhs: &Bhs, data: &[u8], sound: bool) {
        let bound = self.config.held_bytes;
        let Ok(Request::DataOut(pdu)) = Request::parse(bhs) else { return };
        let Some(session_key) = self.connections.get(key).and_then(|c| c.session) else { return };
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let (spent, first_burst) = (session.held_bytes, session.first_burst);
        let Some(held) = session.held(pdu.task_tag) else { return };
        let expected = match Request::parse(&held.bhs) {
            Ok(Request::Command(request)) => request.expected,
            _ => return,
        };
        let before = held.cost();
        let limit = first_burst.min(u64::from(expected));
        if !held.unsolicited {
            held.failure.get_or_insert(Failure::UnexpectedUnsolicitedData);
            return;
        }
        if !sound || pdu.data_sn != held.data_sn {
            held.failure.get_or_insert(Failure::ProtocolServiceCrc);
        }
        if pdu.offset != held.received || u64::from(held.received) + data.len() as u64 > limit {
            held.failure.get_or_insert(Failure::IncorrectAmountOfData);
        }
        held.data_sn = if pdu.last { 0 } else { held.data_sn.wrapping_add(1) };
        held.unsolicited = !pdu.last;
        if held.failure.is_none() {
            held.received = held.received.saturating_add(data.len() as u32);
            if spent.saturating_add(data.len()) > bound {
                held.refused = true;
                held.data = Vec::new();
            } else if !held.refused {
                held.data.extend_from_slice(data);
            }
        }
        let after = held.cost();
        session.held_bytes = (session.held_bytes + after).saturating_sub(before);
    }

    pub(super) fn fail_task(&mut self, key: Key, failure: Failure) {
        if let Some(task) = self.tasks.get_mut(key) {
            task.failure.get_or_insert(failure);
        }
    }

    /// The last PDU of a sequence has come.
    pub(super) fn end_sequence(&mut self, key: Key) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let max_burst = self.sessions.get(task.session).map_or(0, |s| s.max_burst);
        task.data_sn = 0;
        if task.unsolicited {
            task.unsolicited = false;
        } else if task.r2t_done != task.r2t_sent {
            let (_, end) = task.burst(task.r2t_done, max_burst);
            if task.received != end {
                task.failure.get_or_insert(Failure::IncorrectAmountOfData);
            }
            task.r2t_done = task.r2t_done.wrapping_add(1);
        }
    }

    /// Takes a task as far as the data that is there allows: asks for more, makes it ready, or ends
    /// it.
    #[inline]
    pub(super) fn advance(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let open = task.open_sequences();
        match &mut task.phase {
            Phase::Collecting => {
                if task.failure.is_some() {
                    // 7.8: not before the end of all sequences that are on their way.
                    if open == 0 {
                        self.end_failed(now, b, key);
                    }
                } else if task.received >= task.need && open == 0 {
                    if let Some(slot) = task.slot {
                        task.phase = Phase::Running;
                        b.ready(slot, task.attribute);
                    }
                } else if !task.unsolicited {
                    self.solicit(now, b, key);
                }
            }
            Phase::Draining(_) if open == 0 => {
                if let Phase::Draining(answer) = std::mem::replace(&mut task.phase, Phase::Running)
                {
                    self.respond(now, b, key, &answer);
                }
            }
            Phase::Draining(_) | Phase::Running | Phase::Doomed { .. } => {}
        }
    }

    /// Sends as many R2Ts as may be outstanding.
    fn solicit(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        loop {
            let Some(task) = self.tasks.get_mut(key) else { return };
            let Some(session) = self.sessions.get(task.session) else { return };
            if task.r2t_sent.wrapping_sub(task.r2t_done) >= session.max_outstanding_r2t {
                return;
            }
            if task.r2t_sent == 0 {
                task.solicited_from = task.received;
            }
            let (from, to) = task.burst(task.r2t_sent, session.max_burst);
            if from >= to {
                return;
            }
            let r2t_sn = task.r2t_sent;
            task.r2t_sent = task.r2t_sent.wrapping_add(1);
            task.since = now;
            let (lun, task_tag, connection) = (task.lun, task.task_tag, task.connection);
            let sequence = self.sequence(b, connection);
            let r2t = R2t {
                lun,
                task_tag,
                transfer_tag: Task::transfer_tag(key, r2t_sn),
                sequence,
                r2t_sn,
                offset: from,
                length: to - from,
            };
            self.send(connection, r2t.encode(), &[]);
        }
    }
}
