//! What the engine measures, before anything is made of it.

use core::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::row::Row;

/// What was being done.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// the file is written from its beginning to its end
    Write,
    /// the file is read from its beginning to its end
    Read,
    /// blocks anywhere, read or written
    Random,
}

impl Phase {
    /// As written in the table and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Random => "random",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One measurement: one row, one phase, one depth, one round.
#[derive(Clone, Debug)]
pub struct Sample {
    /// how tasks reached the driver
    pub row: Row,
    /// what was done
    pub phase: Phase,
    /// most tasks outstanding
    pub queue_depth: u32,
    /// which turn; the rows of one round ran one after the other
    pub round: u32,
    /// data bytes of the tasks that succeeded
    pub bytes: u64,
    /// tasks that ended
    pub tasks: u64,
    /// nanoseconds from the first submission to the last completion
    pub wall_ns: u64,
    /// CPU time of host and driver in nanoseconds
    pub cpu_ns: u64,
    /// of it, the host's
    pub host_cpu_ns: u64,
    /// of it, the driver's; on the resident path 0 (there it is the host's)
    pub driver_cpu_ns: u64,
    /// tasks that failed, and tasks whose data was not what was written
    pub errors: u64,
    /// nanoseconds of each frame, in order; empty if there were no frames
    pub frame_ns: Vec<u64>,
    /// nanoseconds from submission to completion of each task
    pub latency: Histogram<u64>,
}

/// A histogram for [`Sample::latency`]: three significant digits, up to [`LATENCY_MAX_NS`]. Its
/// room is taken at once: `saturating_record` never allocates.
pub fn latency_histogram() -> Histogram<u64> {
    #[expect(
        clippy::expect_used,
        reason = "constant bounds: low >= 1, high >= 2 * low, digits <= 5"
    )]
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("bounds of a histogram")
}

/// Longest latency that is told apart: one minute.
pub const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// What follows a run while it runs.
pub trait Observer {
    /// The run has `steps` measurements; said once, before the first.
    fn plan(&mut self, steps: u64, what: &str);
    /// A measurement begins.
    fn begin(&mut self, label: &str);
    /// `bytes` of `of` are done in this measurement; not for every task.
    fn advance(&mut self, bytes: u64, of: u64);
    /// A measurement has ended.
    fn end(&mut self);
    /// Something the reader should know.
    fn note(&mut self, text: &str);
}

/// CPU time per task for bundles of one size, host and driver together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CostPoint {
    /// tasks per bundle
    pub bundle: u32,
    /// nanoseconds on the resident path
    pub resident_ns: f64,
    /// nanoseconds on the bundled path
    pub bundled_ns: f64,
}

impl CostPoint {
    /// What the boundary adds, in nanoseconds of CPU time per task.
    pub fn isolation_ns(&self) -> f64 {
        self.bundled_ns - self.resident_ns
    }
}

/// A part of the cost that is measured apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// short name
    pub name: String,
    /// nanoseconds
    pub ns: f64,
    /// nanoseconds of the bare mechanism in the same run
    pub bare_ns: Option<f64>,
    /// what is measured, in one line
    pub what: String,
}

impl Part {
    /// How many times the bare mechanism.
    pub fn ratio(&self) -> Option<f64> {
        self.bare_ns.filter(|&bare| bare > 0.0).map(|bare| self.ns / bare)
    }
}

/// What isolation costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// by bundle size, ascending
    pub curve: Vec<CostPoint>,
    /// round trips and parts
    pub parts: Vec<Part>,
}
