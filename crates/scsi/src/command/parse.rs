//! From CDB bytes to a [`Command`].

use super::{Command, LbaStatus, opcode as op};
use crate::Sense;

mod blocks;
mod host;

use blocks::{
    synchronize_cache, transfer_6, transfer_10, transfer_12, transfer_16, verify, without_fua,
    write_and_verify, write_same,
};
use host::{LLBAA, mode_select, mode_sense, reserve_6, reserve_10};

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
///   obsolete PBDATA and LBDATA of WRITE SAME, ANCHOR without UNMAP, reserved REPORTING OPTIONS.
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
        op::INQUIRY => fixed::<6>(cdb, host::inquiry),
        op::MODE_SENSE_6 => {
            fixed::<6>(cdb, |c| Ok(mode_sense(c[1] & !LLBAA, c[2], c[3], u16::from(c[4]), false)))
        }
        op::MODE_SELECT_6 => fixed::<6>(cdb, |c| Ok(mode_select(c[1], u16::from(c[4]), false))),
        op::RESERVE_6 => fixed::<6>(cdb, |c| Ok(Command::Reserve(reserve_6(c)))),
        op::RELEASE_6 => fixed::<6>(cdb, |c| Ok(Command::Release(reserve_6(c)))),
        op::START_STOP_UNIT => fixed::<6>(cdb, |c| Ok(blocks::start_stop_unit(c))),
        op::PREVENT_ALLOW_MEDIUM_REMOVAL => fixed::<6>(cdb, blocks::prevent_allow),
        op::READ_CAPACITY_10 => fixed::<10>(cdb, |_| Ok(Command::ReadCapacity10)),
        op::WRITE_AND_VERIFY_10 => {
            fixed::<10>(cdb, |c| write_and_verify(c[1], without_fua(transfer_10(c))))
        }
        op::VERIFY_10 => fixed::<10>(cdb, |c| verify(c[1], without_fua(transfer_10(c)))),
        op::SYNCHRONIZE_CACHE_10 => {
            fixed::<10>(cdb, |c| Ok(synchronize_cache(c[1], transfer_10(c))))
        }
        op::PRE_FETCH_10 => fixed::<10>(cdb, |c| Ok(blocks::pre_fetch(c[1], transfer_10(c)))),
        op::READ_DEFECT_DATA_10 => fixed::<10>(cdb, |c| Ok(blocks::read_defect_data_10(c))),
        op::SANITIZE => fixed::<10>(cdb, blocks::sanitize),
        op::LOG_SENSE => fixed::<10>(cdb, |c| Ok(host::log_sense(c))),
        op::MODE_SELECT_10 => {
            fixed::<10>(cdb, |c| Ok(mode_select(c[1], u16::from_be_bytes([c[7], c[8]]), true)))
        }
        op::RESERVE_10 => fixed::<10>(cdb, |c| Ok(Command::Reserve(reserve_10(c)))),
        op::RELEASE_10 => fixed::<10>(cdb, |c| Ok(Command::Release(reserve_10(c)))),
        op::PERSISTENT_RESERVE_IN => fixed::<10>(cdb, host::persistent_reserve_in),
        op::PERSISTENT_RESERVE_OUT => fixed::<10>(cdb, host::persistent_reserve_out),
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
        op::COMPARE_AND_WRITE => fixed::<16>(cdb, |c| Ok(blocks::compare_and_write(c))),
        op::ORWRITE_16 => fixed::<16>(cdb, |c| Ok(Command::OrWrite(transfer_16(c)))),
        op::WRITE_ATOMIC_16 => fixed::<16>(cdb, |c| Ok(blocks::write_atomic(c))),
        op::PRE_FETCH_16 => fixed::<16>(cdb, |c| Ok(blocks::pre_fetch(c[1], transfer_16(c)))),
        op::READ_DEFECT_DATA_12 => fixed::<12>(cdb, |c| Ok(blocks::read_defect_data_12(c))),
        op::SERVICE_ACTION_IN_16 => fixed::<16>(cdb, blocks::service_action_in_16),
        op::THIRD_PARTY_COPY_OUT => fixed::<16>(cdb, host::third_party_copy_out),
        op::THIRD_PARTY_COPY_IN => fixed::<16>(cdb, host::third_party_copy_in),
        op::MAINTENANCE_IN => fixed::<12>(cdb, host::maintenance_in),
        op::MAINTENANCE_OUT => fixed::<12>(cdb, host::maintenance_out),
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

/// Normal ACA, a bit of every control byte.
const NACA: u8 = 0x04;

#[cfg(test)]
mod tests;
