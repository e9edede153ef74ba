//! What goes back: Data-In, SCSI Response, and the numbers in every PDU (RFC 7143 11.4, 11.7).

use outboard_scsi::Status;
use outboard_slots::Time;

use super::slab::Key;
use super::task::{Failure, Phase, Task};
use super::{Backend, ScsiAnswer, Server};
use crate::pdu::{Bhs, CommandResponse, DataIn, NO_TAG, Residual, Sequence, digest, padded};

const PADDING: [u8; 3] = [0; 3];

impl Server {
    /// The backend has ended a command. An answer nobody waits for costs its slot alone.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "an answer is given once")]
    pub fn answer(&mut self, now: Time, b: &mut impl Backend, answer: ScsiAnswer) {
        self.respond(now, b, Key::from_u64(answer.cookie), &answer);
        self.retry(now, b);
    }

    /// Ends a task and sends its answer, unless nobody is to hear it.
    pub(super) fn respond(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        key: Key,
        answer: &ScsiAnswer,
    ) {
        let Some(task) = self.remove_task(key) else {
            if let Some(slot) = answer.slot {
                b.finish(slot);
            }
            return;
        };
        let open = self.connections.get(task.connection).is_some_and(|c| c.is_open());
        if task.silent || answer.aborted || !open {
            if let Some(slot) = answer.slot {
                b.finish(slot);
            }
        } else {
            self.send_answer(b, &task, answer);
        }
        self.settle(now, b, task.session);
    }

    /// Takes a task out of all tables.
    pub(super) fn remove_task(&mut self, key: Key) -> Option<Task> {
        let task = self.tasks.remove(key)?;
        if let Some(session) = self.sessions.get_mut(task.session) {
            session.tasks.remove(&task.task_tag);
            session.live = session.live.saturating_sub(1);
        }
        Some(task)
    }

    /// Ends a task that the initiator's data has spoiled.
    pub(super) fn end_failed(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let failure = task.failure.unwrap_or(Failure::ProtocolServiceCrc);
        if let Some(slot) = task.slot.take() {
            b.cancel(slot);
        }
        let answer = ScsiAnswer {
            cookie: key.to_u64(),
            slot: None,
            status: Status::CheckCondition,
            aborted: false,
            sense: Some(failure.sense().encode_fixed().into()),
            transferred: 0,
            length: 0,
            offset: 0,
            data: Vec::new(),
        };
        self.respond(now, b, key, &answer);
        self.retry(now, b);
    }

    #[inline]
    fn send_answer(&mut self, b: &mut impl Backend, task: &Task, answer: &ScsiAnswer) {
        let expected = u64::from(task.expected);
        // 11.4.5.1: what is left is of the direction that the initiator has announced.
        let (moved, length) = match task.unwanted {
            false => (answer.transferred.min(expected), answer.length.max(answer.transferred)),
            true => (0, 0),
        };
        let residual = Residual::of(expected, moved, length);
        let sense = answer.sense.as_deref().unwrap_or_default();
        let data_in = if task.write { 0 } else { moved };
        // 11.7.3: only a status without an exception goes with the data.
        let collapses = sense.is_empty() && matches!(answer.status, Status::Good);
        let mut exp_data_sn = task.r2t_sent;
        if data_in != 0 {
            let status = collapses.then_some(answer.status);
            exp_data_sn = self.data_in(b, task, answer, data_in as u32, status, residual);
        }
        if data_in == 0 || !collapses {
            let sequence = self.sequence(b, task.connection);
            self.count_status(task.connection);
            let bhs = CommandResponse {
                response: 0,
                status: answer.status.code(),
                residual,
                task_tag: task.task_tag,
                sequence,
                exp_data_sn,
            }
            .encode();
            if sense.is_empty() {
                self.send(task.connection, bhs, &[]);
            } else {
                let sense = sense.get(..252).unwrap_or(sense);
                let mut segment = [0; 254];
                let (length, rest) = segment.split_at_mut(2);
                length.copy_from_slice(&(sense.len() as u16).to_be_bytes());
                for (to, from) in rest.iter_mut().zip(sense) {
                    *to = *from;
                }
                let len = 2 + sense.len();
                self.send(task.connection, bhs, segment.get(..len).unwrap_or_default());
            }
        }
        let Some(slot) = answer.slot else { return };
        match self.connections.get_mut(task.connection) {
            Some(connection) if data_in != 0 && answer.data.is_empty() => {
                connection.output.finish(slot);
            }
            _ => b.finish(slot),
        }
    }

    /// Sends `total` bytes as Data-In PDUs, the last with `status`; their number.
    #[inline]
    fn data_in(
        &mut self,
        b: &mut impl Backend,
        task: &Task,
        answer: &ScsiAnswer,
        total: u32,
        status: Option<Status>,
        residual: Residual,
    ) -> u32 {
        let Some(connection) = self.connections.get(task.connection) else { return 0 };
        let max_send = connection.max_send;
        let burst = self.sessions.get(task.session).map_or(512, |s| s.max_burst) as u32;
        let window = self.sequence(b, task.connection);
        let (mut at, mut data_sn) = (0, 0);
        while at < total {
            let burst_left = burst - at % burst;
            let len = max_send.min(total - at).min(burst_left);
            let end = at + len == total;
            let status = status.filter(|_| end);
            let mut sequence = Sequence { stat_sn: 0, ..window };
            if status.is_some() {
                sequence.stat_sn = window.stat_sn;
                self.count_status(task.connection);
            }
            let bhs = DataIn {
                last: end || len == burst_left,
                acknowledge: false,
                status: status.map(Status::code),
                residual,
                lun: [0; 8],
                task_tag: task.task_tag,
                transfer_tag: NO_TAG,
                sequence,
                data_sn,
                offset: at,
            }
            .encode();
            if answer.data.is_empty() {
                self.send_buffer(b, task.connection, bhs, answer.offset + u64::from(at), len);
            } else {
                let range = at as usize..(at + len) as usize;
                let bytes = answer.data.get(range).unwrap_or_default();
                self.send(task.connection, bhs, bytes);
            }
            at += len;
            data_sn += 1;
        }
        data_sn
    }

    /// The numbers of the next PDU: its StatSN, if it has one, and the command window.
    #[inline]
    pub(super) fn sequence(&mut self, b: &impl Backend, key: Key) -> Sequence {
        let Some(connection) = self.connections.get(key) else { return Sequence::default() };
        let stat_sn = connection.stat_sn;
        let session = connection.session.and_then(|s| self.sessions.get_mut(s));
        let Some(session) = session else { return Sequence { stat_sn, ..Sequence::default() } };
        let depth = if self.closed { 0 } else { self.config.queue_depth };
        let max_cmd_sn = session.open_window(depth, b.free_slots());
        Sequence { stat_sn, exp_cmd_sn: session.exp_cmd_sn, max_cmd_sn }
    }

    /// The next PDU carries a status: its StatSN is used up.
    #[inline]
    pub(super) fn count_status(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.stat_sn = connection.stat_sn.wrapping_add(1);
        }
    }

    /// Queues a PDU with data of the server's own.
    #[inline]
    pub(super) fn send(&mut self, key: Key, mut bhs: Bhs, data: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        bhs.set_data_len(data.len() as u32);
        connection.output.bytes(&bhs.0);
        if connection.header_digest {
            connection.output.bytes(&digest::to_wire(digest::crc32c(0, &bhs.0)));
        }
        if !data.is_empty() {
            connection.output.bytes(data);
            let padding = padded(data.len()) - data.len();
            connection.output.bytes(PADDING.get(..padding).unwrap_or_default());
            if connection.data_digest {
                let crc = digest::pad(digest::crc32c(0, data), data.len());
                connection.output.bytes(&digest::to_wire(crc));
            }
        }
        self.touch(key);
    }

    /// Queues a PDU whose data is in the region.
    #[inline]
    fn send_buffer(&mut self, b: &impl Backend, key: Key, mut bhs: Bhs, offset: u64, len: u32) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        bhs.set_data_len(len);
        connection.output.bytes(&bhs.0);
        if connection.header_digest {
            connection.output.bytes(&digest::to_wire(digest::crc32c(0, &bhs.0)));
        }
        connection.output.buffer(offset, u64::from(len));
        let padding = padded(len as usize) - len as usize;
        connection.output.bytes(PADDING.get(..padding).unwrap_or_default());
        if connection.data_digest {
            let crc = digest::pad(b.crc32c(0, offset, u64::from(len)), len as usize);
            connection.output.bytes(&digest::to_wire(crc));
        }
        self.touch(key);
    }

    /// The edge does not receive into a task's buffer any more: what waited for that is done.
    pub(super) fn returned(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Phase::Doomed { cancel } = task.phase else { return };
        let Some(slot) = task.slot else { return };
        if cancel {
            b.cancel(slot);
            let session = task.session;
            self.remove_task(key);
            self.settle(now, b, session);
            self.retry(now, b);
        } else {
            task.phase = Phase::Running;
            b.ready(slot, task.attribute);
        }
    }
}
