//! A debugger at one thread, as gdb attaches to it.
#![allow(unsafe_code, reason = "ptrace has no safe form")]

use std::fs;
use std::io;
use std::path::Path;
use std::ptr::null_mut;

use libc::{PTRACE_DETACH, PTRACE_INTERRUPT, PTRACE_SEIZE, c_long, c_void, pid_t, ptrace, waitpid};
use rustix::process::Pid;

/// The driver's I/O thread.
pub(crate) fn io_thread(pid: u32) -> pid_t {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut named = threads.map(|thread| thread.unwrap().path());
    let io = named
        .find(|thread| fs::read_to_string(thread.join("comm")).unwrap().trim() == "io 0")
        .unwrap();
    io.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// Whether every thread of a process stands, after SIGSTOP.
pub(crate) fn all_stopped(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    threads.into_iter().all(|thread| state(&thread.unwrap().path()) == Some('T'))
}

/// The kernel's letter for what a thread does.
fn state(thread: &Path) -> Option<char> {
    let stat = fs::read_to_string(thread.join("stat")).unwrap();
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A thread under it; all calls must come from the thread that has seized it.
pub(crate) struct Debugger(pid_t);

impl Debugger {
    pub(crate) fn seize(thread: pid_t) -> io::Result<Self> {
        // SAFETY: PTRACE_SEIZE takes no pointers.
        checked(unsafe { ptrace(PTRACE_SEIZE, thread, null_mut::<c_void>(), null_mut::<c_void>()) })
            .map(|_| Self(thread))
    }

    /// Stops it, and waits until it stands.
    pub(crate) fn interrupt(&self) -> io::Result<()> {
        let none = null_mut::<c_void>();
        // SAFETY: PTRACE_INTERRUPT takes no pointers.
        checked(unsafe { ptrace(PTRACE_INTERRUPT, self.0, none, none) })?;
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let stopped = unsafe { waitpid(self.0, &raw mut status, libc::__WALL) };
        assert_eq!((stopped, libc::WIFSTOPPED(status)), (self.0, true), "status {status:#x}");
        Ok(())
    }

    /// Whether it stands, stopped by its debugger.
    pub(crate) fn is_stopped(&self) -> bool {
        state(Path::new(&format!("/proc/{}", self.0))) == Some('t')
    }

    pub(crate) fn detach(self) -> io::Result<()> {
        let none = null_mut::<c_void>();
        // SAFETY: PTRACE_DETACH takes no pointers.
        checked(unsafe { ptrace(PTRACE_DETACH, self.0, none, none) }).map(drop)
    }
}

fn checked(result: c_long) -> io::Result<c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
