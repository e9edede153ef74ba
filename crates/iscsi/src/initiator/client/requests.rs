//! What is sent beside commands: task management, pings, text, the logout.

use std::io::{Read, Write};

use super::{Answer, Client};
use crate::initiator::stream::ClientError;
use crate::pdu::{
    LogoutOutcome, LogoutReason, LogoutRequest, NO_TAG, NopOut, Request, TaskFunction, TaskOutcome,
    TaskRequest, TextRequest,
};
use crate::text::{pairs, stream::TEXT_LEN_MAX};

impl<S: Read + Write> Client<S> {
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
}
