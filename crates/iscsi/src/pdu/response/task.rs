//! Task Management Function Response (RFC 7143 11.6).

use super::Sequence;
use crate::pdu::bhs::{Bhs, FINAL};
use crate::pdu::opcode::TargetOpcode;

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

impl TaskOutcome {
    pub(super) const fn from_code(code: u8) -> Option<Self> {
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
    pub(super) fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(TargetOpcode::Task.code(), FINAL);
        bhs.0[2] = self.outcome as u8;
        bhs.set_word::<16>(self.task_tag);
        self.sequence.put(&mut bhs);
        bhs
    }
}
