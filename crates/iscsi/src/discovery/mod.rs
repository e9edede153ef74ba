//! A discovery session (RFC 7143 4.3, appendix C): SendTargets, and the logout.
//!
//! There is one connection, no digest, and a command window of one request. What else than text,
//! NOP-Out and logout is sent, is rejected.

pub mod targets;

use core::net::SocketAddr;

use crate::config::Config;
use crate::login::phase::Discovering;
use crate::login::{CloseReason, DATA_LEN_MAX, PAIRS_MAX};
use crate::pdu::response::{LogoutOutcome, LogoutResponse, NopIn, Reject, RejectReason, Sequence};
use crate::pdu::wire::append;
use crate::pdu::{
    Bhs, LogoutReason, LogoutRequest, NO_TAG, NopOut, Request, Response, TextRequest, TextResponse,
};
use crate::text::{self, Gather, NOT_UNDERSTOOD, Outgoing, REJECT, pairs, value};

/// The longest data segment that is sent, bytes, however much the initiator would take.
const SEND_LEN_MAX: usize = 64 * 1024;

/// The full feature phase of a discovery session.
#[derive(Debug)]
pub struct Discovery {
    initiator_name: String,
    cid: u16,
    stat_sn: u32,
    exp_cmd_sn: u32,
    send_len_max: usize,
    gather: Gather,
    outgoing: Outgoing,
    /// Target transfer tag of the text that goes on, [`NO_TAG`] if there is none.
    tag: u32,
    next_tag: u32,
}

impl Discovery {
    pub(crate) fn new(begins: Discovering) -> Self {
        let mut discovery = Self {
            initiator_name: begins.initiator_name,
            cid: begins.cid,
            stat_sn: begins.stat_sn,
            exp_cmd_sn: begins.exp_cmd_sn,
            send_len_max: DATA_LEN_MAX,
            gather: Gather::default(),
            outgoing: Outgoing::default(),
            tag: NO_TAG,
            next_tag: 0,
        };
        discovery.set_send_len(begins.parameters.initiator_max_recv_data_segment_length);
        discovery
    }

    /// Name of the initiator, in normal form.
    pub fn initiator_name(&self) -> &str {
        &self.initiator_name
    }

    /// Takes a PDU; appends the answer, at most one PDU, to `out`.
    ///
    /// # Errors
    ///
    /// Why the session ends, once `out` has left.
    pub fn pdu(
        &mut self,
        config: &Config,
        local: SocketAddr,
        header: &Bhs,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CloseReason> {
        let request = match Request::parse(header) {
            Ok(request) => request,
            Err(reason) => {
                self.reject(header, reason, out);
                return Ok(());
            }
        };
        let numbered = !matches!(request, Request::DataOut(_) | Request::Snack(_));
        if numbered && !header.immediate() {
            // 4.2.2.1: what is outside of the window is ignored.
            if header.cmd_sn() != self.exp_cmd_sn {
                return Ok(());
            }
            self.exp_cmd_sn = self.exp_cmd_sn.wrapping_add(1);
        }
        match request {
            Request::Text(request) => {
                if let Err(reason) = self.text(config, local, &request, data, out) {
                    self.forget_text();
                    self.reject(header, reason, out);
                }
            }
            Request::NopOut(ping) => self.nop(&ping, data, out),
            Request::Logout(request) => return self.logout(&request, out),
            Request::Command(_) | Request::Task(_) | Request::DataOut(_) | Request::Snack(_) => {
                self.reject(header, RejectReason::CommandNotSupported, out);
            }
        }
        Ok(())
    }

    fn text(
        &mut self,
        config: &Config,
        local: SocketAddr,
        request: &TextRequest,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), RejectReason> {
        if request.transfer_tag == NO_TAG {
            self.forget_text();
        } else if request.transfer_tag != self.tag {
            return Err(RejectReason::InvalidPduField);
        }
        if self.outgoing.is_done() {
            self.gather.push(data).map_err(|_| RejectReason::LongOperationReject)?;
            if !request.continues {
                let text = self.gather.take();
                self.outgoing = Outgoing::new(self.answer(config, local, &text)?);
            }
        } else if request.continues || !data.is_empty() {
            // 11.10.4: the rest of an answer is asked for by an empty request.
            return Err(RejectReason::ProtocolError);
        }

        let sequence = self.next_sequence();
        let (piece, more) = self.outgoing.next_piece(self.send_len_max);
        let last = request.last && !more;
        if last {
            self.tag = NO_TAG;
        } else {
            self.tag = self.next_tag;
            self.next_tag = self.next_tag.wrapping_add(1) & 0x7fff_ffff;
        }
        let response = TextResponse {
            last,
            continues: more,
            lun: request.lun,
            task_tag: request.task_tag,
            transfer_tag: self.tag,
            sequence,
        };
        append(out, Response::Text(response).encode(), piece);
        Ok(())
    }

    fn answer(
        &mut self,
        config: &Config,
        local: SocketAddr,
        text: &[u8],
    ) -> Result<Vec<u8>, RejectReason> {
        let mut answer = Vec::new();
        // A list of targets is long: it is given once a text.
        let mut listed = false;
        for (count, pair) in pairs(text).enumerate() {
            let (key, value) = pair.map_err(|_| RejectReason::ProtocolError)?;
            if count >= PAIRS_MAX {
                return Err(RejectReason::LongOperationReject);
            }
            match key {
                "SendTargets" if !listed => {
                    listed = true;
                    targets::send(config, local, &self.initiator_name, value, &mut answer);
                }
                "SendTargets" => return Err(RejectReason::ProtocolError),
                "MaxRecvDataSegmentLength" => match value::number(value) {
                    Some(len @ 512..=0xff_ffff) => {
                        self.set_send_len(u32::try_from(len).unwrap_or(512));
                    }
                    _ => text::push(&mut answer, key, REJECT),
                },
                "InitiatorAlias" => {}
                _ => {
                    let known = crate::login::key::Key::of(key).is_some();
                    text::push(&mut answer, key, if known { REJECT } else { NOT_UNDERSTOOD });
                }
            }
        }
        Ok(answer)
    }

    fn nop(&mut self, ping: &NopOut, data: &[u8], out: &mut Vec<u8>) {
        if ping.task_tag == NO_TAG {
            return;
        }
        let response = NopIn {
            lun: ping.lun,
            task_tag: ping.task_tag,
            transfer_tag: NO_TAG,
            sequence: self.next_sequence(),
        };
        let echo = data.get(..self.send_len_max).unwrap_or(data);
        append(out, Response::NopIn(response).encode(), echo);
    }

    fn logout(&mut self, request: &LogoutRequest, out: &mut Vec<u8>) -> Result<(), CloseReason> {
        let outcome = match request.reason {
            LogoutReason::CloseSession => LogoutOutcome::Closed,
            LogoutReason::CloseConnection if request.cid == self.cid => LogoutOutcome::Closed,
            LogoutReason::CloseConnection => LogoutOutcome::CidNotFound,
            LogoutReason::RemoveConnection => LogoutOutcome::RecoveryNotSupported,
        };
        let response = LogoutResponse {
            outcome,
            task_tag: request.task_tag,
            sequence: self.next_sequence(),
            time2wait: 0,
            time2retain: 0,
        };
        append(out, Response::Logout(response).encode(), &[]);
        if outcome == LogoutOutcome::Closed { Err(CloseReason::LoggedOut) } else { Ok(()) }
    }

    fn reject(&mut self, header: &Bhs, reason: RejectReason, out: &mut Vec<u8>) {
        let reject = Reject { reason, sequence: self.next_sequence(), data_sn: 0 };
        append(out, Response::Reject(reject).encode(), &header.0);
    }

    fn forget_text(&mut self) {
        self.gather = Gather::default();
        self.outgoing = Outgoing::default();
        self.tag = NO_TAG;
    }

    fn set_send_len(&mut self, len: u32) {
        self.send_len_max = usize::try_from(len).unwrap_or(SEND_LEN_MAX).min(SEND_LEN_MAX);
    }

    /// The numbers of the next response.
    fn next_sequence(&mut self) -> Sequence {
        let stat_sn = self.stat_sn;
        self.stat_sn = stat_sn.wrapping_add(1);
        Sequence { stat_sn, exp_cmd_sn: self.exp_cmd_sn, max_cmd_sn: self.exp_cmd_sn }
    }
}

#[cfg(test)]
mod tests;
