//! The instruction gate: what one operation of each kernel costs, against a committed table.
//!
//! Instructions are counted under callgrind: the counts are the same on a busy machine and on a
//! quiet one, to the instruction.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::limits::Limits;
use crate::step::Outcome;
use crate::tools::{self, cargo, command, root};

/// Rounds of the two runs whose difference is taken.
const ROUNDS: [u32; 2] = [100, 1100];

struct Kernel {
    name: String,
    operation: String,
    operations: u32,
}

/// Counts and compares; with `bless` writes the table anew.
pub(crate) fn run(bless: bool) -> Result<Outcome> {
    if !tools::is_there(command("valgrind", [""; 0])) {
        return Ok(Outcome::Skipped("valgrind is missing; apt-get install valgrind".into()));
    }
    let program = build()?;
    let path = root().join("verify/instructions/limits.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut limits = Limits::parse(&text).with_context(|| path.display().to_string())?;
    let rustc = rustc_version()?;

    let mut counted = Vec::new();
    println!("    {:<18} {:>9} {:>9}  per", "kernel", "counted", "limit");
    for kernel in kernels(&program)? {
        let count = count(&program, &kernel)?;
        let limit = limits.limit(&kernel.name);
        let shown = limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:.1}"));
        println!("    {:<18} {count:>9.1} {shown:>9}  {}", kernel.name, kernel.operation);
        counted.push((kernel.name, count));
    }
    if bless {
        limits.bless(&rustc, counted);
        fs::write(&path, limits.to_string()).with_context(|| path.display().to_string())?;
        println!("    written to {}", path.display());
        return Ok(Outcome::Ok);
    }
    if limits.rustc() != rustc {
        return Ok(Outcome::Skipped(format!(
            "counted, not judged: the table is of rustc {}, this is {rustc}; `cargo xtask \
             instructions --bless` makes it this one's",
            limits.rustc()
        )));
    }
    let wrong = limits.judge(&counted);
    if wrong.is_empty() { Ok(Outcome::Ok) } else { Ok(Outcome::Failed(wrong.join("; "))) }
}

fn build() -> Result<String> {
    let folder = tools::verify_target();
    let manifest = "verify/instructions/Cargo.toml";
    let mut command = cargo(["build", "--quiet", "--release", "--manifest-path", manifest]);
    command.arg("--target-dir").arg(&folder);
    match tools::run(command)? {
        Outcome::Ok => {
            Ok(folder.join("release/outboard-instructions").to_string_lossy().into_owned())
        }
        Outcome::Failed(why) | Outcome::Skipped(why) => bail!(why),
    }
}

/// Asks the program for its kernels: name, operations per round and what one is, tab-separated.
fn kernels(program: &str) -> Result<Vec<Kernel>> {
    let list = tools::output(command(program, [""; 0]))?;
    let kernel = |line: &str| {
        let mut fields = line.split('\t');
        let name = fields.next()?.to_owned();
        let operations = fields.next()?.parse().ok()?;
        Some(Kernel { name, operations, operation: fields.next()?.to_owned() })
    };
    list.lines().map(|line| kernel(line).with_context(|| format!("kernel {line:?}"))).collect()
}

/// Instructions of one operation.
fn count(program: &str, kernel: &Kernel) -> Result<f64> {
    let [few, many] = ROUNDS;
    let difference = collected(program, &kernel.name, many)?.saturating_sub(collected(
        program,
        &kernel.name,
        few,
    )?);
    Ok(difference as f64 / f64::from(many - few) / f64::from(kernel.operations))
}

/// Instructions of a whole run, as callgrind's last words give them.
fn collected(program: &str, kernel: &str, rounds: u32) -> Result<u64> {
    let mut command = command("valgrind", ["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(Path::new(program)).arg(kernel).arg(rounds.to_string()).stdout(Stdio::null());
    let output = command.output().context("valgrind")?;
    let words = String::from_utf8_lossy(&output.stderr);
    let collected = words.lines().find_map(|line| line.split_once("Collected :"));
    match collected.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) if output.status.success() => Ok(count),
        _ => bail!("valgrind {program} {kernel} {rounds}: {}\n{words}", output.status),
    }
}

fn rustc_version() -> Result<String> {
    let version = tools::output(command("rustc", ["--version"]))?;
    Ok(version.split(' ').nth(1).unwrap_or_default().to_owned())
}
