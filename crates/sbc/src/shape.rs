//! What of a disk's limits every command asks for, worked out once.

use outboard_disk::{Discard, Limits};
use outboard_scsi::Sense;
use outboard_scsi::command::LbaRange;
use outboard_slots::Memory;

use crate::errors::SbcError;
use crate::report::MAX_ATOMIC_BYTES;
use crate::task::BufferRange;

/// Longest step of a command, so that an abort finds a gap and a segment's length fits 32 bits.
const MAX_STEP_BYTES: u64 = 1 << 30;

/// Sizes in bytes unless they say otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) block_size: u32,
    block_shift: u32,
    pub(crate) blocks: u64,
    pub(crate) len: u64,
    /// most of one read or write
    pub(crate) transfer_step: u64,
    /// most of one write zeroes
    pub(crate) zero_step: u64,
    /// discard with `max_bytes` as its step
    pub(crate) discard: Option<Discard>,
    pub(crate) write_zeroes: bool,
    pub(crate) read_only: bool,
    /// most bytes of one atomic write
    pub(crate) atomic: u64,
    /// alignment and granularity of atomic writes: a physical block
    pub(crate) atomic_granularity: u64,
}

/// A range of the disk in bytes: whole blocks inside of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Range {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Shape {
    pub(crate) fn new(limits: &Limits) -> Result<Self, SbcError> {
        let Limits { block_size, blocks, max_transfer, .. } = *limits;
        let block = u64::from(block_size);
        let len = blocks.checked_mul(block).unwrap_or(0);
        if !matches!(block_size, 512 | 4096) || len == 0 || max_transfer < block {
            return Err(SbcError::Disk { block_size, blocks, max_transfer });
        }
        let physical = u64::from(limits.physical_block_size.max(block_size));
        let discard = limits.discard.map(|discard| {
            let granularity = discard.granularity.max(block).next_multiple_of(block);
            let most = discard.max_bytes.clamp(block, MAX_STEP_BYTES);
            let step = if most >= granularity { granularity } else { block };
            Discard { granularity, max_bytes: most / step * step, ..discard }
        });
        Ok(Self {
            block_size,
            block_shift: block.trailing_zeros(),
            blocks,
            len,
            transfer_step: max_transfer.min(MAX_STEP_BYTES) / block * block,
            zero_step: MAX_STEP_BYTES,
            discard,
            write_zeroes: limits.write_zeroes,
            read_only: limits.read_only,
            atomic: limits.max_transfer.min(MAX_ATOMIC_BYTES) / physical * physical,
            atomic_granularity: physical,
        })
    }

    /// Whether UNMAP zeroes its ranges instead of discarding them.
    pub(crate) fn unmaps_by_zeroing(&self) -> bool {
        self.write_zeroes && self.discard.is_some_and(|discard| discard.reads_zeroes)
    }

    pub(crate) fn block(&self) -> u64 {
        u64::from(self.block_size)
    }

    /// The bytes of a range of blocks.
    ///
    /// # Errors
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE with the first block that does not exist.
    #[inline]
    pub(crate) fn range(&self, range: LbaRange) -> Result<Range, Sense> {
        match range.first_beyond(self.blocks) {
            Some(lba) => Err(Sense::lba_out_of_range(lba)),
            None => Ok(Range {
                offset: range.lba << self.block_shift,
                len: range.blocks << self.block_shift,
            }),
        }
    }

    /// `len` cut to the whole blocks of a buffer.
    #[inline]
    pub(crate) fn in_buffer(&self, len: u64, buffer: BufferRange) -> u64 {
        len.min(buffer.len >> self.block_shift << self.block_shift)
    }
}

/// Whether a disk may be given this memory: the contract's rule 2.
///
/// # Errors
/// INTERNAL TARGET FAILURE: the buffer is the host's, so the initiator has done nothing wrong.
#[inline]
pub(crate) fn usable(memory: &Memory, buffer: BufferRange, len: u64) -> Result<(), Sense> {
    let is_aligned = buffer.offset.is_multiple_of(512);
    if len == 0 || (is_aligned && memory.contains(buffer.offset, len as usize)) {
        Ok(())
    } else {
        Err(Sense::INTERNAL_TARGET_FAILURE)
    }
}
