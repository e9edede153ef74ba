//! `cargo xtask versus`: `outboard serve` and tgt beside each other, under the same client.
//!
//! In every round both are measured in turn, within seconds of each other, and medians are
//! compared: figures of a shared machine move by a third, ratios within a run much less. All
//! processes of a target stay on processor 0, the client on processor 1; what is exported is
//! memory.

mod connections;
mod perf;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::packages::{self, ISCSI_PERF, TASKSET, TGTADM, TGTD};
use crate::step::Outcome;
use crate::target::{self, Launch, Peer, Target, Unit};
use crate::tools::target as target_folder;
use crate::usage::Meter;
use perf::{Load, Sample, measure};

/// Where the target runs, and where the client does.
const TARGET_CPU: u32 = 0;
const CLIENT_CPU: u32 = 1;

/// How long both are watched while nothing is asked of them.
const IDLE: Duration = Duration::from_secs(10);
const IDLE_PERCENT_MAX: f64 = 1.0;

/// A client that uses more of its processor than this cannot show what the target can.
const CLIENT_FULL_PERCENT: f64 = 93.0;

/// What is compared.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Versus {
    /// `outboard serve` against tgt: random and sequential reads, depth 1, idle
    Tgt(Options),
    /// One connection against two, to one target and to two
    Connections(Options),
}

/// How.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Rounds, of which medians are taken
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Writes the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Further arguments of `outboard serve`
    #[arg(long = "serve", value_name = "ARGUMENT", allow_hyphen_values = true)]
    serve: Vec<String>,
    /// Does not build first
    #[arg(long, hide = true)]
    no_build: bool,
    /// Whose target plays ours, to try the comparison itself
    #[arg(long, value_enum, default_value = "outboard", hide = true)]
    ours: Peer,
}

/// A row of the comparison.
struct Row {
    name: &'static str,
    load: Load,
    /// Ours may spin while work is outstanding.
    spin: bool,
    /// Times tgt's figure that ours must reach.
    floor: f64,
}

const ROWS: [Row; 4] = [
    Row { name: "4 KiB random, depth 32", load: Load::random(4, 32), spin: false, floor: 4.0 },
    Row {
        name: "256 KiB sequential, depth 8",
        load: Load::sequential(256, 8),
        spin: false,
        floor: 3.0,
    },
    Row { name: "4 KiB random, depth 1", load: Load::random(4, 1), spin: false, floor: 1.3 },
    Row { name: "4 KiB random, depth 1, spin", load: Load::random(4, 1), spin: true, floor: 2.0 },
];

/// Runs a comparison.
pub(crate) fn run(versus: &Versus) -> Result<Outcome> {
    let (Versus::Tgt(options) | Versus::Connections(options)) = versus;
    if let Some(skipped) = packages::missing(&[ISCSI_PERF, TGTD, TGTADM, TASKSET]) {
        return Ok(skipped);
    }
    if std::thread::available_parallelism()?.get() < 2 {
        return Ok(Outcome::Skipped("target and client need a processor each".into()));
    }
    if options.rounds == 0 || options.seconds == 0 {
        bail!("--rounds and --seconds are at least 1");
    }
    if options.ours == Peer::Outboard && !options.no_build {
        let built = target::build()?;
        if built != Outcome::Ok {
            return Ok(built);
        }
    }
    let (json, outcome) = match versus {
        Versus::Tgt(_) => tgt(options)?,
        Versus::Connections(_) => connections::run(options)?,
    };
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_string_pretty(&json)? + "\n")
            .with_context(|| path.display().to_string())?;
    }
    Ok(outcome)
}

/// The targets of a comparison.
struct Pair {
    ours: Target,
    /// The same that spins.
    spinning: Option<Target>,
    theirs: Target,
}

impl Pair {
    fn start(options: &Options, folder: &Path) -> Result<Self> {
        let unit = Unit { memory: true, ..Unit::default() };
        let start = |peer: Peer, name: &str, more: &[&str]| {
            let arguments = options.serve.iter().cloned();
            let arguments = arguments.chain(more.iter().map(|a| (*a).to_owned())).collect();
            let folder = fresh(&folder.join(name))?;
            let launch = Launch { cpu: Some(TARGET_CPU), arguments };
            let target = Target::start(peer, &unit, &folder, &launch)?;
            perf::fill(&target.url, unit.bytes)?;
            Ok::<_, anyhow::Error>(target)
        };
        Ok(Self {
            ours: start(options.ours, "ours", &[])?,
            spinning: match options.ours {
                Peer::Outboard => Some(start(options.ours, "spinning", &["--spin"])?),
                Peer::Tgt => None,
            },
            theirs: start(Peer::Tgt, "tgt", &[])?,
        })
    }

    /// Ours, for a row.
    fn ours(&self, spin: bool) -> &Target {
        match &self.spinning {
            Some(spinning) if spin => spinning,
            _ => &self.ours,
        }
    }
}

fn tgt(options: &Options) -> Result<(Value, Outcome)> {
    let pair = Pair::start(options, &target_folder().join("versus"))?;
    println!(
        "    medians of {} rounds of {} s; target on processor {TARGET_CPU}, client on {CLIENT_CPU}",
        options.rounds, options.seconds
    );
    println!(
        "    {:<28}{:>9}{:>8}{:>8}{:>11}{:>8}{:>8}{:>8}{:>9}{:>7}",
        "", "ours", "CPU", "client", "tgt", "CPU", "client", "ratio", "per CPU", "floor"
    );
    let (mut rows, mut below) = (Vec::new(), Vec::new());
    for row in &ROWS {
        let (ours, theirs) = (pair.ours(row.spin), &pair.theirs);
        let mut samples = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds {
            for (samples, target) in samples.iter_mut().zip([theirs, ours]) {
                samples.push(measure(&[target], row.load, options.seconds, Some(CLIENT_CPU))?);
            }
        }
        let of = |index: usize, field: fn(&Sample) -> f64| {
            median(samples[index].iter().map(field).collect())
        };
        let [theirs, ours] = [0, 1].map(|index| of(index, |s| s.iops));
        let [their_cpu, our_cpu] = [0, 1].map(|index| of(index, |s| s.cpu_percent));
        let [their_client, our_client] = [0, 1].map(|index| of(index, |s| s.client_percent));
        let ratio = ours / theirs;
        let per_cpu = ratio * their_cpu / our_cpu;
        let held = ratio >= row.floor;
        let word = match held {
            true => "held",
            false if our_client > CLIENT_FULL_PERCENT => "not held: the client is the limit",
            false => "not held",
        };
        println!(
            "    {:<28}{ours:>9.0}{our_cpu:>6.0} %{our_client:>6.0} %{theirs:>11.0}\
             {their_cpu:>6.0} %{their_client:>6.0} %{ratio:>8.2}{per_cpu:>9.2}{:>7.1} {word}",
            row.name, row.floor
        );
        if !held {
            below.push(format!("{}: {ratio:.2} of tgt, floor {}, {word}", row.name, row.floor));
        }
        let rounds = |index: usize| samples[index].iter().map(|s| s.iops).collect::<Vec<_>>();
        rows.push(json!({
            "load": row.name, "spin": row.spin, "bytes": row.load.bytes(), "depth": row.load.depth,
            "ours_per_s": ours, "tgt_per_s": theirs, "ratio": ratio, "floor": row.floor,
            "ratio_per_cpu_second": per_cpu,
            "held": held, "ours_cpu_percent": our_cpu, "tgt_cpu_percent": their_cpu,
            "ours_client_cpu_percent": our_client, "tgt_client_cpu_percent": their_client,
            "ours_rounds": rounds(1), "tgt_rounds": rounds(0),
        }));
    }
    let idle = idle(&pair);
    for (name, percent) in &idle {
        println!("    {:<28}{percent:>9.3} % of a processor", format!("idle, {name}"));
        if *name != "tgt" && *percent >= IDLE_PERCENT_MAX {
            below.push(format!("idle, {name}: {percent:.2} % of a processor"));
        }
    }
    let idle: Vec<_> =
        idle.iter().map(|(name, p)| json!({ "target": name, "cpu_percent": p })).collect();
    let json = json!({
        "target": options.ours.name(), "rounds": options.rounds, "seconds": options.seconds,
        "rows": rows, "idle": idle,
    });
    let outcome = if below.is_empty() { Outcome::Ok } else { Outcome::Failed(below.join("; ")) };
    Ok((json, outcome))
}

/// All of them at rest, side by side.
fn idle(pair: &Pair) -> Vec<(&'static str, f64)> {
    let mut meters = vec![("ours", Meter::start(pair.ours.pid()))];
    meters.extend(pair.spinning.as_ref().map(|t| ("ours, spin", Meter::start(t.pid()))));
    meters.push(("tgt", Meter::start(pair.theirs.pid())));
    sleep(IDLE);
    meters.into_iter().map(|(name, meter)| (name, meter.percent())).collect()
}

/// The middle of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 100.0]) - 3.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0]) - 2.5).abs() < 1e-9);
        assert!(median(vec![]).is_nan());
    }
}
