//! The tables of a report.

use core::fmt::{self, Write};

use super::escape::Escaped;
use super::svg;
use crate::results::{Cell, Outcome, Results, Spread, Workload};
use crate::row::Row;
use crate::sample::{Cost, Phase};
use crate::text::{Grade, conclusion, grade, grouped, nanos, three_digits};

/// What percentiles are shown.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("50 %", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("99.9 %", 0.999), ("all", 1.0)];

/// The sentences and the table that matter most.
pub(super) fn headline(page: &mut String, outcome: &Outcome) -> fmt::Result {
    let results = &outcome.results;
    page.push_str("<section>\n<h2>Result</h2>\n<ul class=\"verdict\">\n");
    for depth in results.depths() {
        if let Some(conclusion) = conclusion(results, depth) {
            writeln!(page, "<li>{}</li>", Escaped(&conclusion))?;
        }
    }
    page.push_str("</ul>\n<div class=\"wide\"><table>\n");
    match &outcome.workload {
        Workload::System(plan) => system(page, results, plan.frame_bytes)?,
        _ => random(page, results)?,
    }
    page.push_str("</table></div>\n</section>\n");
    Ok(())
}

fn system(page: &mut String, results: &Results, frame_bytes: u64) -> fmt::Result {
    page.push_str(
        "<thead><tr><th rowspan=\"2\" class=\"l\">Path</th><th colspan=\"3\">Write</th>\
         <th colspan=\"3\">Read</th><th colspan=\"2\">CPU \u{b5}s / task</th>\
         <th rowspan=\"2\">Frame p99<br>ms</th><th rowspan=\"2\">Frames/s<br>sustained</th>\
         <th rowspan=\"2\">Errors</th></tr>\n<tr><th class=\"g\">MB/s</th><th>least\u{2013}most</th>\
         <th>ratio</th><th class=\"g\">MB/s</th><th>least\u{2013}most</th><th>ratio</th>\
         <th class=\"g\">all</th>\
         <th>driver</th></tr></thead>\n",
    );
    for depth in results.depths() {
        writeln!(
            page,
            "<tbody>\n<tr><th colspan=\"12\" class=\"l depth\">Queue depth {depth}</th></tr>"
        )?;
        for row in results.rows() {
            let cells = [Phase::Write, Phase::Read].map(|phase| results.cell(row, phase, depth));
            let present: Vec<&Cell> = cells.iter().copied().flatten().collect();
            name(page, row)?;
            for cell in cells {
                speed(page, cell)?;
            }
            let mean = |of: fn(&Cell) -> f64| {
                present.iter().map(|cell| of(cell)).sum::<f64>() / present.len().max(1) as f64
            };
            let p99 = present.iter().filter_map(|cell| cell.frame_ms).map(|tail| tail.p99);
            let rate = present.iter().map(|cell| cell.frames_per_s(frame_bytes));
            let errors: u64 = present.iter().map(|cell| cell.errors).sum();
            writeln!(
                page,
                "<td class=\"g\">{:.1}</td><td>{:.1}</td><td>{}</td><td>{}</td>{}</tr>",
                mean(|cell| cell.cpu_ns_per_task) / 1e3,
                mean(|cell| cell.driver_cpu_ns_per_task) / 1e3,
                dash(p99.reduce(f64::max).map(|ms| format!("{ms:.1}"))),
                dash(rate.reduce(f64::min).map(|rate| format!("{rate:.1}"))),
                error_cell(errors),
            )?;
        }
        page.push_str("</tbody>\n");
    }
    Ok(())
}

fn random(page: &mut String, results: &Results) -> fmt::Result {
    page.push_str(
        "<thead><tr><th class=\"l\">Path</th><th>MB/s</th><th>least\u{2013}most</th>\
         <th>ratio</th><th>tasks/s</th><th>CPU ns / task</th><th>driver</th>\
         <th>tasks / CPU s<br>ratio</th><th>Errors</th></tr></thead>\n<tbody>\n",
    );
    for cell in results.cells() {
        name(page, cell.row)?;
        speed(page, Some(cell))?;
        writeln!(
            page,
            "<td>{}</td><td>{:.0}</td><td>{:.0}</td><td>{}</td>{}</tr>",
            grouped(cell.iops),
            cell.cpu_ns_per_task,
            cell.driver_cpu_ns_per_task,
            dash(cell.cpu_ratio.map(|ratio| format!("{ratio:.3}"))),
            error_cell(cell.errors),
        )?;
    }
    page.push_str("</tbody>\n");
    Ok(())
}

/// Microseconds by percentile at the largest depth.
pub(super) fn latency(page: &mut String, results: &Results) -> fmt::Result {
    let Some(depth) = results.depths().last().copied() else { return Ok(()) };
    write!(
        page,
        "<div class=\"wide\"><table>\n<caption>Microseconds per task at depth {depth}</caption>\n\
         <thead><tr><th class=\"l\">Path</th><th class=\"l\">Phase</th><th>mean</th>"
    )?;
    for (name, _) in QUANTILES {
        write!(page, "<th>{name}</th>")?;
    }
    page.push_str("<th>tasks</th></tr></thead>\n<tbody>\n");
    for phase in results.phases() {
        for cell in results.rows().into_iter().filter_map(|row| results.cell(row, phase, depth)) {
            name(page, cell.row)?;
            let mean = three_digits(cell.latency.mean() / 1e3);
            write!(page, "<td class=\"l\">{phase}</td><td>{mean}</td>")?;
            for (_, quantile) in QUANTILES {
                let us = cell.latency.value_at_quantile(quantile) as f64 / 1e3;
                write!(page, "<td>{}</td>", three_digits(us))?;
            }
            writeln!(page, "<td>{}</td></tr>", grouped(cell.latency.len() as f64))?;
        }
    }
    page.push_str("</tbody>\n</table></div>\n");
    Ok(())
}

/// Curve and parts in figures.
pub(super) fn cost(page: &mut String, cost: &Cost) -> fmt::Result {
    page.push_str("<div class=\"wide pair\">\n");
    if !cost.curve.is_empty() {
        page.push_str(
            "<table>\n<caption>CPU ns per task</caption>\n<thead><tr><th>Bundle</th>\
             <th>resident</th><th>bundled</th><th>isolation</th></tr></thead>\n<tbody>\n",
        );
        for point in &cost.curve {
            writeln!(
                page,
                "<tr><td>{}</td><td>{:.0}</td><td>{:.0}</td><td><b>{:.0}</b></td></tr>",
                point.bundle,
                point.resident_ns,
                point.bundled_ns,
                point.isolation_ns()
            )?;
        }
        page.push_str("</tbody>\n</table>\n");
    }
    if !cost.parts.is_empty() {
        page.push_str(
            "<table>\n<caption>Parts, against the bare mechanism in the same run</caption>\n\
             <thead><tr><th class=\"l\">Part</th><th>here</th><th>bare</th><th>ratio</th>\
             <th class=\"l\">what</th></tr></thead>\n<tbody>\n",
        );
        for part in &cost.parts {
            writeln!(
                page,
                "<tr><th class=\"l\">{}</th><td>{}</td><td>{}</td><td>{}</td>\
                 <td class=\"l text\">{}</td></tr>",
                Escaped(&part.name),
                nanos(part.ns),
                dash(part.bare_ns.map(nanos)),
                dash(part.ratio().map(|ratio| format!("{ratio:.2}"))),
                Escaped(&part.what)
            )?;
        }
        page.push_str("</tbody>\n</table>\n");
    }
    page.push_str("</div>\n");
    Ok(())
}

/// Opens a line of a table.
fn name(page: &mut String, row: Row) -> fmt::Result {
    write!(page, "<tr><th class=\"l\">{}{row}</th>", svg::swatch(row.index()))
}

/// MB/s, their spread, the ratio.
fn speed(page: &mut String, cell: Option<&Cell>) -> fmt::Result {
    let Some(cell) = cell else {
        return page.write_str("<td class=\"g\">\u{2013}</td><td></td><td>\u{2013}</td>");
    };
    let Spread { median, min, max } = cell.mb_per_s;
    let (min, max) = (three_digits(min), three_digits(max));
    write!(page, "<td class=\"g\">{median:.1}</td><td class=\"spread\">{min}\u{2013}{max}</td>")?;
    let isolated = cell.ratio.filter(|_| cell.row.path != Row::RESIDENT.path);
    let class = match isolated.map(|ratio| grade(ratio.median)) {
        None => "",
        Some(Grade::Good) => " class=\"good\"",
        Some(Grade::Fair) => " class=\"fair\"",
        Some(Grade::Poor) => " class=\"poor\"",
    };
    let ratio = dash(cell.ratio.map(|ratio| format!("{:.3}", ratio.median)));
    write!(page, "<td{class}>{ratio}</td>")
}

fn error_cell(errors: u64) -> String {
    let class = if errors == 0 { "" } else { " class=\"poor\"" };
    format!("<td{class}>{}</td>", grouped(errors as f64))
}

fn dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "\u{2013}".to_owned())
}
