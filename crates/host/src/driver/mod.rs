//! A driver: how it is started, asked, and ended.

mod activation;
mod child;
mod launch;
mod log;
mod process;
mod resident;
mod start;
mod watch;

pub use activation::{Activation, ActivationError, Offer, Step};
pub use launch::{Launch, LaunchError, Options, Sandbox, Unstarted};
pub use log::LogSink;
pub use process::Driver;
pub use resident::{ResidentError, attach_resident};
pub use watch::DriverStatus;
