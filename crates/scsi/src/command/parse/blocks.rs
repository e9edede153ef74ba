//! CDBs of block commands (SBC-4).

use super::{Command, LbaStatus};
use crate::Sense;
use crate::command::{
    ByteCheck, CdbSize, ReadDefectData, Sanitize, SanitizeAction, StartStopUnit, Transfer,
    WriteSame, opcode as op,
};

/// READ(6) and WRITE(6): a 21-bit LBA, and 0 blocks stands for 256.
pub(super) fn transfer_6(c: &[u8; 6]) -> Transfer {
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
pub(super) fn transfer_10(c: &[u8; 10]) -> Transfer {
    Transfer {
        lba: u64::from(u32::from_be_bytes([c[2], c[3], c[4], c[5]])),
        blocks: u32::from(u16::from_be_bytes([c[7], c[8]])),
        fua: c[1] & FUA != 0,
        dpo: c[1] & DPO != 0,
        protect: c[1] >> 5,
        size: CdbSize::Ten,
    }
}

pub(super) fn transfer_12(c: &[u8; 12]) -> Transfer {
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
pub(super) fn transfer_16(c: &[u8; 16]) -> Transfer {
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
pub(super) fn without_fua(transfer: Transfer) -> Transfer {
    Transfer { fua: false, ..transfer }
}

/// NUMBER OF LOGICAL BLOCKS is one byte, the one before the group number.
pub(super) fn compare_and_write(c: &[u8; 16]) -> Command {
    Command::CompareAndWrite(Transfer { blocks: u32::from(c[13]), ..transfer_16(c) })
}

/// ATOMIC BOUNDARY has the upper half of what is the length of other commands.
pub(super) fn write_atomic(c: &[u8; 16]) -> Command {
    let transfer =
        Transfer { blocks: u32::from(u16::from_be_bytes([c[12], c[13]])), ..transfer_16(c) };
    Command::WriteAtomic { transfer, boundary: u16::from_be_bytes([c[10], c[11]]) }
}

pub(super) fn verify(flags: u8, transfer: Transfer) -> Result<Command, Sense> {
    let byte_check = match (flags >> 1) & 0x03 {
        0b00 => ByteCheck::Medium,
        0b01 => ByteCheck::Compare,
        0b11 => ByteCheck::CompareOneBlock,
        _ => return Err(Sense::invalid_field_in_cdb(1, Some(2))),
    };
    Ok(Command::Verify { transfer, byte_check })
}

pub(super) fn write_and_verify(flags: u8, transfer: Transfer) -> Result<Command, Sense> {
    let byte_check = match (flags >> 1) & 0x03 {
        0b00 => ByteCheck::Medium,
        0b01 => ByteCheck::Compare,
        _ => return Err(Sense::invalid_field_in_cdb(1, Some(2))),
    };
    Ok(Command::WriteAndVerify { transfer, byte_check })
}

pub(super) fn synchronize_cache(flags: u8, Transfer { lba, blocks, .. }: Transfer) -> Command {
    Command::SynchronizeCache { lba, blocks, immediate: flags & 0x02 != 0 }
}

pub(super) fn pre_fetch(flags: u8, Transfer { lba, blocks, .. }: Transfer) -> Command {
    Command::PreFetch { lba, blocks, immediate: flags & 0x02 != 0 }
}

pub(super) fn write_same(flags: u8, transfer: Transfer) -> Result<Command, Sense> {
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

pub(super) fn start_stop_unit(c: &[u8; 6]) -> Command {
    Command::StartStopUnit(StartStopUnit {
        immediate: c[1] & 0x01 != 0,
        power_condition_modifier: c[3] & 0x0F,
        power_condition: c[4] >> 4,
        no_flush: c[4] & 0x04 != 0,
        load_eject: c[4] & 0x02 != 0,
        start: c[4] & 0x01 != 0,
    })
}

/// PREVENT has two bits, of which the upper one belonged to changers.
pub(super) fn prevent_allow(c: &[u8; 6]) -> Result<Command, Sense> {
    match c[4] & 0x03 {
        prevent @ 0..=1 => Ok(Command::PreventAllowMediumRemoval { prevent: prevent == 1 }),
        _ => Err(Sense::invalid_field_in_cdb(4, Some(1))),
    }
}

pub(super) fn read_defect_data_10(c: &[u8; 10]) -> Command {
    let allocation_length = u32::from(u16::from_be_bytes([c[7], c[8]]));
    read_defect_data(c[2], 0, allocation_length, false)
}

pub(super) fn read_defect_data_12(c: &[u8; 12]) -> Command {
    let index = u32::from_be_bytes([c[2], c[3], c[4], c[5]]);
    read_defect_data(c[1], index, u32::from_be_bytes([c[6], c[7], c[8], c[9]]), true)
}

fn read_defect_data(
    flags: u8,
    descriptor_index: u32,
    allocation_length: u32,
    twelve: bool,
) -> Command {
    Command::ReadDefectData(ReadDefectData {
        primary: flags & 0x10 != 0,
        grown: flags & 0x08 != 0,
        format: flags & 0x07,
        descriptor_index,
        allocation_length,
        twelve,
    })
}

pub(super) fn sanitize(c: &[u8; 10]) -> Result<Command, Sense> {
    let action = match c[1] & 0x1F {
        0x01 => SanitizeAction::Overwrite,
        0x02 => SanitizeAction::BlockErase,
        0x03 => SanitizeAction::CryptographicErase,
        0x1F => SanitizeAction::ExitFailureMode,
        _ => return Err(Sense::invalid_field_in_cdb(1, Some(4))),
    };
    // ZNR is of zoned block devices alone. What cannot be undone is not done on a guess: the
    // reserved fields must be 0.
    if c[1] & ZNR != 0 {
        return Err(Sense::invalid_field_in_cdb(1, Some(6)));
    }
    if let Some(byte) = (2..7).find(|&index| c[usize::from(index)] != 0) {
        return Err(Sense::invalid_field_in_cdb(byte, None));
    }
    Ok(Command::Sanitize(Sanitize {
        action,
        immediate: c[1] & 0x80 != 0,
        allow_unrestricted_exit: c[1] & 0x20 != 0,
        parameter_list_length: u16::from_be_bytes([c[7], c[8]]),
    }))
}

pub(super) fn service_action_in_16(c: &[u8; 16]) -> Result<Command, Sense> {
    let allocation_length = u32::from_be_bytes([c[10], c[11], c[12], c[13]]);
    match c[1] & 0x1F {
        op::SA_READ_CAPACITY_16 => Ok(Command::ReadCapacity16 { allocation_length }),
        op::SA_GET_LBA_STATUS_16 => Ok(Command::GetLbaStatus(LbaStatus {
            lba: u64::from_be_bytes([c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9]]),
            allocation_length,
            report_type: c[14],
        })),
        _ => Err(Sense::invalid_field_in_cdb(1, Some(4))),
    }
}

const ZNR: u8 = 0x40;
const DPO: u8 = 0x10;
const FUA: u8 = 0x08;
