//! CDBs of commands that every kind of device has (SPC-6).

use super::Command;
use crate::Sense;
use crate::command::{
    LogSense, ModeSelect, ModeSense, PageControl, PersistentReserveInAction, PersistentReserveOut,
    PersistentReserveOutAction, ReceiveCopyAction, ReportSupportedOpcodes, ReportingOptions,
    Reserve, opcode as op,
};

/// LLBAA of MODE SENSE(10).
pub(super) const LLBAA: u8 = 0x10;

pub(super) fn inquiry(c: &[u8; 6]) -> Result<Command, Sense> {
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

pub(super) fn mode_sense(flags: u8, page: u8, subpage: u8, length: u16, ten: bool) -> Command {
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

pub(super) fn mode_select(flags: u8, parameter_list_length: u16, ten: bool) -> Command {
    Command::ModeSelect(ModeSelect {
        page_format: flags & 0x10 != 0,
        revert_to_defaults: flags & 0x02 != 0,
        save_pages: flags & 0x01 != 0,
        parameter_list_length,
        ten,
    })
}

pub(super) fn log_sense(c: &[u8; 10]) -> Command {
    Command::LogSense(LogSense {
        save: c[1] & 0x01 != 0,
        changed_only: c[1] & 0x02 != 0,
        page_control: c[2] >> 6,
        page: c[2] & 0x3F,
        subpage: c[3],
        parameter_pointer: u16::from_be_bytes([c[5], c[6]]),
        allocation_length: u16::from_be_bytes([c[7], c[8]]),
    })
}

/// RESERVE(6) and RELEASE(6), which has no parameter list.
pub(super) fn reserve_6(c: &[u8; 6]) -> Reserve {
    let length = u16::from_be_bytes([c[3], c[4]]);
    Reserve {
        third_party: c[1] & 0x10 != 0,
        extent: c[1] & 0x01 != 0,
        long_id: false,
        parameter_list_length: if c[0] == op::RESERVE_6 { length } else { 0 },
        ten: false,
    }
}

pub(super) fn reserve_10(c: &[u8; 10]) -> Reserve {
    Reserve {
        third_party: c[1] & 0x10 != 0,
        extent: c[1] & 0x01 != 0,
        long_id: c[1] & 0x02 != 0,
        parameter_list_length: u16::from_be_bytes([c[7], c[8]]),
        ten: true,
    }
}

pub(super) fn persistent_reserve_in(c: &[u8; 10]) -> Result<Command, Sense> {
    use PersistentReserveInAction as Action;

    let action = match service_action(c[1]) {
        0x00 => Action::ReadKeys,
        0x01 => Action::ReadReservation,
        0x02 => Action::ReportCapabilities,
        0x03 => Action::ReadFullStatus,
        _ => return Err(UNKNOWN_ACTION),
    };
    let allocation_length = u16::from_be_bytes([c[7], c[8]]);
    Ok(Command::PersistentReserveIn { action, allocation_length })
}

pub(super) fn persistent_reserve_out(c: &[u8; 10]) -> Result<Command, Sense> {
    use PersistentReserveOutAction as Action;

    let action = match service_action(c[1]) {
        0x00 => Action::Register,
        0x01 => Action::Reserve,
        0x02 => Action::Release,
        0x03 => Action::Clear,
        0x04 => Action::Preempt,
        0x05 => Action::PreemptAndAbort,
        0x06 => Action::RegisterAndIgnoreExistingKey,
        0x07 => Action::RegisterAndMove,
        _ => return Err(UNKNOWN_ACTION),
    };
    Ok(Command::PersistentReserveOut(PersistentReserveOut {
        action,
        scope: c[2] >> 4,
        kind: c[2] & 0x0F,
        parameter_list_length: u32::from_be_bytes([c[5], c[6], c[7], c[8]]),
    }))
}

/// The service actions with list identifiers of 4 bytes are not known here.
pub(super) fn third_party_copy_out(c: &[u8; 16]) -> Result<Command, Sense> {
    match service_action(c[1]) {
        op::SA_EXTENDED_COPY_LID1 => Ok(Command::ExtendedCopy {
            parameter_list_length: u32::from_be_bytes([c[10], c[11], c[12], c[13]]),
        }),
        _ => Err(UNKNOWN_ACTION),
    }
}

pub(super) fn third_party_copy_in(c: &[u8; 16]) -> Result<Command, Sense> {
    let action = match service_action(c[1]) {
        0x00 => ReceiveCopyAction::CopyStatus,
        0x01 => ReceiveCopyAction::ReceiveData,
        0x03 => ReceiveCopyAction::OperatingParameters,
        0x04 => ReceiveCopyAction::FailedSegmentDetails,
        _ => return Err(UNKNOWN_ACTION),
    };
    let allocation_length = u32::from_be_bytes([c[10], c[11], c[12], c[13]]);
    Ok(Command::ReceiveCopyResults { action, list_identifier: c[2], allocation_length })
}

pub(super) fn maintenance_in(c: &[u8; 12]) -> Result<Command, Sense> {
    let allocation_length = u32::from_be_bytes([c[6], c[7], c[8], c[9]]);
    match service_action(c[1]) {
        op::SA_REPORT_TARGET_PORT_GROUPS => match c[1] >> 5 {
            format @ 0..=1 => Ok(Command::ReportTargetPortGroups {
                extended_header: format == 1,
                allocation_length,
            }),
            _ => Err(Sense::invalid_field_in_cdb(1, Some(7))),
        },
        op::SA_REPORT_SUPPORTED_OPERATION_CODES => {
            let options = match c[2] & 0x07 {
                0b000 => ReportingOptions::All,
                0b001 => ReportingOptions::Opcode,
                0b010 => ReportingOptions::ServiceAction,
                0b011 => ReportingOptions::Either,
                _ => return Err(Sense::invalid_field_in_cdb(2, Some(2))),
            };
            Ok(Command::ReportSupportedOpcodes(ReportSupportedOpcodes {
                timeouts: c[2] & 0x80 != 0,
                options,
                opcode: c[3],
                service_action: u16::from_be_bytes([c[4], c[5]]),
                allocation_length,
            }))
        }
        op::SA_REPORT_SUPPORTED_TASK_MANAGEMENT_FUNCTIONS => {
            let extended = c[2] & 0x80 != 0;
            Ok(Command::ReportSupportedTaskManagementFunctions { extended, allocation_length })
        }
        _ => Err(UNKNOWN_ACTION),
    }
}

pub(super) fn maintenance_out(c: &[u8; 12]) -> Result<Command, Sense> {
    match service_action(c[1]) {
        op::SA_SET_TARGET_PORT_GROUPS => Ok(Command::SetTargetPortGroups {
            parameter_list_length: u32::from_be_bytes([c[6], c[7], c[8], c[9]]),
        }),
        _ => Err(UNKNOWN_ACTION),
    }
}

const fn service_action(byte: u8) -> u8 {
    byte & 0x1F
}

/// SPC-6 4.2.5.2: a service action that is not supported is an invalid field.
const UNKNOWN_ACTION: Sense = Sense::invalid_field_in_cdb(1, Some(4));
