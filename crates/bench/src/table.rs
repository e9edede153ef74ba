//! The result in a terminal: at most 80 columns, figures to the right, colour only as an addition.

mod cost;
mod ink;
mod random;
mod system;

use core::fmt::{self, Write};

pub use ink::Ink;

use crate::results::{Outcome, Workload};
use crate::text;

/// Columns that a table fills at most.
pub const WIDTH: usize = 80;

/// Writes the whole result.
pub fn write(out: &mut impl Write, outcome: &Outcome, ink: Ink) -> fmt::Result {
    for line in text::workload(&outcome.workload) {
        wrapped(out, &line)?;
    }
    match &outcome.workload {
        Workload::System(plan) => system::write(out, plan, &outcome.results, ink)?,
        Workload::Random(plan) => random::write(out, plan, &outcome.results, ink)?,
        Workload::Cost(_) => {}
    }
    if let Some(cost) = &outcome.cost {
        cost::write(out, cost, ink)?;
    }
    Ok(())
}

/// Breaks at spaces; further lines are indented.
fn wrapped(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut column = 0;
    for word in text.split(' ') {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > WIDTH {
            write!(out, "\n  {word}")?;
            column = 2 + len;
        } else {
            let gap = if column == 0 { "" } else { " " };
            write!(out, "{gap}{word}")?;
            column += gap.len() + len;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests;
