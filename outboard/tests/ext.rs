//! `outboard ext`: packages are activated after a trial start, replaced, listed, deactivated; what
//! is wrong with one is said, with the mend.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod packaged;
mod scenario;

use std::fs;
use std::path::Path;

use packaged::{IDENTIFIER, package};
use scenario::command::{Ran, outboard};
use tempfile::TempDir;

/// Not a test: this program, started as a driver.
#[test]
fn be_the_driver() {
    packaged::be_the_driver();
}

struct State(TempDir);

impl State {
    fn new() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn ext(&self, arguments: &[&str]) -> Ran {
        let state = self.0.path().join("state");
        let state = ["--state-dir", state.to_str().unwrap()];
        outboard(["ext"].iter().chain(arguments).chain(&state))
    }

    fn package(&self, version: &str, fault: &str) -> String {
        package(self.0.path(), version, fault).display().to_string()
    }

    fn list(&self) -> String {
        let ran = self.ext(&["list"]);
        ran.succeeded();
        ran.stdout
    }

    fn extensions(&self) -> std::path::PathBuf {
        self.0.path().join("state/extensions")
    }
}

#[test]
fn the_life_of_an_extension() {
    let state = State::new();
    assert!(state.list().starts_with("1 extension(s)\n--- "), "{}", state.list());
    assert!(state.list().contains("*\t*\torg.outboard.array ("), "{}", state.list());

    let ran = state.ext(&["activate", &state.package("1.0", "none")]);
    ran.succeeded();
    assert!(ran.stdout.contains("com.example.ram-disk 1.0 is activated"), "{ran:?}");
    assert!(ran.stdout.contains("outboard serve --extension"), "what to do next: {ran:?}");
    let line = "*\t*\tcom.example.ram-disk (1.0)\tRAM disk\t[activated enabled]";
    assert!(state.list().contains(line), "{}", state.list());

    // The package itself may go: what is served is a copy.
    fs::remove_dir_all(state.0.path().join("package-1.0-none")).unwrap();
    assert!(state.extensions().join(IDENTIFIER).join("1.0/driver").is_file());

    let json = state.ext(&["replace", &state.package("2.0", "none"), "--json"]).json();
    assert_eq!((&json["version"], &json["before"]), (&"2.0".into(), &"1.0".into()));
    assert_eq!(json["luns"], 1);
    assert!(!state.extensions().join(IDENTIFIER).join("1.0").exists(), "nobody uses it");

    let json = state.ext(&["list", "--json"]).json();
    let listed = &json["extensions"][1];
    assert_eq!(
        (&listed["version"], &listed["state"]),
        (&"2.0".into(), &"activated enabled".into())
    );

    state.ext(&["deactivate", IDENTIFIER]).succeeded();
    assert!(state.list().starts_with("1 extension(s)\n"), "{}", state.list());
    assert!(!state.extensions().join(IDENTIFIER).exists());
    state.ext(&["deactivate", IDENTIFIER]).refused(2, &["no extension", "outboard ext activate"]);
}

#[test]
fn the_same_version_again_is_refused_unless_said() {
    let state = State::new();
    let folder = state.package("1.0", "none");
    state.ext(&["activate", &folder]).succeeded();
    state.ext(&["activate", &folder]).refused(2, &["bump `version`", "--same-version"]);
    state.ext(&["replace", &folder]).refused(2, &["bump `version`", "--same-version"]);
    state.ext(&["activate", &state.package("1.1", "none")]).refused(2, &["ext replace"]);
    state.ext(&["replace", &folder, "--same-version"]).succeeded();
    assert!(state.extensions().join(IDENTIFIER).join("1.0~2/driver").is_file());
    assert!(!state.extensions().join(IDENTIFIER).join("1.0").exists());
}

#[test]
fn every_rule_is_checked_by_a_trial_start() {
    let state = State::new();
    for (fault, words) in [
        ("binds-task-method", &["UserProcessParallelTask", "MyParallelIOQueue", "Remove"][..]),
        ("fails", &["initialize", "firmware 1.2 is too old"]),
        ("no-constraints", &["IOMinimumSegmentAlignmentByteCount", "mandatory"]),
        ("no-tasks", &["maximum task count is 0"]),
        ("identifier-zero", &["identifier 0", "never 0"]),
        ("does-not-stop", &["did not end in order", "Controller::stop"]),
    ] {
        let ran = state.ext(&["activate", &state.package("1.0", fault)]);
        ran.refused(1, words);
        let list = state.list();
        let failed = list.lines().find(|line| line.contains(IDENTIFIER)).unwrap();
        assert!(failed.starts_with("\t\t") && failed.contains("[activation failed: "), "{list}");
        assert!(failed.contains(words[words.len() - 1]), "{fault}: {list}");
    }
    assert_eq!(state.list().matches(IDENTIFIER).count(), 1, "the last reason: {}", state.list());
    assert!(!state.extensions().join(IDENTIFIER).exists(), "no copy of what failed");
    state.ext(&["activate", &state.package("1.0", "none")]).succeeded();
    assert!(!state.list().contains("failed"), "{}", state.list());
}

#[test]
fn a_program_that_hangs_is_ended() {
    let state = State::new();
    let ran = state.ext(&["activate", &state.package("1.0", "hangs"), "--timeout", "1"]);
    ran.refused(1, &["has not answered initialize", "must not block"]);
}

#[test]
fn a_crash_in_the_trial_leaves_what_was() {
    let state = State::new();
    state.ext(&["activate", &state.package("1.0", "none")]).succeeded();
    let folder = state.0.path().join("state");
    let mut command = std::process::Command::new(scenario::command::OUTBOARD);
    command.args(["ext", "replace", &state.package("2.0", "hangs"), "--state-dir"]).arg(&folder);
    let mut crashed = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let aside = || {
        let entries = fs::read_dir(state.extensions()).unwrap().flatten();
        entries.filter(|e| e.file_name().to_string_lossy().starts_with(".new-")).count()
    };
    let patience = std::time::Duration::from_secs(10);
    assert!(scenario::leftovers::within(patience, || aside() == 1), "no copy is being made");
    crashed.kill().unwrap();
    crashed.wait().unwrap();
    assert!(state.list().contains("*\t*\tcom.example.ram-disk (1.0)"), "{}", state.list());
    state.ext(&["replace", &state.package("2.1", "none")]).succeeded();
    assert_eq!(aside(), 0, "what the crash left is gone");
    assert!(state.list().contains("*\t*\tcom.example.ram-disk (2.1)"), "{}", state.list());
}

#[test]
fn a_program_that_is_not_its_package_is_refused_with_the_difference() {
    let state = State::new();
    let folder = state.package("1.0", "none");
    let file = Path::new(&folder).join("extension.toml");
    let text = fs::read_to_string(&file).unwrap();
    let other = text.replace("version = \"1.0\"", "version = \"1.1\"");
    fs::write(&file, other + "[[queues]]\nname = \"Mine\"\n").unwrap();
    let words =
        ["version \"1.1\" is declared, the program says \"1.0\"", "queue \"Mine\" (serial)"];
    state.ext(&["activate", &folder]).refused(1, &words);
}

#[test]
fn a_failed_replacement_leaves_what_is_active() {
    let state = State::new();
    state.ext(&["activate", &state.package("1.0", "none")]).succeeded();
    state.ext(&["replace", &state.package("2.0", "fails")]).refused(1, &["firmware"]);
    let list = state.list();
    assert!(list.contains("*\t*\tcom.example.ram-disk (1.0)"), "{list}");
    assert!(
        list.contains("\t\tcom.example.ram-disk (2.0)\tRAM disk\t[activation failed"),
        "{list}"
    );
    let ran = state.ext(&["replace", &state.package("2.0", "fails"), "--json"]);
    assert_eq!(ran.code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(json["error"].as_str().unwrap().contains("firmware"), "{json}");
}

#[test]
fn a_package_is_tested_from_outside() {
    let state = State::new();
    let ran = state.ext(&["test", &state.package("1.0", "none"), "--timeout", "120"]);
    println!("{}", ran.stdout);
    ran.succeeded();
    assert_eq!(ran.stdout.matches("passed  ").count(), 9, "{ran:?}");
    for (fault, failed) in [
        ("panics-on-unknown", "any CDB ends with a status"),
        ("forgets", "no acknowledged write is lost when it is killed"),
        ("binds-task-method", "starts, stops, starts again"),
    ] {
        let ran = state.ext(&["test", &state.package("1.0", fault), "--json", "--timeout", "120"]);
        assert_eq!(ran.code, Some(1), "{fault}: {ran:?}");
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let checks = json["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == failed).unwrap();
        assert!(check["passed"] == false && check["mend"].is_string(), "{fault}: {json:#}");
    }
}

#[test]
fn bad_packages_and_state_are_refused_by_name() {
    let state = State::new();
    state.ext(&["activate", "/nonexistent"]).refused(2, &["extension.toml", "ext new"]);
    let folder = state.package("1.0", "none");
    fs::remove_file(Path::new(&folder).join("driver")).unwrap();
    state.ext(&["activate", &folder]).refused(2, &["build the driver first"]);
    let file = Path::new(&folder).join("extension.toml");
    fs::write(&file, "identifier = \"../x\"\nversion = 1\n").unwrap();
    state.ext(&["activate", &folder]).refused(2, &[":1:14:", ":2:11:", "com.example.ram"]);

    fs::create_dir_all(state.extensions()).unwrap();
    fs::write(state.extensions().join("database.json"), "{\"kind\"").unwrap();
    for arguments in [&["list"][..], &["activate", &state.package("1.0", "none")]] {
        state.ext(arguments).refused(1, &["database.json", "Move it away"]);
    }
}
