//! A configuration that cannot be used.

use std::path::PathBuf;

use outboard_settings::{Problem, render};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}; name a configuration file that this user may read", path = path.display())]
    Read {
        /// the file
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{path}: a configuration has at most {most} bytes; is it another file?", path = path.display())]
    TooLong {
        /// the file
        path: PathBuf,
        /// the bound
        most: u64,
    },
    /// Its content, or the flags.
    #[error("{}", render("error", path.as_deref(), problems))]
    Wrong {
        /// the file; none for flags
        path: Option<PathBuf>,
        /// all that was found, at least one
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// What was found in the content.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Wrong { problems, .. } => problems,
            _ => &[],
        }
    }
}
