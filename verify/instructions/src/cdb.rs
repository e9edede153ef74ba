//! The CDB parser.

use std::hint::black_box;

use outboard_scsi::command::parse;

/// One command of each kind that a disk is sent, the frequent ones not weighted.
pub(crate) const MIX: [[u8; 16]; 12] = [
    [0x28, 0, 0, 0x12, 0x34, 0x56, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0], // READ(10)
    [0x2A, 0x08, 0, 0x12, 0x34, 0x56, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], // WRITE(10), FUA
    READ_16,
    [0x8A, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], // WRITE(16)
    [0x00; 16],                                          // TEST UNIT READY
    [0x12, 1, 0x83, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // INQUIRY, page 83h
    [0x1A, 0, 0x3F, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // MODE SENSE(6)
    [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], // READ CAPACITY(16)
    [0x2F, 0x02, 0, 0, 0, 9, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0], // VERIFY(10), BYTCHK
    [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // SYNCHRONIZE CACHE(10)
    [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0], // UNMAP
    [0x93, 0x08, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0], // WRITE SAME(16), UNMAP
];

/// Refusals: an unknown operation code, NACA, a reserved field, a CDB that is too short for it.
pub(crate) const REFUSED: [&[u8]; 4] =
    [&[0xFF; 16], &[0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0x04], &[0x12, 2, 0, 0, 0, 0], &[0x88, 0, 0, 0]];

const READ_16: [u8; 16] = [0x88, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0];

/// `rounds` times READ(10).
pub(crate) fn read_10(rounds: u32) {
    for _ in 0..rounds {
        let _ = black_box(&parse(black_box(&MIX[0])));
    }
}

/// `rounds` times READ(16).
pub(crate) fn read_16(rounds: u32) {
    for _ in 0..rounds {
        let _ = black_box(&parse(black_box(&READ_16)));
    }
}

/// `rounds` times the whole [`MIX`].
pub(crate) fn mixed(rounds: u32) {
    for _ in 0..rounds {
        for cdb in black_box(&MIX) {
            let _ = black_box(&parse(cdb));
        }
    }
}

/// `rounds` times all of [`REFUSED`], each with its sense data in fixed format.
pub(crate) fn refused(rounds: u32) {
    for _ in 0..rounds {
        for cdb in black_box(REFUSED) {
            if let Err(sense) = parse(cdb) {
                black_box(&sense.encode_fixed());
            }
        }
    }
}
