//! The host: it plays the operating system's SCSI stack. It owns initiators, tasks, timers and
//! memory, and hands tasks to drivers.

pub mod buffers;
pub mod channel;
pub mod driver;
pub mod ledger;
pub mod stack;
