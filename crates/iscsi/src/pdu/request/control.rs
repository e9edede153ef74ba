//! NOP-Out, Text Request, Logout Request and SNACK (RFC 7143 11.10, 11.14, 11.16, 11.18).

use super::{flag, head, tagged};
use crate::pdu::NO_TAG;
use crate::pdu::bhs::{Bhs, FINAL};
use crate::pdu::opcode::InitiatorOpcode;
use crate::pdu::response::RejectReason;

const CONTINUE: u8 = 0x40;

/// NOP-Out (11.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NopOut {
    /// immediate delivery
    pub immediate: bool,
    /// the LUN's eight bytes, as in the NOP-In it answers
    pub lun: [u8; 8],
    /// Initiator Task Tag; [`NO_TAG`]: no answer is wanted
    pub task_tag: u32,
    /// Target Transfer Tag of the NOP-In it answers
    pub transfer_tag: u32,
    /// CmdSN
    pub cmd_sn: u32,
    /// ExpStatSN
    pub exp_stat_sn: u32,
}

/// Text Request (11.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextRequest {
    /// immediate delivery
    pub immediate: bool,
    /// last request of the negotiation
    pub last: bool,
    /// C: the text goes on in the next request
    pub continues: bool,
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// Initiator Task Tag
    pub task_tag: u32,
    /// Target Transfer Tag of the response it follows
    pub transfer_tag: u32,
    /// CmdSN
    pub cmd_sn: u32,
    /// ExpStatSN
    pub exp_stat_sn: u32,
}

/// Why an initiator logs out (11.14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LogoutReason {
    /// all connections of the session end
    CloseSession = 0,
    /// the named connection ends
    CloseConnection = 1,
    /// the named connection is removed, its tasks are to be reassigned
    RemoveConnection = 2,
}

/// Logout Request (11.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogoutRequest {
    /// immediate delivery
    pub immediate: bool,
    /// why
    pub reason: LogoutReason,
    /// Initiator Task Tag
    pub task_tag: u32,
    /// CID of the connection
    pub cid: u16,
    /// CmdSN
    pub cmd_sn: u32,
    /// ExpStatSN
    pub exp_stat_sn: u32,
}

/// SNACK Request (11.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snack {
    /// type: 0 Data/R2T, 1 Status, 2 DataACK, 3 R-Data
    pub kind: u8,
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// Initiator Task Tag
    pub task_tag: u32,
    /// Target Transfer Tag or SNACK Tag
    pub transfer_tag: u32,
    /// ExpStatSN
    pub exp_stat_sn: u32,
    /// BegRun
    pub first: u32,
    /// RunLength
    pub count: u32,
}

impl NopOut {
    pub(super) fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
        let nop = Self {
            immediate: bhs.immediate(),
            lun: bhs.lun(),
            task_tag: bhs.initiator_task_tag(),
            transfer_tag: bhs.word::<20>(),
            cmd_sn: bhs.cmd_sn(),
            exp_stat_sn: bhs.exp_stat_sn(),
        };
        // 11.18.1: without a task tag it takes no CmdSN.
        if nop.task_tag == NO_TAG && !nop.immediate {
            return Err(RejectReason::InvalidPduField);
        }
        Ok(nop)
    }

    pub(super) fn encode(&self) -> Bhs {
        let mut bhs = head(InitiatorOpcode::NopOut, self.immediate, FINAL);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        bhs.set_word::<24>(self.cmd_sn);
        bhs.set_word::<28>(self.exp_stat_sn);
        bhs
    }
}

impl TextRequest {
    pub(super) fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
        let text = Self {
            immediate: bhs.immediate(),
            last: bhs.is_final(),
            continues: bhs.flags() & CONTINUE != 0,
            lun: bhs.lun(),
            task_tag: tagged(bhs)?,
            transfer_tag: bhs.word::<20>(),
            cmd_sn: bhs.cmd_sn(),
            exp_stat_sn: bhs.exp_stat_sn(),
        };
        // 11.10.2: F and C exclude each other.
        if text.last && text.continues {
            return Err(RejectReason::InvalidPduField);
        }
        Ok(text)
    }

    pub(super) fn encode(&self) -> Bhs {
        let flags = flag(self.last, FINAL) | flag(self.continues, CONTINUE);
        let mut bhs = head(InitiatorOpcode::Text, self.immediate, flags);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        bhs.set_word::<24>(self.cmd_sn);
        bhs.set_word::<28>(self.exp_stat_sn);
        bhs
    }
}

impl LogoutRequest {
    pub(super) fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
        Ok(Self {
            immediate: bhs.immediate(),
            reason: match bhs.flags() & 0x7F {
                0 => LogoutReason::CloseSession,
                1 => LogoutReason::CloseConnection,
                2 => LogoutReason::RemoveConnection,
                _ => return Err(RejectReason::InvalidPduField),
            },
            task_tag: tagged(bhs)?,
            cid: bhs.half::<20>(),
            cmd_sn: bhs.cmd_sn(),
            exp_stat_sn: bhs.exp_stat_sn(),
        })
    }

    pub(super) fn encode(&self) -> Bhs {
        let mut bhs = head(InitiatorOpcode::Logout, self.immediate, FINAL | self.reason as u8);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_half::<20>(self.cid);
        bhs.set_word::<24>(self.cmd_sn);
        bhs.set_word::<28>(self.exp_stat_sn);
        bhs
    }
}

impl Snack {
    pub(super) fn parse(bhs: &Bhs) -> Self {
        Self {
            kind: bhs.flags() & 0x0F,
            lun: bhs.lun(),
            task_tag: bhs.initiator_task_tag(),
            transfer_tag: bhs.word::<20>(),
            exp_stat_sn: bhs.exp_stat_sn(),
            first: bhs.word::<40>(),
            count: bhs.word::<44>(),
        }
    }

    pub(super) fn encode(&self) -> Bhs {
        let mut bhs = head(InitiatorOpcode::Snack, false, FINAL | (self.kind & 0x0F));
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        bhs.set_word::<28>(self.exp_stat_sn);
        bhs.set_word::<40>(self.first);
        bhs.set_word::<44>(self.count);
        bhs
    }
}
