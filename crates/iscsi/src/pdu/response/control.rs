//! NOP-In, Text Response and Logout Response (RFC 7143 11.11, 11.15, 11.19).

use super::{CONTINUE, Sequence, flag};
use crate::pdu::bhs::{Bhs, FINAL};
use crate::pdu::opcode::TargetOpcode;

/// NOP-In (11.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NopIn {
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// Initiator Task Tag of the NOP-Out it answers, or [`NO_TAG`](crate::pdu::NO_TAG)
    pub task_tag: u32,
    /// Target Transfer Tag, [`NO_TAG`](crate::pdu::NO_TAG): no answer is wanted
    pub transfer_tag: u32,
    /// StatSN (the next one without a task tag) and the command window
    pub sequence: Sequence,
}

/// Text Response (11.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextResponse {
    /// last response of the negotiation
    pub last: bool,
    /// C: the text goes on in the next response
    pub continues: bool,
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// Initiator Task Tag
    pub task_tag: u32,
    /// Target Transfer Tag
    pub transfer_tag: u32,
    /// StatSN and the command window
    pub sequence: Sequence,
}

/// How a logout ended (11.15.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LogoutOutcome {
    /// 0
    Closed = 0,
    /// 1
    CidNotFound = 1,
    /// 2
    RecoveryNotSupported = 2,
    /// 3
    CleanupFailed = 3,
}

/// Logout Response (11.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogoutResponse {
    /// how it ended
    pub outcome: LogoutOutcome,
    /// Initiator Task Tag
    pub task_tag: u32,
    /// StatSN and the command window
    pub sequence: Sequence,
    /// Time2Wait, s
    pub time2wait: u16,
    /// Time2Retain, s
    pub time2retain: u16,
}

impl NopIn {
    pub(super) fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::NopIn.code(), FINAL);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        self.sequence.put(&mut bhs);
        bhs
    }
}

impl TextResponse {
    pub(super) fn encode(&self) -> Bhs {
        let flags = flag(self.last, FINAL) | flag(self.continues, CONTINUE);
        let mut bhs = Bhs::new(TargetOpcode::Text.code(), flags);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        self.sequence.put(&mut bhs);
        bhs
    }
}

impl LogoutOutcome {
    pub(super) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Closed,
            1 => Self::CidNotFound,
            2 => Self::RecoveryNotSupported,
            3 => Self::CleanupFailed,
            _ => return None,
        })
    }
}

impl LogoutResponse {
    pub(super) fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Logout.code(), FINAL);
        bhs.0[2] = self.outcome as u8;
        bhs.set_word::<16>(self.task_tag);
        self.sequence.put(&mut bhs);
        bhs.set_half::<40>(self.time2wait);
        bhs.set_half::<42>(self.time2retain);
        bhs
    }
}
