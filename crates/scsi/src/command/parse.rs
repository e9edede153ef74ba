//! From CDB bytes to a [`Command`].

use super::{
    ByteCheck, CdbSize, Command, ModeSense, PageControl, StartStopUnit, Transfer, WriteSame,
    opcode as op,
};
use crate::Sense;

/// Parses a CDB.
///
/// `cdb` may be longer than the command (transports hand over 16 or 32 padded bytes); the rest is
/// not looked at. Reserved bits are ignored, as SPC-6 4.2.5 permits, except where ignoring them
/// would do something other than what was asked.
///
/// # Errors
/// The sense data with which to end the command, all ILLEGAL REQUEST:
/// - INVALID COMMAND OPERATION CODE: an operation code that is not implemented;
/// - INVALID FIELD IN CDB with a field pointer: fewer bytes than the operation code's group needs
///   (the pointer names the first missing byte), a reserved service action or BYTCHK value, NACA
///   set in the control byte (SAM-6 5.2), CMDDT or a page code without EVPD in INQUIRY, the
///   obsolete PBDATA and LBDATA of WRITE SAME, ANCHOR without UNMAP.
#[inline]
pub fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    match parse_hot(cdb) {
        Some(command) => Ok(command),
        None => parse_any(cdb),
    }
}

/// The hot path of [`parse`]: READ and WRITE (10) and (16) without NACA. `None` says nothing about
/// the CDB; ask [`parse`] then.
///
/// Where only these commands matter this is cheaper than [`parse`], whose result has to pass
/// through memory.
#[inline(always)]
#[must_use]
pub fn parse_hot(cdb: &[u8]) -> Option<Command> {
    match *cdb.first()? {
        op::READ_10 => Some(Command::Read(transfer_10(accepted(cdb)?))),
        op::WRITE_10 => Some(Command::Write(transfer_10(accepted(cdb)?))),
        op::READ_16 => Some(Command::Read(transfer_16(accepted(cdb)?))),
        op::WRITE_16 => Some(Command::Write(transfer_16(accepted(cdb)?))),
        _ => None,
    }
}

/// The `N` bytes of a CDB, if they are there and NACA is not set.
#[inline(always)]
fn accepted<const N: usize>(cdb: &[u8]) -> Option<&[u8; N]> {
    cdb.first_chunk::<N>().filter(|cdb| cdb[N - 1] & NACA == 0)
}

fn parse_any(cdb: &[u8]) -> Result<Command, Sense> {
    let Some(&opcode) = cdb.first() else { return Err(Sense::invalid_field_in_cdb(0, None)) };
    match opcode {
        op::TEST_UNIT_READY => fixed::<6>(cdb, |_| Ok(Command::TestUnitReady)),
        op::REQUEST_SENSE => fixed::<6>(cdb, |c| {
            let allocation_length = u32::from(c[4]);
            Ok(Command::RequestSense { descriptor: c[1] & 0x01 != 0, allocation_length })
        }),
        op::READ_6 => fixed::<6>(cdb, |c| Ok(Command::Read(transfer_6(c)))),
        op::WRITE_6 => fixed::<6>(cdb, |c| Ok(Command::Write(transfer_6(c)))),
        op::INQUIRY => fixed::<6>(cdb, inquiry),
        op::MODE_SENSE_6 => {
            fixed::<6>(cdb, |c| Ok(mode_sense(c[1] & !LLBAA, c[2], c[3], u16::from(c[4]), false)))
        }
        op::START_STOP_UNIT => fixed::<6>(cdb, |c| Ok(start_stop_unit(c))),
        op::READ_CAPACITY_10 => fixed::<10>(cdb, |_| Ok(Command::ReadCapacity10)),
        op::WRITE_AND_VERIFY_10 => {
            fixed::<10>(cdb, |c| write_and_verify(c[1], without_fua(transfer_10(c))))
        }
        op::VERIFY_10 => fixed::<10>(cdb, |c| verify(c[1], without_fua(transfer_10(c)))),
        op::SYNCHRONIZE_CACHE_10 => {
            fixed::<10>(cdb, |c| Ok(synchronize_cache(c[1], transfer_10(c))))
        }
        op::WRITE_SAME_10 => fixed::<10>(cdb, |c| write_same(c[1], transfer_10(c))),
        op::UNMAP => fixed::<10>(cdb, |c| {
            let parameter_list_length = u16::from_be_bytes([c[7], c[8]]);
            Ok(Command::Unmap { anchor: c[1] & 0x01 != 0, parameter_list_length })
        }),
        op::MODE_SENSE_10 => fixed::<10>(cdb, |c| {
            Ok(mode_sense(c[1], c[2], c[3], u16::from_be_bytes([c[7], c[8]]), true))
        }),
        op::REPORT_LUNS => fixed::<12>(cdb, |c| {
            let allocation_length = u32::from_be_bytes([c[6], c[7], c[8], c[9]]);
            Ok(Command::ReportLuns { select_report: c[2], allocation_length })
        }),
        op::READ_10 => fixed::<10>(cdb, |c| Ok(Command::Read(transfer_10(c)))),
        op::WRITE_10 => fixed::<10>(cdb, |c| Ok(Command::Write(transfer_10(c)))),
        op::READ_16 => fixed::<16>(cdb, |c| Ok(Command::Read(transfer_16(c)))),
        op::WRITE_16 => fixed::<16>(cdb, |c| Ok(Command::Write(transfer_16(c)))),
        op::READ_12 => fixed::<12>(cdb, |c| Ok(Command::Read(transfer_12(c)))),
        op::WRITE_12 => fixed::<12>(cdb, |c| Ok(Command::Write(transfer_12(c)))),
        op::WRITE_AND_VERIFY_12 => {
            fixed::<12>(cdb, |c| write_and_verify(c[1], without_fua(transfer_12(c))))
        }
        op::VERIFY_12 => fixed::<12>(cdb, |c| verify(c[1], without_fua(transfer_12(c)))),
        op::WRITE_AND_VERIFY_16 => {
            fixed::<16>(cdb, |c| write_and_verify(c[1], without_fua(transfer_16(c))))
        }
        op::VERIFY_16 => fixed::<16>(cdb, |c| verify(c[1], without_fua(transfer_16(c)))),
        op::SYNCHRONIZE_CACHE_16 => {
            fixed::<16>(cdb, |c| Ok(synchronize_cache(c[1], transfer_16(c))))
        }
        op::WRITE_SAME_16 => fixed::<16>(cdb, |c| write_same(c[1], transfer_16(c))),
        op::SERVICE_ACTION_IN_16 => fixed::<16>(cdb, service_action_in_16),
        _ => Err(Sense::INVALID_OPCODE),
    }
}

/// Checks length and control byte of an `N`-byte CDB, then parses it with `f`.
#[inline(always)]
fn fixed<const N: usize>(
    cdb: &[u8],
    f: impl FnOnce(&[u8; N]) -> Result<Command, Sense>,
) -> Result<Command, Sense> {
    match cdb.first_chunk::<N>() {
        Some(cdb) if cdb[N - 1] & NACA == 0 => f(cdb),
        Some(_) => Err(Sense::invalid_field_in_cdb(N as u16 - 1, Some(2))),
        None => Err(Sense::invalid_field_in_cdb(cdb.len() as u16, None)),
    }
}

/// READ(6) and WRITE(6): a 21-bit LBA, and 0 blocks stands for 256.
fn transfer_6(c: &[u8; 6]) -> Transfer {
    Transfer {
        lba: u64::from(u32::from_be_bytes([0, c[1] & 0x1F, c[2], c[3]])),
        blocks: if c[4] == 0 { 256 } else { u32::from(c[4]) },
        fua: false,
        dpo: false,
        protect: 0,
        size: CdbSize::Six,
    }
}

#[inline(always)]
fn transfer_10(c: &[u8; 10]) -> Transfer {
    Transfer {
        lba: u64::from(u32::from_be_bytes([c[2], c[3], c[4], c[5]])),
        blocks: u32::from(u16::from_be_bytes([c[7], c[8]])),
        fua: c[1] & FUA != 0,
        dpo: c[1] & DPO != 0,
        protect: c[1] >> 5,
        size: CdbSize::Ten,
    }
}

fn transfer_12(c: &[u8; 12]) -> Transfer {
    Transfer {
        lba: u64::from(u32::from_be_bytes([c[2], c[3], c[4], c[5]])),
        blocks: u32::from_be_bytes([c[6], c[7], c[8], c[9]]),
        fua: c[1] & FUA != 0,
        dpo: c[1] & DPO != 0,
        protect: c[1] >> 5,
        size: CdbSize::Twelve,
    }
}

#[inline(always)]
fn transfer_16(c: &[u8; 16]) -> Transfer {
    Transfer {
        lba: u64::from_be_bytes([c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9]]),
        blocks: u32::from_be_bytes([c[10], c[11], c[12], c[13]]),
        fua: c[1] & FUA != 0,
        dpo: c[1] & DPO != 0,
        protect: c[1] >> 5,
        size: CdbSize::Sixteen,
    }
}

/// The bit that is FUA in READ and WRITE is reserved in VERIFY and WRITE AND VERIFY.
fn without_fua(transfer: Transfer) -> Transfer {
    Transfer { fua: false, ..transfer }
}

fn verify(flags: u8, transfer: Transfer) -> Result<Command, Sense> {
    let byte_check = match (flags >> 1) & 0x03 {
        0b00 => ByteCheck::Medium,
        0b01 => ByteCheck::Compare,
        0b11 => ByteCheck::CompareOneBlock,
        _ => return Err(Sense::invalid_field_in_cdb(1, Some(2))),
    };
    Ok(Command::Verify { transfer, byte_check })
}

fn write_and_verify(flags: u8, transfer: Transfer) -> Result<Command, Sense> {
    let byte_check = match (flags >> 1) & 0x03 {
        0b00 => ByteCheck::Medium,
        0b01 => ByteCheck::Compare,
        _ => return Err(Sense::invalid_field_in_cdb(1, Some(2))),
    };
    Ok(Command::WriteAndVerify { transfer, byte_check })
}

fn synchronize_cache(flags: u8, Transfer { lba, blocks, .. }: Transfer) -> Command {
    Command::SynchronizeCache { lba, blocks, immediate: flags & 0x02 != 0 }
}

fn write_same(flags: u8, transfer: Transfer) -> Result<Command, Sense> {
    const ANCHOR: u8 = 0x10;
    const UNMAP: u8 = 0x08;
    const PBDATA: u8 = 0x04;
    const LBDATA: u8 = 0x02;
    const NDOB: u8 = 0x01;

    let Transfer { lba, blocks, protect, size, .. } = transfer;
    let (unmap, anchor) = (flags & UNMAP != 0, flags & ANCHOR != 0);
    if flags & PBDATA != 0 {
        return Err(Sense::invalid_field_in_cdb(1, Some(2)));
    }
    if flags & LBDATA != 0 {
        return Err(Sense::invalid_field_in_cdb(1, Some(1)));
    }
    if anchor && !unmap {
        return Err(Sense::invalid_field_in_cdb(1, Some(4)));
    }
    let no_data_out = size == CdbSize::Sixteen && flags & NDOB != 0;
    Ok(Command::WriteSame(WriteSame { lba, blocks, unmap, anchor, no_data_out, protect, size }))
}

fn inquiry(c: &[u8; 6]) -> Result<Command, Sense> {
    const EVPD: u8 = 0x01;
    const CMDDT: u8 = 0x02;

    let allocation_length = u32::from(u16::from_be_bytes([c[3], c[4]]));
    if c[1] & CMDDT != 0 {
        return Err(Sense::invalid_field_in_cdb(1, Some(1)));
    }
    if c[1] & EVPD != 0 {
        return Ok(Command::Inquiry { vpd: Some(c[2]), allocation_length });
    }
    if c[2] != 0 {
        return Err(Sense::invalid_field_in_cdb(2, Some(7)));
    }
    Ok(Command::Inquiry { vpd: None, allocation_length })
}

fn mode_sense(flags: u8, page: u8, subpage: u8, length: u16, ten: bool) -> Command {
    let page_control = match page >> 6 {
        0b00 => PageControl::Current,
        0b01 => PageControl::Changeable,
        0b10 => PageControl::Default,
        _ => PageControl::Saved,
    };
    Command::ModeSense(ModeSense {
        dbd: flags & 0x08 != 0,
        llbaa: flags & LLBAA != 0,
        page_control,
        page: page & 0x3F,
        subpage,
        allocation_length: u32::from(length),
        ten,
    })
}

fn start_stop_unit(c: &[u8; 6]) -> Command {
    Command::StartStopUnit(StartStopUnit {
        immediate: c[1] & 0x01 != 0,
        power_condition_modifier: c[3] & 0x0F,
        power_condition: c[4] >> 4,
        no_flush: c[4] & 0x04 != 0,
        load_eject: c[4] & 0x02 != 0,
        start: c[4] & 0x01 != 0,
    })
}

fn service_action_in_16(c: &[u8; 16]) -> Result<Command, Sense> {
    match c[1] & 0x1F {
        op::SA_READ_CAPACITY_16 => Ok(Command::ReadCapacity16 {
            allocation_length: u32::from_be_bytes([c[10], c[11], c[12], c[13]]),
        }),
        _ => Err(Sense::invalid_field_in_cdb(1, Some(4))),
    }
}

/// Normal ACA, a bit of every control byte.
const NACA: u8 = 0x04;
const DPO: u8 = 0x10;
const FUA: u8 = 0x08;
const LLBAA: u8 = 0x10;

#[cfg(test)]
mod tests;
