//! Driver side of a LUN: media commands over a disk (SBC-4).
//!
//! A [`LogicalUnit`] owns a disk and takes tasks: a CDB and a range of the engine's memory that
//! holds the data-out or gets the data-in. Each task ends with exactly one [`Outcome`]. There is no
//! I/O and no clock in here: the disk does the I/O, the I/O queue's loop turns the engine.
//!
//! ```text
//! start --+-- answered at once ------------------------------------+
//!         +-- one disk request (READ, WRITE) --- poll -------------+--> Outcome
//!         +-- steps: requests, scratch, comparisons --- poll --+---+
//!                        ^                                     |
//!                        +-- queue, for scratch or a busy disk +
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`mod@unit`] | the logical unit: start, poll, abort |
//! | [`errors`] | the one table from disk errors to status and sense data |
//! | [`report`] | what a host is told about the unit once |
//! | `command` | from a parsed command to an answer or to work |
//! | `work` | work in steps: what to ask of the disk next |
//! | `scratch` | memory for commands that read what the initiator does not get |
//!
//! **What is answered here**: READ and WRITE (6, 10, 12, 16), VERIFY and WRITE AND VERIFY (10, 12,
//! 16), WRITE SAME (10, 16), WRITE ATOMIC (16), ORWRITE (16), COMPARE AND WRITE, SYNCHRONIZE CACHE
//! (10, 16), PRE-FETCH (10, 16), UNMAP, GET LBA STATUS (16), READ CAPACITY (10, 16), TEST UNIT READY,
//! and of START STOP UNIT the flush that a stop asks for. Everything else is the host's (`outboard-spc`), and is refused with
//! INVALID COMMAND OPERATION CODE.
//!
//! **Length.** The host has already cut the buffer to what initiator and transport allow: a command
//! transfers whole blocks of the shorter of CDB and buffer, and says how many bytes that was.
//!
//! **Caches.** The unit has no cache of its own. FUA of a write is the disk's (`Op::Write`); a read
//! with FUA needs nothing more than a read, because a disk returns what was last written, from
//! wherever it keeps it, and its volatile cache is between it and nobody else (SBC-4 4.15 asks for
//! the medium *or* for data that is known to be the same).

#![forbid(unsafe_code)]

mod command;
pub mod errors;
pub mod report;
mod scratch;
mod shape;
mod task;
pub mod unit;
mod work;

pub use errors::SbcError;
pub use report::UnitReport;
pub use scratch::ScratchRange;
pub use task::{BufferRange, Outcome, TaskIn};
pub use unit::LogicalUnit;

#[cfg(test)]
mod testing;
