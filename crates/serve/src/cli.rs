//! The command line: `outboard serve`, `outboard status`, `outboard config check`.
//!
//! Exit codes: 0 all went well, 1 it failed, 2 it cannot be as asked for.

mod check;
mod client;
mod ext;
mod serve;
mod show;
mod tables;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};

pub use client::ClientError;
pub use ext::{ExtArgs, ext};
pub use serve::{Start, serve};
pub use show::status;

use crate::config::Flags;

/// Serves arrays to iSCSI initiators.
///
/// What is served comes from a file, or for a one-off from flags. Once every portal accepts, a line
/// for each LUN is written to standard output: `ready: iscsi://ADDRESS/TARGET/LUN`. The log goes to
/// standard error. SIGHUP reads the file again; SIGTERM and SIGINT drain and end, a second one ends
/// at once.
#[derive(Args, Clone, Debug)]
#[command(
    arg_required_else_help = true,
    after_long_help = SERVE_EXAMPLES,
    override_usage = "outboard serve --config <FILE> [OPTIONS]\n       \
                      outboard serve --array <ARRAY>... [OPTIONS]\n       \
                      outboard serve --extension <ID|FOLDER> [--disk <DISK>]... [OPTIONS]",
    group = ArgGroup::new("what").required(true).multiple(false).args(["config", "array", "extension"]),
)]
pub struct ServeArgs {
    /// Configuration file; docs/config.md describes it
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "iscsi", "target", "chap_user", "chap_secret_file", "mutual_user",
            "mutual_secret_file", "initiator", "read_only", "removable", "block_size", "thin",
            "spin", "cpus", "state_dir", "driver", "driver_argument", "sandbox", "disk", "option",
        ],
    )]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// Shows what a running server does.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = STATUS_EXAMPLES)]
pub struct StatusArgs {
    /// The server's control socket [default: /run/outboard/api.sock, or that of this user]
    #[arg(long, value_name = "SOCKET")]
    socket: Option<PathBuf>,
    /// Write it as JSON
    #[arg(long)]
    json: bool,
}

/// Works with configuration files.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum ConfigCommand {
    /// Say what is wrong with a file, without a server
    Check {
        /// The file
        file: PathBuf,
    },
}

/// `outboard config …`.
pub fn config(args: &ConfigArgs) -> ExitCode {
    let ConfigCommand::Check { file } = &args.command;
    check::run(file)
}

/// Writes to standard output; a reader that went away is no error.
fn put(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(&format!("outboard: standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes a line to standard error.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

const REFUSED: u8 = 2;

const SERVE_EXAMPLES: &str = "\
Examples:
  outboard serve --config /etc/outboard/serve.toml
  outboard serve --array 0:a.img,b.img                  two files, striped, on 127.0.0.1:3260
  outboard serve --array disk:/dev/sdb --iscsi 192.0.2.1:3260 \\
                 --chap-user ann --chap-secret-file /etc/outboard/ann
  outboard serve --array fast=disk:mem:4Gi --array 0/64Ki:/dev/sdb,/dev/sdc --spin
  outboard serve --array md:/dev/sdb,/dev/sdc --read-only
  outboard serve --extension com.example.ram-disk --disk mem:1Gi

Exit codes: 0 stopped as asked; 1 failed; 2 cannot be as asked for.";

const STATUS_EXAMPLES: &str = "\
Examples:
  outboard status
  outboard status --json | jq '.targets[].luns[] | {array, counters}'
  curl --unix-socket /run/outboard/api.sock http://localhost/metrics

Exit codes: 0 shown; 1 no server answers.";

#[cfg(test)]
mod tests;
