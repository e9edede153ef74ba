//! The data side of the server: sockets on one hand, drivers on the other.
//!
//! | module | what |
//! |---|---|
//! | [`portal`] | the login thread: listening sockets, log-ins, discovery |
//! | [`thread`] | an I/O thread: its targets' connections and drivers in one loop |
//! | [`target`] | one target: sessions, SCSI stack, driver |
//! | [`connection`] | one socket in the full feature phase |
//! | [`backend`] | the SCSI stack as the sessions see it |
//! | [`plan`] | what a target's driver is made from |
//! | [`supervisor`] | starts, replaces and ends drivers, off the I/O threads |
//! | [`disks`] | disks of the configuration, opened for one incarnation of a driver |
//! | [`reservations`] | files of persistent reservations |
//! | [`shares`] | how much of the buffer pool a session may hold |
//! | [`tally`] | what the LUNs have done |
//! | [`recorder`] | the life of single tasks, while somebody asks for it |
//! | [`mailbox`] | messages to an I/O thread |
//!
//! A target belongs to one I/O thread with all that it has: its sessions, its task sets, its
//! driver's queue. So a task is never handed from thread to thread and takes no lock. Targets are
//! spread over the threads, and with them their connections.

pub mod backend;
pub mod connection;
pub mod disks;
pub mod keys;
pub mod listen;
pub mod mailbox;
pub mod plan;
pub mod portal;
pub mod recorder;
pub mod reservations;
pub mod shares;
pub mod supervisor;
pub mod tally;
pub mod target;
pub mod thread;
