//! `outboard ext`: the life of extensions.

mod change;
mod list;
mod new;
mod report;
mod tell;
mod test;
mod trace;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use outboard_ext::Store;
use serde::Serialize;

use super::{REFUSED, put, say};
use crate::config::Machine;

/// Activates, replaces and lists extensions: drivers in packages.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct ExtArgs {
    #[command(subcommand)]
    command: ExtCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum ExtCommand {
    /// Check a package by a trial start of its driver, and keep a copy for targets to use
    Activate {
        /// The package: a folder with extension.toml
        folder: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Put a package in the place of the version that is active, while targets are served
    Replace {
        /// The package: a folder with extension.toml
        folder: PathBuf,
        /// Even if it has the version of the one that is active
        #[arg(long)]
        same_version: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Forget an extension and remove its copy
    Deactivate {
        /// Its identifier
        identifier: String,
        #[command(flatten)]
        common: Common,
    },
    /// Check a package from outside: every kind of task, aborts, and its death and hang under load
    Test {
        /// The package: a folder with extension.toml
        folder: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Write a project to start from: a driver that works, its package and its test
    New {
        /// Its name, as my-raid
        name: String,
        /// The folder to put its folder in [default: this one]
        #[arg(long)]
        folder: Option<PathBuf>,
        /// A checkout of Outboard to build with
        #[arg(long, value_name = "FOLDER")]
        sdk: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Show how drivers died: when, why, with which tasks, and what to do next
    Report {
        #[command(flatten)]
        which: report::Which,
        #[command(flatten)]
        common: Common,
    },
    /// Record the life of single tasks: where their time goes, on both sides
    Trace {
        #[command(flatten)]
        what: trace::What,
        #[command(flatten)]
        common: Common,
    },
    /// List extensions and how they are
    List {
        /// With the drivers that run, their targets, and what does not bound them
        #[arg(long)]
        verbose: bool,
        #[command(flatten)]
        common: Common,
    },
}

/// What every command has.
#[derive(Args, Clone, Debug)]
struct Common {
    /// The state directory of the servers [default: /var/lib/outboard, or that of this user]
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Write the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// `outboard ext …`.
pub fn ext(args: &ExtArgs) -> ExitCode {
    let outcome = match &args.command {
        ExtCommand::Activate { folder, common } => change::activate(folder, common),
        ExtCommand::Replace { folder, same_version, common } => {
            change::replace(folder, *same_version, common)
        }
        ExtCommand::Deactivate { identifier, common } => change::deactivate(identifier, common),
        ExtCommand::New { name, folder, sdk, common } => {
            new::new(name, folder.as_deref(), sdk, common)
        }
        ExtCommand::Test { folder, common } => test::test(folder, common),
        ExtCommand::Report { which, common } => report::report(which, common),
        ExtCommand::Trace { what, common } => trace::trace(what, common),
        ExtCommand::List { verbose, common } => list::list(*verbose, common),
    };
    outcome.unwrap_or_else(|failed| failed.exit())
}

/// Why a command did not do what it was asked to.
struct Failed {
    message: String,
    code: u8,
    json: bool,
}

impl Failed {
    fn exit(self) -> ExitCode {
        #[derive(Serialize)]
        struct Told<'a> {
            error: &'a str,
        }
        say(&format!("outboard: {}", self.message));
        if self.json {
            let _ = put_json(&Told { error: &self.message });
        }
        ExitCode::from(self.code)
    }
}

impl Common {
    fn state_folder(&self) -> PathBuf {
        let folder = self.state_dir.clone().unwrap_or_else(|| Machine::here().state_folder);
        std::path::absolute(&folder).unwrap_or(folder)
    }

    fn store(&self) -> Store {
        Store::new(&self.state_folder())
    }

    fn deadline(&self) -> Deadline {
        Deadline(Instant::now() + Duration::from_secs(self.timeout))
    }

    /// It was tried and failed.
    fn failed(&self, error: &dyn Display) -> Failed {
        Failed { message: error.to_string(), code: 1, json: self.json }
    }

    /// It cannot be as asked for.
    fn refused(&self, error: &dyn Display) -> Failed {
        Failed { message: error.to_string(), code: REFUSED, json: self.json }
    }
}

/// When to give up.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    /// What is left, a little at least.
    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now()).max(Duration::from_millis(100))
    }
}

fn put_json(value: &impl Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(json) => put(&(json + "\n")),
        Err(error) => {
            say(&format!("outboard: {error}"));
            ExitCode::FAILURE
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  outboard ext new my-raid --sdk ~/outboard
  outboard ext test ./ram-disk --timeout 120
  outboard ext activate ./ram-disk
  outboard ext list --verbose
  outboard ext replace ./ram-disk                 the next version, under load
  outboard ext replace ./ram-disk --same-version  while developing
  outboard ext deactivate com.example.ram-disk
  outboard ext report                             drivers that died
  outboard ext report latest
  outboard ext trace --tasks 1000 --perfetto trace.json
  outboard serve --extension com.example.ram-disk --disk mem:1Gi

Exit codes: 0 done; 1 failed, and what ran goes on; 2 cannot be as asked for.";
