//! The commands that nobody else may disturb on their blocks: COMPARE AND WRITE, ORWRITE, WRITE
//! ATOMIC.

use outboard_disk::Op;
use outboard_scsi::command::ByteCheck;
use outboard_scsi::command::build::REPEATED;
use outboard_scsi::{Sense, Transfer};

use super::{Begun, Context, medium, transfer};
use crate::report::MAX_COMPARE_AND_WRITE_BLOCKS;
use crate::shape::usable;
use crate::work::{self, CompareAndWrite, OrWrite, Verify, Whole, Work};

impl Context<'_> {
    /// All of the data-out or nothing: a part of the blocks would be compared with a part of them.
    pub(super) fn compare_and_write(&self, operands: &Transfer) -> Result<Begun, Sense> {
        let Self { shape, memory, buffer, .. } = *self;
        let range = medium(shape, operands)?;
        if operands.blocks > u32::from(MAX_COMPARE_AND_WRITE_BLOCKS) {
            return Err(Sense::invalid_field_in_cdb(13, None));
        }
        if shape.read_only {
            return Err(Sense::WRITE_PROTECTED);
        }
        let bytes = 2 * range.len;
        if buffer.len < bytes {
            return Err(Sense::DATA_PHASE_ERROR);
        }
        usable(memory, buffer, bytes)?;
        let verify =
            Verify { range, check: ByteCheck::Compare, data: buffer.offset, done: 0, bytes };
        let write = work::Transfer {
            op: Op::Write { fua: operands.fua },
            range,
            data: buffer.offset + range.len,
            done: 0,
            then: None,
            bytes,
            whole: Whole::Wanted,
        };
        let is_repeated = self.cdb.get(12).is_some_and(|byte| byte & REPEATED != 0);
        Ok(Begun::work(Work::CompareAndWrite(CompareAndWrite { verify, write, is_repeated })))
    }

    pub(super) fn or_write(&self, operands: &Transfer) -> Result<Begun, Sense> {
        let Self { shape, memory, buffer, .. } = *self;
        let range = transfer(shape, memory, buffer, operands, true)?;
        Ok(Begun::work(Work::OrWrite(OrWrite {
            range,
            data: buffer.offset,
            fua: operands.fua,
            done: 0,
            is_combined: false,
        })))
    }

    /// One disk request. That nobody sees it half done is the host's (range locks); that a dead
    /// driver leaves it half done for ever, too (replay). What the power takes away while the medium
    /// writes is the medium's: within a physical block it keeps its word, hence the granularity.
    pub(super) fn write_atomic(&self, operands: &Transfer, boundary: u16) -> Result<Begun, Sense> {
        let Self { shape, memory, buffer, .. } = *self;
        if shape.atomic == 0 {
            return Err(Sense::INVALID_OPCODE);
        }
        if boundary != 0 {
            return Err(Sense::invalid_field_in_cdb(10, None));
        }
        let whole = medium(shape, operands)?;
        if whole.offset % shape.atomic_granularity != 0 {
            return Err(Sense::invalid_field_in_cdb(2, None));
        }
        if whole.len % shape.atomic_granularity != 0 || whole.len > shape.atomic {
            return Err(Sense::invalid_field_in_cdb(12, None));
        }
        let range = transfer(shape, memory, buffer, operands, true)?;
        if range.len < whole.len {
            return Err(Sense::DATA_PHASE_ERROR);
        }
        Ok(Begun::work(Work::Transfer(work::Transfer {
            op: Op::Write { fua: operands.fua },
            range,
            data: buffer.offset,
            done: 0,
            then: None,
            bytes: range.len,
            whole: Whole::Wanted,
        })))
    }
}
