//! Tasks of the project: `cargo xtask --help`.
//!
//! Each task is a list of steps ([`step::Steps`]): a step says its name, whether it is ok, has
//! failed or was skipped and why, and how long it took. A step is skipped when a tool is missing;
//! nothing is skipped in silence.

mod checks;
mod conformance;
mod fuzz;
mod instructions;
mod kills;
mod last_words;
mod licences;
mod limits;
mod packages;
mod sim;
mod soak;
mod step;
mod target;
mod tools;
mod usage;
mod versus;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use step::Steps;

/// Tasks of the project
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// All tests: of every crate, the scenarios in tests/, doc tests, fuzz corpora, tidy
    Test {
        /// Passed to the test runner, for example a filter
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        runner: Vec<String>,
    },
    /// Everything that must hold before a change goes in
    Ci {
        /// Steps to leave out, by name
        #[arg(long, value_name = "STEP")]
        skip: Vec<String>,
    },
    /// Builds `outboard` and runs its System test
    Bench {
        /// Passed to `outboard bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs the fuzz targets (all, or those named) with the nightly compiler
    Fuzz {
        /// Seconds for each target
        #[arg(long, default_value_t = 20)]
        seconds: u32,
        /// Targets; all if none is named
        targets: Vec<String>,
    },
    /// Model checks of the rings and the sleep hand-shake
    Loom,
    /// Counts instructions per operation and compares them with verify/instructions/limits.toml
    Instructions {
        /// Writes what is counted into the table
        #[arg(long)]
        bless: bool,
    },
    /// Runs libiscsi's tests against `outboard serve` in several configurations
    Conformance(conformance::Options),
    /// Measures `outboard serve` beside another target, or with more connections
    #[command(subcommand)]
    Versus(versus::Versus),
    /// Simulated runs of the whole host while drivers, disks and power fail
    Sim(sim::Options),
    /// Load that checks every byte, cut and half-open connections, for long
    Soak(soak::Options),
    /// Kills or stops drivers or servers under load, or has a driver attack its host, and measures it
    Kills(kills::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let mut steps = Steps::new();
    match task {
        Task::Test { runner } => checks::test(&mut steps, &runner),
        Task::Ci { skip } => checks::ci(&mut steps, &skip)?,
        Task::Bench { arguments } => return checks::bench(&arguments),
        Task::Fuzz { seconds, targets } => fuzz::run(&mut steps, seconds, &targets)?,
        Task::Loom => steps.run("loom", checks::loom),
        Task::Instructions { bless } => {
            steps.run("instructions", || instructions::run(bless));
        }
        Task::Conformance(options) => {
            steps.run("conformance", || conformance::run(&options));
        }
        Task::Sim(options) => steps.run("sim", || sim::sim(&options)),
        Task::Soak(options) => steps.run("soak", || soak::soak(&options)),
        Task::Kills(options) => steps.run("kills", || kills::kills(&options)),
        Task::Versus(versus) => steps.run("versus", || versus::run(&versus)),
    }
    Ok(steps.finish())
}
