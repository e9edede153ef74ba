//! What comes from the target, and what it asks for.

use std::io::{Read, Write};

use super::{Answer, Client};
use crate::initiator::stream::ClientError;
use crate::initiator::task::{Completion, Outstanding};
use crate::pdu::{
    Bhs, NO_TAG, NopIn, NopOut, R2t, Reject, RejectReason, Request, Response, serial,
};

/// The most asynchronous messages and rejects that are kept.
const NEWS_MAX: usize = 256;

impl<S: Read + Write> Client<S> {
    /// Receives one PDU and does what it asks for.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn turn(&mut self) -> Result<(), ClientError> {
        let (header, data) = self.pdus.read()?;
        if data.len() > self.parameters.initiator_max_recv_data_segment_length as usize {
            return Err(ClientError::Protocol("a PDU longer than MaxRecvDataSegmentLength"));
        }
        let response = Response::parse(&header)
            .ok_or(ClientError::Protocol("a PDU that no target sends in this phase"))?;
        self.numbers(&response)?;
        match response {
            Response::DataIn(pdu) => {
                let ended = self.task(pdu.task_tag)?.data_in(&pdu, &data)?;
                self.ended(pdu.task_tag, ended);
            }
            Response::Command(pdu) => {
                let completion = self.task(pdu.task_tag)?.response(&pdu, &data)?;
                self.ended(pdu.task_tag, Some(completion));
            }
            Response::R2t(pdu) => self.r2t(&pdu)?,
            Response::NopIn(pdu) => self.nop_in(&pdu, data)?,
            Response::Task(pdu) => self.answered(pdu.task_tag, Answer::Task(pdu.outcome))?,
            Response::Text(pdu) => self.answered(pdu.task_tag, Answer::Text(pdu, data))?,
            Response::Logout(pdu) => self.answered(pdu.task_tag, Answer::Logout(pdu))?,
            Response::Async(pdu) => {
                self.messages.push_back((pdu, data));
                if self.messages.len() > NEWS_MAX {
                    self.messages.pop_front();
                }
            }
            Response::Reject(pdu) => self.reject(&pdu, &data),
        }
        Ok(())
    }

    /// One turn, and an error if what waits for `tag` was rejected in it.
    pub(super) fn turn_for(&mut self, tag: u32) -> Result<(), ClientError> {
        let before = self.rejects.len();
        self.turn()?;
        let new = self.rejects.iter().skip(before).next_back();
        match new {
            // The task itself still ends, with a status (RFC 7143 7.8).
            Some((RejectReason::DataDigestError, _)) => Ok(()),
            Some((reason, Some(header))) if header.initiator_task_tag() == tag => {
                let reason = *reason;
                self.forget(tag);
                Err(ClientError::Rejected(reason))
            }
            _ => Ok(()),
        }
    }

    /// StatSN without gaps, and the command window.
    fn numbers(&mut self, response: &Response) -> Result<(), ClientError> {
        let sequence = response.sequence();
        let numbered = match response {
            Response::DataIn(pdu) => pdu.status.is_some(),
            Response::NopIn(pdu) => pdu.task_tag != NO_TAG,
            Response::R2t(_) => false,
            _ => true,
        };
        if numbered {
            if sequence.stat_sn != self.exp_stat_sn {
                return Err(ClientError::Protocol("StatSN out of order"));
            }
            self.exp_stat_sn = sequence.stat_sn.wrapping_add(1);
        }
        // 4.2.2.1: a window never shrinks; a stale one is ignored.
        if serial::after(sequence.max_cmd_sn, self.max_cmd_sn) {
            self.max_cmd_sn = sequence.max_cmd_sn;
        }
        Ok(())
    }

    fn task(&mut self, tag: u32) -> Result<&mut Outstanding, ClientError> {
        self.tasks.get_mut(&tag).ok_or(ClientError::Protocol("a PDU for a command that has ended"))
    }

    fn ended(&mut self, tag: u32, completion: Option<Completion>) {
        if let Some(completion) = completion {
            self.tasks.remove(&tag);
            self.completed.insert(tag, completion);
        }
    }

    fn answered(&mut self, tag: u32, answer: Answer) -> Result<(), ClientError> {
        if self.other.len() >= NEWS_MAX {
            return Err(ClientError::Protocol("answers to what was not asked"));
        }
        self.other.insert(tag, answer);
        Ok(())
    }

    fn r2t(&mut self, pdu: &R2t) -> Result<(), ClientError> {
        if pdu.length > self.parameters.max_burst_length {
            return Err(ClientError::Protocol("an R2T for more than MaxBurstLength"));
        }
        let task = self.task(pdu.task_tag)?;
        let range = task.r2t(pdu)?;
        let data = core::mem::take(&mut task.data_out);
        let sent = self.send_data(pdu.lun, pdu.task_tag, pdu.transfer_tag, &data, range);
        self.task(pdu.task_tag)?.data_out = data;
        sent
    }

    fn nop_in(&mut self, pdu: &NopIn, data: Vec<u8>) -> Result<(), ClientError> {
        if pdu.task_tag != NO_TAG {
            return self.answered(pdu.task_tag, Answer::Ping(data));
        }
        if pdu.transfer_tag == NO_TAG || !self.answers_pings {
            return Ok(());
        }
        let pong = NopOut {
            immediate: true,
            lun: pdu.lun,
            task_tag: NO_TAG,
            transfer_tag: pdu.transfer_tag,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.pdus.write(Request::NopOut(pong).encode(), &[], &[])
    }

    fn reject(&mut self, pdu: &Reject, data: &[u8]) {
        if self.rejects.len() < NEWS_MAX {
            self.rejects.push_back((pdu.reason, Bhs::read(data)));
        }
    }
}
