//! What the samples say: medians over rounds, ratios to the resident path, JSON.
//!
//! A ratio is the median of the ratios of each round, because the rows of one round ran one after
//! the other on the same machine in the same mood; a ratio of two medians would mix rounds.

mod json;
mod outcome;
mod stats;

use std::collections::{BTreeMap, BTreeSet};

use hdrhistogram::Histogram;

pub use outcome::{Environment, Outcome, Workload};
pub use stats::{Spread, Tail};

use crate::row::Row;
use crate::sample::{Phase, Sample, latency_histogram};
use stats::{median, tail};

/// The rounds of one row, phase and depth, as one.
#[derive(Clone, Debug)]
pub struct Cell {
    /// what ran
    pub row: Row,
    /// what it did
    pub phase: Phase,
    /// most tasks outstanding
    pub queue_depth: u32,
    /// rounds that count
    pub rounds: usize,
    /// 10^6 bytes per second
    pub mb_per_s: Spread,
    /// tasks per second, median
    pub iops: f64,
    /// nanoseconds of CPU time per task, host and driver, median
    pub cpu_ns_per_task: f64,
    /// of it, the host's
    pub host_cpu_ns_per_task: f64,
    /// of it, the driver's
    pub driver_cpu_ns_per_task: f64,
    /// milliseconds of a frame, over the frames of all rounds; `None` without frames
    pub frame_ms: Option<Tail>,
    /// milliseconds of each frame in order, medians over the rounds
    pub frame_series_ms: Vec<f64>,
    /// nanoseconds of each task of all rounds
    pub latency: Histogram<u64>,
    /// tasks that failed or returned wrong data, in all rounds
    pub errors: u64,
    /// speed over that of the resident path; `None` if that did not run
    pub ratio: Option<Spread>,
    /// tasks per CPU second over those of the resident path
    pub cpu_ratio: Option<f64>,
}

/// All cells of a run.
#[derive(Clone, Debug, Default)]
pub struct Results {
    cells: Vec<Cell>,
}

impl Results {
    /// Makes cells of samples. A sample without tasks or time counts only its errors.
    pub fn new(samples: &[Sample]) -> Self {
        let mut groups: BTreeMap<(u32, Phase, Row), Vec<&Sample>> = BTreeMap::new();
        for sample in samples {
            let key = (sample.queue_depth, sample.phase, sample.row);
            groups.entry(key).or_default().push(sample);
        }
        let cells = groups.iter().map(|(&(queue_depth, phase, row), group)| {
            let reference = groups.get(&(queue_depth, phase, Row::RESIDENT));
            Cell::new(row, phase, queue_depth, group, reference.map_or(&[], Vec::as_slice))
        });
        Self { cells: cells.collect() }
    }

    /// By depth, then phase, then row.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// One of them.
    pub fn cell(&self, row: Row, phase: Phase, queue_depth: u32) -> Option<&Cell> {
        self.cells
            .iter()
            .find(|cell| (cell.row, cell.phase, cell.queue_depth) == (row, phase, queue_depth))
    }

    /// The depths of the run, ascending.
    pub fn depths(&self) -> Vec<u32> {
        self.distinct(|cell| cell.queue_depth)
    }

    /// The phases of the run.
    pub fn phases(&self) -> Vec<Phase> {
        self.distinct(|cell| cell.phase)
    }

    /// The rows of the run, the reference first.
    pub fn rows(&self) -> Vec<Row> {
        self.distinct(|cell| cell.row)
    }

    /// Tasks that failed or returned wrong data.
    pub fn errors(&self) -> u64 {
        self.cells.iter().map(|cell| cell.errors).sum()
    }

    fn distinct<T: Ord>(&self, of: impl Fn(&Cell) -> T) -> Vec<T> {
        self.cells.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl Cell {
    fn new(
        row: Row,
        phase: Phase,
        queue_depth: u32,
        samples: &[&Sample],
        reference: &[&Sample],
    ) -> Self {
        let counted: Vec<&Sample> =
            samples.iter().copied().filter(|s| s.wall_ns > 0 && s.tasks > 0).collect();
        let per_task = |ns: fn(&Sample) -> u64| {
            median(counted.iter().map(|s| ns(s) as f64 / s.tasks as f64)).unwrap_or_default()
        };
        let frames = samples.iter().flat_map(|s| s.frame_ns.iter().copied()).collect();
        let mut latency = latency_histogram();
        for sample in samples {
            // the engine's histograms have the same bounds; a foreign one loses what is beyond them
            let _ = latency.add(&sample.latency);
        }
        Self {
            row,
            phase,
            queue_depth,
            rounds: counted.len(),
            mb_per_s: Spread::of(counted.iter().map(|s| speed(s) / 1e6)).unwrap_or_default(),
            iops: median(counted.iter().map(|s| s.tasks as f64 * 1e9 / s.wall_ns as f64))
                .unwrap_or_default(),
            cpu_ns_per_task: per_task(|s| s.cpu_ns),
            host_cpu_ns_per_task: per_task(|s| s.host_cpu_ns),
            driver_cpu_ns_per_task: per_task(|s| s.driver_cpu_ns),
            frame_ms: tail(frames),
            frame_series_ms: frame_series(&counted),
            latency,
            errors: samples.iter().map(|s| s.errors).sum(),
            ratio: Spread::of(by_round(&counted, reference, |s| Some(speed(s)))),
            cpu_ratio: median(by_round(&counted, reference, |s| {
                (s.cpu_ns > 0).then(|| s.tasks as f64 / s.cpu_ns as f64)
            })),
        }
    }

    /// Frames per second that are sustained, for frames of `frame_bytes`.
    pub fn frames_per_s(&self, frame_bytes: u64) -> f64 {
        self.mb_per_s.median * 1e6 / frame_bytes as f64
    }
}

/// Bytes per second.
fn speed(sample: &Sample) -> f64 {
    sample.bytes as f64 * 1e9 / sample.wall_ns as f64
}

/// `of` each sample over `of` the reference's sample of the same round.
fn by_round<'a>(
    samples: &'a [&'a Sample],
    reference: &'a [&'a Sample],
    of: impl Fn(&Sample) -> Option<f64> + 'a,
) -> impl Iterator<Item = f64> + 'a {
    samples.iter().filter_map(move |sample| {
        let against = reference.iter().find(|s| s.round == sample.round && s.wall_ns > 0)?;
        let against = of(against).filter(|&value| value > 0.0)?;
        Some(of(sample)? / against)
    })
}

fn frame_series(samples: &[&Sample]) -> Vec<f64> {
    let frames = samples.iter().map(|s| s.frame_ns.len()).max().unwrap_or_default();
    let nth = |frame: usize| samples.iter().filter_map(move |s| s.frame_ns.get(frame));
    (0..frames).filter_map(|frame| median(nth(frame).map(|&ns| ns as f64 / 1e6))).collect()
}

#[cfg(test)]
mod tests;
