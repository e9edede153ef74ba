//! Memory for commands that read what the initiator does not get: VERIFY, WRITE SAME.

use outboard_disk::Limits;

use crate::errors::SbcError;

/// A range of the engine's memory that the logical unit alone uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ScratchRange {
    /// first byte, a multiple of 512
    pub offset: u64,
    /// bytes; it is used in pieces of up to 256 KiB, one per task that needs one
    pub len: u64,
}

/// Largest piece.
const PIECE_BYTES: u64 = 256 << 10;
/// Smallest piece: the largest block.
const MIN_PIECE_BYTES: u64 = 4096;
/// Tasks that should find a piece at the same time.
const WANTED_PIECES: u64 = 4;

/// The pieces that no task has.
#[derive(Debug)]
pub(crate) struct Scratch {
    piece_bytes: u64,
    free: Vec<Piece>,
}

/// A piece of scratch memory: owned by a task until it is given back.
#[derive(Debug)]
pub(crate) struct Piece {
    /// first byte, as an offset in the engine's memory
    pub(crate) offset: u64,
}

impl Scratch {
    pub(crate) fn new(range: ScratchRange, limits: &Limits) -> Result<Self, SbcError> {
        let ScratchRange { offset, len } = range;
        let fits = offset.checked_add(len).is_some() && u32::try_from(len).is_ok();
        if offset % 512 != 0 || len < MIN_PIECE_BYTES || !fits {
            return Err(SbcError::Scratch { offset, len });
        }
        let wanted = (len / WANTED_PIECES).clamp(MIN_PIECE_BYTES, PIECE_BYTES);
        let wanted = wanted / MIN_PIECE_BYTES * MIN_PIECE_BYTES;
        let block = u64::from(limits.block_size);
        let piece_bytes = wanted.min(limits.max_transfer) / block * block;
        let pieces = len / wanted;
        let free = (0..pieces).rev().map(|n| Piece { offset: offset + n * wanted }).collect();
        Ok(Self { piece_bytes, free })
    }

    /// Bytes of each piece: whole blocks, at most what the disk takes in one request.
    pub(crate) const fn piece_bytes(&self) -> u64 {
        self.piece_bytes
    }

    pub(crate) fn take(&mut self) -> Option<Piece> {
        self.free.pop()
    }

    pub(crate) fn give_back(&mut self, piece: Piece) {
        self.free.push(piece);
    }

    pub(crate) const fn is_exhausted(&self) -> bool {
        self.free.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use outboard_disk::testkit::limits;

    use super::*;

    #[test]
    fn pieces_lie_apart_and_inside() {
        let limits = limits(4096, 1 << 20);
        for len in [4096, 5000, 16 << 10, 100_000, 1 << 20, 8 << 20] {
            let mut scratch = Scratch::new(ScratchRange { offset: 1024, len }, &limits).unwrap();
            let bytes = scratch.piece_bytes();
            assert!(bytes.is_multiple_of(4096) && bytes > 0 && bytes <= limits.max_transfer);
            let mut next = 1024;
            while let Some(piece) = scratch.take() {
                assert!(piece.offset >= next && piece.offset % 512 == 0);
                next = piece.offset + bytes;
            }
            assert!(next > 1024 && next <= 1024 + len);
        }
    }

    #[test]
    fn what_cannot_be_scratch_is_refused() {
        let limits = limits(512, 1 << 20);
        for (offset, len) in [(0, 4095), (100, 8192), (0, 1 << 32), (u64::MAX - 511, 4096)] {
            assert!(Scratch::new(ScratchRange { offset, len }, &limits).is_err());
        }
    }
}
