//! Real files, every byte checked: the main job in small.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod scenario;

use scenario::command::outboard;
use scenario::skipped;

/// Runs on two fresh files in a folder of its own inside `parent`.
fn two_files(parent: &str, options: &str, arguments: &str) {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let mut line = format!("bench --resolution hd --rounds 1 --json - {arguments}");
    for name in ["a", "b"] {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().set_len(40 << 20).unwrap();
        line += &format!(" --disk {}{options}", path.display());
    }
    let ran = outboard(line.split_whitespace());
    if ran.code == Some(2) && ran.stderr.contains("has no direct I/O") {
        return skipped(&format!("{parent}: {}", ran.stderr.trim()));
    }
    let json = ran.json();
    let results = json["results"].as_array().unwrap();
    assert!(results.iter().all(|cell| cell["errors"] == 0), "{json:#}");
    let mut paths: Vec<_> = results.iter().map(|cell| cell["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths, ["bundled", "resident", "single", "single-map"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a file is left behind");
}

const VERIFIED: &str = "--size 50M --queue-depth 1,8 --verify";

#[test]
fn files_on_a_disk() {
    two_files(env!("CARGO_TARGET_TMPDIR"), "", VERIFIED);
}

#[test]
fn files_through_the_page_cache() {
    two_files(env!("CARGO_TARGET_TMPDIR"), "?direct=off", VERIFIED);
}

#[test]
fn files_in_memory() {
    two_files("/dev/shm", "", VERIFIED);
}

#[test]
fn blocks_of_4096_bytes_and_odd_commands() {
    let arguments = "--size 20M --queue-depth 3 --verify --command-size 300Ki --chunk 64Ki";
    two_files(env!("CARGO_TARGET_TMPDIR"), "?block=4096", arguments);
    two_files("/dev/shm", "?block=4096", arguments);
}

#[test]
fn a_linear_array() {
    two_files("/dev/shm", "", "--level linear --size 60M --queue-depth 4 --verify");
}
