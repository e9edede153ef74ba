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
/// MODE SENSE(6) (SPC-6).
pub const MODE_SENSE_6: u8 = 0x1A;
/// START STOP UNIT (SBC-4).
pub const START_STOP_UNIT: u8 = 0x1B;
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
/// SYNCHRONIZE CACHE(10) (SBC-4).
pub const SYNCHRONIZE_CACHE_10: u8 = 0x35;
/// WRITE SAME(10) (SBC-4).
pub const WRITE_SAME_10: u8 = 0x41;
/// UNMAP (SBC-4).
pub const UNMAP: u8 = 0x42;
/// MODE SENSE(10) (SPC-6).
pub const MODE_SENSE_10: u8 = 0x5A;
/// READ(16) (SBC-4).
pub const READ_16: u8 = 0x88;
/// WRITE(16) (SBC-4).
pub const WRITE_16: u8 = 0x8A;
/// WRITE AND VERIFY(16) (SBC-4).
pub const WRITE_AND_VERIFY_16: u8 = 0x8E;
/// VERIFY(16) (SBC-4).
pub const VERIFY_16: u8 = 0x8F;
/// SYNCHRONIZE CACHE(16) (SBC-4).
pub const SYNCHRONIZE_CACHE_16: u8 = 0x91;
/// WRITE SAME(16) (SBC-4).
pub const WRITE_SAME_16: u8 = 0x93;
/// SERVICE ACTION IN(16): the service action is in byte 1.
pub const SERVICE_ACTION_IN_16: u8 = 0x9E;
/// REPORT LUNS (SPC-6).
pub const REPORT_LUNS: u8 = 0xA0;
/// READ(12) (SBC-4).
pub const READ_12: u8 = 0xA8;
/// WRITE(12) (SBC-4).
pub const WRITE_12: u8 = 0xAA;
/// WRITE AND VERIFY(12) (SBC-4).
pub const WRITE_AND_VERIFY_12: u8 = 0xAE;
/// VERIFY(12) (SBC-4).
pub const VERIFY_12: u8 = 0xAF;

/// READ CAPACITY(16), a service action of [`SERVICE_ACTION_IN_16`] (SBC-4).
pub const SA_READ_CAPACITY_16: u8 = 0x10;

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
