//! One connection of a session, as its initiator.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};

use super::login::{Agreed, InitiatorLogin, Wishes};
use super::stream::{ClientError, Pdus};
use super::task::{Command, Completion, Outstanding};
use crate::chap::System;
use crate::login::Parameters;
use crate::pdu::ahs::{Ahs, MAX_CDB_LEN};
use crate::pdu::{
    AsyncMessage, Bhs, CommandRequest, DataOut, LogoutOutcome, LogoutReason, LogoutRequest,
    LogoutResponse, NO_TAG, NopIn, NopOut, R2t, Reject, RejectReason, Request, Response,
    TaskFunction, TaskOutcome, TaskRequest, TextRequest, TextResponse, serial,
};
use crate::text::{pairs, stream::TEXT_LEN_MAX};

/// The most commands under way.
pub const TASKS_MAX: usize = 4096;

/// The most asynchronous messages and rejects that are kept.
const NEWS_MAX: usize = 256;

/// Something that was sent and is not answered by a SCSI command.
#[derive(Debug)]
enum Answer {
    Task(TaskOutcome),
    Ping(Vec<u8>),
    Text(TextResponse, Vec<u8>),
    Logout(LogoutResponse),
}

/// A connection that is logged in.
#[derive(Debug)]
pub struct Client<S> {
    pdus: Pdus<S>,
    parameters: Parameters,
    tsih: u16,
    cid: u16,
    /// What the target answered in the login.
    pub answers: Vec<(String, String)>,
    /// CmdSN of the next command. All connections of a session count together: before a command on
    /// another connection it is copied there.
    pub cmd_sn: u32,
    exp_stat_sn: u32,
    max_cmd_sn: u32,
    next_tag: u32,
    tasks: HashMap<u32, Outstanding>,
    completed: HashMap<u32, Completion>,
    other: HashMap<u32, Answer>,
    /// Asynchronous messages with their data, the oldest first.
    pub messages: VecDeque<(AsyncMessage, Vec<u8>)>,
    /// Rejects with the header that was rejected, the oldest first.
    pub rejects: VecDeque<(RejectReason, Option<Bhs>)>,
    /// Whether the target's pings are answered; they are, unless a test sets this.
    pub answers_pings: bool,
}

impl<S: Read + Write> Client<S> {
    /// Logs in over `stream`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Login`] if the target refuses.
    pub fn login(stream: S, wishes: Wishes) -> Result<Self, ClientError> {
        let mut pdus = Pdus::new(stream);
        let cid = wishes.cid;
        let mut out = Vec::new();
        let mut login = InitiatorLogin::begin(wishes, &mut out);
        loop {
            pdus.write_raw(&out)?;
            out.clear();
            let (header, data) = pdus.read()?;
            if let Some(agreed) = login.receive(&header, &data, &mut System, &mut out)? {
                return Ok(Self::logged_in(pdus, cid, agreed));
            }
        }
    }

    fn logged_in(mut pdus: Pdus<S>, cid: u16, agreed: Agreed) -> Self {
        let parameters = agreed.parameters;
        pdus.set_digests(parameters.header_digest, parameters.data_digest);
        Self {
            pdus,
            parameters,
            tsih: agreed.tsih,
            cid,
            answers: agreed.answers,
            cmd_sn: agreed.cmd_sn,
            exp_stat_sn: agreed.exp_stat_sn,
            max_cmd_sn: agreed.max_cmd_sn,
            next_tag: 1,
            tasks: HashMap::new(),
            completed: HashMap::new(),
            other: HashMap::new(),
            messages: VecDeque::new(),
            rejects: VecDeque::new(),
            answers_pings: true,
        }
    }

    /// The agreed keys.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The session, for further connections ([`Wishes::joining`]).
    pub const fn tsih(&self) -> u16 {
        self.tsih
    }

    /// The connection within the session.
    pub const fn cid(&self) -> u16 {
        self.cid
    }

    /// MaxCmdSN: the last CmdSN that the target takes.
    pub const fn max_cmd_sn(&self) -> u32 {
        self.max_cmd_sn
    }

    /// Commands under way.
    pub fn outstanding(&self) -> usize {
        self.tasks.len()
    }

    /// The stream, for its timeouts.
    pub const fn stream(&mut self) -> &mut S {
        self.pdus.stream()
    }

    /// The PDUs, to send what no initiator would.
    pub const fn pdus(&mut self) -> &mut Pdus<S> {
        &mut self.pdus
    }

    /// Runs a command: LUN, CDB, what is written, room for what is read.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; a SCSI status is none.
    pub fn command(
        &mut self,
        lun: [u8; 8],
        cdb: &[u8],
        data_out: &[u8],
        expected_in: u32,
    ) -> Result<Completion, ClientError> {
        let command = Command { data_out, expected_in, ..Command::new(lun, cdb) };
        let tag = self.submit(&command)?;
        self.complete(tag)
    }

    /// Sends a command, with the data that need not be asked for; waits for the command window.
    /// Its initiator task tag.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn submit(&mut self, command: &Command<'_>) -> Result<u32, ClientError> {
        if self.tasks.len() >= TASKS_MAX {
            return Err(ClientError::TooMuch("4096 commands are under way"));
        }
        let total = u32::try_from(command.data_out.len())
            .map_err(|_| ClientError::TooMuch("a command moves less than 4 GiB"))?;
        let (cdb, ahs) = split_cdb(command.cdb)?;
        let (cmd_sn, task_tag) = self.number(command.immediate)?;

        let now = &self.parameters;
        let first = total.min(now.first_burst_length);
        let immediate = match now.immediate_data {
            true => first.min(now.target_max_recv_data_segment_length),
            false => 0,
        };
        let unsolicited = if now.initial_r2t { immediate } else { first };
        let request = CommandRequest {
            immediate: command.immediate,
            last: unsolicited == immediate,
            read: command.expected_in > 0,
            write: total > 0,
            attribute: command.attribute,
            lun: command.lun,
            task_tag,
            expected: if total > 0 { total } else { command.expected_in },
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            cdb,
        };
        let data = command.data_out.get(..immediate as usize).unwrap_or_default();
        self.pdus.write(Request::Command(request).encode(), &ahs, data)?;
        self.tasks.insert(task_tag, Outstanding::new(command, cmd_sn));
        let rest = immediate as usize..unsolicited as usize;
        self.send_data(command.lun, task_tag, NO_TAG, command.data_out, rest)?;
        Ok(task_tag)
    }

    /// Waits for the end of the command `tag`.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoTask`] if there is none; [`ClientError::Rejected`] if it was rejected.
    pub fn complete(&mut self, tag: u32) -> Result<Completion, ClientError> {
        loop {
            if let Some(completion) = self.completed.remove(&tag) {
                return Ok(completion);
            }
            if !self.tasks.contains_key(&tag) {
                return Err(ClientError::NoTask(tag));
            }
            self.turn_for(tag)?;
        }
    }

    /// Waits for the end of any command; its tag.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoTask`] if none is under way.
    pub fn complete_any(&mut self) -> Result<(u32, Completion), ClientError> {
        loop {
            if let Some(&tag) = self.completed.keys().next()
                && let Some(completion) = self.completed.remove(&tag)
            {
                return Ok((tag, completion));
            }
            if self.tasks.is_empty() {
                return Err(ClientError::NoTask(NO_TAG));
            }
            self.turn()?;
        }
    }

    /// Gives up on the command `tag`, as after its abort: its end is not waited for.
    pub fn forget(&mut self, tag: u32) {
        self.tasks.remove(&tag);
        self.completed.remove(&tag);
    }

    /// A task management function, immediate; `referenced` is the tag that it is about, or
    /// [`NO_TAG`].
    ///
    /// # Errors
    ///
    /// [`ClientError`]; a refusal is an outcome.
    pub fn manage(
        &mut self,
        function: TaskFunction,
        lun: [u8; 8],
        referenced: u32,
    ) -> Result<TaskOutcome, ClientError> {
        let tag = self.submit_manage(function, lun, referenced)?;
        loop {
            if let Some(Answer::Task(outcome)) = self.other.remove(&tag) {
                return Ok(outcome);
            }
            self.turn_for(tag)?;
        }
    }

    fn submit_manage(
        &mut self,
        function: TaskFunction,
        lun: [u8; 8],
        referenced: u32,
    ) -> Result<u32, ClientError> {
        let (cmd_sn, task_tag) = self.number(true)?;
        let ref_cmd_sn = self.tasks.get(&referenced).map_or(cmd_sn, |task| task.cmd_sn);
        let request = TaskRequest {
            immediate: true,
            function: Some(function),
            lun,
            task_tag,
            referenced,
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            ref_cmd_sn,
            exp_data_sn: 0,
        };
        self.pdus.write(Request::Task(request).encode(), &[], &[])?;
        Ok(task_tag)
    }

    /// Pings the target with `data`; what it sends back.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn ping(&mut self, data: &[u8]) -> Result<Vec<u8>, ClientError> {
        let (cmd_sn, task_tag) = self.number(true)?;
        let ping = NopOut {
            immediate: true,
            lun: [0; 8],
            task_tag,
            transfer_tag: NO_TAG,
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.pdus.write(Request::NopOut(ping).encode(), &[], data)?;
        loop {
            if let Some(Answer::Ping(data)) = self.other.remove(&task_tag) {
                return Ok(data);
            }
            self.turn_for(task_tag)?;
        }
    }

    /// Sends text, at most one PDU of it; the whole answer.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn text(&mut self, text: &[u8]) -> Result<Vec<u8>, ClientError> {
        let (mut whole, mut text, mut transfer_tag, mut lun) = (Vec::new(), text, NO_TAG, [0; 8]);
        let (mut cmd_sn, task_tag) = self.number(false)?;
        loop {
            let request = TextRequest {
                immediate: false,
                last: true,
                continues: false,
                lun,
                task_tag,
                transfer_tag,
                cmd_sn,
                exp_stat_sn: self.exp_stat_sn,
            };
            self.pdus.write(Request::Text(request).encode(), &[], text)?;
            let (response, piece) = loop {
                if let Some(Answer::Text(response, piece)) = self.other.remove(&task_tag) {
                    break (response, piece);
                }
                self.turn_for(task_tag)?;
            };
            whole.extend(piece);
            if response.last {
                return Ok(whole);
            }
            if whole.len() > 16 * TEXT_LEN_MAX {
                return Err(ClientError::TooMuch("an answer of more than 1 MiB of text"));
            }
            (text, transfer_tag, lun) = (&[], response.transfer_tag, response.lun);
            (cmd_sn, _) = self.number(false)?;
        }
    }

    /// The targets that `SendTargets=which` lists, each with its addresses.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn send_targets(&mut self, which: &str) -> Result<Vec<(String, Vec<String>)>, ClientError> {
        let text = self.text(format!("SendTargets={which}\0").as_bytes())?;
        let mut targets: Vec<(String, Vec<String>)> = Vec::new();
        for pair in pairs(&text) {
            match pair.map_err(|_| ClientError::Protocol("an answer that is no text"))? {
                ("TargetName", name) => targets.push((name.to_owned(), Vec::new())),
                ("TargetAddress", address) => match targets.last_mut() {
                    Some((_, addresses)) => addresses.push(address.to_owned()),
                    None => return Err(ClientError::Protocol("an address without a target")),
                },
                _ => {}
            }
        }
        Ok(targets)
    }

    /// Logs out.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; a refusal is an outcome.
    pub fn logout(&mut self, reason: LogoutReason, cid: u16) -> Result<LogoutOutcome, ClientError> {
        let (cmd_sn, task_tag) = self.number(true)?;
        let request = LogoutRequest {
            immediate: true,
            reason,
            task_tag,
            cid,
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.pdus.write(Request::Logout(request).encode(), &[], &[])?;
        loop {
            if let Some(Answer::Logout(response)) = self.other.remove(&task_tag) {
                return Ok(response.outcome);
            }
            self.turn_for(task_tag)?;
        }
    }

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
    fn turn_for(&mut self, tag: u32) -> Result<(), ClientError> {
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

    /// CmdSN and tag of the next request; waits for the command window.
    fn number(&mut self, immediate: bool) -> Result<(u32, u32), ClientError> {
        let cmd_sn = if immediate {
            self.cmd_sn
        } else {
            while serial::after(self.cmd_sn, self.max_cmd_sn) {
                self.turn()?;
            }
            let cmd_sn = self.cmd_sn;
            self.cmd_sn = cmd_sn.wrapping_add(1);
            cmd_sn
        };
        let tag = self.next_tag;
        self.next_tag = tag.wrapping_add(1) & 0x7fff_ffff;
        Ok((cmd_sn, tag))
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

    /// Data-Out for `range` of `data`, one sequence.
    fn send_data(
        &mut self,
        lun: [u8; 8],
        task_tag: u32,
        transfer_tag: u32,
        data: &[u8],
        range: core::ops::Range<usize>,
    ) -> Result<(), ClientError> {
        let max = self.parameters.target_max_recv_data_segment_length.max(1) as usize;
        let (mut offset, mut data_sn) = (range.start, 0);
        while offset < range.end {
            let end = range.end.min(offset + max);
            let pdu = DataOut {
                last: end == range.end,
                lun,
                task_tag,
                transfer_tag,
                exp_stat_sn: self.exp_stat_sn,
                data_sn,
                offset: offset as u32,
            };
            let piece = data.get(offset..end).unwrap_or_default();
            self.pdus.write(Request::DataOut(pdu).encode(), &[], piece)?;
            (offset, data_sn) = (end, data_sn + 1);
        }
        Ok(())
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

/// The 16 bytes of the header, and the additional header segment for the rest.
fn split_cdb(cdb: &[u8]) -> Result<([u8; 16], Vec<u8>), ClientError> {
    if cdb.len() > MAX_CDB_LEN {
        return Err(ClientError::TooMuch("a CDB has at most 260 bytes"));
    }
    let mut head = [0; 16];
    for (to, from) in head.iter_mut().zip(cdb) {
        *to = *from;
    }
    let rest = cdb.get(16..).unwrap_or_default();
    Ok((head, if rest.is_empty() { Vec::new() } else { Ahs::extended_cdb(rest) }))
}

#[cfg(test)]
mod tests;
