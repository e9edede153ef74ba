//! Targets that are started for a task: `outboard serve`, or tgt beside it.
//!
//! Each runs on a free port of the loopback interface, with its files in a folder of its own, and
//! ends with the value.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::packages;
use crate::step::Outcome;
use crate::tools::{self, cargo, target};

/// The name of every target that is started.
const IQN: &str = "iqn.2026-11.io.outboard:xtask";

/// How long a target may take until it accepts, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whose target.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// `outboard serve`
    Outboard,
    /// Linux SCSI target framework, Debian's package `tgt`
    Tgt,
}

impl Peer {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Outboard => "outboard",
            Self::Tgt => "tgt",
        }
    }
}

/// The logical unit that a target exports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) bytes: u64,
    /// In memory, not in a file of the folder.
    pub(crate) memory: bool,
    /// Instead of both, a disk of our own kinds; tgt has none of them.
    pub(crate) disk: Option<&'static str>,
    pub(crate) thin: bool,
    pub(crate) read_only: bool,
    pub(crate) removable: bool,
    pub(crate) block_size: u32,
    /// The disk holds ciphertext; tgt's does not.
    pub(crate) encrypted: bool,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            memory: false,
            disk: None,
            thin: true,
            read_only: false,
            removable: false,
            block_size: 512,
            encrypted: false,
        }
    }
}

/// How a target is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    /// The processor that all its processes stay on.
    pub(crate) cpu: Option<u32>,
    /// Further arguments of `outboard serve`.
    pub(crate) arguments: Vec<String>,
}

/// A target that runs.
#[derive(Debug)]
pub(crate) struct Target {
    peer: Peer,
    process: Child,
    /// Of its first logical unit.
    pub(crate) url: String,
    /// What it has written.
    pub(crate) log: PathBuf,
    memory: Option<PathBuf>,
}

impl Target {
    /// Starts a target over one unit; its files are in `folder`, which is there.
    pub(crate) fn start(peer: Peer, unit: &Unit, folder: &Path, launch: &Launch) -> Result<Self> {
        match peer {
            Peer::Outboard => Self::outboard(unit, folder, launch),
            Peer::Tgt => Self::tgt(unit, folder, launch),
        }
    }

    fn outboard(unit: &Unit, folder: &Path, launch: &Launch) -> Result<Self> {
        let disk = match (unit.disk, unit.memory) {
            (Some(disk), _) => disk.to_owned(),
            (None, true) => format!("mem:{}", unit.bytes),
            (None, false) => sparse_file(folder, unit.bytes)?.display().to_string(),
        };
        let portal = format!("{}:{}", Ipv4Addr::LOCALHOST, free_port()?);
        let mut command = pinned(target().join("release/outboard").into_os_string(), launch.cpu);
        command.args(["serve", "--array", &format!("disk:{disk}"), "--iscsi", &portal]);
        command.args(["--target", IQN, "--state-dir"]).arg(folder.join("state"));
        command.arg("--api").arg(folder.join("api.sock"));
        if unit.read_only {
            command.arg("--read-only");
        }
        if unit.removable {
            command.arg("--removable");
        }
        command.args(["--thin", if unit.thin { "on" } else { "off" }]);
        if unit.block_size != 512 {
            command.args(["--block-size", &unit.block_size.to_string()]);
        }
        if unit.encrypted {
            command.arg("--key-file").arg(folder.join("disk.key"));
        }
        command.args(&launch.arguments);
        let log = folder.join("server.log");
        let mut target = Self::spawn(Peer::Outboard, command, &log, None)?;
        target.url = target.wait_for(|text| {
            let line = text.lines().find(|line| line.starts_with("ready: iscsi://"))?;
            Some(line["ready: ".len()..].trim().to_owned())
        })?;
        Ok(target)
    }

    fn tgt(unit: &Unit, folder: &Path, launch: &Launch) -> Result<Self> {
        // Beside its port tgtd has a control port: 15 bits that name a socket.
        let port = free_port()?;
        let control = (port & 0x7fff).to_string();
        let _ = fs::create_dir_all("/run/tgtd");
        let tgtd = packages::find("tgtd").context("tgtd is not installed")?;
        let mut command = pinned(tgtd.into_os_string(), launch.cpu);
        command.args(["-f", "-C", &control, "--iscsi", &format!("portal=127.0.0.1:{port}")]);
        let log = folder.join("server.log");
        let (memory, store) = match unit.memory {
            true => {
                let file = PathBuf::from(format!("/dev/shm/outboard-xtask-{port}.img"));
                (Some(file.clone()), file)
            }
            false => (None, folder.join("disk.img")),
        };
        File::create(&store)?.set_len(unit.bytes)?;
        let mut target = Self::spawn(Peer::Tgt, command, &log, memory)?;
        target.wait_for(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())?;
        let new = |mode: &str, rest: &str| tgtadm(&control, mode, "new", rest);
        new("target", &format!("--tid 1 -T {IQN}"))?;
        let size = format!("--blocksize {}", unit.block_size);
        new("logicalunit", &format!("--tid 1 --lun 1 {size} -b {}", store.display()))?;
        let mut flags = Vec::new();
        for (wanted, flag) in [
            (unit.thin, "thin_provisioning=1"),
            (unit.read_only, "readonly=1"),
            (unit.removable, "removable=1"),
        ] {
            flags.extend(wanted.then_some(flag));
        }
        if !flags.is_empty() {
            let rest = format!("--tid 1 --lun 1 --params {}", flags.join(","));
            tgtadm(&control, "logicalunit", "update", &rest)?;
        }
        tgtadm(&control, "target", "bind", "--tid 1 -I ALL")?;
        target.url = format!("iscsi://127.0.0.1:{port}/{IQN}/1");
        Ok(target)
    }

    fn spawn(
        peer: Peer,
        mut command: Command,
        log: &Path,
        memory: Option<PathBuf>,
    ) -> Result<Self> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let program = command.get_program().to_string_lossy().into_owned();
        let process = command.spawn().with_context(|| program)?;
        Ok(Self { peer, process, url: String::new(), log: log.to_owned(), memory })
    }

    /// Waits until what the target has written, or the world, says that it accepts.
    fn wait_for<T>(&mut self, mut ready: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(ready) = ready(&text) {
                return Ok(ready);
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the target ended before it accepted: {status}\n{text}");
            }
            ensure!(begun.elapsed() < PATIENCE, "the target does not accept\n{text}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Its own process; [`crate::usage`] follows it to those it has started.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // tgtd stays as long as it has targets.
        let pid = Pid::from_raw(self.process.id().cast_signed());
        if let (Peer::Outboard, Some(pid)) = (self.peer, pid) {
            let _ = kill_process(pid, Signal::TERM);
        } else {
            let _ = self.process.kill();
        }
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(file) = &self.memory {
            let _ = fs::remove_file(file);
        }
    }
}

/// Builds what the tasks start.
pub(crate) fn build() -> Result<Outcome> {
    tools::run(cargo(["build", "--quiet", "--release", "--package", "outboard"]))
}

/// A port of the loopback interface that nobody listens on.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn sparse_file(folder: &Path, bytes: u64) -> Result<PathBuf> {
    let path = folder.join("disk.img");
    File::create(&path)?.set_len(bytes).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// A program, on one processor if one is named.
pub(crate) fn pinned(program: OsString, cpu: Option<u32>) -> Command {
    let Some(cpu) = cpu else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(cpu.to_string()).arg(program);
    command
}

fn tgtadm(control: &str, mode: &str, operation: &str, rest: &str) -> Result<()> {
    let program = packages::find("tgtadm").context("tgtadm is not installed")?;
    let mut command = Command::new(program);
    command.args(["-C", control, "--lld", "iscsi", "--op", operation, "--mode", mode]);
    command.args(rest.split_whitespace());
    match tools::run_quietly(command)? {
        Outcome::Ok => Ok(()),
        Outcome::Failed(why) | Outcome::Skipped(why) => bail!(why),
    }
}
