//! What a target sends in the full feature phase (RFC 7143 11.4 to 11.19).

use super::bhs::{Bhs, FINAL};
use super::opcode::TargetOpcode;

const ACKNOWLEDGE: u8 = 0x40;
const CONTINUE: u8 = 0x40;
const OVERFLOW: u8 = 0x04;
const UNDERFLOW: u8 = 0x02;
const STATUS: u8 = 0x01;

/// The numbers that almost every response carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// StatSN
    pub stat_sn: u32,
    /// ExpCmdSN
    pub exp_cmd_sn: u32,
    /// MaxCmdSN
    pub max_cmd_sn: u32,
}

/// What was not moved (11.4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Residual {
    /// as much as expected
    #[default]
    None,
    /// this many bytes of those expected were not moved
    Underflow(u32),
    /// this many bytes more would have been moved
    Overflow(u32),
}

/// SCSI Response (11.4); sense data follows in the data segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandResponse {
    /// iSCSI response: 00h completed at target, 01h target failure
    pub response: u8,
    /// SCSI status code
    pub status: u8,
    /// residual
    pub residual: Residual,
    /// Initiator Task Tag
    pub task_tag: u32,
    /// StatSN and the command window
    pub sequence: Sequence,
    /// ExpDataSN: Data-In and R2T PDUs sent for the command
    pub exp_data_sn: u32,
}

/// SCSI Data-In (11.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataIn {
    /// last PDU of the sequence
    pub last: bool,
    /// A: the initiator is to acknowledge the sequence
    pub acknowledge: bool,
    /// status code, if this PDU carries the status
    pub status: Option<u8>,
    /// residual; counts with a status only
    pub residual: Residual,
    /// the LUN's eight bytes, with `acknowledge`
    pub lun: [u8; 8],
    /// Initiator Task Tag
    pub task_tag: u32,
    /// Target Transfer Tag
    pub transfer_tag: u32,
    /// StatSN (with a status) and the command window
    pub sequence: Sequence,
    /// DataSN
    pub data_sn: u32,
    /// Buffer Offset, bytes
    pub offset: u32,
}

/// Ready To Transfer (11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct R2t {
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// Initiator Task Tag
    pub task_tag: u32,
    /// Target Transfer Tag
    pub transfer_tag: u32,
    /// the next StatSN and the command window
    pub sequence: Sequence,
    /// R2TSN
    pub r2t_sn: u32,
    /// Buffer Offset, bytes
    pub offset: u32,
    /// Desired Data Transfer Length, bytes
    pub length: u32,
}

/// How a task management function ended (11.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TaskOutcome {
    /// 0
    Complete = 0,
    /// 1
    TaskDoesNotExist = 1,
    /// 2
    LunDoesNotExist = 2,
    /// 3
    TaskStillAllegiant = 3,
    /// 4
    ReassignmentNotSupported = 4,
    /// 5
    NotSupported = 5,
    /// 6
    AuthorizationFailed = 6,
    /// 255
    Rejected = 255,
}

/// Task Management Function Response (11.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskResponse {
    /// how it ended
    pub outcome: TaskOutcome,
    /// Initiator Task Tag
    pub task_tag: u32,
    /// StatSN and the command window
    pub sequence: Sequence,
}

/// NOP-In (11.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NopIn {
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// Initiator Task Tag of the NOP-Out it answers, or [`super::NO_TAG`]
    pub task_tag: u32,
    /// Target Transfer Tag, [`super::NO_TAG`]: no answer is wanted
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

/// A response of the full feature phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// NOP-In
    NopIn(NopIn),
    /// SCSI Response
    Command(CommandResponse),
    /// Task Management Function Response
    Task(TaskResponse),
    /// Text Response
    Text(TextResponse),
    /// SCSI Data-In
    DataIn(DataIn),
    /// Logout Response
    Logout(LogoutResponse),
    /// Ready To Transfer
    R2t(R2t),
    /// Asynchronous Message
    Async(AsyncMessage),
    /// Reject
    Reject(Reject),
}

impl Response {
    /// Reads a header as an initiator does; `None` if it is none of these or holds a reserved code.
    #[must_use]
    pub fn parse(bhs: &Bhs) -> Option<Self> {
        let sequence = Sequence::parse(bhs);
        let (flags, task_tag, transfer_tag) = (bhs.flags(), bhs.word::<16>(), bhs.word::<20>());
        Some(match TargetOpcode::from_code(bhs.opcode())? {
            TargetOpcode::NopIn => {
                Self::NopIn(NopIn { lun: bhs.lun(), task_tag, transfer_tag, sequence })
            }
            TargetOpcode::Command => Self::Command(CommandResponse {
                response: bhs.0[2],
                status: bhs.0[3],
                residual: Residual::parse(bhs),
                task_tag,
                sequence,
                exp_data_sn: bhs.word::<36>(),
            }),
            TargetOpcode::Task => Self::Task(TaskResponse {
                outcome: TaskOutcome::from_code(bhs.0[2])?,
                task_tag,
                sequence,
            }),
            TargetOpcode::Text => Self::Text(TextResponse {
                last: bhs.is_final(),
                continues: flags & CONTINUE != 0,
                lun: bhs.lun(),
                task_tag,
                transfer_tag,
                sequence,
            }),
            TargetOpcode::DataIn => Self::DataIn(DataIn::parse(bhs)),
            TargetOpcode::Logout => Self::Logout(LogoutResponse {
                outcome: LogoutOutcome::from_code(bhs.0[2])?,
                task_tag,
                sequence,
                time2wait: bhs.half::<40>(),
                time2retain: bhs.half::<42>(),
            }),
            TargetOpcode::R2t => Self::R2t(R2t {
                lun: bhs.lun(),
                task_tag,
                transfer_tag,
                sequence,
                r2t_sn: bhs.word::<36>(),
                offset: bhs.word::<40>(),
                length: bhs.word::<44>(),
            }),
            TargetOpcode::Async => Self::Async(AsyncMessage::parse(bhs)),
            TargetOpcode::Reject => Self::Reject(Reject {
                reason: RejectReason::from_code(bhs.0[2])?,
                sequence,
                data_sn: bhs.word::<36>(),
            }),
            TargetOpcode::Login => return None,
        })
    }

    /// The header on the wire, without data.
    #[must_use]
    pub fn encode(&self) -> Bhs {
        match self {
            Self::NopIn(p) => p.encode(),
            Self::Command(p) => p.encode(),
            Self::Task(p) => p.encode(),
            Self::Text(p) => p.encode(),
            Self::DataIn(p) => p.encode(),
            Self::Logout(p) => p.encode(),
            Self::R2t(p) => p.encode(),
            Self::Async(p) => p.encode(),
            Self::Reject(p) => p.encode(),
        }
    }

    /// StatSN and the command window.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        match self {
            Self::NopIn(p) => p.sequence,
            Self::Command(p) => p.sequence,
            Self::Task(p) => p.sequence,
            Self::Text(p) => p.sequence,
            Self::DataIn(p) => p.sequence,
            Self::Logout(p) => p.sequence,
            Self::R2t(p) => p.sequence,
            Self::Async(p) => p.sequence,
            Self::Reject(p) => p.sequence,
        }
    }
}

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

impl Sequence {
    const fn parse(bhs: &Bhs) -> Self {
        Self {
            stat_sn: bhs.word::<24>(),
            exp_cmd_sn: bhs.word::<28>(),
            max_cmd_sn: bhs.word::<32>(),
        }
    }

    #[inline]
    const fn put(self, bhs: &mut Bhs) {
        bhs.set_word::<24>(self.stat_sn);
        bhs.set_word::<28>(self.exp_cmd_sn);
        bhs.set_word::<32>(self.max_cmd_sn);
    }
}

impl Residual {
    /// What is left when `expected` bytes were announced, `moved` bytes of them were moved and the
    /// command would have moved `length` with enough room.
    #[inline]
    #[must_use]
    pub fn of(expected: u64, moved: u64, length: u64) -> Self {
        let count = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        if length > expected {
            Self::Overflow(count(length - expected))
        } else if moved < expected {
            Self::Underflow(count(expected - moved))
        } else {
            Self::None
        }
    }

    const fn parse(bhs: &Bhs) -> Self {
        let count = bhs.word::<44>();
        match bhs.flags() & (OVERFLOW | UNDERFLOW) {
            OVERFLOW => Self::Overflow(count),
            UNDERFLOW => Self::Underflow(count),
            _ => Self::None,
        }
    }

    #[inline]
    const fn put(self, bhs: &mut Bhs) {
        let (bit, count) = match self {
            Self::None => return,
            Self::Underflow(count) => (UNDERFLOW, count),
            Self::Overflow(count) => (OVERFLOW, count),
        };
        bhs.0[1] |= bit;
        bhs.set_word::<44>(count);
    }
}

impl CommandResponse {
    /// The header on the wire.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Command.code(), FINAL);
        bhs.0[2] = self.response;
        bhs.0[3] = self.status;
        self.residual.put(&mut bhs);
        bhs.set_word::<16>(self.task_tag);
        self.sequence.put(&mut bhs);
        bhs.set_word::<36>(self.exp_data_sn);
        bhs
    }
}

impl DataIn {
    fn parse(bhs: &Bhs) -> Self {
        let flags = bhs.flags();
        let status = (flags & STATUS != 0).then_some(bhs.0[3]);
        Self {
            last: bhs.is_final(),
            acknowledge: flags & ACKNOWLEDGE != 0,
            status,
            residual: if status.is_some() { Residual::parse(bhs) } else { Residual::None },
            lun: bhs.lun(),
            task_tag: bhs.word::<16>(),
            transfer_tag: bhs.word::<20>(),
            sequence: Sequence::parse(bhs),
            data_sn: bhs.word::<36>(),
            offset: bhs.word::<40>(),
        }
    }

    /// The header on the wire.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> Bhs {
        let flags = flag(self.last, FINAL) | flag(self.acknowledge, ACKNOWLEDGE);
        let mut bhs = Bhs::new(TargetOpcode::DataIn.code(), flags);
        if let Some(status) = self.status {
            bhs.0[1] |= STATUS;
            bhs.0[3] = status;
            self.residual.put(&mut bhs);
        }
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        self.sequence.put(&mut bhs);
        bhs.set_word::<36>(self.data_sn);
        bhs.set_word::<40>(self.offset);
        bhs
    }
}

impl R2t {
    /// The header on the wire.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::R2t.code(), FINAL);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        self.sequence.put(&mut bhs);
        bhs.set_word::<36>(self.r2t_sn);
        bhs.set_word::<40>(self.offset);
        bhs.set_word::<44>(self.length);
        bhs
    }
}

impl TaskOutcome {
    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Complete,
            1 => Self::TaskDoesNotExist,
            2 => Self::LunDoesNotExist,
            3 => Self::TaskStillAllegiant,
            4 => Self::ReassignmentNotSupported,
            5 => Self::NotSupported,
            6 => Self::AuthorizationFailed,
            255 => Self::Rejected,
            _ => return None,
        })
    }
}

impl TaskResponse {
    fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Task.code(), FINAL);
        bhs.0[2] = self.outcome as u8;
        bhs.set_word::<16>(self.task_tag);
        self.sequence.put(&mut bhs);
        bhs
    }
}

impl NopIn {
    fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::NopIn.code(), FINAL);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        self.sequence.put(&mut bhs);
        bhs
    }
}

impl TextResponse {
    fn encode(&self) -> Bhs {
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
    const fn from_code(code: u8) -> Option<Self> {
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
    fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Logout.code(), FINAL);
        bhs.0[2] = self.outcome as u8;
        bhs.set_word::<16>(self.task_tag);
        self.sequence.put(&mut bhs);
        bhs.set_half::<40>(self.time2wait);
        bhs.set_half::<42>(self.time2retain);
        bhs
    }
}

impl AsyncMessage {
    fn parse(bhs: &Bhs) -> Self {
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

    fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Async.code(), FINAL);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(super::NO_TAG);
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
    const fn from_code(code: u8) -> Option<Self> {
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
    fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Reject.code(), FINAL);
        bhs.0[2] = self.reason as u8;
        bhs.set_word::<16>(super::NO_TAG);
        self.sequence.put(&mut bhs);
        bhs.set_word::<36>(self.data_sn);
        bhs
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pdu::BHS_LEN;

    #[test]
    fn residuals() {
        assert_eq!(Residual::of(512, 512, 512), Residual::None);
        assert_eq!(Residual::of(10_000, 512, 512), Residual::Underflow(9488));
        assert_eq!(Residual::of(200, 200, 512), Residual::Overflow(312));
        assert_eq!(Residual::of(0, 0, 512), Residual::Overflow(512));
        assert_eq!(Residual::of(512, 0, 0), Residual::Underflow(512));
    }

    #[test]
    fn a_data_in_with_status() {
        let data_in = DataIn {
            last: true,
            acknowledge: false,
            status: Some(0),
            residual: Residual::Underflow(3),
            lun: [0; 8],
            task_tag: 9,
            transfer_tag: u32::MAX,
            sequence: Sequence { stat_sn: 1, exp_cmd_sn: 2, max_cmd_sn: 3 },
            data_sn: 0,
            offset: 0,
        };
        let bhs = data_in.encode();
        assert_eq!(bhs.0[..4], [0x25, 0x83, 0, 0]);
        assert_eq!(bhs.0[44..], [0, 0, 0, 3]);
        assert_eq!(Response::parse(&bhs), Some(Response::DataIn(data_in)));
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_the_same(bytes: [u8; BHS_LEN], opcode in 0x20_u8..0x40) {
            let mut bytes = bytes;
            bytes[0] = opcode;
            bytes[2] %= 13;
            if let Some(response) = Response::parse(&Bhs(bytes)) {
                prop_assert_eq!(Response::parse(&response.encode()), Some(response));
            }
        }
    }
}
