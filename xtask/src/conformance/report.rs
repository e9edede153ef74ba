//! What came of the runs, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::output::{Run, Verdict};

/// Passed, failed and skipped tests.
type Counts = [usize; 3];

/// Suite by configuration, `passed/failed/skipped` each; a suite that passed whole is `ok`.
pub(crate) fn table(runs: &[(&str, Run)]) -> String {
    let mut suites: BTreeMap<&str, Vec<Counts>> = BTreeMap::new();
    for (column, (_, run)) in runs.iter().enumerate() {
        for test in &run.tests {
            let suite = test.name.split('.').next().unwrap_or_default();
            let row = suites.entry(suite).or_insert_with(|| vec![Counts::default(); runs.len()]);
            row[column][index(test.verdict)] += 1;
        }
    }
    let mut text = format!("    {:<24}", "suite");
    let _ = writeln!(text, "{}", cells(runs.iter().map(|(name, _)| (*name).to_owned())));
    for (suite, row) in &suites {
        let _ = writeln!(text, "    {suite:<24}{}", cells(row.iter().map(shown)));
    }
    let all = runs.iter().map(|(_, run)| {
        [Verdict::Passed, Verdict::Failed, Verdict::Skipped].map(|verdict| run.count(verdict))
    });
    let all = all.map(|[passed, failed, skipped]| format!("{passed}/{failed}/{skipped}"));
    let _ = writeln!(text, "    {:<24}{}", "passed/failed/skipped", cells(all));
    text
}

/// Everything, test by test.
pub(crate) fn json(peer: &str, runs: &[(&str, Run)]) -> Result<String> {
    let configurations: Vec<_> = runs
        .iter()
        .map(|(name, run)| {
            json!({
                "configuration": name,
                "complete": run.totals.is_some(),
                "passed": run.count(Verdict::Passed),
                "failed": run.count(Verdict::Failed),
                "skipped": run.count(Verdict::Skipped),
                "tests": run.tests,
            })
        })
        .collect();
    let json = json!({ "target": peer, "configurations": configurations });
    Ok(serde_json::to_string_pretty(&json)? + "\n")
}

const fn index(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Failed => 1,
        Verdict::Skipped => 2,
    }
}

fn shown(&[passed, failed, skipped]: &Counts) -> String {
    match (passed, failed, skipped) {
        (0, 0, 0) => "-".to_owned(),
        (_, 0, 0) => "ok".to_owned(),
        (0, 0, _) => "skip".to_owned(),
        _ => format!("{passed}/{failed}/{skipped}"),
    }
}

fn cells(cells: impl Iterator<Item = String>) -> String {
    cells.fold(String::new(), |mut text, cell| {
        let _ = write!(text, " {cell:>10}");
        text
    })
}
