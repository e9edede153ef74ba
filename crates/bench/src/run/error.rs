//! What can go wrong while measuring.

use outboard_host::channel::ChannelError;
use outboard_host::driver::{LaunchError, ResidentError};
use outboard_host::stack::StackError;

/// Why a measurement ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// the driver did not come up
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// the resident driver did not come up
    #[error(transparent)]
    Resident(#[from] ResidentError),
    /// what the driver reported makes no stack
    #[error(transparent)]
    Stack(#[from] StackError),
    /// the way to the driver is gone
    #[error("the driver was lost: {0}")]
    Channel(#[from] ChannelError),
    /// the driver said so itself, or the host found it unfit
    #[error("the driver failed: {0}")]
    DriverFailed(String),
    /// the driver ended
    #[error("the driver process ended during the run; its messages are above")]
    DriverGone,
    /// it declined the bundled path
    #[error("the driver declines the bundled path ({0}); run it with --path single")]
    Declined(String),
    /// it reports nothing to load
    #[error("the driver reports no logical unit; there is nothing to measure")]
    NoUnit,
    /// a system call
    #[error("system error: {0}")]
    System(#[from] std::io::Error),
    /// a bound of ours was wrong
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<rustix::io::Errno> for RunError {
    fn from(e: rustix::io::Errno) -> Self {
        Self::System(e.into())
    }
}
