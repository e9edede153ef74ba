//! Draws a [`Chart`]. Colours, dashes and type are classes of the page's style sheet, which is how
//! a chart follows the reader's colour scheme.

use core::fmt::{self, Write};

use super::chart::{Chart, X};
use super::escape::Escaped;
use super::scale::label;

/// Writes the `<svg>` element.
pub(super) fn draw(out: &mut String, chart: &Chart) -> fmt::Result {
    writeln!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}: {y} by {x}\">",
        title = Escaped(&chart.title),
        y = Escaped(chart.y_name),
        x = Escaped(chart.x_name),
    )?;
    vertical_axis(out, chart)?;
    horizontal_axis(out, chart)?;
    marks(out, chart)?;
    for series in &chart.series {
        let points = series.thinned(MAX_POINTS);
        let places: Vec<(f64, f64)> =
            points.iter().map(|&(x, y)| (x_place(&chart.x, x), y_place(chart, y))).collect();
        write!(out, "<g class=\"s{}\"><title>{}</title>", series.style, Escaped(&series.name))?;
        write!(out, "<polyline points=\"")?;
        for (x, y) in &places {
            write!(out, "{x:.1},{y:.1} ")?;
        }
        write!(out, "\"/>")?;
        if places.len() <= MAX_MARKERS {
            for (&(x, y), (_, value)) in places.iter().zip(&points) {
                let name = Escaped(&series.name);
                marker(out, series.style, x, y)?;
                write!(out, "<title>{name}: {}</title></path>", label(*value))?;
            }
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    Ok(())
}

/// A piece of a line with its marker, for a legend.
pub(super) fn swatch(style: usize) -> String {
    let mut out = format!(
        "<svg class=\"swatch\" viewBox=\"0 0 36 14\" aria-hidden=\"true\"><g class=\"s{style}\">\
         <polyline points=\"1,7 35,7\"/>"
    );
    // writing to a string cannot fail
    let _ = marker(&mut out, style, 18.0, 7.0);
    out.push_str("</path></g></svg>");
    out
}

fn vertical_axis(out: &mut String, chart: &Chart) -> fmt::Result {
    let ends = (LEFT, WIDTH - RIGHT);
    for &tick in chart.y.ticks() {
        let y = y_place(chart, tick);
        writeln!(
            out,
            "<line class=\"grid\" x1=\"{}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            ends.0,
            ends.1,
            LEFT - 7.0,
            y + 4.0,
            label(tick)
        )?;
    }
    writeln!(out, "<text class=\"name\" x=\"4\" y=\"14\">{}</text>", Escaped(chart.y_name))
}

fn horizontal_axis(out: &mut String, chart: &Chart) -> fmt::Result {
    let base = HEIGHT - BOTTOM;
    writeln!(
        out,
        "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{base}\" x2=\"{}\" y2=\"{base}\"/>",
        WIDTH - RIGHT
    )?;
    let len = chart.x.len();
    let every = match chart.x {
        X::Names(_) => 1,
        X::Numbers(_) => number_step(len),
    };
    for index in 0..len {
        let text = match &chart.x {
            X::Names(names) => names[index].clone(),
            X::Numbers(_) if (index + 1).is_multiple_of(every) => (index + 1).to_string(),
            X::Numbers(_) => continue,
        };
        let x = x_place(&chart.x, index);
        writeln!(
            out,
            "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{base}\" x2=\"{x:.1}\" y2=\"{}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            base + 4.0,
            base + 18.0,
            Escaped(&text)
        )?;
    }
    writeln!(
        out,
        "<text class=\"name\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 6.0,
        Escaped(chart.x_name)
    )
}

/// The lines; their names stand above the axes, where no series can cross them.
fn marks(out: &mut String, chart: &Chart) -> fmt::Result {
    let marks: Vec<_> = chart.marks.iter().filter(|mark| chart.y.holds(mark.value)).collect();
    for mark in &marks {
        let y = y_place(chart, mark.value);
        writeln!(
            out,
            "<line class=\"mark\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        )?;
    }
    if !marks.is_empty() {
        let names: Vec<&str> = marks.iter().map(|mark| mark.name.as_str()).collect();
        writeln!(
            out,
            "<text class=\"name\" x=\"{}\" y=\"14\" text-anchor=\"end\">dotted: {}</text>",
            WIDTH - RIGHT,
            Escaped(&names.join("; "))
        )?;
    }
    Ok(())
}

/// An open `<path>`: circle, square, triangle, diamond, cross.
fn marker(out: &mut String, style: usize, x: f64, y: f64) -> fmt::Result {
    let shape = match style {
        0 => "m-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",
        1 => "m-3.5,-3.5h7v7h-7z",
        2 => "m0,-4.5l4.5,8h-9z",
        3 => "m0,-5l5,5l-5,5l-5,-5z",
        _ => "m-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0z",
    };
    write!(out, "<path d=\"M{x:.1},{y:.1}{shape}\">")
}

fn x_place(x: &X, index: usize) -> f64 {
    let room = WIDTH - LEFT - RIGHT - 2.0 * INSET;
    match x.len() {
        0 | 1 => LEFT + INSET + room / 2.0,
        len => LEFT + INSET + room * index as f64 / (len - 1) as f64,
    }
}

fn y_place(chart: &Chart, value: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * chart.y.place(value)
}

/// About eight labels.
fn number_step(len: usize) -> usize {
    let mut step = 1;
    for factor in [2, 5, 2].into_iter().cycle() {
        if len / step <= 10 {
            break;
        }
        step = match factor {
            5 => step * 5 / 2,
            factor => step * factor,
        };
    }
    step
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 44.0;
/// from the axes' ends to the first and last points
const INSET: f64 = 16.0;
const MAX_POINTS: usize = 400;
const MAX_MARKERS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_labelled_at_round_ones() {
        let steps = [1, 10, 11, 24, 60, 110, 2900].map(number_step);
        assert_eq!(steps, [1, 1, 2, 5, 10, 20, 500]);
    }
}
