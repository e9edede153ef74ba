//! The launcher: opens the program, makes the process, lets it execute once, and ends.

mod birth;
mod child;
mod group;
mod landlock;
mod limits;
mod privileges;
mod program;
mod root;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use self::birth::{Birth, Born};
use self::child::Child;
use self::program::Program;
use self::root::View;
use crate::message::{FromSandbox, Received, ToSandbox, receive, send};
use crate::{Measure, Mode, SandboxError, Spec, sys};

/// The environment variable that names a driver's io_urings: `FD:PARAMETERS,FD:PARAMETERS`.
pub const RINGS_VARIABLE: &str = "OUTBOARD_RINGS";
/// How long the host may take to say what to start.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes the io_urings that a driver inherits.
pub trait RingMaker {
    /// One ring, made by the launcher and restricted: its descriptor, and what the driver needs to map
    /// and enable it. The text has no comma. Of what can be registered with it the driver's filter lets
    /// buffers pass, and the enabling.
    ///
    /// # Errors
    /// Why not; it ends the start.
    fn make(&self, entries: u32, disks: &[BorrowedFd<'_>]) -> Result<(OwnedFd, String), String>;
}

/// Why a start ends.
#[derive(Debug)]
struct Failure {
    step: &'static str,
    reason: String,
}

/// Turns an error into a [`Failure`] of this step.
fn at<E: core::fmt::Display>(step: &'static str) -> impl Fn(E) -> Failure {
    move |error| Failure { step, reason: error.to_string() }
}

/// The launcher program's whole `main`. Call it before any thread is started; its standard input is
/// the host's socket.
pub fn launcher_main(rings: &dyn RingMaker) -> ExitCode {
    let socket = match rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) {
        Ok(socket) if is_packet_socket(&socket) => socket,
        _ => {
            eprintln!(
                "this program starts Outboard drivers and is started by a host; use `outboard serve` or `outboard bench` (standard input is no packet socket)"
            );
            return ExitCode::from(2);
        }
    };
    match start(&socket, rings) {
        Ok(link) => {
            // The host sees the end of the conversation when the new process has ended its part.
            drop(socket);
            match rustix::stdio::dup2_stdin(&link) {
                Ok(()) => oversee(&link),
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(failure) => {
            tell(&socket, failure);
            ExitCode::FAILURE
        }
    }
}

/// Tells the host why the start ends.
fn tell(socket: impl AsFd, Failure { step, reason }: Failure) {
    // A host that has gone needs no reason.
    let _ = send(socket, &FromSandbox::Failed { step: step.to_owned(), reason }, &[]);
}

fn is_packet_socket(fd: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_type(fd) == Ok(SocketType::SEQPACKET)
}

/// What the host has sent.
struct Request {
    spec: Spec,
    control: OwnedFd,
    log: OwnedFd,
    disks: Vec<OwnedFd>,
}

/// Makes the process and tells the host of it: the link to it.
fn start(socket: &OwnedFd, rings: &dyn RingMaker) -> Result<OwnedFd, Failure> {
    let request = request(socket)?;
    let spec = &request.spec;
    let wanted = spec.mode != Mode::Off;
    limits::raise_descriptors(program::number(spec)).map_err(at("descriptors"))?;
    let program = Program::open(&spec.program)?;
    let root = rustix::process::geteuid().is_root();
    let view = View::of(spec.package.as_deref(), &program);
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let processes = rustix::fs::open("/proc", flags, rustix::fs::Mode::empty());
    let mut measures = Vec::new();
    let mut group = None;
    if wanted {
        measures.push(Measure::of("first without memory", limits::go_first()));
        if let Some(bytes) = spec.memlock_bytes
            && !privileges::may_lock_memory()
        {
            measures.push(Measure::of("locked memory", limits::raise_locked_memory(bytes)));
        }
        match group::make(spec) {
            Ok(made) => group = Some(made),
            Err(reason) => measures.push(Measure::of(birth::GROUP, Err(reason))),
        }
        // Root's rights reach folders that the driver's user cannot; nobody else has them before
        // a user namespace.
        if root {
            let entered = sys::unshare_mounts()
                .map_err(|e| format!("unshare: {e}"))
                .and_then(|()| view.enter());
            measures.push(Measure::of(birth::MOUNT, entered));
        }
    }
    let rings = make_rings(spec, &request.disks, rings)?;
    let rings = rings.as_slice();
    let mut birth = Birth::new(wanted, root, group, measures);
    let (born, link) = loop {
        let kind = SocketType::SEQPACKET;
        let (link, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
                .map_err(at("link"))?;
        let Some(born) = birth.clone()? else {
            drop(link);
            let child = Child { request, rings, program, view, root, socket, link: theirs };
            child.run();
        };
        drop(theirs);
        match birth.map_users(&processes, &born) {
            Ok(()) => break (born, link),
            // It ends for want of orders; the host reaps it when it hears of the next one.
            Err(()) => made(socket, &born, Vec::new(), None)?,
        }
    };
    let (measures, group) = birth.end();
    made(socket, &born, measures, group)?;
    send(&link, &born.namespaces, &[]).map_err(at("link"))?;
    Ok(link)
}

/// An io_uring's descriptor, and the text that it is mapped by.
type Ring = (OwnedFd, String);

/// The rings, by the launcher itself: what is locked for a ring is counted, or for those who may lock
/// memory not counted, as of its maker.
fn make_rings(spec: &Spec, disks: &[OwnedFd], maker: &dyn RingMaker) -> Result<Vec<Ring>, Failure> {
    let disks: Vec<BorrowedFd<'_>> = disks.iter().map(AsFd::as_fd).collect();
    let mut rings = Vec::new();
    for _ in 0..spec.rings {
        let (ring, parameters) = maker.make(spec.ring_entries, &disks).map_err(at("io_uring"))?;
        rustix::io::fcntl_setfd(&ring, rustix::io::FdFlags::empty()).map_err(at("io_uring"))?;
        rings.push((ring, parameters));
    }
    Ok(rings)
}

fn made(
    socket: &OwnedFd,
    born: &Born,
    measures: Vec<Measure>,
    group: Option<PathBuf>,
) -> Result<(), Failure> {
    let made = FromSandbox::Made { pid: born.pid, measures, group };
    send(socket, &made, &[born.pidfd.as_fd()]).map_err(at("host"))
}

/// Lets the new process execute once, then ends. Without a question to answer it ends when the
/// process has executed or ended.
fn oversee(link: &OwnedFd) -> ExitCode {
    let Ok(Received::Message((), fds)) = receive::<()>(link, None) else {
        return ExitCode::SUCCESS;
    };
    let Some(listener) = fds.first() else { return ExitCode::SUCCESS };
    let mut events = [PollFd::new(listener, PollFlags::IN), PollFd::new(link, PollFlags::empty())];
    while poll(&mut events, None) == Err(rustix::io::Errno::INTR) {}
    if events[0].revents().contains(PollFlags::IN) && sys::let_one_pass(listener.as_fd()).is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn request(socket: &OwnedFd) -> Result<Request, Failure> {
    let failed = at::<SandboxError>("request");
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    let missing = || Failure { step: "request", reason: "the host sent none".to_owned() };
    let (message, fds) = match receive(socket, Some(deadline)).map_err(failed)? {
        Received::Message(message, fds) => (message, fds),
        Received::Closed | Received::Late => return Err(missing()),
    };
    let mut fds = fds.into_iter();
    match (message, fds.next(), fds.next()) {
        (ToSandbox::Start(spec), Some(control), Some(log)) => {
            Ok(Request { spec, control, log, disks: fds.collect() })
        }
        _ => Err(missing()),
    }
}

/// Waits for a message on the link; `None` when the other side has gone.
fn linked<M: serde::de::DeserializeOwned>(link: &OwnedFd) -> Option<M> {
    match receive(link, None) {
        Ok(Received::Message(message, _)) => Some(message),
        _ => None,
    }
}
