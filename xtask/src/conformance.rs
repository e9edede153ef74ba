//! `cargo xtask conformance`: libiscsi's 230 tests against `outboard serve`.
//!
//! Every configuration has a server of its own; they run side by side, as most of the time goes
//! into waiting. What may be skipped or fail stands in `xtask/conformance.toml`.

mod expected;
mod output;
mod report;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::packages::{self, ISCSI_TEST_CU, TGTADM, TGTD};
use crate::step::Outcome;
use crate::target::{self, Launch, Peer, Target, Unit};
use crate::tools::{root, target as target_folder};
use expected::Expected;
use output::{Run, Verdict};

/// All tests, for `iscsi-test-cu --test`.
const ALL: &str = "ALL";

/// Longer than any run: one of all tests takes two minutes where a test sleeps for one.
const RUN_MAX: Duration = Duration::from_secs(300);

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these configurations
    #[arg(long = "config", value_name = "NAME")]
    configurations: Vec<String>,
    /// Only these tests, as `iscsi-test-cu --test` takes them: FAMILY[.SUITE[.TEST]]
    #[arg(long, default_value = ALL, value_name = "PATTERN")]
    test: String,
    /// Keeps the disks; the logs are always kept
    #[arg(long)]
    keep: bool,
    /// Writes every result to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Does not build first
    #[arg(long, hide = true)]
    no_build: bool,
    /// One configuration after the other
    #[arg(long)]
    serial: bool,
    /// Whose target; only ours is judged
    #[arg(long, value_enum, default_value = "outboard", hide = true)]
    against: Peer,
}

impl Options {
    /// All tests in all configurations.
    pub(crate) fn whole() -> Self {
        Self {
            configurations: Vec::new(),
            test: ALL.to_owned(),
            keep: false,
            json: None,
            no_build: false,
            serial: false,
            against: Peer::Outboard,
        }
    }
}

/// Simulated flash that is overwritten in five seconds: a test looks three and four seconds after the
/// begin of a SANITIZE whether it still goes on.
const SLOW: &str =
    "sim:ssd?size=256Mi&write-rate=50MB&read-latency=1us&write-latency=1us&physical=512";

/// A way in which the logical unit is exported.
#[derive(Clone, Copy, Debug)]
struct Configuration {
    name: &'static str,
    unit: Unit,
    /// Times that the URL is given.
    paths: usize,
}

/// The configurations.
fn configurations() -> [Configuration; 7] {
    let of = |name, unit| Configuration { name, unit, paths: 1 };
    let unit = Unit::default();
    [
        // One unit that can most: a test that asks for something it lacks is skipped.
        of("base", Unit { removable: true, disk: Some(SLOW), ..unit }),
        // The same with a key that can be erased.
        of("encrypted", Unit { removable: true, disk: Some(SLOW), encrypted: true, ..unit }),
        of("thin", unit),
        of("read-only", Unit { read_only: true, memory: true, ..unit }),
        of("removable", Unit { removable: true, thin: false, ..unit }),
        of("4096", Unit { block_size: 4096, ..unit }),
        Configuration { paths: 2, ..of("multipath", unit) },
    ]
}

/// Runs the tests and judges them.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let mut needed = vec![ISCSI_TEST_CU];
    if options.against == Peer::Tgt {
        needed.extend([TGTD, TGTADM]);
    }
    if let Some(skipped) = packages::missing(&needed) {
        return Ok(skipped);
    }
    let all = configurations();
    let names = all.map(|configuration| configuration.name);
    let path = root().join("xtask/conformance.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let expected = Expected::parse(&text, &names)?;
    let chosen = choose(&all, &options.configurations)?;
    if options.against == Peer::Outboard && !options.no_build {
        let built = target::build()?;
        if built != Outcome::Ok {
            return Ok(built);
        }
    }
    let begun = Instant::now();
    let folder = target_folder().join("conformance");
    let runs = run_all(&chosen, options, &folder)?;
    println!("    {:.0} s; logs in {}", begun.elapsed().as_secs_f64(), folder.display());
    print!("{}", report::table(&runs));
    if let Some(path) = &options.json {
        fs::write(path, report::json(options.against.name(), &runs)?)
            .with_context(|| path.display().to_string())?;
    }
    if options.against != Peer::Outboard {
        return Ok(Outcome::Skipped("not judged: it is not ours".into()));
    }
    Ok(judge(&expected, &runs, options.test == ALL, chosen.len() == all.len()))
}

fn choose(all: &[Configuration], named: &[String]) -> Result<Vec<Configuration>> {
    if named.is_empty() {
        return Ok(all.to_vec());
    }
    let find = |name: &String| {
        let names: Vec<_> = all.iter().map(|configuration| configuration.name).collect();
        all.iter()
            .find(|configuration| configuration.name == name)
            .copied()
            .with_context(|| format!("--config {name}: there are {}", names.join(", ")))
    };
    named.iter().map(find).collect()
}

fn run_all(
    chosen: &[Configuration],
    options: &Options,
    folder: &Path,
) -> Result<Vec<(&'static str, Run)>> {
    let one = |configuration: &Configuration| {
        let run = run_one(configuration, options, &folder.join(configuration.name));
        run.map(|run| (configuration.name, run)).context(configuration.name)
    };
    if options.serial {
        return chosen.iter().map(one).collect();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = chosen.iter().map(|c| scope.spawn(|| one(c))).collect();
        let ended = threads.into_iter().map(|thread| match thread.join() {
            Ok(run) => run,
            Err(_) => bail!("a run panicked"),
        });
        ended.collect()
    })
}

/// Starts a server, runs the tests, ends the server.
fn run_one(configuration: &Configuration, options: &Options, folder: &Path) -> Result<Run> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut target =
        Target::start(options.against, &configuration.unit, folder, &Launch::default())?;
    let log = folder.join("tests.txt");
    let file = File::create(&log).with_context(|| log.display().to_string())?;
    let mut command = Command::new(ISCSI_TEST_CU.0);
    command.args(["--dataloss", "--allow-sanitize", "-V"]).arg(format!("--test={}", options.test));
    command.args(std::iter::repeat_n(&target.url, configuration.paths));
    let mut child = command.stdout(file.try_clone()?).stderr(file).spawn()?;
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > RUN_MAX {
            println!("    {}: ended after {} s", configuration.name, RUN_MAX.as_secs());
            child.kill()?;
            child.wait()?;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut run = Run::parse(&String::from_utf8_lossy(&fs::read(&log)?));
    if !target.is_alive() {
        // A dead server fails the run whatever was said before.
        run.totals = None;
        println!("    {}: the server has ended; {}", configuration.name, target.log.display());
    }
    drop(target);
    if !options.keep {
        let _ = fs::remove_file(folder.join("disk.img"));
    }
    Ok(run)
}

/// What a terminal shows of a complaint; the whole is in the log and in the JSON.
fn shortened(line: &str) -> String {
    const SHOWN_MAX: usize = 300;
    match line.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line.to_owned(),
    }
}

fn judge(expected: &Expected, runs: &[(&str, Run)], whole: bool, all: bool) -> Outcome {
    let mut wrong = Vec::new();
    for (name, run) in runs {
        wrong.extend(expected.judge(name, run, whole).into_iter().map(|w| format!("{name}: {w}")));
    }
    if whole && all {
        wrong.extend(expected.judge_all(runs.iter().map(|(_, run)| run)));
    }
    for line in &wrong {
        println!("    {}", shortened(line));
    }
    match wrong.len() {
        0 => Outcome::Ok,
        count => {
            let failed: usize = runs.iter().map(|(_, run)| run.count(Verdict::Failed)).sum();
            Outcome::Failed(format!("{count} complaints, {failed} tests failed"))
        }
    }
}
