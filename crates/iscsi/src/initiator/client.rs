//! One connection of a session, as its initiator.
//!
//! | module | what |
//! |---|---|
//! | `receive` | what comes from the target |
//! | `requests` | what is sent beside commands |

mod receive;
mod requests;

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};

use super::login::{Agreed, InitiatorLogin, Wishes};
use super::stream::{ClientError, Pdus};
use super::task::{Command, Completion, Outstanding, split_cdb};
use crate::chap::System;
use crate::login::Parameters;
use crate::pdu::{
    AsyncMessage, Bhs, CommandRequest, DataOut, LogoutResponse, NO_TAG, RejectReason, Request,
    TaskOutcome, TextResponse, serial,
};

/// The most commands under way.
pub const TASKS_MAX: usize = 4096;

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
}

#[cfg(test)]
mod tests;
