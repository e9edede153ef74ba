//! NOP, text, logout, reject and asynchronous messages (RFC 7143 11.9 to 11.19).

use outboard_slots::Time;

use super::connection::State;
use super::session::Logout;
use super::slab::Key;
use super::{Backend, Closing, Server};
use crate::pdu::{
    AsyncEvent, AsyncMessage, Bhs, LogoutOutcome, LogoutReason, LogoutRequest, LogoutResponse,
    NO_TAG, NopIn, NopOut, Reject, RejectReason, Response, TextRequest, TextResponse,
};
use crate::text;

/// Target Transfer Tag of a negotiation that the initiator goes on with.
const OPEN_TEXT: u32 = 0;

impl Server {
    /// Asks every initiator to log out within `within` seconds, before the target stops.
    pub fn request_logout(&mut self, b: &impl Backend, within: u16) {
        for key in self.connections.keys() {
            if self.connections.get(key).is_some_and(|c| c.is_open()) {
                self.async_message(b, key, AsyncEvent::LogoutRequest { within });
            }
        }
    }

    /// Ends all sessions; their connections close once they have heard of it.
    pub fn drop_sessions(&mut self, now: Time, b: &mut impl Backend) {
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get(key) else { continue };
            let Some(session) = connection.session.and_then(|s| self.sessions.get(s)) else {
                self.close(now, key, Closing::Now);
                continue;
            };
            if connection.is_open() {
                let lost = crate::pdu::Lost {
                    cid: 0,
                    time2wait: session.time2wait,
                    time2retain: session.time2retain,
                };
                self.async_message(b, key, AsyncEvent::DropSession(lost));
                self.close(now, key, Closing::AfterOutput);
            }
        }
        for session in self.sessions.keys() {
            self.end_session(now, b, session);
        }
    }

    pub(super) fn async_message(&mut self, b: &impl Backend, key: Key, event: AsyncEvent) {
        let sequence = self.sequence(b, key);
        self.count_status(key);
        let message = AsyncMessage { event, lun: [0; 8], sequence };
        self.send(key, Response::Async(message).encode(), &[]);
    }

    /// Rejects the PDU whose header was read last. Its CmdSN does not count as received (11.17).
    pub(super) fn reject(&mut self, b: &impl Backend, key: Key, reason: RejectReason) {
        let Some(connection) = self.connections.get(key) else { return };
        let header = connection.rx.bhs;
        let sequence = self.sequence(b, key);
        self.count_status(key);
        let reject = Reject { reason, sequence, data_sn: 0 };
        self.send(key, Response::Reject(reject).encode(), &header.0);
    }

    pub(super) fn nop_out(&mut self, b: &impl Backend, key: Key, request: &NopOut, data: &[u8]) {
        if request.task_tag == NO_TAG {
            // The answer to a ping: `receive` has noted the sign of life.
            return;
        }
        let max = self.connections.get(key).map_or(0, |c| c.max_send as usize);
        let sequence = self.sequence(b, key);
        self.count_status(key);
        let task_tag = request.task_tag;
        let nop = NopIn { lun: [0; 8], task_tag, transfer_tag: NO_TAG, sequence };
        self.send(key, Response::NopIn(nop).encode(), data.get(..max).unwrap_or(data));
    }

    /// Asks an initiator for a sign of life.
    pub(super) fn ping(&mut self, now: Time, b: &impl Backend, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let transfer_tag = connection.next_ping;
        connection.next_ping = (transfer_tag + 1) % NO_TAG;
        connection.ping = Some((now, transfer_tag));
        let sequence = self.sequence(b, key);
        let nop = NopIn { lun: [0; 8], task_tag: NO_TAG, transfer_tag, sequence };
        self.send(key, Response::NopIn(nop).encode(), &[]);
    }

    /// A text request: SendTargets of the own target, a new MaxRecvDataSegmentLength; no other key
    /// may be negotiated in this phase (13).
    pub(super) fn text(
        &mut self,
        b: &impl Backend,
        key: Key,
        bhs: &Bhs,
        request: &TextRequest,
        data: &[u8],
    ) {
        let sound = text::pairs(data).all(|pair| pair.is_ok());
        let tag = request.transfer_tag;
        if request.continues || (tag != NO_TAG && tag != OPEN_TEXT) || !sound {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.rx.bhs = *bhs;
            }
            return self.reject(b, key, RejectReason::ProtocolError);
        }
        let mut answer = Vec::new();
        for (name, value) in text::pairs(data).flatten() {
            self.text_key(key, name, value, &mut answer);
        }
        let max = self.connections.get(key).map_or(0, |c| c.max_send as usize);
        if answer.len() > max {
            // Whole pairs only.
            let end = answer.iter().take(max).rposition(|&byte| byte == 0).map_or(0, |at| at + 1);
            answer.truncate(end);
        }
        let sequence = self.sequence(b, key);
        self.count_status(key);
        let response = TextResponse {
            last: request.last,
            continues: false,
            lun: [0; 8],
            task_tag: request.task_tag,
            transfer_tag: if request.last { NO_TAG } else { OPEN_TEXT },
            sequence,
        };
        self.send(key, Response::Text(response).encode(), &answer);
    }

    fn text_key(&mut self, key: Key, name: &str, value: &str, answer: &mut Vec<u8>) {
        let mut put = |name: &str, value: &str| {
            answer.extend_from_slice(name.as_bytes());
            answer.push(b'=');
            answer.extend_from_slice(value.as_bytes());
            answer.push(0);
        };
        match name {
            // Appendix C: in a normal session only the target itself may be asked for.
            "SendTargets" if value.is_empty() || value == self.config.target_name => {
                put("TargetName", &self.config.target_name);
                let own = self.connections.get(key).and_then(|c| c.addresses.as_ref());
                for address in own.unwrap_or(&self.config.addresses) {
                    put("TargetAddress", address);
                }
            }
            "SendTargets" => put(name, text::REJECT),
            "MaxRecvDataSegmentLength" => match value.parse::<u32>() {
                Ok(length @ 512..=0x00FF_FFFF) => {
                    if let Some(connection) = self.connections.get_mut(key) {
                        connection.max_send = length;
                    }
                }
                _ => put(name, text::REJECT),
            },
            "InitiatorAlias" => {}
            "HeaderDigest"
            | "DataDigest"
            | "MaxConnections"
            | "InitialR2T"
            | "ImmediateData"
            | "MaxBurstLength"
            | "FirstBurstLength"
            | "DefaultTime2Wait"
            | "DefaultTime2Retain"
            | "MaxOutstandingR2T"
            | "DataPDUInOrder"
            | "DataSequenceInOrder"
            | "ErrorRecoveryLevel"
            | "InitiatorName"
            | "TargetName"
            | "SessionType" => put(name, text::REJECT),
            _ => put(name, text::NOT_UNDERSTOOD),
        }
    }

    /// A logout ends tasks first and is answered then.
    pub(super) fn logout(
        &mut self,
        now: Time,
        b: &mut impl Backend,
        key: Key,
        request: &LogoutRequest,
    ) {
        let Some(session_key) = self.connections.get(key).and_then(|c| c.session) else { return };
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let named = session
            .connections
            .iter()
            .copied()
            .find(|c| self.connections.get(*c).is_some_and(|c| c.cid == request.cid));
        let whole = request.reason == LogoutReason::CloseSession;
        let refused = match request.reason {
            LogoutReason::RemoveConnection => Some(LogoutOutcome::RecoveryNotSupported),
            LogoutReason::CloseConnection if named.is_none() => Some(LogoutOutcome::CidNotFound),
            _ if session.logout.is_some() => Some(LogoutOutcome::CleanupFailed),
            _ => None,
        };
        if let Some(outcome) = refused {
            return self.logout_response(b, key, request.task_tag, outcome);
        }
        let last = session.connections.len() == 1;
        let closes = if whole || last { None } else { named };
        session.logout = Some(Logout { on: key, task_tag: request.task_tag, closes });
        let silenced = closes.unwrap_or(key);
        if let Some(connection) = self.connections.get_mut(silenced)
            && connection.is_open()
        {
            connection.state = State::LoggingOut;
        }
        match closes {
            None => self.end_session(now, b, session_key),
            Some(closed) => {
                self.end_tasks_of(now, b, closed);
                self.settle(now, b, session_key);
            }
        }
    }

    pub(super) fn logout_response(
        &mut self,
        b: &impl Backend,
        key: Key,
        task_tag: u32,
        outcome: LogoutOutcome,
    ) {
        let Some(session) = self.connections.get(key).and_then(|c| c.session) else { return };
        let times = self.sessions.get(session).map_or((0, 0), |s| (s.time2wait, s.time2retain));
        let sequence = self.sequence(b, key);
        self.count_status(key);
        let response = LogoutResponse {
            outcome,
            task_tag,
            sequence,
            time2wait: times.0,
            time2retain: times.1,
        };
        self.send(key, Response::Logout(response).encode(), &[]);
    }
}
