//! Descriptors that came over exec, known by number.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::{FdFlags, fcntl_setfd};

/// Takes over an open descriptor that this program was started with, so that it does not come over
/// the next exec. `None` if it is not open, or one of the standard three.
///
/// Call it once for each number, at the program's beginning, before anything is opened: then nobody
/// else can own it.
pub fn inherited_descriptor(number: i32) -> Option<OwnedFd> {
    if number <= 2 {
        return None;
    }
    // SAFETY: looked at only, and not beyond this call; a number that is not open is refused.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    fcntl_setfd(borrowed, FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open, as the call above has shown, and by the rule above nobody else's.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
