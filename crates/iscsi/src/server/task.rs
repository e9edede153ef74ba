//! A SCSI task of a session.

use outboard_scsi::{Sense, SenseKey, TaskAttribute};
use outboard_slots::Time;

use super::ScsiAnswer;
use super::slab::Key;

#[derive(Debug)]
pub(super) struct Task {
    pub(super) session: Key,
    /// the connection it came by; its data and its answer use the same (4.2.3)
    pub(super) connection: Key,
    pub(super) task_tag: u32,
    pub(super) lun: [u8; 8],
    pub(super) cmd_sn: u32,
    pub(super) attribute: TaskAttribute,
    /// Expected Data Transfer Length, bytes
    pub(super) expected: u32,
    pub(super) write: bool,
    /// the command gives data, and the initiator has announced that it sends some: it gets none
    pub(super) unwanted: bool,
    pub(super) phase: Phase,
    /// when data, or the command, came last
    pub(super) since: Time,
    /// when the command came
    pub(super) began: Time,
    /// bytes of Data-Out that came, wherever they went
    pub(super) arrived: u64,
    /// its answer goes nowhere
    pub(super) silent: bool,
    pub(super) slot: Option<u16>,
    /// its buffer in the region
    pub(super) offset: u64,
    /// bytes of data-out that the buffer takes
    pub(super) need: u32,
    /// bytes of data-out that came, those without a place included: the next Buffer Offset
    pub(super) received: u32,
    /// unsolicited data is still to come
    pub(super) unsolicited: bool,
    /// DataSN of the next Data-Out
    pub(super) data_sn: u32,
    /// where the first R2T began
    pub(super) solicited_from: u32,
    /// R2Ts sent: R2TSN of the next one
    pub(super) r2t_sent: u32,
    /// R2Ts whose data has come
    pub(super) r2t_done: u32,
    pub(super) failure: Option<Failure>,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// waits for data-out
    Collecting,
    /// the backend has it
    Running,
    /// it has ended; unsolicited data that is on its way is dropped before the answer is given
    Draining(Box<ScsiAnswer>),
    /// to be cancelled, or made ready to end as aborted, once the edge does not receive into its
    /// buffer any more
    Doomed { cancel: bool },
}

/// Why a task ends although its command was good (11.4.7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    UnexpectedUnsolicitedData,
    IncorrectAmountOfData,
    /// a digest was wrong, or a PDU is missing
    ProtocolServiceCrc,
    /// the command takes data, and the initiator has announced that it sends none
    Direction,
}

impl Failure {
    pub(super) const fn sense(self) -> Sense {
        match self {
            Self::UnexpectedUnsolicitedData => Sense::UNEXPECTED_UNSOLICITED_DATA,
            Self::IncorrectAmountOfData => Sense::NOT_ENOUGH_UNSOLICITED_DATA,
            Self::ProtocolServiceCrc => Sense::PROTOCOL_SERVICE_CRC_ERROR,
            // INVALID FIELD IN COMMAND INFORMATION UNIT
            Self::Direction => Sense::new(SenseKey::IllegalRequest, 0x0E, 0x03),
        }
    }
}

impl Task {
    /// Sequences of Data-Out whose end has not come.
    pub(super) const fn open_sequences(&self) -> u32 {
        self.r2t_sent.wrapping_sub(self.r2t_done) + self.unsolicited as u32
    }

    /// Where the sequence of the R2T with this number ends.
    pub(super) fn burst(&self, r2t_sn: u32, max_burst: u64) -> (u32, u32) {
        let from = u64::from(self.solicited_from) + u64::from(r2t_sn) * max_burst;
        let from = from.min(u64::from(self.need));
        let to = (from + max_burst).min(u64::from(self.need));
        (from as u32, to as u32)
    }

    /// The Target Transfer Tag of an R2T; never the reserved one, as an index is below FFFFh.
    pub(super) const fn transfer_tag(key: Key, r2t_sn: u32) -> u32 {
        key.index() << 16 | r2t_sn & 0xFFFF
    }

    /// The tag by which management functions name it.
    pub(super) const fn tag(task_tag: u32) -> u64 {
        1 << 32 | task_tag as u64
    }
}
