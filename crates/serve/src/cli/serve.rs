//! `outboard serve`: from arguments to a running server and its exit code.

use std::fmt::Display;
use std::process::ExitCode;

use super::{REFUSED, ServeArgs, say};
use crate::config::{Config, Machine, Source};
use crate::log;

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Start {
    /// what to serve
    pub config: Config,
    /// where that came from
    pub source: Source,
    /// the machine
    pub machine: Machine,
}

/// Reads the configuration, sets up the log and runs the server, to its end.
pub fn serve<E: Display>(args: &ServeArgs, run: impl FnOnce(Start) -> Result<(), E>) -> ExitCode {
    let machine = Machine::here();
    let source = match &args.config {
        Some(file) => Source::file(file, args.flags.clone()),
        None => Source::flags(args.flags.clone()),
    };
    let config = match source.read(&machine) {
        Ok(config) => config,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::from(REFUSED);
        }
    };
    if let Err(error) = log::start(&config.log) {
        say(&format!("outboard: {error}"));
        return ExitCode::from(REFUSED);
    }
    for warning in &config.warnings {
        tracing::warn!(%warning, "configuration");
    }
    match run(Start { config, source, machine }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("outboard: {error}"));
            ExitCode::FAILURE
        }
    }
}
