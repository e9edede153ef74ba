//! What a target says unasked: Asynchronous Message and Reject (RFC 7143 11.9, 11.17).

use super::Sequence;
use crate::pdu::NO_TAG;
use crate::pdu::bhs::{Bhs, FINAL};
use crate::pdu::opcode::TargetOpcode;

/// Which connection an asynchronous message is about, and when it may come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// CID
    pub cid: u16,
    /// Time2Wait, s
    pub time2wait: u16,
    /// Time2Retain, s
    pub time2retain: u16,
}

/// What an asynchronous message tells (11.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsyncEvent {
    /// 0: sense data in the data segment
    Scsi,
    /// 1: log out within so many seconds
    LogoutRequest {
        /// seconds
        within: u16,
    },
    /// 2: the target drops the named connection
    DropConnection(Lost),
    /// 3: the target drops all connections of the session
    DropSession(Lost),
    /// 4: negotiate parameters within so many seconds
    Negotiate {
        /// seconds
        within: u16,
    },
    /// another code
    Other(u8),
}

/// Asynchronous Message (11.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncMessage {
    /// what it tells
    pub event: AsyncEvent,
    /// the LUN's eight bytes, for SCSI events
    pub lun: [u8; 8],
    /// StatSN and the command window
    pub sequence: Sequence,
}

/// Why a PDU is rejected (11.17.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectReason {
    /// 02h
    DataDigestError = 0x02,
    /// 03h
    SnackReject = 0x03,
    /// 04h
    ProtocolError = 0x04,
    /// 05h
    CommandNotSupported = 0x05,
    /// 06h: too many immediate commands
    ImmediateCommandReject = 0x06,
    /// 07h
    TaskInProgress = 0x07,
    /// 08h
    InvalidDataAck = 0x08,
    /// 09h
    InvalidPduField = 0x09,
    /// 0Ah: out of resources
    LongOperationReject = 0x0A,
    /// 0Ch
    WaitingForLogout = 0x0C,
}

/// Reject (11.17); the header of the rejected PDU follows in the data segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// why
    pub reason: RejectReason,
    /// StatSN and the command window
    pub sequence: Sequence,
    /// DataSN or R2TSN, for a rejected SNACK
    pub data_sn: u32,
}

impl AsyncMessage {
    pub(super) fn parse(bhs: &Bhs) -> Self {
        let [cid, time2wait, time2retain] = [bhs.half::<38>(), bhs.half::<40>(), bhs.half::<42>()];
        Self {
            event: match bhs.0[36] {
                0 => AsyncEvent::Scsi,
                1 => AsyncEvent::LogoutRequest { within: time2retain },
                2 => AsyncEvent::DropConnection(Lost { cid, time2wait, time2retain }),
                3 => AsyncEvent::DropSession(Lost { cid, time2wait, time2retain }),
                4 => AsyncEvent::Negotiate { within: time2retain },
                code => AsyncEvent::Other(code),
            },
            lun: bhs.lun(),
            sequence: Sequence::parse(bhs),
        }
    }

    pub(super) fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Async.code(), FINAL);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(NO_TAG);
        self.sequence.put(&mut bhs);
        let (code, lost) = match self.event {
            AsyncEvent::Scsi => (0, Lost::default()),
            AsyncEvent::LogoutRequest { within } => {
                (1, Lost { time2retain: within, ..Lost::default() })
            }
            AsyncEvent::DropConnection(lost) => (2, lost),
            AsyncEvent::DropSession(lost) => (3, lost),
            AsyncEvent::Negotiate { within } => {
                (4, Lost { time2retain: within, ..Lost::default() })
            }
            AsyncEvent::Other(code) => (code, Lost::default()),
        };
        bhs.0[36] = code;
        bhs.set_half::<38>(lost.cid);
        bhs.set_half::<40>(lost.time2wait);
        bhs.set_half::<42>(lost.time2retain);
        bhs
    }
}

impl RejectReason {
    pub(super) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x02 => Self::DataDigestError,
            0x03 => Self::SnackReject,
            0x04 => Self::ProtocolError,
            0x05 => Self::CommandNotSupported,
            0x06 => Self::ImmediateCommandReject,
            0x07 => Self::TaskInProgress,
            0x08 => Self::InvalidDataAck,
            0x09 => Self::InvalidPduField,
            0x0A => Self::LongOperationReject,
            0x0C => Self::WaitingForLogout,
            _ => return None,
        })
    }
}

impl Reject {
    pub(super) fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Reject.code(), FINAL);
        bhs.0[2] = self.reason as u8;
        bhs.set_word::<16>(NO_TAG);
        self.sequence.put(&mut bhs);
        bhs.set_word::<36>(self.data_sn);
        bhs
    }
}
