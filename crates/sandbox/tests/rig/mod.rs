//! Starts the program `misbehave` through the program `launcher`, both examples of this package.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use outboard_sandbox::{Launch, Launcher, Mode, Process, SandboxError, Spec, launch};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType,
};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// An example of this package, built with its tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(path.is_file(), "{} is not built; run cargo build --examples", path.display());
    path
}

pub(crate) fn launcher() -> Launcher {
    Launcher { program: example("launcher"), arguments: Vec::new() }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// What a test changes of the usual.
pub(crate) fn spec(mode: Mode, arguments: &[&str]) -> Spec {
    let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
    Spec { mode, arguments, ..Spec::new(example("misbehave")) }
}

/// A driver and the host's end of its control socket.
pub(crate) struct Driver {
    pub(crate) process: Process,
    pub(crate) control: OwnedFd,
}

pub(crate) fn start(spec: &Spec, disks: &[BorrowedFd<'_>]) -> Result<Driver, SandboxError> {
    start_with(&launcher(), spec, disks, TIMEOUT)
}

pub(crate) fn start_with(
    launcher: &Launcher,
    spec: &Spec,
    disks: &[BorrowedFd<'_>],
    timeout: Duration,
) -> Result<Driver, SandboxError> {
    let kind = SocketType::SEQPACKET;
    let (control, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    let log = std::io::stderr();
    let given = Launch { spec, control: theirs.as_fd(), log: log.as_fd(), disks };
    launch(launcher, &given, timeout).map(|process| Driver { process, control })
}

impl Driver {
    /// Hands it a descriptor.
    pub(crate) fn give(&self, fd: BorrowedFd<'_>) {
        let fds = [fd];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        let io = [IoSlice::new(b"given")];
        rustix::net::sendmsg(&self.control, &io, &mut ancillary, SendFlags::NOSIGNAL).unwrap();
    }

    /// Waits for a word of the driver.
    pub(crate) fn hears(&self, word: &str) {
        let mut bytes = [0; 64];
        let (len, _) =
            rustix::net::recv(&self.control, &mut bytes[..], RecvFlags::empty()).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes[..len]), word);
    }

    /// Waits for its end, at most [`TIMEOUT`].
    pub(crate) fn ends(mut self) -> ExitStatus {
        assert!(ended(self.process.pidfd(), TIMEOUT), "the driver hangs");
        assert!(self.process.has_ended());
        self.process.wait().unwrap()
    }
}

/// Whether the process behind a pidfd ends within a time.
pub(crate) fn ended(pidfd: BorrowedFd<'_>, within: Duration) -> bool {
    let timeout = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: 0 };
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// Waits until something holds, at most [`TIMEOUT`].
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {TIMEOUT:?}");
        std::thread::yield_now();
    }
}

/// Runs one attempt to its end: its code.
pub(crate) fn code(spec: &Spec, give: Option<BorrowedFd<'_>>) -> i32 {
    let driver = start(spec, &[]).unwrap();
    if let Some(fd) = give {
        driver.give(fd);
    }
    let status = driver.ends();
    status.code().unwrap_or_else(|| panic!("{:?} ended by {status}", spec.arguments))
}
