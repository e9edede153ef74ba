//! Disks: what a driver's media commands end on.
//!
//! [`Disk`] is the one boundary: io_uring files and block devices, memory, null and simulated
//! disks implement it, decorators implement it around another disk, and so does an array
//! (`outboard-raid`). A disk belongs to one I/O queue and is used by one thread; the queue's
//! [`Engine`] (its io_uring, its memory, its clock) is lent to each call. The io_uring is its own, or one
//! that a launcher has made and restricted ([`launch`]).

mod content;
pub mod contract;
pub mod crypt;
pub mod delay;
mod due;
pub mod engine;
pub mod faulty;
pub mod fence;
pub mod file;
pub mod launch;
pub mod memory_disk;
pub mod null;
pub mod open;
mod rng;
pub mod sim;
pub mod spec;
pub mod testkit;
pub mod units;
mod uring;
pub mod window;

pub use contract::{
    Allocation, Completion, Discard, Disk, DiskError, Limits, Op, Rejected, Request, Segment,
};
pub use engine::{Engine, EngineConfig, EngineError};
pub use open::{Description, OpenError, OpenOptions, Opened, open};
pub use spec::{DiskKind, DiskSpec, SpecError};
pub use window::WindowSpec;
