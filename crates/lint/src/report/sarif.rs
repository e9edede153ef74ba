//! Findings as SARIF 2.1.0.

use serde_json::{Value, json};

use crate::rules::{self, Finding, Severity};
use crate::source::{Place, Skipped, Sources};

use super::{Outcome, region, title};

/// The outcome as a SARIF log.
pub fn render(outcome: &Outcome) -> Value {
    let rules = rules::all();
    let sources = &outcome.sources;
    let results: Vec<Value> = outcome
        .findings
        .iter()
        .map(|f| {
            let index = rules.iter().position(|r| r.id == f.rule.id).unwrap_or(0);
            result(sources, f, index)
        })
        .collect();
    let notifications: Vec<Value> = outcome
        .skipped
        .iter()
        .map(|s| notification(s, "warning"))
        .chain(outcome.unreadable.iter().map(|s| notification(s, "error")))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "outboard-lint",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|r| descriptor(r)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "artifacts": sources.iter().map(|(_, f)| json!({
                "location": { "uri": uri(&f.path) },
                "length": f.text.len(),
            })).collect::<Vec<_>>(),
            "results": results,
            "invocations": [{
                "executionSuccessful": outcome.unreadable.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
        }],
    })
}

fn descriptor(rule: &rules::Rule) -> Value {
    json!({
        "id": rule.id,
        "name": pascal(rule.name),
        "shortDescription": { "text": rule.summary },
        "fullDescription": { "text": rule.reason },
        "help": { "text": format!("{}\n\nSource: {}", rule.mend, rule.source) },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "tags": ["driverkit", "scsi"] },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

fn pascal(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut chars = word.chars();
            chars
                .next()
                .map_or(String::new(), |c| c.to_ascii_uppercase().to_string() + chars.as_str())
        })
        .collect()
}

fn result(sources: &Sources, finding: &Finding, index: usize) -> Value {
    let mut out = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": format!("{}. {}", title(finding), capital(&finding.help)) },
        "locations": [location(sources, finding.place)],
        "properties": { "possible": finding.possible },
    });
    let related: Vec<Value> = finding
        .related
        .iter()
        .enumerate()
        .map(|(i, (place, text))| {
            let mut at = location(sources, *place);
            at["id"] = json!(i + 1);
            at["message"] = json!({ "text": text });
            at
        })
        .collect();
    if !related.is_empty() {
        out["relatedLocations"] = json!(related);
    }
    if !finding.fix.is_empty() {
        let changes: Vec<Value> = finding
            .fix
            .iter()
            .map(|edit| {
                json!({
                    "artifactLocation": { "uri": uri(&sources.file(edit.place.file).path) },
                    "replacements": [{
                        "deletedRegion": region_value(sources, edit.place),
                        "insertedContent": { "text": edit.text },
                    }],
                })
            })
            .collect();
        out["fixes"] = json!([{
            "description": { "text": finding.help },
            "artifactChanges": changes,
        }]);
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().to_string() + chars.as_str())
}

fn location(sources: &Sources, place: Place) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&sources.file(place.file).path) },
            "region": region_value(sources, place),
        },
    })
}

fn region_value(sources: &Sources, place: Place) -> Value {
    let [line, column, end_line, end_column] = region(sources, place);
    json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column })
}

fn notification(skipped: &Skipped, level: &str) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(&skipped.path) } });
    if let Some(line) = skipped.line {
        physical["region"] = json!({ "startLine": line });
    }
    json!({
        "level": level,
        "message": { "text": skipped.reason },
        "locations": [{ "physicalLocation": physical }],
    })
}

/// A path as a URI reference.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'~'
            | b'/'
            | b'+'
            | b'@'
            | b'=' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
