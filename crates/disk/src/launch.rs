//! Rings for a driver that its launcher restricts before it runs (`outboard-sandbox`).

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::engine::EngineError;
use crate::uring::{self, SetupError};

/// Makes an io_uring for `entries` requests on `disks`, and on nothing else, for the program that
/// this process executes next: its descriptor, which stays open over exec, and the line that
/// [`crate::Engine::inherit`] wants.
///
/// It can read, write, flush and punch holes in the disks. Once it is inherited no other file can be
/// added, and no other operation is possible; the kernel answers EACCES. Before, nothing can be done
/// with it, but other files could be registered: the program must not be able to (a filter of
/// `io_uring_register` that lets buffers and `IORING_REGISTER_ENABLE_RINGS` pass).
///
/// # Errors
/// [`EngineError::Ring`] with the call that was refused.
pub fn make(entries: u32, disks: &[BorrowedFd<'_>]) -> Result<(OwnedFd, String), EngineError> {
    uring::make(entries, disks)
        .map_err(|SetupError { call, errno }| EngineError::Ring { call, source: errno })
}
