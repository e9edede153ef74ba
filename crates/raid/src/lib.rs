//! Arrays over disks; an array is a disk.
//!
//! | module | what |
//! |---|---|
//! | [`spec`] | what an array is asked to be: level, chunk |
//! | [`geometry`] | where its bytes lie: pure arithmetic, as Linux md lays RAID 0 and linear out |
//! | [`plan`] | one request over the array -> as few requests over its members as possible |
//! | [`limits`] | what it can, from what its members can |
//! | [`mod@array`] | the disk: submits, waits for all parts, maps errors back |
//!
//! Levels 0 and linear have no redundancy: an error of a member is an error of the array.

#![forbid(unsafe_code)]

mod allocation;
pub mod array;
pub mod error;
pub mod geometry;
mod inflight;
pub mod limits;
pub mod plan;
pub mod spec;

pub use array::Array;
pub use error::RaidError;
pub use geometry::{Extent, Geometry};
pub use spec::{ArraySpec, Level, ZoneLayout};
