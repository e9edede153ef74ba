//! What an initiator sends in the full feature phase (RFC 7143 11.3 to 11.19). Login has its own
//! module.

mod command;
mod control;
mod task;

use super::bhs::Bhs;
use super::opcode::InitiatorOpcode;
use super::response::RejectReason;

pub use command::{CommandRequest, DataOut};
pub use control::{LogoutReason, LogoutRequest, NopOut, Snack, TextRequest};
pub use task::{TaskFunction, TaskRequest};

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
