//! `outboard ext new`: what it writes builds, keeps the contract, activates and is served, as it is.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod scenario;

use std::path::{Path, PathBuf};
use std::process::Command;

use scenario::command::{Ran, outboard, run};
use scenario::skipped;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Cargo in a project of its own, without the network and without our own settings.
fn cargo(project: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let ours = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_") && name != "CARGO_HOME" || name.starts_with("RUSTFLAGS")
    });
    for (name, _) in ours {
        command.env_remove(name);
    }
    run(command.args(arguments).args(["--offline", "--quiet"]).current_dir(project))
}

fn package_of(project: &Path) -> &str {
    project.to_str().unwrap()
}

#[test]
fn a_new_project_builds_activates_and_passes_its_test() {
    let sdk = root();
    if Command::new("cargo").arg("--version").output().is_err() {
        return skipped("ext new: there is no cargo here");
    }
    // Always the same folder: what is built there is built once.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ext-new");
    let project = folder.join("my-raid");
    for file in ["Cargo.toml", "extension.toml", "README.md", "src/main.rs", ".gitignore"] {
        let _ = std::fs::remove_file(project.join(file));
    }
    let target = folder.join("target");
    let _ = std::fs::rename(project.join("target"), &target);
    let _ = std::fs::remove_dir_all(&project);
    let (at, checkout) = (folder.to_str().unwrap(), sdk.to_str().unwrap());
    outboard(["ext", "new", "my-raid", "--folder", at, "--sdk", checkout]).succeeded();
    let again = outboard(["ext", "new", "my-raid", "--folder", at, "--sdk", checkout]);
    again.refused(2, &["my-raid", "there already"]);
    outboard(["ext", "new", "My_Raid", "--sdk", checkout]).refused(2, &["small letters"]);
    let _ = std::fs::rename(&target, project.join("target"));

    // The versions that this workspace has.
    std::fs::copy(sdk.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    cargo(&project, &["build", "--release"]).succeeded();
    let tested = outboard(["ext", "test", package_of(&project), "--timeout", "120"]);
    tested.succeeded();
    println!("{}", tested.stdout);
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let state = state.path().to_str().unwrap();
    let ran = outboard(["ext", "activate", package_of(&project), "--state-dir", state]);
    ran.succeeded();
    assert!(ran.stdout.contains("com.example.my-raid 1.0.0 is activated"), "{ran:?}");
    let list = outboard(["ext", "list", "--state-dir", state]).stdout;
    assert!(
        list.contains("*\t*\tcom.example.my-raid (1.0.0)\tmy-raid\t[activated enabled]"),
        "{list}"
    );
}
