//! The command: exit status, formats, mends, silencing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

fn lint() -> Command {
    Command::cargo_bin("outboard-lint").unwrap()
}

fn copy(from: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(from)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

fn stdout(command: &mut Command, status: i32) -> String {
    let out = command.assert().code(status).get_output().stdout.clone();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_example_exits_with_0() {
    let out = stdout(lint().arg("docs/guide/example"), 0);
    assert_eq!(out, "0 findings in 6 files\n");
}

#[test]
fn the_vendors_mistake_is_explained_and_mended() {
    let dir = copy("fixtures/vendor");
    let json = stdout(lint().arg(dir.path()).args(["--format", "json"]), 1);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ids: Vec<&str> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["severity"] != "advice")
        .map(|f| f["rule"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["DK102", "DK101"]);

    stdout(lint().arg(dir.path()).arg("--fix"), 0);
    let iig = fs::read_to_string(dir.path().join("ArrayHBA.iig")).unwrap();
    assert!(!iig.contains("QUEUENAME"), "{iig}");
    let after = stdout(lint().arg(dir.path()), 0);
    assert!(after.contains("\n0 findings, "), "{after}");
}

#[test]
fn the_vendors_excerpt() {
    let dir = copy("fixtures/vendor");
    let out = lint().current_dir(dir.path()).arg(".").assert().code(1).get_output().stdout.clone();
    insta::assert_snapshot!("vendor", String::from_utf8(out).unwrap());
}

#[test]
fn every_mend_ends_clean() {
    for rule in ["DK101", "DK102", "DK401", "DK402", "DK403"] {
        let dir = copy(&format!("fixtures/rules/{rule}"));
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("right") {
                fs::remove_file(path).unwrap();
            }
        }
        stdout(lint().arg(dir.path()), 1);
        let after = stdout(lint().arg(dir.path()).arg("--fix"), 0);
        assert!(after.starts_with("0 findings in"), "{rule}: {after}");
    }
}

#[test]
fn wrong_usage_and_unreadable_input_exit_with_2() {
    lint().assert().code(2);
    lint().arg("/no/such/path.cpp").assert().code(2);
    lint().args(["--explain", "DK999"]).assert().code(2);
    lint().args(["--format", "xml", "src"]).assert().code(2);
    let dir = TempDir::new().unwrap();
    let binary = dir.path().join("a.cpp");
    fs::write(&binary, b"\x7fELF\0\0\0").unwrap();
    let out = lint().arg(&binary).assert().code(2).get_output().stderr.clone();
    assert!(String::from_utf8(out).unwrap().contains("a binary file, not read"));
    // Found in a directory, the same file is only noted.
    lint().arg(dir.path()).assert().code(0);
    fs::write(dir.path().join("outboard-lint.toml"), "[rules]\nDK999 = \"off\"\n").unwrap();
    lint().arg(dir.path()).assert().code(2);
}

#[test]
fn empty_input_is_clean() {
    let dir = TempDir::new().unwrap();
    for name in ["a.cpp", "a.iig", "a.h", "Info.plist", "a.entitlements"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    lint().arg(dir.path()).assert().code(0);
}

#[test]
fn comments_silence_in_place() {
    let wrong = fs::read_to_string("fixtures/rules/DK405/wrong.cpp").unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("a.cpp");
    let with = |comment: &str| {
        wrong.replace("    *uniqueTaskID", &format!("    {comment}\n    *uniqueTaskID"))
    };
    for (text, status) in [
        (wrong.clone(), 1),
        (with("// outboard-lint: allow(DK405) one task only"), 0),
        (with("/* outboard-lint: allow(task-identifier-repeated, DK404) one task only */"), 0),
        (with("// outboard-lint: allow(DK404) another rule"), 1),
        (with("const char * s = \"outboard-lint: allow(DK405) in a string\";"), 1),
        (format!("// outboard-lint: allow-file(DK405) one task only\n\n{wrong}"), 0),
        (wrong.replace("= 1;", "= 1; // outboard-lint: allow(DK405) one task only"), 0),
    ] {
        fs::write(&file, &text).unwrap();
        let _ = (text, stdout(lint().arg(&file), status));
    }
}

#[test]
fn configuration_silences_and_rates() {
    let dir = TempDir::new().unwrap();
    fs::copy("fixtures/rules/DK405/wrong.cpp", dir.path().join("a.cpp")).unwrap();
    let config = dir.path().join("outboard-lint.toml");
    for (text, status) in [
        ("[rules]\nDK405 = \"off\"\n", 0),
        ("[rules]\ntask-identifier-repeated = \"advice\"\n", 0),
        ("[rules]\nDK405 = \"warning\"\n", 1),
        ("exclude = [\"a.cpp\"]\n", 0),
        ("[[allow]]\nrule = \"DK405\"\npath = \"a.cpp\"\nreason = \"one task\"\n", 0),
        ("[[allow]]\nrule = \"DK405\"\npath = \"b.cpp\"\nreason = \"one task\"\n", 1),
        ("[[allow]]\nrule = \"DK405\"\nreason = \"\"\n", 2),
        ("rules = 3\n", 2),
        ("unknown = true\n", 2),
    ] {
        fs::write(&config, text).unwrap();
        lint().arg(dir.path()).assert().code(status);
    }
    fs::remove_file(&config).unwrap();
    lint().arg(dir.path()).args(["--allow", "DK405"]).assert().code(0);
}

#[test]
fn advice_counts_only_when_asked() {
    lint().arg("fixtures/rules/DK301/wrong.cpp").assert().code(0);
    lint().args(["fixtures/rules/DK301/wrong.cpp", "--fail-on", "advice"]).assert().code(1);
    lint().args(["fixtures/rules/DK202/wrong.cpp", "--fail-on", "error"]).assert().code(0);
}

#[test]
fn workflow_commands() {
    let out = stdout(lint().args(["fixtures/rules/DK405/wrong.cpp", "--format", "github"]), 1);
    insta::assert_snapshot!("github", out);
}

#[test]
fn mends_keep_line_ends_and_foreign_bytes() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("a.cpp");
    let wrong = fs::read_to_string("fixtures/rules/DK401/wrong.cpp").unwrap();
    fs::write(&file, wrong.replace('\n', "\r\n")).unwrap();
    lint().arg(&file).arg("--fix").assert().code(0);
    let after = fs::read_to_string(&file).unwrap();
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
    // A file with bytes that are not UTF-8 is checked, but never written back.
    let mut bytes = wrong.into_bytes();
    bytes.extend(b"// caf\xe9\n");
    fs::write(&file, &bytes).unwrap();
    lint().arg(&file).arg("--fix").assert().code(1);
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn explain_and_list() {
    let out = stdout(lint().args(["--explain", "dk101"]), 0);
    assert!(out.starts_with("# DK101 queue-on-action-method"));
    let by_name = stdout(lint().args(["--explain", "queue-on-action-method"]), 0);
    assert_eq!(out, by_name);
    assert_eq!(
        stdout(lint().arg("--list-rules"), 0).lines().count(),
        outboard_lint::rules::all().len()
    );
}

#[test]
fn method_report() {
    let out = stdout(lint().args(["--methods", "fixtures/kext"]), 0);
    assert!(out.contains("ProcessParallelTask -> UserProcessBundledParallelTasks"));
    lint().args(["--methods", "docs/guide/example"]).assert().code(2);
}
