//! The outputs: excerpts for people, JSON, SARIF, workflow commands.

pub mod github;
pub mod json;
pub mod sarif;
pub mod text;

use crate::rules::{Finding, Severity};
use crate::source::{Place, Skipped, Sources};

/// Everything that one run has to say.
pub struct Outcome {
    /// The files that were read.
    pub sources: Sources,
    /// The findings, in the order of files and places.
    pub findings: Vec<Finding>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// Paths that the user named and that could not be read.
    pub unreadable: Vec<Skipped>,
    /// Classes that were checked as controllers.
    pub controllers: Vec<String>,
}

impl Outcome {
    /// Number of findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }

    /// One line that sums the run up.
    pub fn summary(&self) -> String {
        let (errors, warnings, advice) = (
            self.count(Severity::Error),
            self.count(Severity::Warning),
            self.count(Severity::Advice),
        );
        let files = self.sources.iter().count();
        let mut out = match errors + warnings {
            0 => "0 findings".to_owned(),
            n => format!(
                "{n} finding{}: {errors} error{}, {warnings} warning{}",
                s(n),
                s(errors),
                s(warnings)
            ),
        };
        if advice > 0 {
            out.push_str(&format!(", {advice} advice"));
        }
        out.push_str(&format!(" in {files} file{}", s(files)));
        out
    }
}

fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The title of a finding with its word for doubt.
pub(crate) fn title(finding: &Finding) -> String {
    if finding.possible {
        format!("possible: {}", finding.message)
    } else {
        finding.message.clone()
    }
}

/// Start and end of a place as lines and columns of characters, counted from 1.
pub(crate) fn region(sources: &Sources, place: Place) -> [usize; 4] {
    let file = sources.file(place.file);
    let point = |offset: u32| {
        let (line, _) = file.line_column(offset);
        let start = file.line_span(line).start as usize;
        let text = file.text.get(start..offset as usize).unwrap_or("");
        (line, text.chars().count() + 1)
    };
    let (start_line, start_column) = point(place.span.start);
    let (end_line, end_column) = point(place.span.end);
    [start_line, start_column, end_line, end_column]
}
