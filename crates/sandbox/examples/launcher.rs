//! A launcher for tests, with the io_urings of the launcher in use.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::ExitCode;

use outboard_sandbox::{RingMaker, launcher_main};

struct Rings;

impl RingMaker for Rings {
    fn make(&self, entries: u32, disks: &[BorrowedFd<'_>]) -> Result<(OwnedFd, String), String> {
        outboard_disk::launch::make(entries, disks).map_err(|error| error.to_string())
    }
}

fn main() -> ExitCode {
    launcher_main(&Rings)
}
