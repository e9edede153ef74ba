//! A driver process, held by its pidfd: its number is never mistaken for another's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, waitid};

use crate::Measure;

/// How long the kernel may take to let go of a control group whose last process has ended.
const GROUP_TIMEOUT: Duration = Duration::from_millis(100);

/// A running driver. Dropping it ends the process: neither it nor its control group is left.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    pidfd: OwnedFd,
    measures: Vec<Measure>,
    group: Option<PathBuf>,
    status: Option<ExitStatus>,
}

impl Process {
    pub(crate) const fn new(
        pid: i32,
        pidfd: OwnedFd,
        measures: Vec<Measure>,
        group: Option<PathBuf>,
    ) -> Self {
        Self { pid, pidfd, measures, group, status: None }
    }

    pub(crate) fn add(&mut self, measures: Vec<Measure>) {
        self.measures.extend(measures);
    }

    /// Its number, in the host's namespace. It is its own until [`Self::wait`] has returned.
    pub const fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Readable once the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// What has become of each measure.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Whether the process has ended; it stays to be waited for.
    pub fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.status.is_some()
            || !matches!(waitid(WaitId::PidFd(self.pidfd.as_fd()), options), Ok(None))
    }

    /// Kills the process and what is left of its process group. No error if it has ended.
    ///
    /// # Errors
    /// The kernel refuses the signal.
    pub fn kill(&self) -> io::Result<()> {
        if self.status.is_some() {
            return Ok(());
        }
        // Until it is waited for nobody else has the number, which is its group's too.
        if let Some(group) = Pid::from_raw(self.pid) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        match rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits for its end and reaps it, then removes its control group. The same status every time.
    ///
    /// # Errors
    /// Somebody else has reaped it: a host must not wait for "any child".
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let ended = loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(ended)) => break ended,
                Ok(None) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        };
        let status = exit_status(&ended);
        self.status = Some(status);
        self.remove_group();
        Ok(status)
    }

    fn remove_group(&mut self) {
        let Some(group) = self.group.take() else { return };
        let deadline = Instant::now() + GROUP_TIMEOUT;
        while let Err(error) = std::fs::remove_dir(&group) {
            if error.kind() != io::ErrorKind::ResourceBusy || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.kill();
            let _ = self.wait();
        }
    }
}

/// As `wait4` would have it: a code in the second byte, a signal in the first.
fn exit_status(ended: &WaitIdStatus) -> ExitStatus {
    const DUMPED: i32 = 0x80;
    let raw = match (ended.exit_status(), ended.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) => signal | if ended.dumped() { DUMPED } else { 0 },
        (None, None) => 0,
    };
    ExitStatus::from_raw(raw)
}
