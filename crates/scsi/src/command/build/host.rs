//! Builders of CDBs that every kind of device has (SPC-6).

use super::{Cdb, op};
use crate::command::{
    PersistentReserveInAction, PersistentReserveOutAction, ReceiveCopyAction, ReportingOptions,
};

/// INQUIRY: of VPD page `vpd`, or for standard INQUIRY data.
#[must_use]
pub fn inquiry(vpd: Option<u8>, allocation_length: u16) -> Cdb {
    Cdb::new(op::INQUIRY)
        .put(1, [u8::from(vpd.is_some()), vpd.unwrap_or(0)])
        .put(3, allocation_length.to_be_bytes())
}

/// REQUEST SENSE.
#[must_use]
pub fn request_sense(descriptor: bool, allocation_length: u8) -> Cdb {
    Cdb::new(op::REQUEST_SENSE).put(1, [u8::from(descriptor)]).put(4, [allocation_length])
}

/// REPORT LUNS.
#[must_use]
pub fn report_luns(select_report: u8, allocation_length: u32) -> Cdb {
    Cdb::new(op::REPORT_LUNS).put(2, [select_report]).put(6, allocation_length.to_be_bytes())
}

/// MODE SENSE(6). `page` holds the page control in bits 7 and 6.
#[must_use]
pub fn mode_sense_6(dbd: bool, page: u8, subpage: u8, allocation_length: u8) -> Cdb {
    Cdb::new(op::MODE_SENSE_6).put(1, [u8::from(dbd) << 3, page, subpage, allocation_length])
}

/// MODE SENSE(10). `page` holds the page control in bits 7 and 6.
#[must_use]
pub fn mode_sense_10(dbd: bool, page: u8, subpage: u8, allocation_length: u16) -> Cdb {
    Cdb::new(op::MODE_SENSE_10)
        .put(1, [u8::from(dbd) << 3, page, subpage])
        .put(7, allocation_length.to_be_bytes())
}

/// MODE SELECT(6) with PF.
#[must_use]
pub fn mode_select_6(save_pages: bool, parameter_list_length: u8) -> Cdb {
    Cdb::new(op::MODE_SELECT_6)
        .put(1, [0x10 | u8::from(save_pages)])
        .put(4, [parameter_list_length])
}

/// MODE SELECT(10) with PF.
#[must_use]
pub fn mode_select_10(save_pages: bool, parameter_list_length: u16) -> Cdb {
    Cdb::new(op::MODE_SELECT_10)
        .put(1, [0x10 | u8::from(save_pages)])
        .put(7, parameter_list_length.to_be_bytes())
}

/// LOG SENSE of cumulative values.
#[must_use]
pub fn log_sense(page: u8, subpage: u8, allocation_length: u16) -> Cdb {
    Cdb::new(op::LOG_SENSE)
        .put(2, [0x40 | (page & 0x3F), subpage])
        .put(7, allocation_length.to_be_bytes())
}

/// REPORT SUPPORTED OPERATION CODES: of one command, or all of them.
#[must_use]
pub fn report_supported_opcodes(
    options: ReportingOptions,
    opcode: u8,
    service_action: u16,
    timeouts: bool,
    allocation_length: u32,
) -> Cdb {
    let options = match options {
        ReportingOptions::All => 0,
        ReportingOptions::Opcode => 1,
        ReportingOptions::ServiceAction => 2,
        ReportingOptions::Either => 3,
    };
    Cdb::new(op::MAINTENANCE_IN)
        .put(1, [op::SA_REPORT_SUPPORTED_OPERATION_CODES])
        .put(2, [u8::from(timeouts) << 7 | options, opcode])
        .put(4, service_action.to_be_bytes())
        .put(6, allocation_length.to_be_bytes())
}

/// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS.
#[must_use]
pub fn report_supported_task_management_functions(extended: bool, allocation_length: u32) -> Cdb {
    Cdb::new(op::MAINTENANCE_IN)
        .put(1, [op::SA_REPORT_SUPPORTED_TASK_MANAGEMENT_FUNCTIONS, u8::from(extended) << 7])
        .put(6, allocation_length.to_be_bytes())
}

/// EXTENDED COPY(LID1).
#[must_use]
pub fn extended_copy(parameter_list_length: u32) -> Cdb {
    Cdb::new(op::THIRD_PARTY_COPY_OUT).put(10, parameter_list_length.to_be_bytes())
}

/// RECEIVE COPY RESULTS.
#[must_use]
pub fn receive_copy_results(
    action: ReceiveCopyAction,
    list_identifier: u8,
    allocation_length: u32,
) -> Cdb {
    Cdb::new(op::THIRD_PARTY_COPY_IN)
        .put(1, [action as u8, list_identifier])
        .put(10, allocation_length.to_be_bytes())
}

/// RESERVE(6).
#[must_use]
pub fn reserve_6() -> Cdb {
    Cdb::new(op::RESERVE_6)
}

/// RELEASE(6).
#[must_use]
pub fn release_6() -> Cdb {
    Cdb::new(op::RELEASE_6)
}

/// RESERVE(10).
#[must_use]
pub fn reserve_10() -> Cdb {
    Cdb::new(op::RESERVE_10)
}

/// RELEASE(10).
#[must_use]
pub fn release_10() -> Cdb {
    Cdb::new(op::RELEASE_10)
}

/// PERSISTENT RESERVE IN.
#[must_use]
pub fn persistent_reserve_in(action: PersistentReserveInAction, allocation_length: u16) -> Cdb {
    Cdb::new(op::PERSISTENT_RESERVE_IN)
        .put(1, [action as u8])
        .put(7, allocation_length.to_be_bytes())
}

/// PERSISTENT RESERVE OUT of scope LU_SCOPE.
#[must_use]
pub fn persistent_reserve_out(
    action: PersistentReserveOutAction,
    kind: u8,
    parameter_list_length: u32,
) -> Cdb {
    Cdb::new(op::PERSISTENT_RESERVE_OUT)
        .put(1, [action as u8, kind & 0x0F])
        .put(5, parameter_list_length.to_be_bytes())
}

/// REPORT TARGET PORT GROUPS.
#[must_use]
pub fn report_target_port_groups(extended_header: bool, allocation_length: u32) -> Cdb {
    Cdb::new(op::MAINTENANCE_IN)
        .put(1, [u8::from(extended_header) << 5 | op::SA_REPORT_TARGET_PORT_GROUPS])
        .put(6, allocation_length.to_be_bytes())
}

/// SET TARGET PORT GROUPS.
#[must_use]
pub fn set_target_port_groups(parameter_list_length: u32) -> Cdb {
    Cdb::new(op::MAINTENANCE_OUT)
        .put(1, [op::SA_SET_TARGET_PORT_GROUPS])
        .put(6, parameter_list_length.to_be_bytes())
}
