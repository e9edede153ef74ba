//! The driver model: what a storage-controller driver implements, and the loops that run it.
//!
//! A driver is a program whose `main` is [`run`] with its [`Controller`]. The host starts it,
//! checks its [`Manifest`], and hands SCSI tasks to its [`IoQueue`]s: in bundles over shared slots
//! (the bundled path), one message a task (the single path), or by direct call (the resident path,
//! inside the host, for comparison only). The same `Controller` runs on all of them. Under a server it
//! runs in a sandbox (`outboard-sandbox`): it has what it was given and can open nothing else.
//!
//! ```no_run
//! # use outboard_hba::testkit::Ram;
//! fn main() -> std::process::ExitCode {
//!     outboard_hba::run(Ram::default())
//! }
//! ```
//!
//! How each method of DriverKit's `IOUserSCSIParallelInterfaceController` maps to this model is
//! the table in [`controller`].

pub mod control;
pub mod controller;
pub mod disks;
pub mod dispatch;
mod loops;
mod mailbox;
pub mod manifest;
pub mod protocol;
pub mod report;
mod run;
pub mod runner;
mod stamps;
pub mod task;
pub mod testkit;
pub mod values;

pub use controller::{Controller, DriverError, InheritedRing, IoQueue, QueueSetup, Startup};
pub use disks::{DISKS_MAX, Disk, DiskDescription, DiskKind};
pub use dispatch::{DispatchQueue, DispatchQueues, WouldDeadlock};
pub use loops::HEARTBEAT_NS;
pub use manifest::{Binding, Manifest, ManifestError, Method, QueueDeclaration, QueueKind};
pub use protocol::{ManagementFunction, Path, TaskManagement};
pub use report::{Constraints, DmaSpecification, HbaReport, ReportError, TargetReport, UnitReport};
pub use run::{CONTROL_FD_VARIABLE, RINGS_VARIABLE, run};
pub use runner::Runner;
pub use task::{Bundle, Completions, Response, Task, Token};
pub use values::{Direction, ServiceResponse, TaskAttribute, TaskStatus};
