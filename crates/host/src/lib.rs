//! The host: it plays the operating system's SCSI stack. It owns initiators, tasks, timers and
//! memory, and hands tasks to drivers.
//!
//! | module | what |
//! |---|---|
//! | [`stack`] | one I/O thread's SCSI stack: judges commands, hands tasks over, checks completions, task management, deadlines, replay; sans-I/O |
//! | [`ledger`] | the host's own book of every task, slot by slot; sans-I/O |
//! | [`buffers`] | the buffer pool |
//! | [`channel`] | how tasks reach a driver's queue and come back, one kind a path |
//! | [`driver`] | a driver's start, life and end; the process around it |
//!
//! A front end calls, in this order: [`stack::Stack::submit`], [`stack::Stack::ready`] once the data
//! is in the buffer, [`stack::Stack::turn`] once a round, and [`stack::Stack::finish`] when the
//! answer has left.
//!
//! Commands of the host with a parameter list go the same way; they never reach the driver. What
//! they change for good is told by [`stack::Stack::state_records`] and is answered after
//! [`stack::Stack::state_kept`]. Sessions come and go by [`stack::Stack::open_nexus`] and
//! [`stack::Stack::close_nexus`], a successor's other units by [`stack::Stack::adopt`].
//!
//! Nothing that a driver writes is believed: see [`ledger::Violation`].

pub mod buffers;
pub mod channel;
pub mod driver;
pub mod ledger;
pub mod stack;
