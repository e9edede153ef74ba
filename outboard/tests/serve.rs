//! `outboard serve` as its operator sees it: refused configurations, readiness, status, reload and
//! end, as told to the service manager and by exit codes.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod scenario;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use scenario::command::{OUTBOARD, Ran, outboard};
use scenario::leftovers::within;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(15);
/// What the service manager's watchdog is fed with.
const ALIVE: &str = "WATCHDOG=1\n";
const TARGET: &str = "iqn.2026-01.com.example:operated";

/// A server with its folder, and the service manager's end of the socket.
struct Served {
    folder: TempDir,
    port: u16,
    manager: UnixDatagram,
    process: Child,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = free_port();
        fs::write(folder.path().join("serve.toml"), text(port, "[\"memory\"]")).unwrap();
        let manager = UnixDatagram::bind(folder.path().join("manager")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let log = |name: &str| File::create(folder.path().join(name)).unwrap();
        let process = Command::new(OUTBOARD)
            .args(["serve", "--log-format", "json", "--config"])
            .arg(folder.path().join("serve.toml"))
            .env("NOTIFY_SOCKET", folder.path().join("manager"))
            .env("WATCHDOG_USEC", "400000")
            .stdin(Stdio::null())
            .stdout(log("stdout"))
            .stderr(log("stderr"))
            .spawn()
            .unwrap();
        Self { folder, port, manager, process }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text_of(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// What the service manager is told next, other than that all is well.
    #[track_caller]
    fn told(&self) -> String {
        loop {
            let told = self.heard();
            if told != ALIVE {
                return told;
            }
        }
    }

    /// What the service manager is told next.
    #[track_caller]
    fn heard(&self) -> String {
        let mut buffer = [0; 512];
        let len = self.manager.recv(&mut buffer).unwrap_or_else(|error| {
            panic!("the service manager was told nothing: {error}\n{}", self.text_of("stderr"))
        });
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn status(&self, arguments: &[&str]) -> Ran {
        let socket = self.file("api.sock").display().to_string();
        let first = ["status", "--socket", &socket];
        outboard(first.iter().chain(arguments))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().port()
}

fn text(port: u16, luns: &str) -> String {
    format!(
        "iscsi.portals = [\"127.0.0.1:{port}\"]\n\
         api.socket = \"api.sock\"\n\
         state.directory = \"state\"\n\
         [[array]]\nname = \"memory\"\nmembers = [\"mem:8Mi\"]\n\
         [[array]]\nname = \"more\"\nmembers = [\"mem:4Mi\"]\n\
         [[target]]\nname = \"{TARGET}\"\nluns = {luns}\n"
    )
}

#[test]
fn a_configuration_with_mistakes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.toml");
    let shown = file.display().to_string();
    fs::write(&file, text(3260, "[\"memry\"]")).unwrap();
    let words = [&format!("{shown}:12:9: "), "there is no array \"memry\"", "did you mean"];
    outboard(["config", "check", &shown]).refused(2, &words);
    outboard(["serve", "--config", &shown]).refused(2, &words);
    fs::write(&file, text(3260, "[\"memory\"]")).unwrap();
    let checked = outboard(["config", "check", &shown]);
    checked.succeeded();
    assert!(checked.stdout.contains("good: 2 arrays, 1 target, 1 LUN"), "{checked:?}");
    assert!(checked.stderr.contains("\"more\" is no LUN of any target"), "{checked:?}");
    outboard(["serve", "--array", "5:a,b"]).refused(2, &["--array 5:a,b", "is no level"]);
    outboard(["serve", "--config", "/no/such.toml"]).refused(2, &["/no/such.toml"]);
}

#[test]
fn without_a_server_there_is_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock").display().to_string();
    outboard(["status", "--socket", &socket]).refused(1, &[&socket, "is outboard serve running"]);
}

#[test]
fn an_operators_day() {
    let mut served = Served::start();
    let ready = served.told();
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    let line = format!("ready: iscsi://127.0.0.1:{}/{TARGET}/0\n", served.port);
    assert_eq!(served.text_of("stdout"), line);
    for _ in 0..2 {
        assert_eq!(served.heard(), ALIVE);
    }

    let status = served.status(&[]);
    status.succeeded();
    for words in ["ready, up", "running", TARGET, "memory", "8Mi", "no sessions"] {
        assert!(status.stdout.contains(words), "{words:?}: {status:?}");
    }
    let json = served.status(&["--json"]).json();
    assert_eq!(json["server"]["pid"], served.process.id());
    assert_eq!(json["targets"][0]["luns"][0]["blocks"], 16_384);

    let second = Command::new(OUTBOARD)
        .args(["serve", "--array", "disk:mem:1Mi", "--api"])
        .arg(served.file("api.sock"))
        .args(["--iscsi", &format!("127.0.0.1:{}", free_port())])
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{message}");
    assert!(message.contains("another server holds this control socket"), "{message}");

    fs::write(served.file("serve.toml"), text(served.port, "[\"memory\", \"more\"]")).unwrap();
    served.signal(Signal::HUP);
    assert!(served.told().starts_with("RELOADING=1\n"));
    let ready = served.told();
    assert!(ready.contains("reloaded"), "{ready}\n{}", served.text_of("stderr"));
    let json = served.status(&["--json"]).json();
    assert_eq!(json["targets"][0]["luns"].as_array().unwrap().len(), 2);

    served.signal(Signal::TERM);
    let stopping = served.told();
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    let mut ended = None;
    within(PATIENCE, || {
        ended = served.process.try_wait().unwrap();
        ended.is_some()
    });
    let log = served.text_of("stderr");
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{log}");
    assert!(!served.file("api.sock").exists());
    for line in log.lines() {
        let entry: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(entry.is_ok_and(|entry| entry["level"].is_string()), "no log line: {line}");
    }
}
