//! Fuzzing: each target for some seconds, over its committed corpus.
//!
//! What the fuzzer finds interesting goes to a scratch folder of the target directory; the
//! committed corpus grows by hand only.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::step::{Outcome, Steps};
use crate::tools::{self, cargo, has_cargo, root};

const FOLDER: &str = "verify/fuzz";

/// Runs the targets named, or all.
pub(crate) fn run(steps: &mut Steps, seconds: u32, named: &[String]) -> Result<()> {
    let known = targets()?;
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        bail!("fuzz target {unknown} is unknown; there are {}", known.join(", "));
    }
    if !has_cargo("fuzz") {
        bail!("cargo-fuzz is missing; `cargo install cargo-fuzz` (about 40 s)");
    }
    if !tools::is_there(cargo(["+nightly"])) {
        bail!("the nightly compiler is missing; `rustup toolchain install nightly`");
    }
    let wanted = if named.is_empty() { &known } else { named };
    for name in wanted {
        steps.run(&format!("fuzz {name}"), || one(name, seconds));
    }
    Ok(())
}

fn one(name: &str, seconds: u32) -> Result<Outcome> {
    let scratch = tools::target().join("fuzz-corpus").join(name);
    fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    let mut command = cargo(["+nightly", "fuzz", "run", "--fuzz-dir", FOLDER, "--target-dir"]);
    command.arg(tools::target().join("fuzz")).arg(name);
    // The first folder takes what is new.
    command.arg(scratch).arg(root().join(FOLDER).join("corpus").join(name));
    command.args(["--", &format!("-max_total_time={seconds}"), "-print_final_stats=1"]);
    tools::run(command)
}

fn targets() -> Result<Vec<String>> {
    let folder = root().join(FOLDER).join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if let Some(name) = path.file_stem() {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
