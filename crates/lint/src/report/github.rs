//! Findings as workflow commands, so that they show up beside the changed lines.

use std::fmt::Write as _;

use crate::rules::Severity;

use super::{Outcome, region, title};

/// One command for each finding.
pub fn render(outcome: &Outcome) -> String {
    let mut out = String::new();
    for finding in &outcome.findings {
        let [line, column, end_line, end_column] = region(&outcome.sources, finding.place);
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "notice",
        };
        let path = property(&outcome.sources.file(finding.place.file).path);
        let message = data(&format!("{}\nhelp: {}", title(finding), finding.help));
        let name = property(&format!("{} {}", finding.rule.id, finding.rule.name));
        // Columns count only within one line.
        let columns = if line == end_line {
            format!(",col={column},endColumn={end_column}")
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "::{command} file={path},line={line},endLine={end_line}{columns},title={name}::{message}"
        );
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
