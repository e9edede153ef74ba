//! `cargo xtask kills`: drivers and servers that are killed or stopped under load, and hostile drivers.
//!
//! They are the scenarios of `outboard/tests/kills.rs`, `iscsi_kernel_kills.rs` and `hostile.rs`, which
//! run in short with all other tests; here one of them with a release build, for as long as one wants,
//! and its figures held against their bounds.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::step::Outcome;
use crate::tools::{cargo, run, target};

/// Bounds of the pause that an initiator sees when a driver is killed, ms.
const P50_MAX_MS: f64 = 100.0;
const P99_MAX_MS: f64 = 250.0;
/// The same when it is stopped: Linux gives up at 30 s.
const STOPPED_MAX_MS: f64 = 25_000.0;
/// The row of the table that the bounds are for.
const PAUSE: &str = "signal to completed (initiator)";
/// Rounds of the comparison beside a hostile driver.
const ROUNDS: &str = "5";

/// One attack for long, then the speed beside each.
const HOSTILE: [&str; 2] = ["scribbles_over_the_whole_region", "the_sound_lun_keeps_its_speed"];

/// What, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds of the load
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Who is killed, or is hostile
    #[arg(long, value_enum, default_value = "driver")]
    of: Of,
    /// How: killed at once, or stopped, so that it must be found to hang (drivers)
    #[arg(long, value_enum, default_value = "kill")]
    signal: Signal,
    /// Under it: two files, striped, O_DIRECT, or memory (drivers)
    #[arg(long, value_enum, default_value = "file")]
    disk: Disk,
    /// Seed of the loads and of a hostile driver
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Of {
    /// The driver, 200 ms after the first task that each incarnation completes
    Driver,
    /// The server with its drivers; initiators come back
    Server,
    /// The driver under a file system of Linux, in User-Mode Linux
    Guest,
    /// Nobody: a driver attacks its host beside a sound one
    Hostile,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Signal {
    Kill,
    Stop,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Disk {
    File,
    Mem,
}

impl Options {
    /// The test program, and the scenarios in it.
    fn scenarios(&self) -> (&'static str, &'static [&'static str]) {
        match (self.of, self.signal, self.disk) {
            (Of::Driver, Signal::Kill, Disk::File) => ("kills", &["killed_over_files"]),
            (Of::Driver, Signal::Kill, Disk::Mem) => ("kills", &["killed_over_memory"]),
            (Of::Driver, Signal::Stop, Disk::File) => ("kills", &["stopped_over_files"]),
            (Of::Driver, Signal::Stop, Disk::Mem) => ("kills", &["stopped_over_memory"]),
            (Of::Server, ..) => ("kills", &["servers_killed_over_files"]),
            (Of::Guest, ..) => ("iscsi_kernel_kills", &["a_file_system_outlives_its_drivers"]),
            (Of::Hostile, ..) => ("hostile", &HOSTILE),
        }
    }
}

/// Runs it.
pub(crate) fn kills(options: &Options) -> Result<Outcome> {
    let (program, scenarios) = options.scenarios();
    let figures = target().join("kills.json");
    for scenario in scenarios {
        // What an earlier run has left is not of this one.
        let _ = fs::remove_file(&figures);
        let mut command = cargo(["test", "--quiet", "--release", "--package", "outboard"]);
        command.args(["--test", program, "--", "--exact", "--nocapture", scenario]);
        command.env("OUTBOARD_KILLS_SECONDS", options.seconds.to_string());
        command.env("OUTBOARD_KILLS_SEED", options.seed.to_string());
        command.env("OUTBOARD_KILLS_ROUNDS", ROUNDS);
        command.env("OUTBOARD_KILLS_JSON", &figures);
        if let Outcome::Failed(why) = run(command)? {
            return Ok(Outcome::Failed(why));
        }
    }
    if !figures.exists() {
        return Ok(Outcome::Skipped("the scenario was skipped: see above".to_owned()));
    }
    let figures = read(&figures)?;
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_string_pretty(&figures)? + "\n")
            .with_context(|| path.display().to_string())?;
    }
    Ok(match options.of {
        Of::Driver => judge(&figures, options.signal),
        _ => Outcome::Ok,
    })
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Holds the pauses against their bounds.
fn judge(figures: &Value, signal: Signal) -> Outcome {
    let rows = figures["parts"].as_array();
    let Some(pause) = rows.and_then(|rows| rows.iter().find(|row| row["part"] == PAUSE)) else {
        return Outcome::Failed(format!("no row {PAUSE:?}"));
    };
    let bounds: &[_] = match signal {
        Signal::Kill => &[("p50_ms", P50_MAX_MS), ("p99_ms", P99_MAX_MS)],
        Signal::Stop => &[("max_ms", STOPPED_MAX_MS)],
    };
    let beyond: Vec<_> = bounds
        .iter()
        .filter(|(name, most)| pause[*name].as_f64().is_none_or(|is| is >= *most))
        .map(|(name, most)| format!("{PAUSE}: {name} is {}, not below {most}", pause[*name]))
        .collect();
    match beyond.is_empty() {
        true => Outcome::Ok,
        false => Outcome::Failed(beyond.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pause_beyond_its_bounds_fails() {
        let figures = |p50: f64, p99: f64| json!({ "parts": [{ "part": PAUSE, "p50_ms": p50, "p99_ms": p99, "max_ms": p99 }] });
        assert_eq!(judge(&figures(50.0, 90.0), Signal::Kill), Outcome::Ok);
        assert_ne!(judge(&figures(50.0, 251.0), Signal::Kill), Outcome::Ok);
        assert_ne!(judge(&figures(100.0, 120.0), Signal::Kill), Outcome::Ok);
        assert_eq!(judge(&figures(10_000.0, 24_000.0), Signal::Stop), Outcome::Ok);
        assert_ne!(judge(&figures(10_000.0, 26_000.0), Signal::Stop), Outcome::Ok);
        assert_ne!(judge(&json!({}), Signal::Kill), Outcome::Ok);
    }
}
