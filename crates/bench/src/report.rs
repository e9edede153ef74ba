//! The result as one HTML file that needs nothing else: no script, no font, no picture from
//! outside. Charts are SVG; colours follow the reader's light or dark scheme and the printer.

mod chart;
mod escape;
mod figures;
mod scale;
mod svg;
mod tables;

use core::fmt::Write;

use crate::results::{Outcome, Workload};
use crate::row::Row;
use crate::text;
use escape::Escaped;

/// The whole file.
pub fn html(outcome: &Outcome) -> String {
    let mut page = String::with_capacity(128 * 1024);
    // writing to a string cannot fail
    let _ = write(&mut page, outcome);
    page
}

fn write(page: &mut String, outcome: &Outcome) -> core::fmt::Result {
    let title = match outcome.workload {
        Workload::System(_) => "Outboard System test",
        Workload::Random(_) => "Outboard random test",
        Workload::Cost(_) => "Outboard isolation cost",
    };
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n"
    )?;
    header(page, outcome)?;
    if outcome.results.cells().is_empty() {
        if let Some(cost) = &outcome.cost {
            figures::cost(page, cost)?;
        }
    } else {
        tables::headline(page, outcome)?;
        legend(page, outcome)?;
        figures::depths(page, &outcome.results)?;
        figures::frames(page, outcome)?;
        figures::latency(page, &outcome.results)?;
        tables::latency(page, &outcome.results)?;
        if let Some(cost) = &outcome.cost {
            figures::cost(page, cost)?;
        }
    }
    page.push_str(METHOD);
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

fn header(page: &mut String, outcome: &Outcome) -> core::fmt::Result {
    let environment = &outcome.environment;
    let [what, how] = text::workload(&outcome.workload);
    writeln!(
        page,
        "<p class=\"what\">{}<br>{}</p>\n<p class=\"where\">{}; {} processors; {}; Outboard {}; {}</p>",
        Escaped(&what),
        Escaped(&how),
        Escaped(&environment.processor),
        environment.cpus,
        Escaped(&environment.kernel),
        Escaped(&environment.version),
        Escaped(&environment.finished),
    )
}

/// One legend for all charts; it stays in view.
fn legend(page: &mut String, outcome: &Outcome) -> core::fmt::Result {
    page.push_str("<ul class=\"legend\" aria-label=\"Legend\">\n");
    for row in outcome.results.rows() {
        writeln!(page, "<li>{}{row} <small>{}</small></li>", svg::swatch(row.index()), what(row))?;
    }
    page.push_str("</ul>\n");
    Ok(())
}

fn what(row: Row) -> &'static str {
    match row {
        Row::RESIDENT => "in the host, the reference",
        Row::RESIDENT_2 => "the same on two threads",
        Row::SINGLE => "one message a task",
        Row::SINGLE_MAP => "the same, buffer mapped for each task",
        _ => "slot indices in a shared ring",
    }
}

const STYLE: &str = include_str!("report/style.css");

const METHOD: &str = "<section class=\"method\">\n<h2>How to read this</h2>\n\
    <p>MB = 10<sup>6</sup> bytes. All rows run one after the other within each round; figures are \
    medians over the rounds, and a ratio is the median of the ratios within each round. CPU time \
    is that of host and driver together. A frame's time runs from the completion of the frame \
    before it to its own last completion. Percentiles are over the tasks of all rounds.</p>\n\
    </section>\n";

#[cfg(test)]
mod tests;
