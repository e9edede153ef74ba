//! Operation codes (annex of SPC-6) and the CDB length of each group.

use super::CdbSize;

/// TEST UNIT READY (SPC-6).
pub const TEST_UNIT_READY: u8 = 0x00;
/// REQUEST SENSE (SPC-6).
pub const REQUEST_SENSE: u8 = 0x03;
/// READ(6) (SBC-2; obsolete in SBC-4, still sent).
pub const READ_6: u8 = 0x08;
/// WRITE(6) (SBC-2; obsolete in SBC-4, still sent).
pub const WRITE_6: u8 = 0x0A;
/// INQUIRY (SPC-6).
pub const INQUIRY: u8 = 0x12;
/// MODE SELECT(6) (SPC-6).
pub const MODE_SELECT_6: u8 = 0x15;
/// RESERVE(6) (SPC-2).
pub const RESERVE_6: u8 = 0x16;
/// RELEASE(6) (SPC-2).
pub const RELEASE_6: u8 = 0x17;
/// MODE SENSE(6) (SPC-6).
pub const MODE_SENSE_6: u8 = 0x1A;
/// START STOP UNIT (SBC-4).
pub const START_STOP_UNIT: u8 = 0x1B;
/// PREVENT ALLOW MEDIUM REMOVAL (SBC-4).
pub const PREVENT_ALLOW_MEDIUM_REMOVAL: u8 = 0x1E;
/// READ CAPACITY(10) (SBC-4).
pub const READ_CAPACITY_10: u8 = 0x25;
/// READ(10) (SBC-4).
pub const READ_10: u8 = 0x28;
/// WRITE(10) (SBC-4).
pub const WRITE_10: u8 = 0x2A;
/// WRITE AND VERIFY(10) (SBC-4).
pub const WRITE_AND_VERIFY_10: u8 = 0x2E;
/// VERIFY(10) (SBC-4).
pub const VERIFY_10: u8 = 0x2F;
/// PRE-FETCH(10) (SBC-4).
pub const PRE_FETCH_10: u8 = 0x34;
/// SYNCHRONIZE CACHE(10) (SBC-4).
pub const SYNCHRONIZE_CACHE_10: u8 = 0x35;
/// READ DEFECT DATA(10) (SBC-4).
pub const READ_DEFECT_DATA_10: u8 = 0x37;
/// WRITE SAME(10) (SBC-4).
pub const WRITE_SAME_10: u8 = 0x41;
/// UNMAP (SBC-4).
pub const UNMAP: u8 = 0x42;
/// SANITIZE (SBC-4): the service action is in byte 1.
pub const SANITIZE: u8 = 0x48;
/// LOG SENSE (SPC-6).
pub const LOG_SENSE: u8 = 0x4D;
/// MODE SELECT(10) (SPC-6).
pub const MODE_SELECT_10: u8 = 0x55;
/// RESERVE(10) (SPC-2).
pub const RESERVE_10: u8 = 0x56;
/// RELEASE(10) (SPC-2).
pub const RELEASE_10: u8 = 0x57;
/// MODE SENSE(10) (SPC-6).
pub const MODE_SENSE_10: u8 = 0x5A;
/// PERSISTENT RESERVE IN (SPC-6): the service action is in byte 1.
pub const PERSISTENT_RESERVE_IN: u8 = 0x5E;
/// PERSISTENT RESERVE OUT (SPC-6): the service action is in byte 1.
pub const PERSISTENT_RESERVE_OUT: u8 = 0x5F;
/// EXTENDED COPY (SPC-6): the service action is in byte 1.
pub const THIRD_PARTY_COPY_OUT: u8 = 0x83;
/// RECEIVE COPY RESULTS (SPC-6): the service action is in byte 1.
pub const THIRD_PARTY_COPY_IN: u8 = 0x84;
/// READ(16) (SBC-4).
pub const READ_16: u8 = 0x88;
/// COMPARE AND WRITE (SBC-4).
pub const COMPARE_AND_WRITE: u8 = 0x89;
/// WRITE(16) (SBC-4).
pub const WRITE_16: u8 = 0x8A;
/// ORWRITE(16) (SBC-4).
pub const ORWRITE_16: u8 = 0x8B;
/// WRITE AND VERIFY(16) (SBC-4).
pub const WRITE_AND_VERIFY_16: u8 = 0x8E;
/// VERIFY(16) (SBC-4).
pub const VERIFY_16: u8 = 0x8F;
/// PRE-FETCH(16) (SBC-4).
pub const PRE_FETCH_16: u8 = 0x90;
/// SYNCHRONIZE CACHE(16) (SBC-4).
pub const SYNCHRONIZE_CACHE_16: u8 = 0x91;
/// WRITE SAME(16) (SBC-4).
pub const WRITE_SAME_16: u8 = 0x93;
/// WRITE ATOMIC(16) (SBC-4).
pub const WRITE_ATOMIC_16: u8 = 0x9C;
/// SERVICE ACTION IN(16): the service action is in byte 1.
pub const SERVICE_ACTION_IN_16: u8 = 0x9E;
/// REPORT LUNS (SPC-6).
pub const REPORT_LUNS: u8 = 0xA0;
/// MAINTENANCE IN (SPC-6): the service action is in byte 1.
pub const MAINTENANCE_IN: u8 = 0xA3;
/// MAINTENANCE OUT (SPC-6): the service action is in byte 1.
pub const MAINTENANCE_OUT: u8 = 0xA4;
/// READ(12) (SBC-4).
pub const READ_12: u8 = 0xA8;
/// WRITE(12) (SBC-4).
pub const WRITE_12: u8 = 0xAA;
/// WRITE AND VERIFY(12) (SBC-4).
pub const WRITE_AND_VERIFY_12: u8 = 0xAE;
/// VERIFY(12) (SBC-4).
pub const VERIFY_12: u8 = 0xAF;
/// READ DEFECT DATA(12) (SBC-4).
pub const READ_DEFECT_DATA_12: u8 = 0xB7;

/// READ CAPACITY(16), a service action of [`SERVICE_ACTION_IN_16`] (SBC-4).
pub const SA_READ_CAPACITY_16: u8 = 0x10;
/// GET LBA STATUS(16), a service action of [`SERVICE_ACTION_IN_16`] (SBC-4).
pub const SA_GET_LBA_STATUS_16: u8 = 0x12;
/// REPORT TARGET PORT GROUPS, a service action of [`MAINTENANCE_IN`] (SPC-6).
pub const SA_REPORT_TARGET_PORT_GROUPS: u8 = 0x0A;
/// REPORT SUPPORTED OPERATION CODES, a service action of [`MAINTENANCE_IN`] (SPC-6).
pub const SA_REPORT_SUPPORTED_OPERATION_CODES: u8 = 0x0C;
/// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS, a service action of [`MAINTENANCE_IN`] (SPC-6).
pub const SA_REPORT_SUPPORTED_TASK_MANAGEMENT_FUNCTIONS: u8 = 0x0D;
/// SET TARGET PORT GROUPS, a service action of [`MAINTENANCE_OUT`] (SPC-6).
pub const SA_SET_TARGET_PORT_GROUPS: u8 = 0x0A;
/// EXTENDED COPY(LID1), a service action of [`THIRD_PARTY_COPY_OUT`] (SPC-6).
pub const SA_EXTENDED_COPY_LID1: u8 = 0x00;

/// The CDB length that the group code of `opcode` stands for (SPC-6 4.2.5.1).
///
/// `None` for variable-length CDBs (7Eh, 7Fh), the reserved rest of group 3, and the
/// vendor-specific groups 6 and 7.
#[must_use]
pub const fn cdb_size(opcode: u8) -> Option<CdbSize> {
    match opcode >> 5 {
        0 => Some(CdbSize::Six),
        1 | 2 => Some(CdbSize::Ten),
        4 => Some(CdbSize::Sixteen),
        5 => Some(CdbSize::Twelve),
        _ => None,
    }
}
