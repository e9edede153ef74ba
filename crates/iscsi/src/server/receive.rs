//! The stream of a connection: headers, data segments, digests (RFC 7143 11.2).

use outboard_slots::Time;

use super::config::{DIRECT_MIN, OUTPUT_BOUND};
use super::connection::{Connection, Dest, Job, State, Step};
use super::slab::Key;
use super::task::{Failure, Phase};
use super::{Backend, ConnectionId, Received, Server, Want};
use crate::pdu::{BHS_LEN, Bhs, DIGEST_LEN, InitiatorOpcode, RejectReason, Request, digest};

impl Server {
    /// Takes what came next on a connection: any number of bytes, none included.
    pub fn receive(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        id: ConnectionId,
        bytes: &[u8],
    ) -> Received {
        if let Some(connection) = self.connections.get_mut(id.0)
            && !bytes.is_empty()
        {
            connection.last_received = now;
            connection.ping = None;
        }
        self.take_back(now, b, id.0);
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.step(now, b, id.0, rest) {
                Ok(consumed) => {
                    at += consumed;
                    if let Some(connection) = self.connections.get_mut(id.0) {
                        connection.bytes_in += consumed as u64;
                    }
                }
                Err(Want::Close) => return Received { consumed: bytes.len(), want: Want::Close },
                Err(want) => return Received { consumed: at, want },
            }
        }
    }

    /// `len` bytes have come where [`Want::Data`] wanted them.
    pub fn landed(&mut self, now: Time, b: &mut impl Backend, id: ConnectionId, len: u32) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let rx = &mut connection.rx;
        let Step::Data(Dest::Region { task, offset, keep, lent: true }) = rx.step else { return };
        connection.last_received = now;
        connection.ping = None;
        let len = len.min(keep.min(rx.bhs.data_len()).saturating_sub(rx.done));
        if connection.data_digest {
            rx.crc = b.crc32c(rx.crc, offset + u64::from(rx.done), u64::from(len));
        }
        connection.bytes_in += u64::from(len);
        rx.done += len;
        rx.step = Step::Data(Dest::Region { task, offset, keep, lent: false });
        self.returned(now, b, task);
        // A PDU that ends here is complete now, not when the next one comes.
        while self.connections.get(id.0).is_some_and(Connection::at_end) {
            if self.step(now, b, id.0, &[]).is_err() {
                break;
            }
        }
    }

    /// The edge has stopped receiving into a buffer without a word.
    fn take_back(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Step::Data(Dest::Region { task, lent, .. }) = &mut connection.rx.step
            && *lent
        {
            *lent = false;
            let task = *task;
            self.returned(now, b, task);
        }
    }

    /// One step of the stream: the bytes it used, or what must come first.
    fn step(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        key: Key,
        rest: &[u8],
    ) -> Result<usize, Want> {
        let connection = self.connections.get_mut(key).ok_or(Want::Close)?;
        match connection.state {
            State::Open => {}
            State::Waiting { .. } => return Err(Want::Stalled),
            State::LoggingOut | State::Closing { .. } => return Err(Want::Close),
        }
        match connection.rx.step {
            Step::Head => {
                if connection.output.own_bytes() >= OUTPUT_BOUND {
                    return Err(Want::Stalled);
                }
                let consumed = head(connection, rest)?;
                match consumed {
                    Some(consumed) => {
                        self.begin(now, b, key);
                        Ok(consumed)
                    }
                    // A wrong header digest: nothing that follows can be trusted (7.7).
                    None => {
                        self.lose(now, b, key);
                        Err(Want::Close)
                    }
                }
            }
            Step::Data(dest) => self.data(b, key, dest, rest),
            Step::Trailer => {
                let len = connection.rx.trailer(connection.data_digest);
                let trailer = rest.get(..len).ok_or(Want::Bytes(len))?;
                let mut sound = true;
                if connection.data_digest
                    && let Some((padding, wire)) = trailer.split_last_chunk::<DIGEST_LEN>()
                {
                    let crc = digest::crc32c(connection.rx.crc, padding);
                    sound = crc == digest::from_wire(*wire);
                }
                connection.rx.step = Step::Head;
                self.complete(now, b, key, sound);
                Ok(len)
            }
        }
    }

    /// A header is there: finds out where its data goes.
    fn begin(&mut self, now: Time, b: &mut impl Backend, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let bhs = connection.rx.bhs;
        if bhs.data_len() > connection.max_receive {
            // A segment longer than was agreed on is no segment to wait for.
            self.reject(b, key, RejectReason::ProtocolError);
            return self.lose_after_output(now, b, key);
        }
        connection.rx.done = 0;
        connection.rx.crc = 0;
        connection.rx.gone = false;
        connection.rx.scratch.clear();
        let (dest, job) = match Request::parse(&bhs) {
            Ok(Request::Command(request)) => self.route_command(now, b, key, &request),
            Ok(Request::DataOut(pdu)) => self.route_data_out(now, key, &pdu, bhs.data_len()),
            Ok(Request::Snack(_)) => (Dest::Skip, Job::Reject(RejectReason::SnackReject)),
            Ok(_) => (Dest::Scratch, Job::Request),
            Err(reason) => (Dest::Skip, Job::Reject(reason)),
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.rx.step = Step::Data(dest);
            connection.rx.job = job;
        }
    }

    fn data(
        &mut self,
        b: &mut impl Backend,
        key: Key,
        dest: Dest,
        rest: &[u8],
    ) -> Result<usize, Want> {
        let connection = self.connections.get_mut(key).ok_or(Want::Close)?;
        let rx = &mut connection.rx;
        let left = rx.bhs.data_len().saturating_sub(rx.done);
        if left == 0 {
            rx.step = Step::Trailer;
            return Ok(0);
        }
        let wanted =
            |task: Key| self.tasks.get(task).is_some_and(|t| matches!(t.phase, Phase::Collecting));
        let take = rest.len().min(left as usize);
        let taken = rest.get(..take).unwrap_or_default();
        match dest {
            Dest::Region { task, offset, keep, .. } if rx.done < keep && wanted(task) => {
                let room = keep - rx.done;
                let at = offset + u64::from(rx.done);
                if take == 0 {
                    if room < DIRECT_MIN {
                        return Err(Want::Bytes(1));
                    }
                    rx.step = Step::Data(Dest::Region { task, offset, keep, lent: true });
                    return Err(Want::Data { offset: at, len: room });
                }
                b.copy_in(at, taken.get(..room as usize).unwrap_or(taken));
            }
            _ if take == 0 => return Err(Want::Bytes(1)),
            Dest::Scratch => rx.scratch.extend_from_slice(taken),
            Dest::Skip | Dest::Region { .. } => {}
        }
        if connection.data_digest {
            rx.crc = digest::crc32c(rx.crc, taken);
        }
        rx.done += take as u32;
        Ok(take)
    }

    /// A PDU is complete; `sound`: its data digest is right, or there is none.
    fn complete(&mut self, now: Time, b: &mut impl Backend, key: Key, sound: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let bhs = connection.rx.bhs;
        let job = std::mem::replace(&mut connection.rx.job, Job::Nothing);
        if !sound && job != Job::Nothing {
            self.reject(b, key, RejectReason::DataDigestError);
            if bhs.opcode() != InitiatorOpcode::DataOut.code() {
                // The request is lost and its CmdSN with it: only a new session helps (7.8).
                return self.lose_after_output(now, b, key);
            }
        }
        match job {
            Job::Nothing => {}
            Job::Reject(reason) if sound => self.reject(b, key, reason),
            Job::Reject(_) => {}
            Job::Arrived { task, ends } => {
                if !sound {
                    self.fail_task(task, Failure::ProtocolServiceCrc);
                }
                if ends {
                    self.end_sequence(task);
                }
                self.advance(now, b, task);
            }
            Job::Request | Job::HeldData => {
                let data = self.take_scratch(key);
                if job == Job::Request {
                    self.request(now, b, key, &bhs, &data);
                } else {
                    self.held_data(key, &bhs, &data, sound);
                }
                self.give_scratch(key, data);
            }
        }
    }

    fn take_scratch(&mut self, key: Key) -> Vec<u8> {
        self.connections.get_mut(key).map(|c| std::mem::take(&mut c.rx.scratch)).unwrap_or_default()
    }

    fn give_scratch(&mut self, key: Key, mut scratch: Vec<u8>) {
        if let Some(connection) = self.connections.get_mut(key) {
            scratch.clear();
            connection.rx.scratch = scratch;
        }
    }
}

impl Connection {
    /// Whether the PDU that is being received needs no further byte.
    fn at_end(&self) -> bool {
        match self.rx.step {
            Step::Head => false,
            Step::Data(_) => {
                self.rx.done == self.rx.bhs.data_len() && self.rx.trailer(self.data_digest) == 0
            }
            Step::Trailer => self.rx.trailer(self.data_digest) == 0,
        }
    }
}

/// Reads header, additional header segments and header digest: their length, `None` if the digest
/// is wrong.
#[inline]
fn head(connection: &mut Connection, rest: &[u8]) -> Result<Option<usize>, Want> {
    let bhs = Bhs::read(rest).ok_or(Want::Bytes(BHS_LEN))?;
    let len = BHS_LEN + bhs.ahs_len();
    let total = len + if connection.header_digest { DIGEST_LEN } else { 0 };
    let header = rest.get(..total).ok_or(Want::Bytes(total))?;
    if connection.header_digest
        && let Some((header, wire)) = header.split_last_chunk::<DIGEST_LEN>()
        && digest::crc32c(0, header) != digest::from_wire(*wire)
    {
        return Ok(None);
    }
    connection.rx.bhs = bhs;
    connection.rx.ahs.clear();
    connection.rx.ahs.extend_from_slice(header.get(BHS_LEN..len).unwrap_or_default());
    Ok(Some(total))
}
