//! `outboard-lint`: the linter by itself, without the rest of Outboard.

use std::process::ExitCode;

use clap::Parser;
use outboard_lint::cli::{self, LintArgs};

#[derive(Parser)]
#[command(name = "outboard-lint", version, about)]
struct Cli {
    #[command(flatten)]
    args: LintArgs,
}

fn main() -> ExitCode {
    cli::run(&Cli::parse().args)
}
