//! SCSI wire formats, shared by the host and the drivers.
//!
//! Layouts and codes only: no I/O, no allocation, no policy. Everything that comes from an
//! initiator or from a driver is a value here, never a panic: a CDB that cannot be accepted
//! becomes a [`Sense`], a byte string that is no sense data becomes `None`.
//!
//! | module | wire format | clause |
//! |---|---|---|
//! | [`command`] | CDBs of 6, 10, 12 and 16 bytes | SPC-6 6, SBC-4 5, SAM-6 5.2 |
//! | [`sense`] | sense data, fixed and descriptor format | SPC-6 4.4 |
//!
//! Writers of parameter data take the caller's `&mut [u8]`, write as much as it holds and return
//! the length of the whole answer, so that an allocation length truncates as SPC-6 4.2.5.6 asks:
//! the data ends early, its length fields do not change.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod command;
pub mod sense;

pub use command::{Command, Direction, Transfer};
pub use sense::{Sense, SenseKey};
