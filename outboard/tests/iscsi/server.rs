//! `outboard serve` on a free port, with its files in a folder of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::TARGET;
use crate::scenario::command::OUTBOARD;
use crate::scenario::leftovers::{children_of, within};

/// How long a server may take until it accepts, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a server is started.
#[derive(Debug)]
pub(crate) struct Setup {
    folder: TempDir,
    level: &'static str,
    disk: String,
    portal: SocketAddr,
    arguments: Vec<String>,
    /// A network namespace to run in: `nsenter`'s arguments.
    namespace: Vec<String>,
}

/// A server that runs, or did.
#[derive(Debug)]
pub(crate) struct Server {
    setup: Setup,
    process: Child,
    /// Of its LUN.
    pub(crate) url: String,
}

impl Setup {
    /// Over one disk: a path or a disk's URL.
    pub(crate) fn disk(disk: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let disk = disk.to_owned();
        let level = "disk";
        Self { folder, level, disk, portal: port, arguments: Vec::new(), namespace: Vec::new() }
    }

    /// By the extension in a folder, over one disk.
    pub(crate) fn extension(package: &Path, disk: &str) -> Self {
        let setup = Self { level: "extension", ..Self::disk(disk) };
        setup.with(&["--extension", package.to_str().unwrap()])
    }

    /// Over two new, empty files, striped.
    pub(crate) fn striped(bytes: u64) -> Self {
        let mut setup = Self::disk("");
        let paths = ["a.img", "b.img"].map(|name| setup.folder.path().join(name));
        for path in &paths {
            File::create(path).unwrap().set_len(bytes / 2).unwrap();
        }
        (setup.level, setup.disk) = ("0", paths.map(|path| path.display().to_string()).join(","));
        setup
    }

    /// Over a new, empty file.
    pub(crate) fn file(bytes: u64) -> Self {
        let mut setup = Self::disk("");
        let path = setup.folder.path().join("disk.img");
        File::create(&path).unwrap().set_len(bytes).unwrap();
        setup.disk = path.display().to_string();
        setup
    }

    /// Over memory.
    pub(crate) fn memory(bytes: u64) -> Self {
        Self::disk(&format!("mem:{bytes}"))
    }

    /// With further arguments.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// With an argument that is a file of the server's folder, which has this content.
    pub(crate) fn with_file(self, argument: &str, name: &str, content: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        self.with(&[argument, path.to_str().unwrap()])
    }

    /// On this address, in a network namespace.
    pub(crate) fn inside(mut self, nsenter: &[String], portal: SocketAddr) -> Self {
        (self.namespace, self.portal) = (nsenter.to_vec(), portal);
        self
    }

    /// The server's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server and waits until it accepts.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        let process = self.spawn();
        let mut server = Server { setup: self, process, url: String::new() };
        server.wait_until_ready();
        server
    }

    fn spawn(&self) -> Child {
        let mut command = match self.namespace.split_first() {
            None => Command::new(OUTBOARD),
            Some((enter, arguments)) => {
                let mut command = Command::new(enter);
                command.args(arguments).arg(OUTBOARD);
                command
            }
        };
        let log = |name: &str| {
            let path = self.folder.path().join(name);
            File::options().create(true).append(true).open(path).unwrap()
        };
        match self.level {
            "extension" => command.args(["serve", "--disk", &self.disk]),
            level => command.args(["serve", "--array", &format!("{level}:{}", self.disk)]),
        };
        command.args(["--iscsi", &self.portal.to_string(), "--target", TARGET]);
        command.arg("--state-dir").arg(self.folder.path().join("state"));
        command.arg("--api").arg(self.folder.path().join("api.sock"));
        command.args(&self.arguments);
        command.stdin(Stdio::null()).stdout(log("stdout")).stderr(log("stderr"));
        command.spawn().unwrap()
    }
}

impl Server {
    #[track_caller]
    fn wait_until_ready(&mut self) {
        let mut ended = None;
        within(PATIENCE, || {
            let text = fs::read_to_string(self.setup.folder.path().join("stdout")).unwrap();
            let ready = text.lines().find_map(|line| line.strip_prefix("ready: iscsi://"));
            self.url = ready.map(|rest| format!("iscsi://{}", rest.trim())).unwrap_or_default();
            ended = self.process.try_wait().unwrap();
            ended.is_some() || !self.url.is_empty()
        });
        assert!(ended.is_none() && !self.url.is_empty(), "{ended:?}\n{}", self.log());
    }

    /// Where it accepts.
    pub(crate) fn portal(&self) -> SocketAddr {
        self.setup.portal
    }

    /// Its LUN, as the user, and as a URL of libiscsi has it.
    pub(crate) fn url_of(&self, user: &str, secret: &str) -> String {
        self.url.replacen("iscsi://", &format!("iscsi://{user}%{secret}@"), 1)
    }

    /// The portal alone, as a URL.
    pub(crate) fn portal_url(&self) -> String {
        format!("iscsi://{}", self.setup.portal)
    }

    /// The number of its LUN.
    pub(crate) fn lun(&self) -> u16 {
        self.url.rsplit('/').next().unwrap().parse().unwrap()
    }

    /// The server's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.setup.folder.path()
    }

    /// The disk's file.
    pub(crate) fn disk(&self) -> PathBuf {
        self.setup.disk.clone().into()
    }

    /// All that it has said.
    pub(crate) fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder().join(name)).unwrap_or_default();
        format!("{}{}", read("stdout"), read("stderr"))
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// The server's process and those of its drivers.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let server = self.process.id();
        [server].into_iter().chain(children_of(server)).collect()
    }

    /// The drivers' processes.
    pub(crate) fn drivers(&self) -> Vec<u32> {
        children_of(self.process.id())
    }

    /// What all their threads have run.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = self.processes().into_iter().flat_map(|pid| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.map(|task| task.path().join("schedstat")).collect::<Vec<_>>()
        });
        let nanos = tasks.filter_map(|stat| {
            fs::read_to_string(stat).ok()?.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// What server and drivers hold now.
    pub(crate) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for pid in self.processes() {
            let folder = PathBuf::from(format!("/proc/{pid}"));
            usage.descriptors += fs::read_dir(folder.join("fd")).unwrap().count();
            usage.threads += fs::read_dir(folder.join("task")).unwrap().count();
            let status = fs::read_to_string(folder.join("status")).unwrap();
            let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
            usage.kib += anonymous.trim().trim_end_matches(" kB").parse::<usize>().unwrap();
        }
        usage
    }

    /// Ends it as a crash would: no warning, nothing is written any more.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, as before.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        assert!(!self.is_alive(), "it still runs");
        fs::remove_file(self.folder().join("stdout")).unwrap();
        self.process = self.setup.spawn();
        self.wait_until_ready();
    }

    /// Starts it again, to see how it ends.
    pub(crate) fn run_again(&self) -> ExitStatus {
        let mut process = self.setup.spawn();
        let ended = within(PATIENCE, || process.try_wait().unwrap().is_some());
        if !ended {
            process.kill().unwrap();
        }
        process.wait().unwrap()
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let ended = within(PATIENCE, || !self.is_alive());
        assert!(ended, "it does not end\n{}", self.log());
        self.process.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            if let Some(pid) = Pid::from_raw(self.process.id().cast_signed()) {
                let _ = kill_process(pid, Signal::TERM);
            }
            within(Duration::from_secs(3), || !matches!(self.process.try_wait(), Ok(None)));
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.log());
        }
    }
}

/// What processes hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    /// Memory of their own, KiB; shared regions not among it.
    pub(crate) kib: usize,
}
