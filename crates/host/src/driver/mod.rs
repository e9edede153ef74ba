//! A driver: how it is started, asked, and ended.

mod activation;
mod process;
mod resident;

pub use activation::{Activation, ActivationError, Step};
pub use process::{Driver, DriverStatus, Launch, LaunchError, Options};
pub use resident::{ResidentError, attach_resident};
