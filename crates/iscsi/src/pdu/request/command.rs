//! SCSI Command and Data-Out (RFC 7143 11.3, 11.7).

use outboard_scsi::TaskAttribute;

use super::{flag, head, tagged};
use crate::pdu::bhs::{Bhs, FINAL};
use crate::pdu::opcode::InitiatorOpcode;
use crate::pdu::response::RejectReason;

const READ: u8 = 0x40;
const WRITE: u8 = 0x20;

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
    /// Target Transfer Tag of the R2T, or [`NO_TAG`](crate::pdu::NO_TAG) if unsolicited
    pub transfer_tag: u32,
    /// ExpStatSN
    pub exp_stat_sn: u32,
    /// DataSN
    pub data_sn: u32,
    /// Buffer Offset, bytes
    pub offset: u32,
}

impl CommandRequest {
    #[inline]
    pub(super) fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
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

    pub(super) fn encode(&self) -> Bhs {
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
    pub(super) fn parse(bhs: &Bhs) -> Self {
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

    pub(super) fn encode(&self) -> Bhs {
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
