//! Any bytes are a command or the right sense data.

use outboard_scsi::SenseKey;
use outboard_scsi::command::opcode::cdb_size;
use outboard_scsi::command::{Command, Direction, parse, parse_hot};
use outboard_scsi::sense::{FieldPointer, Specific};

/// `bytes` is a CDB as an initiator sends it.
pub fn cdb(bytes: &[u8]) {
    match parse(bytes) {
        Ok(command) => accepted(bytes, &command),
        Err(sense) => {
            assert_eq!(parse_hot(bytes), None, "the hot path takes what the parser refuses");
            assert_eq!(sense.key, SenseKey::IllegalRequest);
            assert!(!sense.deferred);
            if let Specific::Field(FieldPointer { in_cdb, byte, bit }) = sense.specific {
                assert!(in_cdb);
                let missing = usize::from(byte) == bytes.len() && bit.is_none();
                assert!(missing || usize::from(byte) < bytes.len(), "points at byte {byte}");
            }
            crate::sense::round_trips(&sense);
        }
    }
}

fn accepted(bytes: &[u8], command: &Command) {
    let len = bytes.first().and_then(|&opcode| cdb_size(opcode)).expect("a known group").bytes();
    assert!(bytes.len() >= len, "longer than what was sent");
    assert_eq!(parse(&bytes[..len]).as_ref(), Ok(command), "what follows the CDB counts");
    assert!(parse(&bytes[..len - 1]).is_err(), "the last byte does not count");
    if let Some(hot) = parse_hot(bytes) {
        assert_eq!(hot, *command, "the hot path says something else");
    }

    let moved = command.transfer_length(512);
    if command.direction() == Direction::None {
        assert_eq!(moved, 0, "no direction, but {moved} bytes");
    }
    if let (Some(transfer), Some(range)) = (command.transfer(), command.lba_range()) {
        assert_eq!((transfer.lba, u64::from(transfer.blocks)), (range.lba, range.blocks));
    }
    if let Some(range) = command.lba_range() {
        for capacity in [0, range.lba, range.lba.saturating_add(range.blocks), u64::MAX] {
            let beyond = range.first_beyond(capacity);
            assert!(beyond.is_none_or(|lba| lba >= capacity), "block {beyond:?} of {capacity}");
        }
    }
    if command.changes_medium() {
        assert_ne!(command.direction(), Direction::FromDevice);
    }
    assert!(command.to_string().starts_with(command.name()));
}
