//! The command `outboard lint`.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::check;
use crate::config::{Config, Level};
use crate::report::{Outcome, github, json, sarif, text};
use crate::rules::{self, Severity};
use crate::{docs, fix, methods};

/// Check DriverKit storage-controller sources: queues, targets, tasks, completions, limits.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 nothing found, 1 findings, 2 wrong usage or unreadable input."
)]
pub struct LintArgs {
    /// Files and directories with .iig, .cpp, .h, Info.plist and .entitlements
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Apply the mends that are safe, then check again
    #[arg(long)]
    fix: bool,

    /// Explain a rule and stop
    #[arg(long, value_name = "ID")]
    explain: Option<String>,

    /// List all rules and stop
    #[arg(long)]
    list_rules: bool,

    /// Report which methods of a kext map to which methods of a dext
    #[arg(long)]
    methods: bool,

    /// Lowest severity that makes the exit status 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = FailOn::Warning)]
    fail_on: FailOn,

    /// Do not report a rule; may be given more than once
    #[arg(long, value_name = "ID")]
    allow: Vec<String>,

    /// Configuration file [default: outboard-lint.toml beside the sources or here]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// When to use colour
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,

    /// Write the pages of all rules to a directory and stop
    #[arg(long, value_name = "DIR", hide = true)]
    write_docs: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Advice,
    Warning,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

const FOUND: u8 = 1;
const UNUSABLE: u8 = 2;

/// Runs the command and prints to standard output; messages about the run itself go to standard error.
pub fn run(args: &LintArgs) -> ExitCode {
    match run_inner(args) {
        Ok(code) => code,
        Err(message) => {
            let _ = writeln!(io::stderr(), "error: {message}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn run_inner(args: &LintArgs) -> Result<ExitCode, String> {
    if let Some(dir) = &args.write_docs {
        return write_docs(dir);
    }
    if args.list_rules {
        print(&docs::list());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(id) = &args.explain {
        let rule =
            rules::find(id).ok_or_else(|| format!("no rule `{id}`; --list-rules shows all"))?;
        print(&docs::page(rule));
        return Ok(ExitCode::SUCCESS);
    }
    if args.paths.is_empty() {
        return Err("no paths given; name the files or directories to check".to_owned());
    }
    let mut config =
        Config::find(args.config.as_deref(), &args.paths).map_err(|e| e.to_string())?;
    for id in &args.allow {
        let rule =
            rules::find(id).ok_or_else(|| format!("no rule `{id}`; --list-rules shows all"))?;
        config.rules.insert(rule.id.to_owned(), Level::Off);
    }
    if args.methods {
        return Ok(report_methods(args, &config));
    }
    let mut outcome = check::check_paths(&args.paths, &config);
    if args.fix {
        outcome = fix_and_check_again(args, &config, outcome)?;
    }
    show(args, &outcome);
    Ok(exit_code(args, &outcome))
}

/// Fixes until nothing more can be fixed; a fix may uncover another.
fn fix_and_check_again(
    args: &LintArgs,
    config: &Config,
    mut outcome: Outcome,
) -> Result<Outcome, String> {
    for _ in 0..4 {
        let changed = fix::apply(&outcome.sources, &outcome.findings);
        if changed.is_empty() {
            break;
        }
        fix::write(&outcome.sources, &changed)
            .map_err(|(path, error)| format!("{path}: {error}"))?;
        for (id, (_, count)) in &changed {
            let path = &outcome.sources.file(*id).path;
            let _ = writeln!(io::stderr(), "fixed {count} in {path}");
        }
        outcome = check::check_paths(&args.paths, config);
    }
    Ok(outcome)
}

fn show(args: &LintArgs, outcome: &Outcome) {
    let mut err = io::stderr();
    match args.format {
        Format::Text => {
            let color = match args.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            };
            print(&text::render(outcome, color));
            print(&format!("{}\n", outcome.summary()));
        }
        Format::Json => print(&format!("{:#}\n", json::render(outcome))),
        Format::Sarif => print(&format!("{:#}\n", sarif::render(outcome))),
        Format::Github => print(&github::render(outcome)),
    }
    for skipped in outcome.skipped.iter().take(50) {
        let _ = writeln!(err, "note: {skipped}");
    }
    if outcome.skipped.len() > 50 {
        let _ = writeln!(err, "note: ... and {} more places not read", outcome.skipped.len() - 50);
    }
    for unreadable in &outcome.unreadable {
        let _ = writeln!(err, "error: {unreadable}");
    }
    if outcome.controllers.is_empty() && outcome.unreadable.is_empty() {
        let _ = writeln!(
            err,
            "note: no class derives from IOUserSCSIParallelInterfaceController; only property lists were checked"
        );
    }
}

fn exit_code(args: &LintArgs, outcome: &Outcome) -> ExitCode {
    let limit = match args.fail_on {
        FailOn::Advice => Severity::Advice,
        FailOn::Warning => Severity::Warning,
        FailOn::Error => Severity::Error,
    };
    if !outcome.unreadable.is_empty() {
        ExitCode::from(UNUSABLE)
    } else if outcome.findings.iter().any(|f| f.severity >= limit) {
        ExitCode::from(FOUND)
    } else {
        ExitCode::SUCCESS
    }
}

fn report_methods(args: &LintArgs, config: &Config) -> ExitCode {
    let report = methods::report_paths(&args.paths, config);
    match args.format {
        Format::Json => print(&format!("{:#}\n", report.json())),
        _ => print(&report.text()),
    }
    for unreadable in &report.unreadable {
        let _ = writeln!(io::stderr(), "error: {unreadable}");
    }
    if !report.unreadable.is_empty() || report.classes.is_empty() {
        if report.classes.is_empty() {
            let _ = writeln!(
                io::stderr(),
                "error: no class derives from IOSCSIParallelInterfaceController"
            );
        }
        return ExitCode::from(UNUSABLE);
    }
    ExitCode::SUCCESS
}

fn write_docs(dir: &Path) -> Result<ExitCode, String> {
    let failed = |e: io::Error| format!("{}: {e}", dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    for (name, text) in docs::pages() {
        fs::write(dir.join(name), text).map_err(failed)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints; a reader that has gone away is no error.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
