//! SCSI wire formats, shared by the host and the drivers.
//!
//! Layouts and codes only: no I/O, no allocation, no policy. Everything that comes from an
//! initiator or from a driver is a value here, never a panic: a CDB that cannot be accepted
//! becomes a [`Sense`], a byte string that is no sense data becomes `None`.
//!
//! | module | wire format | standard |
//! |---|---|---|
//! | [`command`] | CDBs of 6, 10, 12 and 16 bytes | SPC-6 clause 6, SBC-4 clause 5 |
//! | [`sense`] | sense data, fixed and descriptor format | SPC-6 4.4 |
//! | [`status`] | status codes | SAM-6 5.3 |
//! | [`task`] | task attributes, task management functions | SAM-6 clauses 8 and 7 |
//! | [`lun`] | logical unit numbers | SAM-6 4.7 |
//! | [`inquiry`] | standard INQUIRY data | SPC-6, INQUIRY |
//! | [`vpd`] | vital product data pages 00h, 80h, 83h, 85h to 88h, B0h, B1h, B2h | SPC-6 7.7, SBC-4 clause 6 |
//! | [`log`] | log pages: error counters | SPC-6 7.3 |
//! | [`opcodes`] | supported operation codes and task management functions | SPC-6, REPORT SUPPORTED OPERATION CODES |
//! | [`mode`] | mode parameters: header, block descriptors, pages | SPC-6 7.5, SBC-4 clause 6 |
//! | [`capacity`] | READ CAPACITY data | SBC-4, READ CAPACITY |
//! | [`report_luns`] | REPORT LUNS data | SPC-6, REPORT LUNS |
//! | [`persistent_reserve`] | PERSISTENT RESERVE IN and OUT data | SPC-6 |
//! | [`transport_id`] | TransportIDs of iSCSI initiator ports | SPC-6 7.6.4 |
//! | [`alua`] | REPORT and SET TARGET PORT GROUPS data | SPC-6 |
//! | [`unmap`] | UNMAP parameter list | SBC-4, UNMAP |
//! | [`copy`] | EXTENDED COPY and RECEIVE COPY RESULTS data | SPC-4, EXTENDED COPY(LID1) |
//! | [`sanitize`] | SANITIZE parameter list | SBC-4, SANITIZE |
//! | [`lba_status`] | GET LBA STATUS data | SBC-4, GET LBA STATUS |
//!
//! Commands are cited by name: their clause numbers change from revision to revision.
//!
//! Writers of parameter data take the caller's `&mut [u8]`, write as much as it holds and return
//! the length of the whole answer, so that an allocation length truncates as SPC-6 4.2.5.6 asks:
//! the data ends early, its length fields do not change.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod alua;
mod bytes;
pub mod capacity;
pub mod command;
pub mod copy;
pub mod inquiry;
pub mod lba_status;
pub mod log;
pub mod lun;
pub mod mode;
pub mod opcodes;
pub mod persistent_reserve;
pub mod report_luns;
pub mod sanitize;
pub mod sense;
pub mod status;
pub mod task;
pub mod transport_id;
pub mod unmap;
pub mod vpd;

pub use command::{Command, Direction, Transfer};
pub use lun::Lun;
pub use sense::{Sense, SenseKey};
pub use status::Status;
pub use task::TaskAttribute;
