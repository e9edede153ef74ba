//! The system call policy: an allow list in tables by purpose, each line with its reason.
//!
//! What no line allows is answered EPERM, so that a driver gets an error where it oversteps, not
//! death; a call of another architecture kills the process, because the tables' numbers mean nothing there.
//! Some calls are answered ENOSYS ([`answers`]), so that the C library uses an older one, which can be checked.

mod answers;
mod compile;
mod line;
mod process;
mod thread;

pub(crate) use answers::answers;
pub(crate) use process::{Facts, process};
pub use thread::restrict_io_thread;
