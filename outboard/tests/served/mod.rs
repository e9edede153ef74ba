//! `outboard serve` from a configuration file, for scenarios that change the file, and a small load
//! that checks every byte.
#![allow(dead_code, reason = "each scenario uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

pub(crate) mod load;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use outboard_iscsi::initiator::{Client, Wishes, task::lun};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::iscsi::session::{Session, connect};
use crate::scenario::command::OUTBOARD;
use crate::scenario::leftovers::{children_of, within};

pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
pub(crate) const TARGET: &str = crate::iscsi::TARGET;

/// A server with its folder.
pub(crate) struct Served {
    folder: TempDir,
    process: Child,
    portal: SocketAddr,
}

/// A folder on the disk, with files for arrays.
pub(crate) fn folder(files: &[(&str, u64)]) -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (name, bytes) in files {
        File::create(folder.path().join(name)).unwrap().set_len(*bytes).unwrap();
    }
    folder
}

/// A configuration of one target: arrays by name and member, the LUNs.
pub(crate) fn text(arrays: &[(&str, &str)], luns: &[&str]) -> String {
    let mut text = String::from(
        "iscsi.portals = [\"127.0.0.1:0\"]\napi.socket = \"api.sock\"\n\
         state.directory = \"state\"\n",
    );
    for (name, member) in arrays {
        text += &format!("[[array]]\nname = \"{name}\"\nmembers = [\"{member}\"]\n");
    }
    text + &format!("[[target]]\nname = \"{TARGET}\"\nluns = {luns:?}\n")
}

impl Served {
    /// In a folder of its own.
    #[track_caller]
    pub(crate) fn start(folder: TempDir, config: &str) -> Self {
        let process = spawn(folder.path(), config);
        let mut served = Self { folder, process, portal: ([127, 0, 0, 1], 0).into() };
        served.wait_until_ready();
        served
    }

    #[track_caller]
    fn wait_until_ready(&mut self) {
        let mut ready = None;
        within(PATIENCE, || {
            let text = self.text_of("stdout");
            let rest = text.split_once("ready: iscsi://").map(|(_, rest)| rest.to_owned());
            let whole = rest.filter(|rest| rest.contains('\n'));
            ready = whole.and_then(|rest| rest.split('/').next()?.parse().ok());
            ready.is_some() || !self.is_alive()
        });
        self.portal = ready.unwrap_or_else(|| panic!("not ready\n{}", self.text_of("stderr")));
    }

    /// Another server after the end of this one, on the same files.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        assert!(!self.is_alive());
        let config = self.text_of("serve.toml");
        self.process = spawn(self.folder.path(), &config);
        self.wait_until_ready();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text_of(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    pub(crate) fn log(&self) -> String {
        self.text_of("stderr")
    }

    pub(crate) fn portal(&self) -> SocketAddr {
        self.portal
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn drivers(&self) -> Vec<u32> {
        children_of(self.process.id())
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Logs in and takes the unit attentions of a LUN.
    #[track_caller]
    pub(crate) fn session(&self, wishes: Wishes, number: u16) -> Session {
        let client = Client::login(connect(self.portal).unwrap(), wishes).unwrap();
        let mut session = Session { client, lun: lun(number) };
        session.settle();
        session
    }

    /// A request to the control socket; the whole answer.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = UnixStream::connect(self.file("api.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Writes the file anew and has it read; the answer.
    #[track_caller]
    pub(crate) fn reload(&self, config: &str) -> String {
        fs::write(self.file("serve.toml"), config).unwrap();
        self.ask("POST", "/v1/reload")
    }

    #[track_caller]
    pub(crate) fn reloaded(&self, config: &str) -> String {
        let answer = self.reload(config);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{}", self.log());
        answer
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits for its end; how it ended, and after how long.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let ended = within(PATIENCE, || !self.is_alive());
        assert!(ended, "it does not end\n{}", self.log());
        (self.process.wait().unwrap(), begun.elapsed())
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Duration {
        self.signal(Signal::TERM);
        let (status, took) = self.ended();
        assert!(status.success(), "{status}\n{}", self.log());
        took
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.log());
        }
    }
}

fn spawn(folder: &Path, config: &str) -> Child {
    fs::write(folder.join("serve.toml"), config).unwrap();
    let log = |name: &str| File::create(folder.join(name)).unwrap();
    Command::new(OUTBOARD)
        .args(["serve", "--config"])
        .arg(folder.join("serve.toml"))
        .stdin(Stdio::null())
        .stdout(log("stdout"))
        .stderr(log("stderr"))
        .spawn()
        .unwrap()
}
