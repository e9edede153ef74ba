//! SCSI Response, Data-In and R2T (RFC 7143 11.4, 11.7, 11.8).

use super::{Sequence, flag};
use crate::pdu::bhs::{Bhs, FINAL};
use crate::pdu::opcode::TargetOpcode;

const ACKNOWLEDGE: u8 = 0x40;
const OVERFLOW: u8 = 0x04;
const UNDERFLOW: u8 = 0x02;
const STATUS: u8 = 0x01;

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

    pub(super) const fn parse(bhs: &Bhs) -> Self {
        let count = bhs.word::<44>();
        match bhs.flags() & (OVERFLOW | UNDERFLOW) {
            OVERFLOW => Self::Overflow(count),
            UNDERFLOW => Self::Underflow(count),
            _ => Self::None,
        }
    }

    #[inline]
    pub(super) const fn put(self, bhs: &mut Bhs) {
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
    pub(super) fn parse(bhs: &Bhs) -> Self {
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
