//! Why a run ends without a result.

use std::error::Error;
use std::path::PathBuf;

use crate::plan::PlanError;

/// Why a run ends without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// what was asked for cannot be
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// what was named cannot be used: a missing, busy or non-empty disk
    #[error("{0}")]
    Refused(Box<dyn Error + Send + Sync>),
    /// the run began and failed
    #[error("{0}")]
    Failed(Box<dyn Error + Send + Sync>),
    /// tasks failed, or returned other data than was written
    #[error(
        "{errors} tasks failed or returned wrong data; MB/s counts only what succeeded; \
         see the column of errors, and the disk's own log"
    )]
    TaskErrors {
        /// how many
        errors: u64,
    },
    /// a result could not be written
    #[error("{}: the result cannot be written: {source}; name another file", path.display())]
    Output {
        /// the file
        path: PathBuf,
        /// what the system said
        source: std::io::Error,
    },
    /// standard output failed (a closed pipe is not a failure)
    #[error("standard output: {0}")]
    Stdout(std::io::Error),
}

impl BenchError {
    /// A usage error: exit code 2.
    pub fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refused(error.into())
    }

    /// A failure: exit code 1.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }

    /// 2 for usage, 1 for failure.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Plan(_) | Self::Refused(_) => 2,
            Self::Failed(_) | Self::TaskErrors { .. } | Self::Output { .. } | Self::Stdout(_) => 1,
        }
    }
}
