//! What the documents say can be done: the driver in README is the example that compiles, the two
//! commands are there, and every relative link leads somewhere.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The documents: in the root and in `docs`.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [root(), root().join("docs")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text outside of fenced blocks, and the blocks as language and text.
fn parts(text: &str) -> (String, Vec<(String, String)>) {
    let (mut prose, mut blocks) = (String::new(), Vec::new());
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, block))) => *block += &format!("{line}\n"),
            (None, None) => prose += &format!("{line}\n"),
        }
    }
    assert!(open.is_none(), "a fenced block is not closed");
    (prose, blocks)
}

/// Targets of `[text](target)`.
fn links(prose: &str) -> Vec<String> {
    let pieces = prose.split("](").skip(1);
    pieces.filter_map(|p| p.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchor of a heading, as the usual viewers make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn has_anchor(file: &Path, wanted: &str) -> bool {
    let (prose, _) = parts(&fs::read_to_string(file).unwrap());
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).any(|a| a == wanted)
}

#[test]
fn the_first_driver_is_the_example() {
    let example = read("crates/hba/examples/first_driver.rs");
    let (_, blocks) = parts(&read("README.md"));
    let shown = blocks.iter().filter(|(language, _)| language == "rust");
    assert!(
        shown.into_iter().any(|(_, block)| *block == example),
        "README shows another driver than crates/hba/examples/first_driver.rs; copy the file"
    );
}

#[test]
fn the_two_commands_are_there() {
    let (_, blocks) = parts(&read("README.md"));
    for command in ["cargo run --release -- bench", "cargo xtask test"] {
        let is_it = |line: &str| line.split('#').next().unwrap_or_default().trim() == command;
        assert!(
            blocks.iter().any(|(_, block)| block.lines().any(is_it)),
            "README does not give the command `{command}`"
        );
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    let documents = documents();
    assert!(documents.iter().any(|d| d.ends_with("README.md")));
    for document in documents {
        let (prose, _) = parts(&fs::read_to_string(&document).unwrap());
        for link in links(&prose) {
            if link.contains("://") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let leads = target.exists() && (heading.is_empty() || has_anchor(&target, heading));
            if !leads {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}
