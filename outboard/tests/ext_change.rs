//! `outboard ext` when things go wrong in the middle: servers that refuse, commands that are killed,
//! hosts whose files are for themselves alone.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod packaged;
mod scenario;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use packaged::{IDENTIFIER, package};
use scenario::command::{OUTBOARD, Ran, outboard, run};
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
        let state = ["--state-dir", self.folder().to_str().unwrap()].map(str::to_owned);
        outboard(["ext"].iter().chain(arguments).map(|it| (*it).to_owned()).chain(state))
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn package(&self, version: &str) -> String {
        package(self.0.path(), version, "none").display().to_string()
    }

    fn extensions(&self) -> PathBuf {
        self.folder().join("extensions")
    }

    fn copy(&self, version: &str) -> PathBuf {
        self.extensions().join(IDENTIFIER).join(version)
    }

    /// The version that is listed as active.
    fn active(&self) -> String {
        let list = self.ext(&["list", "--json"]).json();
        let lines = list["extensions"].as_array().unwrap();
        let ours = |line: &&serde_json::Value| line["identifier"] == IDENTIFIER;
        let active: Vec<_> = lines.iter().filter(ours).filter(|l| l["active"] == true).collect();
        assert_eq!(active.len(), 1, "{list:#}");
        active[0]["version"].as_str().unwrap().to_owned()
    }

    /// What is played by this process as a server on the state directory: each time it is told to look
    /// again it says what `answer` makes of it, and tells what it saw.
    fn server<T: Send + 'static>(
        &self,
        answer: impl Fn(usize) -> (u16, &'static str, T) + Send + 'static,
    ) -> Receiver<T> {
        let socket = self.0.path().join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let servers = self.extensions().join("servers");
        fs::create_dir_all(&servers).unwrap();
        let (pid, socket) = (std::process::id(), socket.display());
        let entry = format!("{{\"pid\":{pid},\"socket\":\"{socket}\"}}");
        fs::write(servers.join(pid.to_string()), entry).unwrap();
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            let mut told = 0;
            for stream in listener.incoming().map_while(Result::ok) {
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
                let (status, body) = match lines[0].starts_with("POST /v1/extensions/reload ") {
                    true => {
                        let (status, body, saw) = answer(told);
                        told += 1;
                        let _ = sender.send(saw);
                        (status, body)
                    }
                    // What it uses.
                    false => (200, "[]"),
                };
                let _ = write!(&stream, "HTTP/1.0 {status} X\r\n\r\n{body}");
            }
        });
        seen
    }
}

const FOLLOWS: &str = r#"{"targets":[],"changes":[]}"#;
const REFUSES: &str =
    r#"{"title":"Conflict","status":409,"detail":"too large for it","mend":"none"}"#;

#[test]
fn a_server_that_has_to_go_back_still_has_what_it_runs() {
    let state = State::new();
    state.ext(&["activate", &state.package("1.0")]).succeeded();
    let (before, after) = (state.copy("1.0"), state.copy("2.0"));
    let is_there = move || (before.join("driver").exists(), after.join("driver").exists());
    // It refuses the new version; told again, it goes back.
    let seen = state.server(move |number| match number {
        0 => (409, REFUSES, is_there()),
        _ => (200, FOLLOWS, is_there()),
    });
    let ran = state.ext(&["replace", &state.package("2.0")]);
    ran.refused(1, &["too large for it", "2.0 is not activated; 1.0 goes on"]);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [(true, true), (true, true)]);
    assert_eq!(state.active(), "1.0");
    assert!(!state.copy("2.0").exists(), "nobody runs it any more");
}

#[test]
fn what_a_server_does_not_leave_is_kept_until_the_next_change() {
    let state = State::new();
    state.ext(&["activate", &state.package("1.0")]).succeeded();
    let seen = state.server(|number| match number {
        0 | 1 => (409, REFUSES, ()),
        _ => (200, FOLLOWS, ()),
    });
    let ran = state.ext(&["replace", &state.package("2.0")]);
    ran.refused(1, &["1.0 goes on", "has not gone back"]);
    assert_eq!(seen.try_iter().count(), 2);
    assert_eq!(state.active(), "1.0");
    assert!(state.copy("2.0").join("driver").exists());
    state.ext(&["replace", &state.package("3.0")]).succeeded();
    assert_eq!(state.active(), "3.0");
    assert!(!state.copy("2.0").exists() && !state.copy("1.0").exists());
}

/// The kill comes at a moment that goes through the whole of the command.
#[test]
fn a_command_that_is_killed_leaves_the_version_before_or_after() {
    let state = State::new();
    state.ext(&["activate", &state.package("1.0")]).succeeded();
    let mut version = 0;
    let mut next = || {
        version += 1;
        (format!("2.{version}"), state.package(&format!("2.{version}")))
    };
    let begun = Instant::now();
    let (mut active, folder) = next();
    state.ext(&["replace", &folder]).succeeded();
    let whole = begun.elapsed();
    let (mut before, mut after) = (0, 0);
    for part in 0..24 {
        let (version, folder) = next();
        let mut command = Command::new(OUTBOARD);
        command.args(["ext", "replace", &folder, "--state-dir"]).arg(state.folder());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(whole * part / 20);
        child.kill().unwrap();
        child.wait().unwrap();
        let now = state.active();
        match now == active {
            true => before += 1,
            false => {
                assert_eq!(now, version, "neither {active} nor {version}");
                active = now;
                after += 1;
            }
        }
        assert!(state.copy(&active).join("driver").exists(), "{active} has no copy");
    }
    println!("{before} times the version before, {after} times the one after");
    state.ext(&["replace", &next().1]).succeeded();
    let left = fs::read_dir(state.extensions().join(IDENTIFIER)).unwrap().count();
    let aside = fs::read_dir(state.extensions()).unwrap().flatten();
    let aside = aside.filter(|e| e.file_name().to_string_lossy().starts_with(".new-")).count();
    assert_eq!((left, aside), (1, 0), "what the kills left is gone");
}

#[test]
fn a_store_that_has_lost_its_database_is_told_of_and_loses_nothing() {
    let state = State::new();
    state.ext(&["activate", &state.package("1.0")]).succeeded();
    fs::remove_file(state.extensions().join("database.json")).unwrap();
    for arguments in
        [&["list"][..], &["replace", &state.package("2.0")], &["deactivate", IDENTIFIER]]
    {
        let words = ["database.json: it is missing", "com.example.ram-disk/1.0", "ext activate"];
        state.ext(arguments).refused(1, &words);
    }
    assert!(state.copy("1.0").join("driver").exists());
    // Afresh, with what is there.
    let moved = state.0.path().join("moved");
    fs::rename(state.extensions().join(IDENTIFIER), &moved).unwrap();
    state.ext(&["activate", moved.join("1.0").to_str().unwrap()]).succeeded();
    assert_eq!(state.active(), "1.0");
}

/// The trial runs the copy that is kept, as a user without rights if this one has them.
#[test]
fn a_mask_that_hides_files_hides_no_copy() {
    let state = State::new();
    let folder = state.package("1.0");
    let opened = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    opened(state.0.path());
    let script = "umask 077; exec \"$0\" ext activate \"$1\" --state-dir \"$2\"";
    let ran =
        run(Command::new("/bin/sh").args(["-c", script, OUTBOARD, &folder]).arg(state.folder()));
    ran.succeeded();
    assert_eq!(state.active(), "1.0");
}
