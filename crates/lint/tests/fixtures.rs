//! Every rule finds its wrong example, and nothing in its right one.

use outboard_lint::check::check_texts;
use outboard_lint::config::Config;
use outboard_lint::report::{Outcome, text};
use outboard_lint::rules;

fn lint(name: &str, contents: &str) -> Outcome {
    check_texts([(name, contents)], &Config::default())
}

fn ids(outcome: &Outcome) -> Vec<&'static str> {
    outcome.findings.iter().map(|f| f.rule.id).collect()
}

#[test]
fn wrong_examples_are_found_and_nothing_else() {
    let mut failed = Vec::new();
    for rule in rules::all() {
        let name = format!("{}/wrong.{}", rule.id, rule.language);
        let outcome = lint(&name, rule.wrong);
        if ids(&outcome) != [rule.id] {
            failed.push(format!("{name}: {:?}\n{}", ids(&outcome), text::render(&outcome, false)));
        }
        assert!(outcome.skipped.is_empty(), "{name}: {:?}", outcome.skipped);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn right_examples_are_clean() {
    let mut failed = Vec::new();
    for rule in rules::all() {
        let name = format!("{}/right.{}", rule.id, rule.language);
        let outcome = lint(&name, rule.right);
        if !outcome.findings.is_empty() {
            failed.push(format!("{name}: {:?}\n{}", ids(&outcome), text::render(&outcome, false)));
        }
        assert!(outcome.skipped.is_empty(), "{name}: {:?}", outcome.skipped);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn findings_of_the_wrong_examples() {
    for rule in rules::all() {
        let name = format!("wrong.{}", rule.language);
        let outcome = lint(&name, rule.wrong);
        insta::assert_snapshot!(rule.id, text::render(&outcome, false));
    }
}
