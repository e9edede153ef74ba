//! The `outboard` command.

use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use outboard_bench::cli::{self, BenchArgs};
use outboard_lint::cli::LintArgs;
use outboard_md::cli::ArrayArgs;
use outboard_sandbox::RingMaker;
use outboard_serve::cli::{ConfigArgs, ExtArgs, ServeArgs, StatusArgs};

/// Storage-controller drivers outside the kernel, as fast as inside it.
///
/// A driver is an ordinary process. Outboard plays the operating system's SCSI stack: it owns
/// initiators, tasks, timers and memory, and hands tasks to the driver in bundles through shared
/// memory that is mapped once. `outboard bench` shows what that costs.
#[derive(Debug, Parser)]
#[command(name = "outboard", version, arg_required_else_help = true)]
struct Outboard {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure what the boundary around a driver costs
    Bench(Box<BenchArgs>),
    /// Serve arrays to iSCSI initiators
    Serve(Box<ServeArgs>),
    /// Show what a running server does
    Status(StatusArgs),
    /// Work with configuration files of servers
    Config(ConfigArgs),
    /// Activate, replace and list extensions: drivers in packages
    Ext(Box<ExtArgs>),
    /// Make and examine arrays that mdadm and Linux understand
    Array(ArrayArgs),
    /// Check DriverKit sources for the mistakes that panic, hang or lose I/O
    Lint(Box<LintArgs>),
    /// Write a completion script for a shell to standard output
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Start a driver in its sandbox; the host starts this
    #[command(hide = true)]
    Launcher,
    /// Be a driver; the host starts this
    #[command(hide = true, subcommand)]
    Driver(Driver),
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Driver {
    /// The built-in driver: arrays over disks
    Array,
}

fn main() -> ExitCode {
    match Outboard::parse().command {
        Command::Bench(args) => cli::run(&args),
        Command::Serve(args) => outboard_serve::cli::serve(&args, outboard_serve::run::run),
        Command::Status(args) => outboard_serve::cli::status(&args),
        Command::Config(args) => outboard_serve::cli::config(&args),
        Command::Ext(args) => outboard_serve::cli::ext(&args),
        Command::Array(args) => outboard_md::cli::run(&args),
        Command::Lint(args) => outboard_lint::cli::run(&args),
        Command::Completions { shell } => completions(shell),
        Command::Launcher => outboard_sandbox::launcher_main(&Rings),
        Command::Driver(Driver::Array) => outboard_array::main(),
    }
}

/// The io_urings that a driver finds ready, on its disks alone.
struct Rings;

impl RingMaker for Rings {
    fn make(&self, entries: u32, disks: &[BorrowedFd<'_>]) -> Result<(OwnedFd, String), String> {
        outboard_disk::launch::make(entries, disks).map_err(|error| error.to_string())
    }
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Outboard::command(), "outboard", &mut script);
    match io::stdout().write_all(&script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "outboard: standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Outboard::command().debug_assert();
    }

    #[test]
    fn the_host_can_start_the_driver() {
        let command = Outboard::try_parse_from(["outboard", "driver", "array"]).unwrap().command;
        assert!(matches!(command, Command::Driver(Driver::Array)));
    }
}
