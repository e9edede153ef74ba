//! What the idle test comes to, as a table and as JSON.

use serde::Serialize;

use crate::plan::IdlePlan;
use crate::results::Environment;
use crate::text;

/// Processor time while nothing was asked of the driver, in percent of one processor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Idle {
    /// seconds that were measured
    pub seconds: f64,
    /// host and driver together
    pub cpu_percent: f64,
    /// the host process, all its threads
    pub host_cpu_percent: f64,
    /// the driver process, all its threads
    pub driver_cpu_percent: f64,
}

/// What ran, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct IdleOutcome {
    /// what ran
    pub workload: IdlePlan,
    /// where
    pub environment: Environment,
    /// what was measured
    pub idle: Idle,
}

impl Idle {
    /// From nanoseconds of processor time within nanoseconds of time.
    pub fn new(wall_ns: u64, host_ns: u64, driver_ns: u64) -> Self {
        let round = |value: f64| (value * 1e4).round() / 1e4;
        let percent = |ns: u64| round(ns as f64 / wall_ns.max(1) as f64 * 100.0);
        Self {
            seconds: round(wall_ns as f64 / 1e9),
            cpu_percent: percent(host_ns + driver_ns),
            host_cpu_percent: percent(host_ns),
            driver_cpu_percent: percent(driver_ns),
        }
    }
}

impl IdleOutcome {
    /// The JSON document, indented, with a line end.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// For a terminal.
    pub fn table(&self) -> String {
        let Idle { seconds, cpu_percent, host_cpu_percent, driver_cpu_percent } = self.idle;
        format!(
            "Idle: a driver attached on the bundled path, nothing to do for {seconds:.1} s\n{}\n\n  \
             {:<10}{:>8}\n  {:<10}{host_cpu_percent:>8.3}\n  {:<10}{driver_cpu_percent:>8.3}\n  \
             {:<10}{cpu_percent:>8.3}\n",
            text::array(&self.workload.array),
            "",
            "CPU %",
            "host",
            "driver",
            "together",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_of_one_processor() {
        let idle = Idle::new(10_000_000_000, 5_000_000, 2_500_000);
        assert_eq!((idle.host_cpu_percent, idle.driver_cpu_percent), (0.05, 0.025));
        assert_eq!((idle.seconds, idle.cpu_percent), (10.0, 0.075));
        assert_eq!(Idle::new(0, 0, 0).cpu_percent, 0.0);
    }
}
