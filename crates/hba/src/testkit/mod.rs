//! A contract test kit: what every driver author runs against their controller.
//!
//! ```
//! use outboard_hba::testkit::{self, Ram};
//! let report = testkit::check(Ram::default, &testkit::Options::default()).unwrap();
//! assert!(report.tasks > 1000);
//! ```
//!
//! The kit runs the controller in this process over a region of its own, through the same
//! [`Runner`](crate::Runner) as the real loops: bundles of 1 to 32, slots reused at once,
//! completions in any order, aborts, a full queue, stop under load; it writes to the unit's first
//! blocks and reads them back.

mod contract;
mod harness;
mod ram;

pub use contract::{Failure, Options, Report, check};
pub use ram::{Ram, RamQueue};
