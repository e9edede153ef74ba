use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::thread::CpuSet;
use serde::{Serialize, Serializer};

use super::PlanError;

/// Where host and driver run, and how they wait.
#[derive(Clone, Debug, Serialize)]
pub struct Placement {
    /// the processors of the two
    pub pin: Pinning,
    /// each side watches for work for a while before it sleeps; `false` = sleeps at once
    pub spin: bool,
    /// the driver's program; `None` = the built-in array driver
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<PathBuf>,
}

impl Default for Placement {
    fn default() -> Self {
        Self { pin: Pinning::Auto, spin: true, driver: None }
    }
}

/// Which processors host and driver are bound to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Pinning {
    /// the first two that are allowed, the host on the first; nothing if there is only one
    #[default]
    Auto,
    /// these
    Cpus {
        /// the host's; the second thread of `resident-2` runs on the driver's
        host: usize,
        /// the driver's
        driver: usize,
    },
    /// wherever the kernel puts them
    None,
}

impl Pinning {
    /// The processors of host and driver out of those [`allowed_cpus`], or none.
    pub fn resolve(self, allowed: &[usize]) -> Result<Option<(usize, usize)>, PlanError> {
        match (self, allowed) {
            (Self::None, _) => Ok(None),
            (Self::Auto, [host, driver, ..]) => Ok(Some((*host, *driver))),
            (Self::Auto, _) => Ok(None),
            (Self::Cpus { host, driver }, _) => {
                match [host, driver].into_iter().find(|cpu| !allowed.contains(cpu)) {
                    None => Ok(Some((host, driver))),
                    Some(cpu) => {
                        let allowed = allowed.iter().map(ToString::to_string).collect::<Vec<_>>();
                        Err(PlanError::Cpu { cpu, allowed: allowed.join(", ") })
                    }
                }
            }
        }
    }
}

impl fmt::Display for Pinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpus { host, driver } => write!(f, "{host}:{driver}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for Pinning {
    type Err = PinningError;

    fn from_str(text: &str) -> Result<Self, PinningError> {
        let cpu = |text: &str| text.parse().ok();
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            _ => text
                .split_once(':')
                .and_then(|(host, driver)| {
                    Some(Self::Cpus { host: cpu(host)?, driver: cpu(driver)? })
                })
                .ok_or_else(|| PinningError { text: text.to_owned() }),
        }
    }
}

impl Serialize for Pinning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that names no processors.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("pin `{text}`: it is the processors of host and driver, as 0:1, or auto, or none")]
pub struct PinningError {
    /// what was said
    pub text: String,
}

/// The processors that this process may run on, ascending; empty if the kernel does not tell.
///
/// They are those of the first call: a measurement pins its own thread to one of them, which must
/// not leave only that one to the next measurement.
pub fn allowed_cpus() -> Vec<usize> {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    let ask = || match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        Err(_) => Vec::new(),
    };
    ALLOWED.get_or_init(ask).clone()
}
