//! Stopping: an array that nobody runs, marked clean.
//!
//! md's arrays live in the kernel, and stopping one takes it out of there. Ours live in a server, which
//! owns its members with a lock as long as it runs; stopping the server stops them. What is left to do
//! is what md does last: to prove that nobody holds a member any more (an exclusive lock on each, and on
//! block devices the claim that a mount or the kernel's md would have), that the members still make
//! their array, and to write on each when that was, and that nothing is to be resynchronised. The
//! event count stays, so that an update cut short makes no member stale.

use outboard_disk::DiskSpec;

use crate::assemble::{Assembled, Order, assemble};
use crate::error::MdError;
use crate::member::{Held, Purpose};
use crate::superblock::CLEAN;

/// Marks the array of these disks clean at `now` (seconds since 1970).
///
/// # Errors
/// A member that is in use, or that the assembly refuses: nothing is written then.
pub fn stop(disks: &[DiskSpec], now: u64) -> Result<Assembled, MdError> {
    let held: Vec<Held> =
        disks.iter().map(|disk| Held::open(disk, Purpose::Write)).collect::<Result<_, _>>()?;
    let candidates: Vec<_> = held.iter().map(Held::candidate).collect::<Result<_, _>>()?;
    let assembled = assemble(&candidates, Order::Any)?;
    for (held, candidate) in held.iter().zip(candidates) {
        let mut superblock = candidate.superblock;
        superblock.header.utime = (now & ((1 << 40) - 1)).into();
        superblock.header.resync_offset = CLEAN.into();
        held.write(&superblock)?;
    }
    Ok(assembled)
}
