//! `outboard config check`.

use std::path::Path;
use std::process::ExitCode;

use super::{REFUSED, put, say};
use crate::config::{Config, Flags, Machine, Source};

pub(super) fn run(file: &Path) -> ExitCode {
    let machine = Machine::here();
    match Source::file(file, Flags::default()).read(&machine) {
        Ok(config) => {
            let warnings = config.shown_warnings();
            if !warnings.is_empty() {
                say(&warnings);
            }
            for problem in config.missing_disks() {
                say(&format!("warning: {}: {problem}", file.display()));
            }
            put(&summary(file, &config))
        }
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(REFUSED)
        }
    }
}

/// `serve.toml: good: 2 arrays, 1 target, 2 LUNs on 127.0.0.1:3260`
pub(super) fn summary(file: &Path, config: &Config) -> String {
    let luns = config.targets.iter().map(|target| target.luns.len()).sum();
    let portals: Vec<String> = config.iscsi.portals.iter().map(ToString::to_string).collect();
    format!(
        "{}: good: {}, {}, {} on {}\n",
        file.display(),
        count(config.arrays.len(), "array"),
        count(config.targets.len(), "target"),
        count(luns, "LUN"),
        portals.join(", ")
    )
}

pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
