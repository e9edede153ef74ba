//! What to start, and what has become of each measure.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::SandboxError;

/// How much of the sandbox there must be.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// no measure; the driver still has its own session, only its own descriptors, and ends with
    /// its host
    Off,
    /// each measure that can be had
    #[default]
    BestEffort,
    /// every measure; one that is refused fails the start
    Require,
}

impl FromStr for Mode {
    type Err = SandboxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "best-effort" => Ok(Self::BestEffort),
            "require" => Ok(Self::Require),
            _ => Err(SandboxError::Mode(text.to_owned())),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::BestEffort => "best-effort",
            Self::Require => "require",
        })
    }
}

/// What to start.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Spec {
    /// the driver program, an ELF file
    pub program: PathBuf,
    /// its arguments, without its name
    pub arguments: Vec<String>,
    /// its whole environment
    pub environment: Vec<(String, String)>,
    /// a folder that it sees, read-only, at the same place
    pub package: Option<PathBuf>,
    /// how much of the sandbox there must be
    pub mode: Mode,
    /// for a debugger: core dumps as the host has them, no bound on the address space (sanitizers)
    pub debug: bool,
    /// bytes of memory of its own (`RLIMIT_DATA`, and `memory.max` of its control group)
    pub memory_bytes: u64,
    /// threads, the first one included
    pub threads: u32,
    /// descriptors: all numbers are below this
    pub descriptors: u32,
    /// bytes that its io_urings may lock; `None` leaves the limit as it is
    pub memlock_bytes: Option<u64>,
    /// io_urings to make for it
    pub rings: u32,
    /// entries of each
    pub ring_entries: u32,
}

impl Spec {
    /// A program with best effort and limits that suit the drivers known.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            package: None,
            mode: Mode::BestEffort,
            debug: false,
            memory_bytes: 1 << 30,
            threads: 64,
            descriptors: 256,
            memlock_bytes: None,
            rings: 0,
            ring_entries: 256,
        }
    }
}

/// What has become of one measure.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// it holds
    Applied,
    /// it does not, and why
    Refused(String),
}

/// One measure. Measures that were not asked for are not listed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Measure {
    /// its name: `network namespace`
    pub name: String,
    /// what has become of it
    pub outcome: Outcome,
}

impl Measure {
    /// A measure that was tried.
    pub(crate) fn of<E: fmt::Display>(name: &str, tried: Result<(), E>) -> Self {
        let outcome = match tried {
            Ok(()) => Outcome::Applied,
            Err(reason) => Outcome::Refused(reason.to_string()),
        };
        Self { name: name.to_owned(), outcome }
    }

    /// Whether it holds.
    pub fn is_applied(&self) -> bool {
        self.outcome == Outcome::Applied
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Applied => write!(f, "{}: applied", self.name),
            Outcome::Refused(reason) => write!(f, "{}: refused ({reason})", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_read_as_it_is_written() {
        for mode in [Mode::Off, Mode::BestEffort, Mode::Require] {
            assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.to_string());
        }
        let refused = "on".parse::<Mode>().unwrap_err().to_string();
        assert!(refused.contains("\"on\"") && refused.contains("best-effort"), "{refused}");
    }

    #[test]
    fn a_measure_says_what_has_become_of_it() {
        let applied = Measure::of::<&str>("Landlock", Ok(()));
        assert_eq!(applied.to_string(), "Landlock: applied");
        let refused = Measure::of("Landlock", Err("not in this kernel"));
        assert_eq!(refused.to_string(), "Landlock: refused (not in this kernel)");
        assert!(applied.is_applied() && !refused.is_applied());
    }
}
