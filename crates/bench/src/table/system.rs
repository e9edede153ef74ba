use core::fmt::{self, Write};

use super::{Ink, wrapped};
use crate::plan::Plan;
use crate::results::{Cell, Results};
use crate::row::Row;
use crate::sample::Phase;
use crate::text::conclusion;

/// One block per depth.
pub(super) fn write(out: &mut impl Write, plan: &Plan, results: &Results, ink: Ink) -> fmt::Result {
    for depth in results.depths() {
        let title = ink.bold(&format!("{:<18}", format!("depth {depth}")));
        let groups = format!("{:<17}{:<11}{:>10}  {:>9}", "write", "read", "CPU/task", "frame p99");
        writeln!(out, "\n{title}{}", ink.dim(&groups))?;
        let units = format!(
            "  {:<10}{:>10}  {:>5}{:>10}  {:>5}{:>10}  {:>9}  {:>7}",
            "path", "MB/s", "ratio", "MB/s", "ratio", "us", "ms", "errors"
        );
        writeln!(out, "{}", ink.dim(&units))?;
        for row in results.rows() {
            line(out, results, row, depth, ink)?;
        }
        if let Some(conclusion) = conclusion(results, depth) {
            wrapped(out, &conclusion)?;
        }
    }
    if let Some(line) = sustained(plan, results) {
        writeln!(out)?;
        wrapped(out, &line)?;
    }
    Ok(())
}

fn line(out: &mut impl Write, results: &Results, row: Row, depth: u32, ink: Ink) -> fmt::Result {
    let cells = [Phase::Write, Phase::Read].map(|phase| results.cell(row, phase, depth));
    let present: Vec<&Cell> = cells.iter().copied().flatten().collect();
    let name = format!("{row:<10}");
    write!(out, "  {}", if row == Row::BUNDLED { ink.bold(&name) } else { name })?;
    for cell in cells {
        let speed =
            cell.map_or_else(|| "-".to_owned(), |cell| format!("{:.1}", cell.mb_per_s.median));
        let ratio = cell.and_then(|cell| cell.ratio).map(|ratio| ratio.median);
        let text =
            format!("{:>5}", ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")));
        let text = match ratio {
            Some(ratio) if row.path != Row::RESIDENT.path => ink.ratio(ratio, &text),
            _ => text,
        };
        write!(out, "{speed:>10}  {text}")?;
    }
    let mean = present.iter().map(|cell| cell.cpu_ns_per_task).sum::<f64>() / 1e3;
    let cpu_us = mean / present.len().max(1) as f64;
    let p99 = present.iter().filter_map(|cell| cell.frame_ms).map(|tail| tail.p99);
    let p99 = p99.reduce(f64::max).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
    let errors: u64 = present.iter().map(|cell| cell.errors).sum();
    let errors = ink.errors(errors, &format!("{errors:>7}"));
    writeln!(out, "{cpu_us:>10.1}  {p99:>9}  {errors}")
}

/// Frames per second at the largest depth, the slower of writing and reading.
fn sustained(plan: &Plan, results: &Results) -> Option<String> {
    let depth = results.depths().last().copied()?;
    let rate = |row| {
        let phases = results.phases().into_iter();
        let rates = phases.filter_map(|phase| results.cell(row, phase, depth));
        let slower = rates.map(|cell| cell.frames_per_s(plan.frame_bytes)).reduce(f64::min)?;
        Some(format!("{row} {slower:.1}"))
    };
    let rates: Vec<String> = results.rows().into_iter().filter_map(rate).collect();
    Some(format!("Frames per second sustained at depth {depth}: {}.", rates.join(", ")))
}
