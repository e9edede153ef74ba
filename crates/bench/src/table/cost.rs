use core::fmt::{self, Write};

use super::{Ink, WIDTH};
use crate::sample::Cost;
use crate::text::nanos;

/// The curve, then the parts.
pub(super) fn write(out: &mut impl Write, cost: &Cost, ink: Ink) -> fmt::Result {
    writeln!(out, "\n{}", ink.bold("CPU time per task, host and driver (ns)"))?;
    let heads = format!("  {:>6}{:>12}{:>12}{:>12}", "bundle", "resident", "bundled", "isolation");
    writeln!(out, "{}", ink.dim(&heads))?;
    for point in &cost.curve {
        let isolation = format!("{:>12.0}", point.isolation_ns());
        writeln!(
            out,
            "  {:>6}{:>12.0}{:>12.0}{}",
            point.bundle,
            point.resident_ns,
            point.bundled_ns,
            ink.bold(&isolation)
        )?;
    }
    if cost.parts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", ink.bold("Parts, against the bare mechanism in the same run"))?;
    let name_len =
        cost.parts.iter().map(|part| part.name.chars().count()).max().unwrap_or(0).max(4);
    let heads = format!("  {:<name_len$}{:>10}{:>10}{:>8}  what", "part", "here", "bare", "ratio");
    writeln!(out, "{}", ink.dim(&heads))?;
    for part in &cost.parts {
        let bare = part.bare_ns.map_or_else(|| "-".to_owned(), nanos);
        let ratio = part.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let line =
            format!("  {:<name_len$}{:>10}{bare:>10}{ratio:>8}  ", part.name, nanos(part.ns));
        let room = WIDTH.saturating_sub(line.chars().count()).max(20);
        for (index, piece) in pieces(&part.what, room).iter().enumerate() {
            let indent = if index == 0 { line.clone() } else { " ".repeat(line.chars().count()) };
            writeln!(out, "{indent}{piece}")?;
        }
    }
    Ok(())
}

/// `text` in lines of at most `room`, broken at spaces.
fn pieces(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
