//! What a write is to write: guarded by a CRC32C, so that data which a dying driver has spoiled is
//! not written again in good faith. A task that a driver has had is guarded at its repetition
//! anyway; with [`Stack::set_verify_replay`] every write is, before a driver sees it.

use outboard_slots::Memory;

use super::Stack;
use crate::ledger::SlotState;

/// `transfer_direction` of data-out.
const TO_DEVICE: u8 = 1;
/// Bytes looked at at a time.
const PIECE_BYTES: usize = 4096;

impl Stack {
    /// Guards what is handed over for the first time.
    #[cold]
    pub(super) fn guard_outbox(&mut self) {
        for at in 0..self.outbox.len() {
            let Some(&slot) = self.outbox.get(at) else { return };
            self.guard(slot);
        }
    }

    /// Guards the data of the task in `slot`, unless it has none or it is guarded.
    pub(super) fn guard(&mut self, slot: u16) {
        if self.ledger.guard_of(slot).is_none()
            && let Some(checksum) = self.checksum_of(slot)
        {
            self.ledger.guard(slot, checksum);
        }
    }

    /// Whether the data of the task in `slot` is no longer what it was when it was guarded.
    pub(super) fn is_spoiled(&self, slot: u16) -> bool {
        match (self.ledger.guard_of(slot), self.checksum_of(slot)) {
            (Some(kept), Some(found)) => kept != found,
            _ => false,
        }
    }

    fn checksum_of(&self, slot: u16) -> Option<u32> {
        let record = self.ledger.record(slot)?;
        let with_data = record.task.transfer_direction == TO_DEVICE
            && matches!(record.state, SlotState::Waiting | SlotState::InDriver)
            && !record.host;
        let len = record.buffer.len.min(record.task.requested_transfer_count);
        with_data.then(|| checksum(&self.memory, record.buffer.offset, len))
    }
}

/// CRC32C of a buffer.
fn checksum(memory: &Memory, offset: u64, len: u64) -> u32 {
    let mut crc = 0;
    let mut piece = [0; PIECE_BYTES];
    let (mut at, end) = (offset, offset.saturating_add(len));
    while at < end {
        let step = PIECE_BYTES.min(usize::try_from(end - at).unwrap_or(PIECE_BYTES));
        let Some(part) = piece.get_mut(..step) else { break };
        // The pool gave the buffer out: it lies inside.
        if memory.read(at, part).is_err() {
            break;
        }
        crc = crc32c::crc32c_append(crc, part);
        at += step as u64;
    }
    crc
}
