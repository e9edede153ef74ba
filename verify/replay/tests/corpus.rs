//! Replays the committed corpus of every fuzz target.

#![allow(clippy::unwrap_used, reason = "a corpus that cannot be read ends the test")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use outboard_replay::TARGETS;

#[test]
fn every_corpus_is_replayed() {
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let files = files(&folder("corpus").join(name));
        assert!(!files.is_empty(), "target {name} has no corpus");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            if catch_unwind(|| target(&bytes)).is_err() {
                failed.push(file);
            }
        }
    }
    assert!(failed.is_empty(), "these inputs break a promise: {failed:#?}");
}

#[test]
fn every_target_is_known_to_the_fuzzer() {
    let names = |folder: PathBuf| -> Vec<String> {
        let mut names: Vec<_> = files(&folder)
            .iter()
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let known: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(folder("fuzz_targets")), known, "verify/fuzz/fuzz_targets");
    assert_eq!(names(folder("corpus")), known, "verify/fuzz/corpus");
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}
