//! A launcher for tests: its "rings" are event counters.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::ExitCode;

use outboard_sandbox::{RingMaker, launcher_main};
use rustix::event::{EventfdFlags, eventfd};

struct Counters;

impl RingMaker for Counters {
    fn make(&self, entries: u32, disks: &[BorrowedFd<'_>]) -> Result<(OwnedFd, String), String> {
        let counter = eventfd(entries, EventfdFlags::CLOEXEC).map_err(|e| e.to_string())?;
        Ok((counter, format!("{} disks", disks.len())))
    }
}

fn main() -> ExitCode {
    launcher_main(&Counters)
}
