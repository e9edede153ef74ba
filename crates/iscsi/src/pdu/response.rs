//! What a target sends in the full feature phase (RFC 7143 11.4 to 11.19).

mod command;
mod control;
mod notice;
mod task;

use super::bhs::Bhs;
use super::opcode::TargetOpcode;

pub use command::{CommandResponse, DataIn, R2t, Residual};
pub use control::{LogoutOutcome, LogoutResponse, NopIn, TextResponse};
pub use notice::{AsyncEvent, AsyncMessage, Lost, Reject, RejectReason};
pub use task::{TaskOutcome, TaskResponse};

const CONTINUE: u8 = 0x40;

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

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
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
