//! Licences and bans: `cargo deny` where it is installed. It takes nine minutes to install, so
//! without it the licences of the tree are compared with `deny.toml` here.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::step::Outcome;
use crate::tools::{self, cargo, has_cargo, root};

/// Checks the whole tree.
pub(crate) fn run() -> Result<Outcome> {
    if has_cargo("deny") {
        // Advisories are fetched from a server that not every machine reaches.
        return tools::run(cargo(["deny", "check", "licenses", "bans", "sources"]));
    }
    let path = root().join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let allowed = allowed(&text)?;
    let tree = tools::output(cargo([
        "tree",
        "--workspace",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
        "--format",
        "{p}\t{l}",
    ]))?;
    let wrong = refused(&tree, &allowed);
    if !wrong.is_empty() {
        return Ok(Outcome::Failed(format!("not allowed by deny.toml: {}", wrong.join(", "))));
    }
    println!("    licences are in order; bans and sources are cargo-deny's");
    Ok(Outcome::Skipped("cargo-deny is missing; only licences were checked".into()))
}

/// The entries of `allow = [...]` in `deny.toml`.
fn allowed(deny: &str) -> Result<BTreeSet<String>> {
    let list = deny.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']'));
    let Some((list, _)) = list else { bail!("deny.toml has no list `allow`") };
    Ok(list.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Packages of `cargo tree` whose licence is not allowed.
fn refused(tree: &str, allowed: &BTreeSet<String>) -> Vec<String> {
    let lines: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let wrong = lines.iter().filter_map(|line| {
        let (package, licence) = line.split_once('\t')?;
        (!permits(licence, allowed)).then(|| format!("{package}: `{licence}`"))
    });
    wrong.collect()
}

/// Whether an SPDX expression can be met with what is allowed. `/` is the `OR` of old manifests.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = expression.split_whitespace().peekable();
    let met = either(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= both(words, allowed);
    }
    met
}

fn both(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => {
            let met = either(words, allowed);
            met && words.next() == Some(")")
        }
        Some(licence) if words.next_if_eq(&"WITH").is_some() => {
            let exception = words.next().unwrap_or_default();
            allowed.contains(&format!("{licence} WITH {exception}"))
        }
        Some(licence) => allowed.contains(licence),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        let allowed = allowed("[licenses]\nallow = [\n  \"MIT\", \"Apache-2.0\",\n  \"Apache-2.0 WITH LLVM-exception\", \"Unicode-3.0\"]\n").unwrap();
        for met in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-2.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(permits(met, &allowed), "{met}");
        }
        for unmet in ["", "GPL-2.0", "MIT AND GPL-2.0", "MIT WITH exception", "(MIT", "MIT MIT"] {
            assert!(!permits(unmet, &allowed), "{unmet}");
        }
        let tree = "a v1\tMIT\nb v2\tGPL-2.0\nb v2\tGPL-2.0 (*)\n";
        assert_eq!(refused(tree, &allowed), ["b v2: `GPL-2.0`"]);
    }
}
