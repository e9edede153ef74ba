//! What an initiator sends in the full feature phase (RFC 7143 11.3 to 11.19). Login has its own
//! module.

use outboard_scsi::TaskAttribute;

use super::bhs::{Bhs, FINAL};
use super::opcode::InitiatorOpcode;
use super::response::RejectReason;

const READ: u8 = 0x40;
const WRITE: u8 = 0x20;
const CONTINUE: u8 = 0x40;
const IMMEDIATE: u8 = 0x40;

/// A request of the full feature phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// NOP-Out
    NopOut(NopOut),
    /// SCSI Command
    Command(CommandRequest),
    /// Task Management Function Request
    Task(TaskRequest),
    /// Text Request
    Text(TextRequest),
    /// SCSI Data-Out
    DataOut(DataOut),
    /// Logout Request
    Logout(LogoutRequest),
    /// SNACK Request
    Snack(Snack),
}

/// SCSI Command (11.3), without its additional header segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandRequest {
    /// immediate delivery
    pub immediate: bool,
    /// no unsolicited Data-Out follows
    pub last: bool,
    /// data-in is expected
    pub read: bool,
    /// data-out is expected
    pub write: bool,
    /// task attribute; untagged counts as SIMPLE
    pub attribute: TaskAttribute,
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// Initiator Task Tag
    pub task_tag: u32,
    /// Expected Data Transfer Length, bytes
    pub expected: u32,
    /// CmdSN
    pub cmd_sn: u32,
    /// ExpStatSN
    pub exp_stat_sn: u32,
    /// the first 16 bytes of the CDB
    pub cdb: [u8; 16],
}

/// SCSI Data-Out (11.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataOut {
    /// last PDU of the sequence
    pub last: bool,
    /// the LUN's eight bytes, if solicited
    pub lun: [u8; 8],
    /// Initiator Task Tag
    pub task_tag: u32,
    /// Target Transfer Tag of the R2T, or [`super::NO_TAG`] if unsolicited
    pub transfer_tag: u32,
    /// ExpStatSN
    pub exp_stat_sn: u32,
    /// DataSN
    pub data_sn: u32,
    /// Buffer Offset, bytes
    pub offset: u32,
}

/// A task management function (11.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TaskFunction {
    /// ABORT TASK
    AbortTask = 1,
    /// ABORT TASK SET
    AbortTaskSet = 2,
    /// CLEAR ACA
    ClearAca = 3,
    /// CLEAR TASK SET
    ClearTaskSet = 4,
    /// LOGICAL UNIT RESET
    LogicalUnitReset = 5,
    /// TARGET WARM RESET
    TargetWarmReset = 6,
    /// TARGET COLD RESET
    TargetColdReset = 7,
    /// TASK REASSIGN
    TaskReassign = 8,
    /// QUERY TASK (RFC 7144)
    QueryTask = 9,
    /// QUERY TASK SET (RFC 7144)
    QueryTaskSet = 10,
    /// I_T NEXUS RESET (RFC 7144)
    NexusReset = 11,
    /// QUERY ASYNCHRONOUS EVENT (RFC 7144)
    QueryAsynchronousEvent = 12,
}

/// Task Management Function Request (11.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskRequest {
    /// immediate delivery
    pub immediate: bool,
    /// the function; `None` for an unknown code
    pub function: Option<TaskFunction>,
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// Initiator Task Tag
    pub task_tag: u32,
    /// Referenced Task Tag
    pub referenced: u32,
    /// CmdSN
    pub cmd_sn: u32,
    /// ExpStatSN
    pub exp_stat_sn: u32,
    /// RefCmdSN
    pub ref_cmd_sn: u32,
    /// ExpDataSN
    pub exp_data_sn: u32,
}

/// NOP-Out (11.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NopOut {
    /// immediate delivery
    pub immediate: bool,
    /// the LUN's eight bytes, as in the NOP-In it answers
    pub lun: [u8; 8],
    /// Initiator Task Tag; [`super::NO_TAG`]: no answer is wanted
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

impl Request {
    /// Reads a header. The data segment's length stays in the [`Bhs`].
    ///
    /// # Errors
    /// Why the PDU must be rejected.
    #[inline]
    pub fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
        let opcode = InitiatorOpcode::from_code(bhs.opcode());
        Ok(match opcode.ok_or(RejectReason::CommandNotSupported)? {
            InitiatorOpcode::Command => Self::Command(CommandRequest::parse(bhs)?),
            InitiatorOpcode::DataOut => Self::DataOut(DataOut::parse(bhs)),
            InitiatorOpcode::NopOut => Self::NopOut(NopOut::parse(bhs)?),
            InitiatorOpcode::Task => Self::Task(TaskRequest::parse(bhs)?),
            InitiatorOpcode::Text => Self::Text(TextRequest::parse(bhs)?),
            InitiatorOpcode::Logout => Self::Logout(LogoutRequest::parse(bhs)?),
            InitiatorOpcode::Snack => Self::Snack(Snack::parse(bhs)),
            // 11.12: a login in the full feature phase is an error of the initiator.
            InitiatorOpcode::Login => return Err(RejectReason::ProtocolError),
        })
    }

    /// The header on the wire, without data.
    #[must_use]
    pub fn encode(&self) -> Bhs {
        match self {
            Self::NopOut(p) => p.encode(),
            Self::Command(p) => p.encode(),
            Self::Task(p) => p.encode(),
            Self::Text(p) => p.encode(),
            Self::DataOut(p) => p.encode(),
            Self::Logout(p) => p.encode(),
            Self::Snack(p) => p.encode(),
        }
    }
}

const fn head(opcode: InitiatorOpcode, immediate: bool, flags: u8) -> Bhs {
    Bhs::new(opcode.code() | if immediate { IMMEDIATE } else { 0 }, flags)
}

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// A request that others answer must have a tag (11.2.1.8).
fn tagged(bhs: &Bhs) -> Result<u32, RejectReason> {
    match bhs.initiator_task_tag() {
        super::NO_TAG => Err(RejectReason::InvalidPduField),
        tag => Ok(tag),
    }
}

impl CommandRequest {
    #[inline]
    fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
        let flags = bhs.flags();
        let attribute = match flags & 7 {
            0 | 1 => TaskAttribute::Simple,
            2 => TaskAttribute::Ordered,
            3 => TaskAttribute::HeadOfQueue,
            4 => TaskAttribute::Aca,
            _ => return Err(RejectReason::InvalidPduField),
        };
        let mut cdb = [0; 16];
        cdb.copy_from_slice(&bhs.0[32..48]);
        Ok(Self {
            immediate: bhs.immediate(),
            last: bhs.is_final(),
            read: flags & READ != 0,
            write: flags & WRITE != 0,
            attribute,
            lun: bhs.lun(),
            task_tag: tagged(bhs)?,
            expected: bhs.word::<20>(),
            cmd_sn: bhs.cmd_sn(),
            exp_stat_sn: bhs.exp_stat_sn(),
            cdb,
        })
    }

    fn encode(&self) -> Bhs {
        let attribute = match self.attribute {
            TaskAttribute::Simple => 1,
            TaskAttribute::Ordered => 2,
            TaskAttribute::HeadOfQueue => 3,
            TaskAttribute::Aca => 4,
        };
        let flags = flag(self.last, FINAL) | flag(self.read, READ) | flag(self.write, WRITE);
        let mut bhs = head(InitiatorOpcode::Command, self.immediate, flags | attribute);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.expected);
        bhs.set_word::<24>(self.cmd_sn);
        bhs.set_word::<28>(self.exp_stat_sn);
        bhs.0[32..48].copy_from_slice(&self.cdb);
        bhs
    }
}

impl DataOut {
    #[inline]
    fn parse(bhs: &Bhs) -> Self {
        Self {
            last: bhs.is_final(),
            lun: bhs.lun(),
            task_tag: bhs.initiator_task_tag(),
            transfer_tag: bhs.word::<20>(),
            exp_stat_sn: bhs.exp_stat_sn(),
            data_sn: bhs.word::<36>(),
            offset: bhs.word::<40>(),
        }
    }

    fn encode(&self) -> Bhs {
        let mut bhs = head(InitiatorOpcode::DataOut, false, flag(self.last, FINAL));
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.transfer_tag);
        bhs.set_word::<28>(self.exp_stat_sn);
        bhs.set_word::<36>(self.data_sn);
        bhs.set_word::<40>(self.offset);
        bhs
    }
}

impl TaskFunction {
    const ALL: [Self; 12] = [
        Self::AbortTask,
        Self::AbortTaskSet,
        Self::ClearAca,
        Self::ClearTaskSet,
        Self::LogicalUnitReset,
        Self::TargetWarmReset,
        Self::TargetColdReset,
        Self::TaskReassign,
        Self::QueryTask,
        Self::QueryTaskSet,
        Self::NexusReset,
        Self::QueryAsynchronousEvent,
    ];

    /// The function with this code, `None` if there is none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|f| *f as u8 == code)
    }
}

impl TaskRequest {
    fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
        Ok(Self {
            immediate: bhs.immediate(),
            function: TaskFunction::from_code(bhs.flags() & 0x7F),
            lun: bhs.lun(),
            task_tag: tagged(bhs)?,
            referenced: bhs.word::<20>(),
            cmd_sn: bhs.cmd_sn(),
            exp_stat_sn: bhs.exp_stat_sn(),
            ref_cmd_sn: bhs.word::<32>(),
            exp_data_sn: bhs.word::<36>(),
        })
    }

    fn encode(&self) -> Bhs {
        let function = self.function.map_or(0, |f| f as u8);
        let mut bhs = head(InitiatorOpcode::Task, self.immediate, FINAL | function);
        bhs.set_lun(self.lun);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_word::<20>(self.referenced);
        bhs.set_word::<24>(self.cmd_sn);
        bhs.set_word::<28>(self.exp_stat_sn);
        bhs.set_word::<32>(self.ref_cmd_sn);
        bhs.set_word::<36>(self.exp_data_sn);
        bhs
    }
}

impl NopOut {
    fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
        let nop = Self {
            immediate: bhs.immediate(),
            lun: bhs.lun(),
            task_tag: bhs.initiator_task_tag(),
            transfer_tag: bhs.word::<20>(),
            cmd_sn: bhs.cmd_sn(),
            exp_stat_sn: bhs.exp_stat_sn(),
        };
        // 11.18.1: without a task tag it takes no CmdSN.
        if nop.task_tag == super::NO_TAG && !nop.immediate {
            return Err(RejectReason::InvalidPduField);
        }
        Ok(nop)
    }

    fn encode(&self) -> Bhs {
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
    fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
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

    fn encode(&self) -> Bhs {
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
    fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
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

    fn encode(&self) -> Bhs {
        let mut bhs = head(InitiatorOpcode::Logout, self.immediate, FINAL | self.reason as u8);
        bhs.set_word::<16>(self.task_tag);
        bhs.set_half::<20>(self.cid);
        bhs.set_word::<24>(self.cmd_sn);
        bhs.set_word::<28>(self.exp_stat_sn);
        bhs
    }
}

impl Snack {
    fn parse(bhs: &Bhs) -> Self {
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

    fn encode(&self) -> Bhs {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pdu::BHS_LEN;

    #[test]
    fn a_read_as_linux_sends_it() {
        let mut bytes = [0; BHS_LEN];
        bytes[..2].copy_from_slice(&[0x01, 0xC1]);
        bytes[9] = 3;
        bytes[16..20].copy_from_slice(&[0, 0, 0, 9]);
        bytes[20..24].copy_from_slice(&4096_u32.to_be_bytes());
        bytes[24..28].copy_from_slice(&7_u32.to_be_bytes());
        bytes[32] = 0x28;
        let Ok(Request::Command(command)) = Request::parse(&Bhs(bytes)) else { panic!() };
        assert!(command.read && !command.write && command.last && !command.immediate);
        assert_eq!((command.expected, command.cmd_sn, command.task_tag), (4096, 7, 9));
        assert_eq!((command.lun[1], command.cdb[0]), (3, 0x28));
    }

    #[test]
    fn what_must_be_rejected() {
        let refused = |opcode: u8, flags: u8, tag: u8| {
            let mut bytes = [0; BHS_LEN];
            bytes[0] = opcode;
            bytes[1] = flags;
            bytes[16..20].fill(tag);
            Request::parse(&Bhs(bytes)).unwrap_err()
        };
        assert_eq!(refused(0x07, 0x80, 0), RejectReason::CommandNotSupported);
        assert_eq!(refused(0x03, 0x87, 0), RejectReason::ProtocolError);
        assert_eq!(refused(0x01, 0x87, 0), RejectReason::InvalidPduField);
        assert_eq!(refused(0x01, 0x81, 0xFF), RejectReason::InvalidPduField);
        assert_eq!(refused(0x00, 0x80, 0xFF), RejectReason::InvalidPduField);
        assert_eq!(refused(0x04, 0xC0, 0), RejectReason::InvalidPduField);
        assert_eq!(refused(0x06, 0x83, 0), RejectReason::InvalidPduField);
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_the_same(bytes: [u8; BHS_LEN], opcode in 0_u8..0x12) {
            let mut bytes = bytes;
            bytes[0] = bytes[0] & 0x40 | opcode;
            if let Ok(request) = Request::parse(&Bhs(bytes)) {
                prop_assert_eq!(Request::parse(&request.encode()), Ok(request));
            }
        }
    }
}
