//! `cargo xtask soak`: the scenarios under load, for as long as one wants.
//!
//! They are those of `outboard/tests/iscsi_load.rs`, which run in short with all other tests; here
//! with a release build, one after the other, and with their words shown.

use anyhow::Result;

use crate::step::Outcome;
use crate::tools::{cargo, has_cargo, run};

/// How much.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds of each mixed load, over 8 sessions
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Connections that are cut at some step of their life
    #[arg(long, default_value_t = 10_000)]
    cycles: u64,
    /// Connections that never finish their login, at a time
    #[arg(long, default_value_t = 1000)]
    half_open: u64,
    /// Only the scenarios whose names contain this
    filter: Option<String>,
}

/// Runs them.
pub(crate) fn soak(options: &Options) -> Result<Outcome> {
    let mut command = match has_cargo("nextest") {
        true => cargo(["nextest", "run", "--no-capture", "--no-fail-fast"]),
        false => cargo(["test", "--no-fail-fast"]),
    };
    command.args(["--release", "--package", "outboard", "--test", "iscsi_load"]);
    command.args(&options.filter);
    if !has_cargo("nextest") {
        command.args(["--", "--nocapture", "--test-threads=1"]);
    }
    command.env("OUTBOARD_SOAK_SECONDS", options.seconds.to_string());
    command.env("OUTBOARD_SOAK_CYCLES", options.cycles.to_string());
    command.env("OUTBOARD_SOAK_HALF_OPEN", options.half_open.to_string());
    run(command)
}
