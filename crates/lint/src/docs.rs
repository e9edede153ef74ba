//! The pages of the rules, made from the rules themselves.

use std::fmt::Write as _;

use crate::rules::{self, Rule};

/// All pages: file name and text. The first is the index.
pub fn pages() -> Vec<(String, String)> {
    let mut out = vec![("README.md".to_owned(), index())];
    out.extend(rules::all().into_iter().map(|rule| (format!("{}.md", rule.id), page(rule))));
    out
}

/// The page of one rule; also what `--explain` prints.
pub fn page(rule: &Rule) -> String {
    let language = match rule.language {
        "plist" | "entitlements" => "xml",
        _ => "cpp",
    };
    let mut out = String::new();
    let _ = writeln!(out, "# {} {}\n", rule.id, rule.name);
    let _ = writeln!(
        out,
        "Severity: {}.{}\n",
        rule.severity.word(),
        if rule.fixable { " `--fix` can mend it." } else { "" }
    );
    let _ = writeln!(out, "{}\n", rule.summary);
    let _ = writeln!(out, "## Why\n\n{}\n\nSource: {}.\n", rule.reason, rule.source);
    let _ = writeln!(out, "## Wrong\n\n```{language}\n{}\n```\n", rule.wrong.trim_end());
    let _ = writeln!(out, "## Right\n\n```{language}\n{}\n```\n", rule.right.trim_end());
    let mend: String = {
        let mut chars = rule.mend.chars();
        chars.next().map_or(String::new(), |c| c.to_uppercase().to_string() + chars.as_str())
    };
    let _ = writeln!(out, "## Mend\n\n{}\n", mend.trim_end_matches('.').to_owned() + ".");
    let comment = match rule.language {
        "plist" | "entitlements" => format!("<!-- outboard-lint: allow({}) reason -->", rule.id),
        _ => format!("// outboard-lint: allow({}) reason", rule.id),
    };
    let _ = writeln!(
        out,
        "To silence it in place, put `{comment}` on the line or the line before; for whole paths use `outboard-lint.toml`."
    );
    out
}

/// One line for each rule; what `--list-rules` prints.
pub fn list() -> String {
    let mut out = String::new();
    for rule in rules::all() {
        let fix = if rule.fixable { " (--fix)" } else { "" };
        let _ = writeln!(
            out,
            "{}  {:7}  {:40} {}{fix}",
            rule.id,
            rule.severity.word(),
            rule.name,
            rule.summary
        );
    }
    out
}

fn index() -> String {
    let mut out = String::from(
        "# Rules\n\nMade from the rules themselves by `outboard-lint --write-docs docs/rules`; do not edit by hand.\n\n\
         | rule | severity | what is found | `--fix` |\n| --- | --- | --- | --- |\n",
    );
    for rule in rules::all() {
        let fix = if rule.fixable { "yes" } else { "" };
        let _ = writeln!(
            out,
            "| [{}]({}.md) {} | {} | {} | {fix} |",
            rule.id,
            rule.id,
            rule.name,
            rule.severity.word(),
            rule.summary
        );
    }
    out
}
