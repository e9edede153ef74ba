//! The log: on standard error, for people or as JSON. Never written on the way of a task.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// A log that cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The level is none. A checked configuration has a sound one.
    #[error("log level {level:?}: {source}; write error, warn, info, debug or trace")]
    Level {
        /// as it was said
        level: String,
        /// why
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log already.
    #[error("the log is set up already")]
    Twice,
}

/// Sets up the process' log.
///
/// # Errors
/// The level is none, or the process has a log already.
pub fn start(log: &Log) -> Result<(), LogError> {
    let filter: Targets =
        log.level.parse().map_err(|source| LogError::Level { level: log.level.clone(), source })?;
    // under the service manager the journal has the time, and colours are for terminals
    let terminal = io::stderr().is_terminal();
    let layer = match log.format {
        LogFormat::Json => fmt::layer().json().with_writer(io::stderr).with_filter(filter).boxed(),
        LogFormat::Text if std::env::var_os("JOURNAL_STREAM").is_some() => fmt::layer()
            .without_time()
            .with_ansi(false)
            .with_writer(io::stderr)
            .with_filter(filter)
            .boxed(),
        LogFormat::Text => fmt::layer()
            .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
            .with_writer(io::stderr)
            .with_filter(filter)
            .boxed(),
    };
    tracing_subscriber::registry().with(layer).try_init().map_err(|_| LogError::Twice)
}
