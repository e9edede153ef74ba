use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::Results;
use crate::plan::{CostPlan, Plan, RandomPlan};
use crate::sample::Cost;

/// What ran, and what came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// what ran
    pub workload: Workload,
    /// where
    pub environment: Environment,
    /// what was measured; empty for the cost test
    pub results: Results,
    /// what isolation costs, if it was measured
    pub cost: Option<Cost>,
}

/// What ran.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "test", rename_all = "lowercase")]
pub enum Workload {
    /// `bench cost`
    Cost(CostPlan),
    /// `bench random`
    Random(RandomPlan),
    /// `bench`
    System(Plan),
}

/// Where it ran.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Environment {
    /// of Outboard
    pub version: String,
    /// name and release of the kernel
    pub kernel: String,
    /// name of the processor
    pub processor: String,
    /// processors that this process may run on
    pub cpus: usize,
    /// when the run ended, in UTC
    pub finished: String,
}

impl Environment {
    /// This machine, now.
    pub fn here() -> Self {
        let system = rustix::system::uname();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: format!(
                "{} {}",
                system.sysname().to_string_lossy(),
                system.release().to_string_lossy()
            ),
            processor: processor(),
            cpus: crate::plan::allowed_cpus().len(),
            finished: utc(seconds),
        }
    }
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|rest| rest.split_once(':')).map(|(_, name)| name.trim().to_owned());
    model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// `2026-11-22 09:01 UTC`; the calendar as in "chrono-compatible low-level date algorithms".
fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468; // since 1 March of year 0
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // from March
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3600, second / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_795_338_060), "2026-11-22 09:01 UTC");
        assert_eq!(utc(4_107_542_400), "2100-03-01 00:00 UTC");
    }
}
