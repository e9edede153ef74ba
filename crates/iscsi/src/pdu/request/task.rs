//! Task Management Function Request (RFC 7143 11.5).

use super::{head, tagged};
use crate::pdu::bhs::{Bhs, FINAL};
use crate::pdu::opcode::InitiatorOpcode;
use crate::pdu::response::RejectReason;

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
    pub(super) fn parse(bhs: &Bhs) -> Result<Self, RejectReason> {
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

    pub(super) fn encode(&self) -> Bhs {
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
