//! The built-in driver: a [`Controller`](outboard_hba::Controller) whose logical units are arrays
//! over disks.
//!
//! `sbc` answers the commands of a unit, `raid` maps them to members, `disk` does the I/O from the
//! very memory the host put the data in.

mod controller;
mod options;
mod queue;

pub use controller::{ArrayController, Replace};
pub use options::{ArrayOptions, OptionsError, UnitOptions};

/// The driver program's `main`.
pub fn main() -> std::process::ExitCode {
    outboard_hba::run(ArrayController::default())
}
