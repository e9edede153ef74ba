//! Starts a driver process with nothing but what it was given.
//!
//! [`launch`] starts a *launcher*, a small program of ours with one thread ([`launcher_main`]). It
//! opens the driver's program, makes a new process in namespaces of its own whose parent is the
//! host, and ends. The new process gives up everything else by itself and executes the driver; no
//! helper stays behind. Each [`Measure`] is tried alone and has an [`Outcome`]; [`Mode`] says whether one that
//! is refused ends the start. `docs/sandbox.md` has the table of measures.
//!
//! # The order
//!
//! | who | step |
//! |---|---|
//! | launcher | opens the program at a number above the driver's limit; raises the locked memory; makes the control group and the io_urings; as root: mount namespace |
//! | launcher | `clone3`: the new process, its namespaces; writes the user map; tells the host number and pidfd |
//! | new process | session, signals, standard descriptors; mount namespace, if not root; another user; limits |
//! | new process | no new privileges, Landlock, capabilities |
//! | new process | ends with its host; descriptors closed; filters; reports; **waits for the host's word**; executes |
//!
//! The host's word closes a race: whoever says it lives, and from then on the death of the host's
//! last thread sends the kernel's signal. It is also why [`launch`] starts launchers from a thread that never ends:
//! the kernel sends that signal when the *thread* ends that a process comes from.
//!
//! # Executing once
//!
//! A filter cannot count, so `execveat` of the program is not allowed but *asked* for: the kernel
//! stops it and tells the launcher (`SECCOMP_RET_USER_NOTIF`), which lets the first one pass and
//! ends. With its end the question has nobody to go to, and the kernel answers ENOSYS for ever.
//!
//! The program's descriptor number lies above the driver's limit and is closed by the very execution,
//! but that alone is not enough: with a path the number does not matter, and a filter does not see
//! paths. So where the question is refused (another program has one on the same process), Landlock is what
//! is left: the driver's own program and its loader can be executed again, and nothing else.
//!
//! # The first process of a namespace
//!
//! With a PID namespace the driver is number 1 of it. Signals that it sends itself do nothing unless
//! it has a handler: `abort()` ends it by the trap that the C library falls back to (SIGSEGV instead
//! of SIGABRT). SIGTERM from the host does nothing without a handler; SIGKILL and SIGSTOP from outside
//! work as ever. When it ends, the kernel ends everything in its namespace.

mod error;
mod launch;
mod launcher;
mod message;
mod policy;
mod process;
mod spec;
mod sys;

pub use error::SandboxError;
pub use launch::{DISKS_MAX, Launch, Launcher, launch};
pub use launcher::{RINGS_VARIABLE, RingMaker, launcher_main};
pub use policy::restrict_io_thread;
pub use process::Process;
pub use spec::{Measure, Mode, Outcome, Spec};
