//! What goes wrong: on the disk, as the initiator is told; in the use of this crate, as the driver
//! is told.

use outboard_disk::DiskError;
use outboard_scsi::{Sense, Status};

/// Which way a failed request went: reads and writes fail with different sense data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// from the medium
    Read,
    /// to the medium, zeroing and deallocating included
    Write,
}

/// The status and sense data of a disk's error: the one place where this is decided;
/// `docs/disk-errors.md` tells it to administrators, beginning with what the kernel says.
///
/// | disk | status | sense | why |
/// |---|---|---|---|
/// | `Medium`, reading | CHECK CONDITION | 3h/11h/00h UNRECOVERED READ ERROR, INFORMATION = LBA | SBC-4 4.18 |
/// | `Medium`, writing | CHECK CONDITION | 3h/0Ch/00h WRITE ERROR, INFORMATION = LBA | SBC-4 4.18 |
/// | `Integrity` | CHECK CONDITION | 3h/10h/01h LOGICAL BLOCK GUARD CHECK FAILED, INFORMATION = LBA | SBC-4 4.18; another read does not help |
/// | `NoSpace` | CHECK CONDITION | 7h/27h/07h SPACE ALLOCATION FAILED WRITE PROTECT | SBC-4 4.7.3 |
/// | `Gone` | CHECK CONDITION | 4h/3Eh/01h LOGICAL UNIT FAILURE | does not come back: initiators fail over at once instead of waiting, as for NOT READY (SPC-6 annex F) |
/// | `Timeout` | CHECK CONDITION | 4h/3Eh/02h TIMEOUT ON LOGICAL UNIT | SPC-6 annex F |
/// | `Unreachable` | CHECK CONDITION | 2h/08h/00h LOGICAL UNIT COMMUNICATION FAILURE | may come back: initiators retry |
/// | `ReadOnly` | CHECK CONDITION | 7h/27h/00h WRITE PROTECTED | SBC-4 4.14 |
/// | `OutOfRange` | CHECK CONDITION | 5h/21h/00h LOGICAL BLOCK ADDRESS OUT OF RANGE | SBC-4 4.18 |
/// | `Unsupported` | CHECK CONDITION | 5h/20h/00h INVALID COMMAND OPERATION CODE | SPC-6 4.2.2 |
/// | `Busy` | BUSY | none | SAM-6 5.3.1; not when COMPARE AND WRITE or WRITE ATOMIC has begun to write: the disk is asked again |
/// | `System`, and what is added later | CHECK CONDITION | 4h/44h/00h INTERNAL TARGET FAILURE | SPC-6 annex F |
///
/// `block_size` is the logical block length in bytes, not 0.
pub fn status_of(error: DiskError, access: Access, block_size: u32) -> (Status, Option<Sense>) {
    let sense = match (error, access) {
        (DiskError::Medium { at }, Access::Read) => {
            Sense::unrecovered_read_error(at / u64::from(block_size))
        }
        (DiskError::Medium { at }, Access::Write) => Sense::write_error(at / u64::from(block_size)),
        (DiskError::Integrity { at }, _) => Sense::guard_check_failed(at / u64::from(block_size)),
        (DiskError::Timeout, _) => Sense::TIMEOUT_ON_LOGICAL_UNIT,
        (DiskError::Unreachable, _) => Sense::LOGICAL_UNIT_COMMUNICATION_FAILURE,
        (DiskError::NoSpace, _) => Sense::SPACE_ALLOCATION_FAILED,
        (DiskError::Gone, _) => Sense::LOGICAL_UNIT_FAILURE,
        (DiskError::ReadOnly, _) => Sense::WRITE_PROTECTED,
        (DiskError::OutOfRange, _) => Sense::LBA_OUT_OF_RANGE,
        (DiskError::Unsupported, _) => Sense::INVALID_OPCODE,
        (DiskError::Busy, _) => return (Status::Busy, None),
        _ => Sense::INTERNAL_TARGET_FAILURE,
    };
    (Status::CheckCondition, Some(sense))
}

/// A use of this crate that its rules forbid. Nothing has been started, no outcome will come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SbcError {
    /// the number of task slots
    #[error("a logical unit holds 1 to {max} tasks, not {capacity}", max = crate::unit::MAX_CAPACITY)]
    Capacity {
        /// slots asked for
        capacity: usize,
    },
    /// the disk's limits cannot be those of a logical unit
    #[error(
        "a disk of {blocks} blocks of {block_size} bytes and {max_transfer} bytes per request \
         cannot be a logical unit: it needs blocks of 512 or 4096 bytes, at least one, and takes \
         at least one in a request"
    )]
    Disk {
        /// bytes of a block
        block_size: u32,
        /// blocks
        blocks: u64,
        /// bytes
        max_transfer: u64,
    },
    /// the scratch memory
    #[error(
        "scratch memory of {len} bytes at {offset}: give at least 4096 bytes (64 KiB or more is \
         better) at a multiple of 512, less than 2^32"
    )]
    Scratch {
        /// first byte, as an offset in the engine's memory
        offset: u64,
        /// bytes
        len: u64,
    },
    /// a task slot beyond the unit's capacity
    #[error("task slot {id} is beyond the {capacity} of this logical unit")]
    NoSuchSlot {
        /// the slot
        id: u16,
        /// slots of the unit
        capacity: usize,
    },
    /// a task slot that has a task
    #[error("task slot {id} still has a task in flight; wait for its outcome")]
    SlotInUse {
        /// the slot
        id: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_sense() {
        let of = |error, access| status_of(error, access, 4096);
        let check = |sense| (Status::CheckCondition, Some(sense));
        let at = 3 * 4096 + 512;
        let read = Sense::unrecovered_read_error(3);
        assert_eq!(of(DiskError::Medium { at }, Access::Read), check(read));
        assert_eq!(of(DiskError::Medium { at }, Access::Write), check(Sense::write_error(3)));
        for access in [Access::Read, Access::Write] {
            let table = [
                (DiskError::Integrity { at }, Sense::guard_check_failed(3)),
                (DiskError::Timeout, Sense::TIMEOUT_ON_LOGICAL_UNIT),
                (DiskError::Unreachable, Sense::LOGICAL_UNIT_COMMUNICATION_FAILURE),
                (DiskError::NoSpace, Sense::SPACE_ALLOCATION_FAILED),
                (DiskError::Gone, Sense::LOGICAL_UNIT_FAILURE),
                (DiskError::ReadOnly, Sense::WRITE_PROTECTED),
                (DiskError::OutOfRange, Sense::LBA_OUT_OF_RANGE),
                (DiskError::Unsupported, Sense::INVALID_OPCODE),
                (DiskError::System { errno: 5 }, Sense::INTERNAL_TARGET_FAILURE),
            ];
            for (error, sense) in table {
                assert_eq!(of(error, access), check(sense));
            }
            assert_eq!(of(DiskError::Busy, access), (Status::Busy, None));
        }
    }
}
