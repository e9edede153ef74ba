//! `[driver]`: the driver processes, one a target.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::path;
use crate::config::shown;
use outboard_settings::{Fault, Section};

/// `[driver]`: the driver processes, one a target.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Driver {
    /// its program; none: the built-in array driver
    pub program: Option<PathBuf>,
    /// that program's arguments
    pub arguments: Vec<String>,
    /// tasks at a time
    pub slots: u32,
    /// bytes of the buffer pool
    #[serde(serialize_with = "shown::size")]
    pub pool: u64,
    /// most bytes of one command
    #[serde(serialize_with = "shown::size")]
    pub max_transfer: u64,
    /// guard every write by a checksum against a dying driver
    pub verify_replay: bool,
    /// how much of the sandbox there must be
    pub sandbox: Sandbox,
    /// bytes of memory of its own
    #[serde(serialize_with = "shown::size")]
    pub memory: u64,
    /// for a debugger: nothing is given up for being slow
    pub debug: bool,
}

/// What confines a driver.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// nothing but a session of its own
    Off,
    /// each measure that this system allows
    #[default]
    BestEffort,
    /// every measure; one that is refused is a driver that does not start
    Require,
}

impl Default for Driver {
    fn default() -> Self {
        Self {
            program: None,
            arguments: Vec::new(),
            slots: 256,
            pool: 64 << 20,
            max_transfer: 8 << 20,
            verify_replay: false,
            sandbox: Sandbox::BestEffort,
            memory: 1 << 30,
            debug: false,
        }
    }
}

impl Driver {
    pub(in crate::config) fn read(&mut self, mut section: Section<'_, '_>, folder: &Path) {
        self.program = section.get("program", |value| path(value, folder));
        section.set(&mut self.arguments, "arguments", |value| {
            value.list(|value| value.text().map(str::to_owned))
        });
        section.set(&mut self.slots, "slots", |v| v.count(8..=4096));
        section.set(&mut self.pool, "pool", |v| v.size(1 << 20..=1 << 30));
        section.set(&mut self.max_transfer, "max_transfer", |v| {
            let size = v.size(64 << 10..=64 << 20)?;
            match size.is_power_of_two() {
                true => Ok(size),
                false => Err(Fault::new("is a power of two", "write for example \"4Mi\"")),
            }
        });
        section.set(&mut self.verify_replay, "verify_replay", |v| v.flag());
        section.set(&mut self.sandbox, "sandbox", |v| v.parse(sandbox));
        section.set(&mut self.memory, "memory", |v| v.size(64 << 20..=1 << 40));
        section.set(&mut self.debug, "debug", |v| v.flag());
        section.finish();
    }
}

fn sandbox(text: &str) -> Result<Sandbox, Fault> {
    match text {
        "off" => Ok(Sandbox::Off),
        "best-effort" => Ok(Sandbox::BestEffort),
        "require" => Ok(Sandbox::Require),
        _ => {
            let mend = "write \"best-effort\", \"require\" or \"off\"";
            Err(Fault::new(format!("{text:?} is no kind of sandbox"), mend))
        }
    }
}
