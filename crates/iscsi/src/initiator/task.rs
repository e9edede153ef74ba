//! A command under way.

use outboard_scsi::TaskAttribute;

use super::stream::ClientError;
use crate::pdu::ahs::{Ahs, MAX_CDB_LEN};
use crate::pdu::{CommandResponse, DataIn, R2t, Residual};

/// A SCSI command to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// The LUN's eight bytes, see [`lun`].
    pub lun: [u8; 8],
    /// The CDB: up to 260 bytes.
    pub cdb: &'a [u8],
    /// What is to be written; empty if nothing is.
    pub data_out: &'a [u8],
    /// The room for what is read, bytes; 0 if nothing is.
    pub expected_in: u32,
    /// Task attribute.
    pub attribute: TaskAttribute,
    /// Immediate delivery.
    pub immediate: bool,
}

impl<'a> Command<'a> {
    /// A command without data.
    pub fn new(lun: [u8; 8], cdb: &'a [u8]) -> Self {
        let attribute = TaskAttribute::Simple;
        Self { lun, cdb, data_out: &[], expected_in: 0, attribute, immediate: false }
    }

    /// A command that reads up to `len` bytes.
    pub fn read(lun: [u8; 8], cdb: &'a [u8], len: u32) -> Self {
        Self { expected_in: len, ..Self::new(lun, cdb) }
    }

    /// A command that writes `data`.
    pub fn write(lun: [u8; 8], cdb: &'a [u8], data: &'a [u8]) -> Self {
        Self { data_out: data, ..Self::new(lun, cdb) }
    }
}

/// The eight bytes of LUN `number`: peripheral device addressing below 256, else flat space
/// addressing (SAM-6 4.7.5); `number` is at most 16383.
pub const fn lun(number: u16) -> [u8; 8] {
    let [high, low] = number.to_be_bytes();
    let method = if number < 256 { 0 } else { 0x40 };
    [high & 0x3f | method, low, 0, 0, 0, 0, 0, 0]
}

/// How a command ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Completion {
    /// iSCSI response: 00h, or 01h for a target failure.
    pub response: u8,
    /// SCSI status.
    pub status: u8,
    /// Sense data, without its length.
    pub sense: Vec<u8>,
    /// What was read.
    pub data: Vec<u8>,
    /// What was not moved.
    pub residual: Residual,
    /// R2Ts that were answered.
    pub r2ts: u32,
}

/// What the initiator knows of a command until it has ended.
#[derive(Debug)]
pub(super) struct Outstanding {
    pub(super) data_out: Vec<u8>,
    data_in: Vec<u8>,
    expected_in: usize,
    /// DataSN and R2TSN count together.
    next_sn: u32,
    r2ts: u32,
    pub(super) cmd_sn: u32,
}

impl Outstanding {
    pub(super) fn new(command: &Command<'_>, cmd_sn: u32) -> Self {
        Self {
            data_out: command.data_out.to_vec(),
            data_in: Vec::new(),
            expected_in: command.expected_in as usize,
            next_sn: 0,
            r2ts: 0,
            cmd_sn,
        }
    }

    /// Data-In: in order, without gaps (DataPDUInOrder, DataSequenceInOrder).
    pub(super) fn data_in(
        &mut self,
        pdu: &DataIn,
        data: &[u8],
    ) -> Result<Option<Completion>, ClientError> {
        self.number(pdu.data_sn)?;
        if pdu.offset as usize != self.data_in.len() {
            return Err(ClientError::Protocol("Data-In out of order"));
        }
        if self.data_in.len() + data.len() > self.expected_in {
            return Err(ClientError::Protocol("more Data-In than was asked for"));
        }
        self.data_in.extend_from_slice(data);
        let Some(status) = pdu.status else { return Ok(None) };
        if !pdu.last {
            return Err(ClientError::Protocol("status in a Data-In that is not the last"));
        }
        Ok(Some(self.completion(0, status, pdu.residual, Vec::new())))
    }

    /// What an R2T asks for.
    pub(super) fn r2t(&mut self, pdu: &R2t) -> Result<core::ops::Range<usize>, ClientError> {
        self.number(pdu.r2t_sn)?;
        self.r2ts += 1;
        let start = pdu.offset as usize;
        let end = start + pdu.length as usize;
        if pdu.length == 0 || end > self.data_out.len() {
            return Err(ClientError::Protocol("an R2T for data that there is not"));
        }
        Ok(start..end)
    }

    /// SCSI Response with `data` in its segment.
    pub(super) fn response(
        &mut self,
        pdu: &CommandResponse,
        data: &[u8],
    ) -> Result<Completion, ClientError> {
        if pdu.response == 0 && pdu.exp_data_sn != self.next_sn {
            return Err(ClientError::Protocol("ExpDataSN is not the number of PDUs sent"));
        }
        let sense = match data {
            [] => Vec::new(),
            [high, low, rest @ ..] => {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                rest.get(..len).ok_or(ClientError::Protocol("sense data that is cut"))?.to_vec()
            }
            [_] => return Err(ClientError::Protocol("sense data without its length")),
        };
        Ok(self.completion(pdu.response, pdu.status, pdu.residual, sense))
    }

    fn completion(
        &mut self,
        response: u8,
        status: u8,
        residual: Residual,
        sense: Vec<u8>,
    ) -> Completion {
        let data = core::mem::take(&mut self.data_in);
        Completion { response, status, sense, data, residual, r2ts: self.r2ts }
    }

    fn number(&mut self, sn: u32) -> Result<(), ClientError> {
        if sn != self.next_sn {
            return Err(ClientError::Protocol("DataSN or R2TSN out of order"));
        }
        self.next_sn = sn.wrapping_add(1);
        Ok(())
    }
}

/// The 16 bytes of the header, and the additional header segment for the rest.
pub(super) fn split_cdb(cdb: &[u8]) -> Result<([u8; 16], Vec<u8>), ClientError> {
    if cdb.len() > MAX_CDB_LEN {
        return Err(ClientError::TooMuch("a CDB has at most 260 bytes"));
    }
    let mut head = [0; 16];
    for (to, from) in head.iter_mut().zip(cdb) {
        *to = *from;
    }
    let rest = cdb.get(16..).unwrap_or_default();
    Ok((head, if rest.is_empty() { Vec::new() } else { Ahs::extended_cdb(rest) }))
}
