//! Writes on a unit whose volatile cache is switched off (WCE = 0): each is on the medium when it
//! ends. The driver gets those that can say so with FUA, and after the others writes its cache.

use outboard_scsi::command::build::{self, FUA};
use outboard_scsi::command::opcode as op;

use super::Stack;
use crate::ledger::{Record, SlotState};

impl Record {
    /// Makes the task one whose data is on the medium when it ends.
    #[cold]
    pub(super) fn write_through(&mut self) {
        let cdb = &mut self.task.command_descriptor_block;
        match cdb[0] {
            op::WRITE_10
            | op::WRITE_12
            | op::WRITE_16
            | op::COMPARE_AND_WRITE
            | op::ORWRITE_16
            | op::WRITE_ATOMIC_16 => cdb[1] |= FUA,
            op::WRITE_6 => {
                // It has no FUA; 0 blocks stand for 256.
                let lba = u32::from_be_bytes([0, cdb[1] & 0x1F, cdb[2], cdb[3]]);
                let blocks = if cdb[4] == 0 { 256 } else { u16::from(cdb[4]) };
                *cdb = *build::write_10(lba, blocks).with(1, FUA).bytes();
                self.task.command_size = 10;
            }
            // They end on the medium whatever the cache.
            op::WRITE_AND_VERIFY_10 | op::WRITE_AND_VERIFY_12 | op::WRITE_AND_VERIFY_16 => {}
            _ => self.then_flush = true,
        }
    }
}

impl Stack {
    /// The driver has executed a task after which its cache is to be written: in the same slot.
    #[cold]
    pub(super) fn flush_after(&mut self, slot: u16) {
        let Some(record) = self.ledger.record_mut(slot) else { return };
        record.then_flush = false;
        record.moved = u32::try_from(record.buffer.len).unwrap_or(u32::MAX);
        record.state = SlotState::Waiting;
        record.task.command_descriptor_block = *build::synchronize_cache_10(0, 0).bytes();
        record.task.command_size = 10;
        record.task.requested_transfer_count = 0;
        record.task.transfer_direction = 0;
        self.in_driver -= 1;
        self.outbox.push(slot);
    }
}
