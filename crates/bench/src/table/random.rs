use core::fmt::{self, Write};

use super::{Ink, wrapped};
use crate::plan::RandomPlan;
use crate::results::{Cell, Results};
use crate::row::Row;
use crate::sample::Phase;
use crate::text::{conclusion, grouped};

pub(super) fn write(
    out: &mut impl Write,
    plan: &RandomPlan,
    results: &Results,
    ink: Ink,
) -> fmt::Result {
    let heads =
        format!("\n{:<30}{:>10}  {:>5}  {}", "", "CPU/task", "tasks/", "----- latency us -----");
    let units = format!(
        "  {:<10}{:>11}  {:>5}{:>10}  {:>6}  {:>6}  {:>6}  {:>6}  {:>6}",
        "path", "tasks/s", "ratio", "ns", "CPU s", "p50", "p99", "p99.9", "errors"
    );
    writeln!(out, "{}\n{}", ink.dim(heads.trim_end()), ink.dim(&units))?;
    for row in results.rows() {
        if let Some(cell) = results.cell(row, Phase::Random, plan.queue_depth) {
            line(out, cell, ink)?;
        }
    }
    if let Some(conclusion) = conclusion(results, plan.queue_depth) {
        wrapped(out, &conclusion)?;
    }
    wrapped(out, "tasks/CPU s: tasks per second of CPU time, host and driver, against resident.")
}

fn line(out: &mut impl Write, cell: &Cell, ink: Ink) -> fmt::Result {
    let row = cell.row;
    let name = format!("{row:<10}");
    let name = if row == Row::BUNDLED { ink.bold(&name) } else { name };
    let ratio = |ratio: Option<f64>| match ratio {
        None => format!("{:>5}", "-"),
        Some(value) => format!("{value:>5.3}"),
    };
    let speed = ratio(cell.ratio.map(|spread| spread.median));
    let speed = match cell.ratio {
        Some(spread) if row.path != Row::RESIDENT.path => ink.ratio(spread.median, &speed),
        _ => speed,
    };
    write!(
        out,
        "  {name}{:>11}  {speed}{:>10.0}  {:>6}",
        grouped(cell.iops),
        cell.cpu_ns_per_task,
        ratio(cell.cpu_ratio)
    )?;
    for quantile in [0.5, 0.99, 0.999] {
        let us = cell.latency.value_at_quantile(quantile) as f64 / 1e3;
        write!(out, "  {:>6}", crate::text::three_digits(us))?;
    }
    writeln!(out, "  {}", ink.errors(cell.errors, &format!("{:>6}", cell.errors)))
}
