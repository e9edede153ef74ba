//! The JSON form. Speeds in 10^6 bytes per second; figures are rounded to what they are worth.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Cell, Environment, Outcome, Results, Spread, Tail, Workload};
use crate::row::Row;
use crate::sample::Phase;

impl Outcome {
    /// The JSON document, indented, with a line end.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let results = &self.results;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("workload", &self.workload)?;
        map.serialize_entry::<_, Environment>("environment", &self.environment)?;
        if !matches!(self.workload, Workload::Cost(_)) {
            let ratios: BTreeMap<u32, Ratios> =
                results.depths().into_iter().map(|d| (d, Ratios::of(results, d, ratio))).collect();
            let cpu_ratios: BTreeMap<u32, Ratios> = results
                .depths()
                .into_iter()
                .map(|d| (d, Ratios::of(results, d, |cell| cell.cpu_ratio)))
                .collect();
            let cells: Vec<CellJson> = results.cells().iter().map(CellJson::from).collect();
            map.serialize_entry("results", &cells)?;
            map.serialize_entry("ratios", &ratios.values().last())?;
            map.serialize_entry("ratios_by_depth", &ratios)?;
            map.serialize_entry("tasks_per_cpu_second_ratios_by_depth", &cpu_ratios)?;
        }
        if let Some(cost) = &self.cost {
            map.serialize_entry("cost", &CostJson::from(cost))?;
        }
        map.end()
    }
}

/// Phase to row to ratio, in the order of the table.
struct Ratios(Vec<(Phase, Pairs)>);

impl Ratios {
    fn of(results: &Results, depth: u32, of: impl Fn(&Cell) -> Option<f64>) -> Self {
        let pairs = |phase| {
            let rows = results.rows().into_iter().filter(|&row| row != Row::RESIDENT);
            let ratio = |row| of(results.cell(row, phase, depth)?);
            Pairs(rows.filter_map(|row| Some((row, round(ratio(row)?, 4)))).collect())
        };
        Self(results.phases().into_iter().map(|phase| (phase, pairs(phase))).collect())
    }
}

impl Serialize for Ratios {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(phase, pairs)| (phase, pairs)))
    }
}

struct Pairs(Vec<(Row, f64)>);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(row, ratio)| (row, ratio)))
    }
}

fn ratio(cell: &Cell) -> Option<f64> {
    cell.ratio.map(|spread| spread.median)
}

#[derive(Serialize)]
struct CellJson {
    path: Row,
    phase: Phase,
    queue_depth: u32,
    rounds: usize,
    mb_per_s: f64,
    mb_per_s_min: f64,
    mb_per_s_max: f64,
    iops: f64,
    cpu_ns_per_task: f64,
    host_cpu_ns_per_task: f64,
    driver_cpu_ns_per_task: f64,
    frame_ms: Option<Tail>,
    latency_us: LatencyJson,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<Spread>,
}

#[derive(Serialize)]
struct LatencyJson {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p99_9: f64,
    max: f64,
}

impl From<&Cell> for CellJson {
    fn from(cell: &Cell) -> Self {
        let us = |ns: f64| round(ns / 1e3, 3);
        let quantile = |q| us(cell.latency.value_at_quantile(q) as f64);
        Self {
            path: cell.row,
            phase: cell.phase,
            queue_depth: cell.queue_depth,
            rounds: cell.rounds,
            mb_per_s: round(cell.mb_per_s.median, 2),
            mb_per_s_min: round(cell.mb_per_s.min, 2),
            mb_per_s_max: round(cell.mb_per_s.max, 2),
            iops: round(cell.iops, 1),
            cpu_ns_per_task: round(cell.cpu_ns_per_task, 1),
            host_cpu_ns_per_task: round(cell.host_cpu_ns_per_task, 1),
            driver_cpu_ns_per_task: round(cell.driver_cpu_ns_per_task, 1),
            frame_ms: cell.frame_ms.map(|tail| Tail {
                p50: round(tail.p50, 3),
                p99: round(tail.p99, 3),
                max: round(tail.max, 3),
            }),
            latency_us: LatencyJson {
                mean: us(cell.latency.mean()),
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
                p99_9: quantile(0.999),
                max: us(cell.latency.max() as f64),
            },
            errors: cell.errors,
            ratio: cell.ratio.map(|spread| Spread {
                median: round(spread.median, 4),
                min: round(spread.min, 4),
                max: round(spread.max, 4),
            }),
        }
    }
}

#[derive(Serialize)]
struct CostJson<'a> {
    curve: Vec<PointJson>,
    parts: Vec<PartJson<'a>>,
}

#[derive(Serialize)]
struct PointJson {
    bundle: u32,
    resident_ns: f64,
    bundled_ns: f64,
    isolation_ns: f64,
}

#[derive(Serialize)]
struct PartJson<'a> {
    name: &'a str,
    ns: f64,
    bare_ns: Option<f64>,
    ratio: Option<f64>,
    what: &'a str,
}

impl<'a> From<&'a crate::sample::Cost> for CostJson<'a> {
    fn from(cost: &'a crate::sample::Cost) -> Self {
        let point = |point: &crate::sample::CostPoint| PointJson {
            bundle: point.bundle,
            resident_ns: round(point.resident_ns, 1),
            bundled_ns: round(point.bundled_ns, 1),
            isolation_ns: round(point.isolation_ns(), 1),
        };
        let part = |part: &'a crate::sample::Part| PartJson {
            name: &part.name,
            ns: round(part.ns, 1),
            bare_ns: part.bare_ns.map(|ns| round(ns, 1)),
            ratio: part.ratio().map(|ratio| round(ratio, 3)),
            what: &part.what,
        };
        Self {
            curve: cost.curve.iter().map(point).collect(),
            parts: cost.parts.iter().map(part).collect(),
        }
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
