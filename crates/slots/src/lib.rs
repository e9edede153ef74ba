//! The region that a host and one driver process share: command and response slots, index rings,
//! doorbells and the buffer pool, in one sealed memfd that each side maps once.
//!
//! Unsafe code of the task path lives here and nowhere above: [`memory`] (the mapping),
//! [`region`] (typed views of it), [`socket`] (payload between sockets and memory), [`wait`]
//! (one sleep for all) and [`inherited_descriptor`]. Everything read from a region is a *copy*: no reference into
//! shared memory is ever formed, except to atomic index words.

pub mod doorbell;
mod inherited;
pub mod layout;
pub mod memory;
pub mod planted;
pub mod region;
pub mod ring;
pub mod socket;
pub mod spin;
pub mod task;
pub mod time;
pub mod wait;

pub use doorbell::SleepFlag;
pub use inherited::inherited_descriptor;
pub use layout::{Layout, MAX_BUNDLE, MAX_QUEUES, MAX_SLOTS, RegionConfig};
pub use memory::{Memory, MemoryError};
pub use region::{Queue, QueueWords, Region, RegionError};
pub use ring::{Consumer, Entry, Producer, RingViolation};
pub use task::{ParallelResponse, ParallelTask, ResponseHead, SENSE_BYTES, TaskExtension};
pub use time::Time;
