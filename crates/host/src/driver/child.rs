//! The driver's process: made, looked at, ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

use outboard_hba::CONTROL_FD_VARIABLE;
use outboard_sandbox::{Measure, Spec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::launch::{Launch, LaunchError, Options, Sandbox};
use super::log::Log;

/// Descriptors of a driver: its disks, rings and sockets, and some of its own.
const DESCRIPTORS: u32 = 512;
/// Requests that an io_uring has room for, for each slot of its queue.
const ENTRIES_PER_SLOT: u32 = 4;

/// A driver's process and its output. Dropping it kills and reaps the process.
pub(super) struct Child {
    process: Process,
    log: Log,
    is_reaped: bool,
}

enum Process {
    /// an ordinary process of this user
    Plain(std::process::Child),
    Confined(outboard_sandbox::Process),
}

impl Child {
    /// Starts the program with `control` as its standard input.
    pub(super) fn spawn(
        launch: &Launch,
        options: &Options,
        control: OwnedFd,
    ) -> Result<Self, LaunchError> {
        let fail = |source| LaunchError::Spawn { program: launch.program.clone(), source };
        let (log, output) = Log::pair(launch.log.clone()).map_err(fail)?;
        let process = match &launch.sandbox {
            None => Process::Plain(plain(launch, control, output).map_err(fail)?),
            Some(sandbox) => {
                Process::Confined(confined(launch, sandbox, options, &control, &output)?)
            }
        };
        Ok(Self { process, log, is_reaped: false })
    }

    pub(super) fn id(&self) -> u32 {
        match &self.process {
            Process::Plain(child) => child.id(),
            Process::Confined(process) => process.pid(),
        }
    }

    /// What its sandbox could apply, and what not.
    pub(super) fn measures(&self) -> &[Measure] {
        match &self.process {
            Process::Plain(_) => &[],
            Process::Confined(process) => process.measures(),
        }
    }

    /// The last lines it wrote; all of them once it has been [ended](Self::end).
    pub(super) fn log(&self) -> Vec<String> {
        self.log.tail()
    }

    /// Whether the process has ended; it stays to be waited for, so that its number is its own.
    pub(super) fn has_ended(&self) -> bool {
        if self.is_reaped {
            return true;
        }
        match &self.process {
            Process::Plain(child) => {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                pid_of(child)
                    .is_none_or(|pid| !matches!(waitid(WaitId::Pid(pid), options), Ok(None)))
            }
            Process::Confined(process) => process.has_ended(),
        }
    }

    /// Kills what is left of the process and of those it has started, reaps it, and reads the rest
    /// of its output.
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        let status = match &mut self.process {
            Process::Plain(child) => {
                // Before it is waited for: until then nobody else has the number, which is its
                // group's too.
                if let Some(group) = pid_of(child)
                    && !self.is_reaped
                {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                child.kill()?;
                child.wait()?
            }
            Process::Confined(process) => {
                process.kill()?;
                process.wait()?
            }
        };
        self.is_reaped = true;
        self.log.close();
        Ok(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = self.end();
        }
    }
}

fn plain(launch: &Launch, control: OwnedFd, output: OwnedFd) -> io::Result<std::process::Child> {
    let errors = output.try_clone()?;
    Command::new(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(environment())
        // Signals of a terminal or a service manager are for the host, which ends the driver in
        // order.
        .process_group(0)
        .stdin(Stdio::from(control))
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(errors))
        .spawn()
}

fn confined(
    launch: &Launch,
    sandbox: &Sandbox,
    options: &Options,
    control: &OwnedFd,
    output: &OwnedFd,
) -> Result<outboard_sandbox::Process, LaunchError> {
    let spec = Spec {
        arguments: launch.arguments.clone(),
        environment: environment().collect(),
        package: sandbox.package.clone(),
        mode: sandbox.mode,
        debug: sandbox.debug,
        memory_bytes: sandbox.memory_bytes,
        threads: sandbox.threads,
        descriptors: DESCRIPTORS,
        // The region, which is the host's, is all that it can lock.
        memlock_bytes: Some(u64::MAX),
        rings: options.queues,
        ring_entries: options.slots_per_queue.max(8).saturating_mul(ENTRIES_PER_SLOT),
        ..Spec::new(&launch.program)
    };
    let disks: Vec<BorrowedFd<'_>> = launch.descriptors.iter().map(AsFd::as_fd).collect();
    let given = outboard_sandbox::Launch {
        spec: &spec,
        control: control.as_fd(),
        log: output.as_fd(),
        disks: &disks,
    };
    Ok(outboard_sandbox::launch(&sandbox.launcher, &given, options.timeout)?)
}

/// All that a driver sees of the host's environment.
fn environment() -> impl Iterator<Item = (String, String)> {
    let control = (CONTROL_FD_VARIABLE.to_owned(), "0".to_owned());
    let backtrace = std::env::var("RUST_BACKTRACE").ok();
    let backtrace = backtrace.map(|value| ("RUST_BACKTRACE".to_owned(), value));
    std::iter::once(control).chain(backtrace)
}

fn pid_of(child: &std::process::Child) -> Option<Pid> {
    Pid::from_raw(child.id().cast_signed())
}
