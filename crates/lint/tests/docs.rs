//! The committed pages are those that the rules make.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use outboard_lint::{docs, rules};

#[test]
fn pages_are_up_to_date() {
    let pages = docs::pages();
    for (name, text) in &pages {
        let committed = fs::read_to_string(format!("docs/rules/{name}")).unwrap_or_default();
        assert_eq!(
            &committed, text,
            "docs/rules/{name} is stale; run outboard-lint --write-docs docs/rules"
        );
    }
    assert_eq!(fs::read_dir("docs/rules").unwrap().count(), pages.len());
}

#[test]
fn every_rule_is_complete() {
    for rule in rules::all() {
        assert!(rule.id.starts_with("DK") && rule.id.len() == 5, "{}", rule.id);
        for (what, text) in [
            ("summary", rule.summary),
            ("reason", rule.reason),
            ("source", rule.source),
            ("mend", rule.mend),
            ("wrong", rule.wrong),
            ("right", rule.right),
        ] {
            assert!(text.trim().len() > 10, "{} lacks {what}", rule.id);
        }
        assert!(rule.source.contains("driverkit.md"), "{} names no source", rule.id);
        assert_ne!(rule.wrong, rule.right);
        assert_eq!(
            rules::all().iter().filter(|r| r.id == rule.id || r.name == rule.name).count(),
            1
        );
    }
}

#[test]
fn the_guide_quotes_the_example_as_it_is() {
    let guide = fs::read_to_string("docs/guide/from-single-to-bundled.md").unwrap();
    let example: String =
        ["StripeController.iig", "StripeAdapter.h", "StripeController.cpp", "StripeTasks.cpp"]
            .iter()
            .map(|name| fs::read_to_string(format!("docs/guide/example/{name}")).unwrap())
            .collect();
    let mut quoted = 0;
    for block in guide.split("```cpp\n").skip(1) {
        let block = block.split("```").next().unwrap();
        if block.starts_with("// Before") {
            continue;
        }
        quoted += 1;
        assert!(example.contains(block.trim_end()), "not in the example:\n{block}");
    }
    assert!(quoted >= 5);
}
