//! The steps of `test` and `ci`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::step::{Outcome, Steps};
use crate::tools::{self, cargo, has_cargo, run};
use crate::{conformance, instructions, licences, sim};

/// Workspaces of their own, apart from the one that needs the nightly compiler.
const VERIFY: [&str; 2] = ["verify/loom", "verify/instructions"];

/// A step by name.
type Named = (&'static str, fn() -> Result<Outcome>);

/// The steps of `ci` besides the tests, in their order.
const CHECKS: [Named; 8] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("loom", loom),
    ("instructions", || instructions::run(false)),
    ("licences", licences::run),
    ("sim", sim::short),
    ("bench", bench_smoke),
    ("conformance", || conformance::run(&conformance::Options::whole())),
];

/// The tests of every package, the scenarios in `tests/` and the replay of the fuzz corpora among
/// them, and the doc tests.
pub(crate) fn test(steps: &mut Steps, runner: &[String]) {
    if has_cargo("nextest") {
        steps.run("tests", || {
            let arguments = ["nextest", "run", "--workspace", "--no-fail-fast"];
            run(cargo(arguments.map(str::to_owned).iter().chain(runner)))
        });
        // A filter is meant for the tests it names.
        if runner.is_empty() {
            steps.run("doc tests", || run(cargo(["test", "--quiet", "--workspace", "--doc"])));
        }
    } else {
        steps.run("tests", || {
            run(cargo(["test", "--workspace"].map(str::to_owned).iter().chain(runner)))
        });
    }
}

/// Everything that must hold before a change goes in, without the steps in `skip`.
pub(crate) fn ci(steps: &mut Steps, skip: &[String]) -> Result<()> {
    let names: Vec<_> = CHECKS.iter().map(|(name, _)| *name).chain(["test"]).collect();
    if let Some(unknown) = skip.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("--skip {unknown}: the steps are {}", names.join(", "));
    }
    let wanted = |name: &str| !skip.iter().any(|skipped| skipped == name);
    if wanted("test") {
        test(steps, &[]);
    }
    for (name, step) in CHECKS {
        if wanted(name) {
            steps.run(name, step);
        }
    }
    Ok(())
}

/// Model checks.
pub(crate) fn loom() -> Result<Outcome> {
    let mut command = cargo(["test", "--manifest-path", "verify/loom/Cargo.toml"]);
    command.arg("--target-dir").arg(tools::verify_target());
    run(command)
}

/// Builds `outboard` and runs its System test; the exit code is its own.
pub(crate) fn bench(arguments: &[String]) -> Result<ExitCode> {
    let mut command = cargo(["run", "--release", "--package", "outboard", "--", "bench"]);
    let status = command.args(arguments).status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn fmt() -> Result<Outcome> {
    if !has_cargo("fmt") {
        return Ok(Outcome::Skipped("rustfmt is missing; rustup component add rustfmt".into()));
    }
    let mut outcomes = vec![run(cargo(["fmt", "--all", "--check"]))?];
    for folder in VERIFY.iter().chain(&["verify/fuzz"]) {
        let manifest = format!("{folder}/Cargo.toml");
        outcomes.push(run(cargo(["fmt", "--manifest-path", &manifest, "--check"]))?);
    }
    Ok(worst(outcomes))
}

fn clippy() -> Result<Outcome> {
    if !has_cargo("clippy") {
        return Ok(Outcome::Skipped("clippy is missing; rustup component add clippy".into()));
    }
    let mut outcomes =
        vec![run(cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?];
    for folder in VERIFY {
        let manifest = format!("{folder}/Cargo.toml");
        let mut command = cargo(["clippy", "--all-targets", "--manifest-path", &manifest]);
        command.arg("--target-dir").arg(tools::verify_target()).args(["--", "-D", "warnings"]);
        outcomes.push(run(command)?);
    }
    Ok(worst(outcomes))
}

/// The System test on memory, every path once, starts and ends well; its figures are not judged.
fn bench_smoke() -> Result<Outcome> {
    let mut command = cargo(["run", "--quiet", "--release", "--package", "outboard", "--"]);
    command.args(["bench", "--rounds", "1", "--queue-depth", "8", "--verify"]);
    command.args(["--disk", "mem:256Mi", "--disk", "mem:256Mi"]);
    run(command)
}

fn worst(outcomes: Vec<Outcome>) -> Outcome {
    outcomes.into_iter().find(|outcome| *outcome != Outcome::Ok).unwrap_or(Outcome::Ok)
}
