//! The host's side: starts a launcher, hears what it and the new process say, holds the result.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use crate::message::{FromSandbox, Received, ToSandbox, readable, receive, send};
use crate::{Measure, Mode, Outcome, Process, SandboxError, Spec};

/// Most disks of one driver.
pub const DISKS_MAX: usize = 128;
/// How long a launcher that is not needed any more may take to end.
const LAUNCHER_END: Duration = Duration::from_secs(1);

/// The launcher program: one whose `main` is [`crate::launcher_main`].
#[derive(Clone, Debug)]
pub struct Launcher {
    /// the program
    pub program: PathBuf,
    /// its arguments
    pub arguments: Vec<String>,
}

/// A driver to start, and what it is given.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// what to start
    pub spec: &'a Spec,
    /// its standard input
    pub control: BorrowedFd<'a>,
    /// its standard output and standard error
    pub log: BorrowedFd<'a>,
    /// for the [`crate::RingMaker`] alone; the driver does not get these descriptors
    pub disks: &'a [BorrowedFd<'a>],
}

/// Starts a driver. On any error its process is gone.
///
/// # Errors
/// The program, a measure that is required, the launcher, or the time: see [`SandboxError`].
pub fn launch(
    launcher: &Launcher,
    launch: &Launch<'_>,
    timeout: Duration,
) -> Result<Process, SandboxError> {
    if launch.disks.len() > DISKS_MAX {
        return Err(SandboxError::Disks(launch.disks.len()));
    }
    let deadline = Instant::now() + timeout;
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    let log = launch.log.try_clone_to_owned();
    let mut start = Start {
        launcher: log.and_then(|log| spawn(launcher, theirs, log)).map_err(|source| {
            SandboxError::Launcher { program: launcher.program.clone(), source }
        })?,
        socket: ours,
        spec: launch.spec,
        deadline,
        timeout,
    };
    let mut fds = vec![launch.control, launch.log];
    fds.extend(launch.disks);
    match start.run(&fds) {
        Err(SandboxError::LauncherEnded { .. }) => Err(SandboxError::LauncherEnded {
            program: launcher.program.clone(),
            status: start.end_launcher(),
        }),
        result => result,
    }
}

struct Start<'a> {
    launcher: Child,
    socket: OwnedFd,
    spec: &'a Spec,
    deadline: Instant,
    timeout: Duration,
}

impl Start<'_> {
    fn run(&self, fds: &[BorrowedFd<'_>]) -> Result<Process, SandboxError> {
        match send(&self.socket, &ToSandbox::Start(self.spec.clone()), fds) {
            // A launcher that has ended may have said why before.
            Ok(()) | Err(SandboxError::System(rustix::io::Errno::PIPE)) => {}
            Err(e) => return Err(e),
        }
        let mut process = None;
        let mut told = false;
        loop {
            let (message, fds) = match receive::<FromSandbox>(&self.socket, Some(self.deadline))? {
                Received::Message(message, fds) => (message, fds),
                Received::Closed => return self.closed(process, told),
                Received::Late => return Err(self.late()),
            };
            match (message, &mut process) {
                // A second one takes the place of one that could not be given its user.
                (FromSandbox::Made { pid, measures, group }, _) => {
                    let Some(pidfd) = fds.into_iter().next() else {
                        return Err(self.refused("pidfd", "it came without a descriptor"));
                    };
                    process = Some(Process::new(pid, pidfd, measures, group));
                }
                (FromSandbox::Ready { measures }, Some(process)) => {
                    process.add(measures);
                    self.check(process.measures())?;
                    match send(&self.socket, &ToSandbox::Go, &[]) {
                        Ok(()) => told = true,
                        Err(SandboxError::System(rustix::io::Errno::PIPE)) => {}
                        Err(e) => return Err(e),
                    }
                }
                (FromSandbox::Failed { step, reason }, _) => {
                    return Err(self.refused(&step, &reason));
                }
                (_, _) => return Err(self.refused("protocol", "a message out of turn")),
            }
        }
    }

    /// With [`Mode::Require`] every measure must hold.
    fn check(&self, measures: &[Measure]) -> Result<(), SandboxError> {
        if self.spec.mode != Mode::Require {
            return Ok(());
        }
        for Measure { name, outcome } in measures {
            if let Outcome::Refused(reason) = outcome {
                return Err(SandboxError::Measure {
                    program: self.spec.program.clone(),
                    measure: name.clone(),
                    reason: reason.clone(),
                });
            }
        }
        Ok(())
    }

    /// Nobody holds the other end: the program runs, or something has died on the way.
    fn closed(&self, process: Option<Process>, told: bool) -> Result<Process, SandboxError> {
        match process {
            Some(process) if told => Ok(process),
            Some(mut process) => {
                let program = self.spec.program.clone();
                let status = process.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                Err(SandboxError::ProcessEnded { program, status })
            }
            None => {
                Err(SandboxError::LauncherEnded { program: PathBuf::new(), status: String::new() })
            }
        }
    }

    fn late(&self) -> SandboxError {
        let seconds = self.timeout.as_secs_f32();
        SandboxError::TimedOut { program: self.spec.program.clone(), seconds }
    }

    fn refused(&self, step: &str, reason: &str) -> SandboxError {
        SandboxError::Refused {
            program: self.spec.program.clone(),
            step: step.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// Waits a little for the launcher, then kills it. How it ended.
    fn end_launcher(&mut self) -> String {
        // Whoever still waits for a word of ours stops waiting.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        let pid = rustix::process::Pid::from_child(&self.launcher);
        let ended = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            .and_then(|pidfd| readable(pidfd, Instant::now() + LAUNCHER_END));
        if !matches!(ended, Ok(true)) {
            let _ = self.launcher.kill();
        }
        self.launcher.wait().map_or_else(|e| e.to_string(), |status| status.to_string())
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        self.end_launcher();
    }
}

fn spawn(launcher: &Launcher, socket: OwnedFd, log: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(&launcher.program);
    command
        .args(&launcher.arguments)
        .env_clear()
        // Signals of a terminal or a service manager are for the host.
        .process_group(0)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log));
    spawn_from_a_lasting_thread(command)
}

type Job = (Command, mpsc::Sender<io::Result<Child>>);

/// Spawns from a thread that lives as long as this process: the kernel ends a driver when the
/// *thread* ends that it comes from, not the process.
fn spawn_from_a_lasting_thread(command: Command) -> io::Result<Child> {
    static JOBS: Mutex<Option<mpsc::Sender<Job>>> = Mutex::new(None);
    let gone = || io::Error::other("the thread that starts launchers has ended");
    let (answer, answered) = mpsc::channel();
    {
        let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = match &mut *jobs {
            Some(jobs) => jobs,
            none => none.insert(start_thread()?),
        };
        jobs.send((command, answer)).map_err(|_| gone())?;
    }
    answered.recv().map_err(|_| gone())?
}

fn start_thread() -> io::Result<mpsc::Sender<Job>> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let work = move || {
        for (mut command, answer) in jobs {
            let _ = answer.send(command.spawn());
        }
    };
    std::thread::Builder::new().name("launchers".to_owned()).spawn(work)?;
    Ok(sender)
}
