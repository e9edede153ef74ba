//! The programs that steps run, and where things stand.

use std::ffi::OsStr;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::last_words::LastWords;
use crate::step::Outcome;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    // xtask stands in the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The folder for whatever is built.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Where the workspaces under `verify/` are built.
pub(crate) fn verify_target() -> PathBuf {
    target().join("verify")
}

/// A cargo command in the root.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    command("cargo", arguments)
}

/// A command in the root.
pub(crate) fn command<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end, its output where ours goes. Where nobody watches a terminal, the last
/// that a failed command wrote is part of the outcome too: a summary is all that some readers get.
pub(crate) fn run(mut command: Command) -> Result<Outcome> {
    let text = shown(&command);
    println!("    {text}");
    let (status, words) = if stderr().is_terminal() {
        (command.status().with_context(|| text.clone())?, LastWords::default())
    } else {
        let mut child = command.stderr(Stdio::piped()).spawn().with_context(|| text.clone())?;
        let words = child.stderr.take().map(LastWords::of).unwrap_or_default();
        (child.wait()?, words)
    };
    if status.success() {
        return Ok(Outcome::Ok);
    }
    Ok(Outcome::Failed(format!("`{text}`: {status}{}", words.indented())))
}

/// Runs a command to its end; what it writes is shown only if it fails.
pub(crate) fn run_quietly(mut command: Command) -> Result<Outcome> {
    let text = shown(&command);
    let output = command.stdin(Stdio::null()).output().with_context(|| text.clone())?;
    if output.status.success() {
        return Ok(Outcome::Ok);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Ok(Outcome::Failed(format!("`{text}`: {}: {}", output.status, words.trim())))
}

/// Runs a command and returns what it writes to its standard output.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let text = shown(&command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| text.clone())?;
    if !output.status.success() {
        bail!("`{text}`: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is there: it can tell its version.
pub(crate) fn is_there(mut command: Command) -> bool {
    let status = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Whether a cargo subcommand is installed.
pub(crate) fn has_cargo(subcommand: &str) -> bool {
    is_there(cargo([subcommand]))
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
