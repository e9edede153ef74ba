//! Findings as JSON.

use serde_json::{Value, json};

use crate::rules::{Finding, Severity};
use crate::source::{Place, Skipped, Sources};

use super::{Outcome, region};

/// The outcome as one JSON object.
pub fn render(outcome: &Outcome) -> Value {
    let sources = &outcome.sources;
    json!({
        "version": 1,
        "tool": { "name": "outboard-lint", "version": env!("CARGO_PKG_VERSION") },
        "controllers": outcome.controllers,
        "files": sources.iter().map(|(_, f)| f.path.as_str()).collect::<Vec<_>>(),
        "findings": outcome.findings.iter().map(|f| finding(sources, f)).collect::<Vec<_>>(),
        "skipped": outcome.skipped.iter().map(skipped).collect::<Vec<_>>(),
        "unreadable": outcome.unreadable.iter().map(skipped).collect::<Vec<_>>(),
        "summary": {
            "errors": outcome.count(Severity::Error),
            "warnings": outcome.count(Severity::Warning),
            "advice": outcome.count(Severity::Advice),
        },
    })
}

fn finding(sources: &Sources, finding: &Finding) -> Value {
    let mut out = place(sources, finding.place);
    if let Some(map) = out.as_object_mut() {
        map.insert("rule".to_owned(), json!(finding.rule.id));
        map.insert("name".to_owned(), json!(finding.rule.name));
        map.insert("severity".to_owned(), json!(finding.severity.word()));
        map.insert("possible".to_owned(), json!(finding.possible));
        map.insert("message".to_owned(), json!(finding.message));
        map.insert("label".to_owned(), json!(finding.label));
        map.insert("help".to_owned(), json!(finding.help));
        map.insert("fixable".to_owned(), json!(!finding.fix.is_empty()));
        let related: Vec<Value> = finding
            .related
            .iter()
            .map(|(at, text)| {
                let mut out = place(sources, *at);
                if let Some(map) = out.as_object_mut() {
                    map.insert("message".to_owned(), json!(text));
                }
                out
            })
            .collect();
        map.insert("related".to_owned(), json!(related));
    }
    out
}

fn place(sources: &Sources, place: Place) -> Value {
    let [line, column, end_line, end_column] = region(sources, place);
    json!({
        "file": sources.file(place.file).path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    })
}

fn skipped(skipped: &Skipped) -> Value {
    json!({ "file": skipped.path, "line": skipped.line, "reason": skipped.reason })
}
