//! Builders of CDBs, for initiators and tests.
//!
//! Each builder takes the fields that matter and leaves the others 0; use [`Cdb::with`] for the
//! rest: `read_10(0, 8).with(1, FUA)`.

use super::SanitizeAction;
use super::opcode as op;

mod host;

pub use host::*;

/// FUA in byte 1 of READ and WRITE.
pub const FUA: u8 = 0x08;
/// DPO in byte 1 of READ, WRITE, VERIFY and WRITE AND VERIFY.
pub const DPO: u8 = 0x10;

/// A CDB of up to 16 bytes. The bytes after its length are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cdb {
    bytes: [u8; 16],
    len: u8,
}

impl Cdb {
    /// A CDB of operation code `opcode` and otherwise 0, as long as its group says; 16 bytes for
    /// groups without a fixed length.
    #[must_use]
    pub const fn new(opcode: u8) -> Self {
        let len = match op::cdb_size(opcode) {
            Some(size) => size.bytes() as u8,
            None => 16,
        };
        let mut bytes = [0; 16];
        bytes[0] = opcode;
        Self { bytes, len }
    }

    /// Sets the bits `bits` of byte `index`; nothing happens beyond the CDB's end.
    #[must_use]
    pub fn with(mut self, index: usize, bits: u8) -> Self {
        if index < self.len()
            && let Some(byte) = self.bytes.get_mut(index)
        {
            *byte |= bits;
        }
        self
    }

    /// The CDB, 6 to 16 bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or(&self.bytes)
    }

    /// The CDB padded with zeros, as most transports carry it.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Length in bytes: 6, 10, 12 or 16.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a CDB is never empty")]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Copies `value` to the bytes from `at` on.
    fn put<const N: usize>(mut self, at: usize, value: [u8; N]) -> Self {
        for (byte, value) in self.bytes.iter_mut().skip(at).zip(value) {
            *byte = value;
        }
        self
    }
}

impl AsRef<[u8]> for Cdb {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// TEST UNIT READY.
#[must_use]
pub fn test_unit_ready() -> Cdb {
    Cdb::new(op::TEST_UNIT_READY)
}

/// READ CAPACITY(10).
#[must_use]
pub fn read_capacity_10() -> Cdb {
    Cdb::new(op::READ_CAPACITY_10)
}

/// READ CAPACITY(16).
#[must_use]
pub fn read_capacity_16(allocation_length: u32) -> Cdb {
    Cdb::new(op::SERVICE_ACTION_IN_16)
        .put(1, [op::SA_READ_CAPACITY_16])
        .put(10, allocation_length.to_be_bytes())
}

/// READ(6) of `blocks` blocks, 0 being 256. Bits of `lba` above the 21st are lost.
#[must_use]
pub fn read_6(lba: u32, blocks: u8) -> Cdb {
    block_6(op::READ_6, lba, blocks)
}

/// WRITE(6) of `blocks` blocks, 0 being 256. Bits of `lba` above the 21st are lost.
#[must_use]
pub fn write_6(lba: u32, blocks: u8) -> Cdb {
    block_6(op::WRITE_6, lba, blocks)
}

/// READ(10).
#[must_use]
pub fn read_10(lba: u32, blocks: u16) -> Cdb {
    block_10(op::READ_10, lba, blocks)
}

/// WRITE(10).
#[must_use]
pub fn write_10(lba: u32, blocks: u16) -> Cdb {
    block_10(op::WRITE_10, lba, blocks)
}

/// READ(12).
#[must_use]
pub fn read_12(lba: u32, blocks: u32) -> Cdb {
    block_12(op::READ_12, lba, blocks)
}

/// WRITE(12).
#[must_use]
pub fn write_12(lba: u32, blocks: u32) -> Cdb {
    block_12(op::WRITE_12, lba, blocks)
}

/// READ(16).
#[must_use]
pub fn read_16(lba: u64, blocks: u32) -> Cdb {
    block_16(op::READ_16, lba, blocks)
}

/// WRITE(16).
#[must_use]
pub fn write_16(lba: u64, blocks: u32) -> Cdb {
    block_16(op::WRITE_16, lba, blocks)
}

/// VERIFY(16) with BYTCHK `byte_check`, 0 to 3.
#[must_use]
pub fn verify_16(lba: u64, blocks: u32, byte_check: u8) -> Cdb {
    block_16(op::VERIFY_16, lba, blocks).with(1, (byte_check & 0x03) << 1)
}

/// WRITE AND VERIFY(16) with BYTCHK `byte_check`, 0 to 3.
#[must_use]
pub fn write_and_verify_16(lba: u64, blocks: u32, byte_check: u8) -> Cdb {
    block_16(op::WRITE_AND_VERIFY_16, lba, blocks).with(1, (byte_check & 0x03) << 1)
}

/// SYNCHRONIZE CACHE(10).
#[must_use]
pub fn synchronize_cache_10(lba: u32, blocks: u16) -> Cdb {
    block_10(op::SYNCHRONIZE_CACHE_10, lba, blocks)
}

/// SYNCHRONIZE CACHE(16).
#[must_use]
pub fn synchronize_cache_16(lba: u64, blocks: u32) -> Cdb {
    block_16(op::SYNCHRONIZE_CACHE_16, lba, blocks)
}

/// UNMAP with a parameter list of `parameter_list_length` bytes (see [`crate::unmap`]).
#[must_use]
pub fn unmap(parameter_list_length: u16) -> Cdb {
    Cdb::new(op::UNMAP).put(7, parameter_list_length.to_be_bytes())
}

/// WRITE SAME(10).
#[must_use]
pub fn write_same_10(lba: u32, blocks: u16, unmap: bool) -> Cdb {
    block_10(op::WRITE_SAME_10, lba, blocks).with(1, u8::from(unmap) << 3)
}

/// WRITE SAME(16); `no_data_out` sets NDOB.
#[must_use]
pub fn write_same_16(lba: u64, blocks: u32, unmap: bool, no_data_out: bool) -> Cdb {
    block_16(op::WRITE_SAME_16, lba, blocks).with(1, (u8::from(unmap) << 3) | u8::from(no_data_out))
}

/// START STOP UNIT.
#[must_use]
pub fn start_stop_unit(start: bool) -> Cdb {
    Cdb::new(op::START_STOP_UNIT).put(4, [u8::from(start)])
}

/// In byte 12 of COMPARE AND WRITE, which the standard reserves: set by the host, never by an
/// initiator, in a task that is submitted again because the driver that had it died. Its write may
/// have been done, in whole or in part.
pub const REPEATED: u8 = 0x80;

/// COMPARE AND WRITE; the data-out is `2 * blocks` blocks.
#[must_use]
pub fn compare_and_write(lba: u64, blocks: u8) -> Cdb {
    block_16(op::COMPARE_AND_WRITE, lba, u32::from(blocks))
}

/// ORWRITE(16).
#[must_use]
pub fn orwrite_16(lba: u64, blocks: u32) -> Cdb {
    block_16(op::ORWRITE_16, lba, blocks)
}

/// WRITE ATOMIC(16).
#[must_use]
pub fn write_atomic_16(lba: u64, blocks: u16, boundary: u16) -> Cdb {
    block_16(op::WRITE_ATOMIC_16, lba, u32::from(boundary) << 16 | u32::from(blocks))
}

/// PRE-FETCH(10).
#[must_use]
pub fn pre_fetch_10(lba: u32, blocks: u16, immediate: bool) -> Cdb {
    block_10(op::PRE_FETCH_10, lba, blocks).with(1, u8::from(immediate) << 1)
}

/// PRE-FETCH(16).
#[must_use]
pub fn pre_fetch_16(lba: u64, blocks: u32, immediate: bool) -> Cdb {
    block_16(op::PRE_FETCH_16, lba, blocks).with(1, u8::from(immediate) << 1)
}

/// GET LBA STATUS(16).
#[must_use]
pub fn get_lba_status_16(lba: u64, allocation_length: u32) -> Cdb {
    block_16(op::SERVICE_ACTION_IN_16, lba, allocation_length).with(1, op::SA_GET_LBA_STATUS_16)
}

/// READ DEFECT DATA(10) of both lists.
#[must_use]
pub fn read_defect_data_10(format: u8, allocation_length: u16) -> Cdb {
    Cdb::new(op::READ_DEFECT_DATA_10)
        .put(2, [0x18 | (format & 0x07)])
        .put(7, allocation_length.to_be_bytes())
}

/// READ DEFECT DATA(12) of both lists, from address descriptor `index` on.
#[must_use]
pub fn read_defect_data_12(format: u8, index: u32, allocation_length: u32) -> Cdb {
    Cdb::new(op::READ_DEFECT_DATA_12)
        .put(1, [0x18 | (format & 0x07)])
        .put(2, index.to_be_bytes())
        .put(6, allocation_length.to_be_bytes())
}

/// SANITIZE.
#[must_use]
pub fn sanitize(action: SanitizeAction, immediate: bool, parameter_list_length: u16) -> Cdb {
    Cdb::new(op::SANITIZE)
        .put(1, [u8::from(immediate) << 7 | action as u8])
        .put(7, parameter_list_length.to_be_bytes())
}

/// PREVENT ALLOW MEDIUM REMOVAL.
#[must_use]
pub fn prevent_allow_medium_removal(prevent: bool) -> Cdb {
    Cdb::new(op::PREVENT_ALLOW_MEDIUM_REMOVAL).put(4, [u8::from(prevent)])
}

fn block_6(opcode: u8, lba: u32, blocks: u8) -> Cdb {
    let [_, high, middle, low] = lba.to_be_bytes();
    Cdb::new(opcode).put(1, [high & 0x1F, middle, low, blocks])
}

fn block_10(opcode: u8, lba: u32, blocks: u16) -> Cdb {
    Cdb::new(opcode).put(2, lba.to_be_bytes()).put(7, blocks.to_be_bytes())
}

fn block_12(opcode: u8, lba: u32, blocks: u32) -> Cdb {
    Cdb::new(opcode).put(2, lba.to_be_bytes()).put(6, blocks.to_be_bytes())
}

fn block_16(opcode: u8, lba: u64, blocks: u32) -> Cdb {
    Cdb::new(opcode).put(2, lba.to_be_bytes()).put(10, blocks.to_be_bytes())
}
