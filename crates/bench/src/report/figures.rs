//! The charts of a report.

use core::fmt::{self, Write};

use super::chart::{Chart, Mark, Series, X, values};
use super::scale::Scale;
use super::{svg, tables};
use crate::results::{Cell, Outcome, Results, Workload};
use crate::row::Row;
use crate::sample::{Cost, CostPoint, Phase};

/// Ratio and speed by depth.
pub(super) fn depths(page: &mut String, results: &Results) -> fmt::Result {
    let depths = results.depths();
    if depths.len() < 2 {
        return Ok(());
    }
    let chart = |phase: Phase, y_name, value: &dyn Fn(&Cell) -> Option<f64>| {
        let line = |row: Row| Series {
            style: row.index(),
            name: row.to_string(),
            points: depths
                .iter()
                .enumerate()
                .filter_map(|(x, &depth)| Some((x, value(results.cell(row, phase, depth)?)?)))
                .collect(),
        };
        Chart {
            title: capital(phase.name()),
            x_name: "queue depth (tasks outstanding)",
            y_name,
            x: X::Names(depths.iter().map(ToString::to_string).collect()),
            y: Scale::from_zero([].into_iter()),
            series: results.rows().into_iter().map(line).filter(|s| !s.points.is_empty()).collect(),
            marks: Vec::new(),
        }
    };
    let mut charts = Vec::new();
    if results.cells().iter().any(|cell| cell.row != Row::RESIDENT && cell.ratio.is_some()) {
        for phase in results.phases() {
            let ratio = |cell: &Cell| cell.ratio.map(|ratio| ratio.median);
            let mut chart = chart(phase, "speed / resident", &ratio);
            chart.y = Scale::around(values(&chart.series), 1.0, 0.05);
            charts.push(chart);
        }
    }
    for phase in results.phases() {
        let mut chart = chart(phase, "MB/s", &|cell: &Cell| Some(cell.mb_per_s.median));
        chart.y = Scale::from_zero(values(&chart.series));
        charts.push(chart);
    }
    section(page, "By queue depth", "", &charts)
}

/// The time of each frame, at the least and at the largest depth.
pub(super) fn frames(page: &mut String, outcome: &Outcome) -> fmt::Result {
    let Workload::System(_) = outcome.workload else { return Ok(()) };
    let results = &outcome.results;
    let mut ends = vec![results.depths().first().copied(), results.depths().last().copied()];
    ends.dedup();
    let mut charts = Vec::new();
    for depth in ends.into_iter().flatten() {
        for phase in results.phases() {
            charts.extend(frame_chart(results, phase, depth));
        }
    }
    let note = "Medians over the rounds. The dotted line is the time a frame has at the named \
                rate; a path above it drops frames.";
    section(page, "Frame times", note, &charts)
}

fn frame_chart(results: &Results, phase: Phase, depth: u32) -> Option<Chart> {
    let cells = results.rows().into_iter().filter_map(|row| results.cell(row, phase, depth));
    let cells: Vec<&Cell> = cells.filter(|cell| !cell.frame_series_ms.is_empty()).collect();
    let series: Vec<Series> = cells
        .iter()
        .map(|cell| Series {
            style: cell.row.index(),
            name: cell.row.to_string(),
            points: cell.frame_series_ms.iter().copied().enumerate().collect(),
        })
        .collect();
    let usual_ms = cells.first()?.frame_ms?.p50;
    // the fastest rate of video that the first row sustains, or the slowest there is
    let rates = [120.0, 60.0, 50.0, 30.0, 25.0];
    let rate: f64 = rates.into_iter().find(|rate| usual_ms <= 1000.0 / rate).unwrap_or(24.0);
    let budget_ms = 1000.0 / rate;
    let mark = Mark { value: budget_ms, name: format!("{rate} frames/s, {budget_ms:.1} ms") };
    Some(Chart {
        title: format!("{}, depth {depth}", capital(phase.name())),
        x_name: "frame",
        y_name: "ms per frame",
        x: X::Numbers(cells.iter().map(|cell| cell.frame_series_ms.len()).max()?),
        y: Scale::from_zero(values(&series).chain([budget_ms * 1.04])),
        series,
        marks: vec![mark],
    })
}

/// Latency percentiles at the largest depth.
pub(super) fn latency(page: &mut String, results: &Results) -> fmt::Result {
    let Some(depth) = results.depths().last().copied() else { return Ok(()) };
    let charts = results.phases().into_iter().map(|phase| {
        let rows = results.rows().into_iter();
        let cells = rows.filter_map(|row| results.cell(row, phase, depth));
        let line = |cell: &Cell| Series {
            style: cell.row.index(),
            name: cell.row.to_string(),
            points: tables::QUANTILES
                .iter()
                .map(|&(_, quantile)| cell.latency.value_at_quantile(quantile) as f64 / 1e3)
                .enumerate()
                .collect(),
        };
        let series: Vec<Series> = cells.filter(|c| !c.latency.is_empty()).map(line).collect();
        Chart {
            title: format!("{}, depth {depth}", capital(phase.name())),
            x_name: "tasks that took no longer",
            y_name: "\u{b5}s per task, logarithmic",
            x: X::Names(tables::QUANTILES.iter().map(|(name, _)| (*name).to_owned()).collect()),
            y: Scale::logarithmic(values(&series)),
            series,
            marks: Vec::new(),
        }
    });
    section(page, "Latency of tasks", "", &charts.collect::<Vec<_>>())
}

/// The cost curve and the parts.
pub(super) fn cost(page: &mut String, cost: &Cost) -> fmt::Result {
    let line = |style, name: &str, of: &dyn Fn(&CostPoint) -> f64| Series {
        style,
        name: name.to_owned(),
        points: cost.curve.iter().map(of).enumerate().filter(|(_, ns)| *ns > 0.0).collect(),
    };
    let chart = |title: &str, series: Vec<Series>| Chart {
        title: title.to_owned(),
        x_name: "tasks per bundle",
        y_name: "ns of CPU time per task, logarithmic",
        x: X::Names(cost.curve.iter().map(|point| point.bundle.to_string()).collect()),
        y: Scale::logarithmic(values(&series)),
        series,
        marks: Vec::new(),
    };
    let both = vec![
        line(Row::RESIDENT.index(), Row::RESIDENT.name(), &|point| point.resident_ns),
        line(Row::BUNDLED.index(), Row::BUNDLED.name(), &|point| point.bundled_ns),
    ];
    let charts = [
        chart("Host and driver together", both),
        chart(
            "Isolation: bundled less resident",
            vec![line(Row::BUNDLED.index(), "isolation", &CostPoint::isolation_ns)],
        ),
    ];
    let [resident, bundled] = [Row::RESIDENT, Row::BUNDLED].map(|row| svg::swatch(row.index()));
    let note = format!(
        "CPU time of a task by the size of its bundle, {resident}resident and {bundled}bundled, \
         and what the boundary adds."
    );
    section(
        page,
        "What isolation costs",
        &note,
        if cost.curve.is_empty() { &[] } else { &charts },
    )?;
    tables::cost(page, cost)
}

/// `note` is HTML.
fn section(page: &mut String, title: &str, note: &str, charts: &[Chart]) -> fmt::Result {
    if charts.is_empty() {
        return Ok(());
    }
    writeln!(page, "<section>\n<h2>{title}</h2>")?;
    if !note.is_empty() {
        writeln!(page, "<p>{note}</p>")?;
    }
    page.push_str("<div class=\"charts\">\n");
    for chart in charts {
        writeln!(
            page,
            "<figure><figcaption>{}</figcaption>",
            super::escape::Escaped(&chart.title)
        )?;
        svg::draw(page, chart)?;
        page.push_str("</figure>\n");
    }
    page.push_str("</div>\n</section>\n");
    Ok(())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
