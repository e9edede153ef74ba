//! `cargo xtask sim`: the deterministic simulation, seed after seed.

use anyhow::Result;

use crate::step::Outcome;
use crate::tools::{cargo, run};

/// How much.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds to go on for
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
    /// One seed alone, or with --seeds the first
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many seeds at most
    #[arg(long)]
    pub(crate) seeds: Option<u64>,
    /// Tasks of each run; a seed stands for another run with another number
    #[arg(long, default_value_t = 10_000)]
    pub(crate) tasks: u64,
    /// A pair of fault and slot state that was not met is an error
    #[arg(long)]
    pub(crate) all_pairs: bool,
}

/// Runs them.
pub(crate) fn sim(options: &Options) -> Result<Outcome> {
    let mut command = cargo(["run", "--quiet", "--profile", "sim", "--package", "outboard-sim"]);
    command.arg("--").args(["--seconds", &options.seconds.to_string()]);
    command.args(["--tasks", &options.tasks.to_string()]);
    for (name, value) in [("--seed", options.seed), ("--seeds", options.seeds)] {
        if let Some(value) = value {
            command.args([name, &value.to_string()]);
        }
    }
    if options.all_pairs {
        command.arg("--all-pairs");
    }
    run(command)
}

/// A minute, in which every fault meets every state.
pub(crate) fn short() -> Result<Outcome> {
    sim(&Options { seconds: 60, seed: None, seeds: None, tasks: 2_000, all_pairs: true })
}
