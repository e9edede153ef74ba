//! The host's side of a logical unit: everything that outlives a driver or depends on the I_T
//! nexus.
//!
//! [`Target`] judges every command before a buffer is taken for it: [`Target::check`] answers it
//! from the host's own state, refuses it, or hands it on for the driver ([`Verdict`]).
//! [`TaskSet`] decides when a task that was handed on may start.
//!
//! All of it is sans-I/O: plain state machines without clocks, threads or sockets.
//!
//! | module | what | standard |
//! |---|---|---|
//! | [`target`] | LUN map, target ports, events for several nexuses | SAM-6 clauses 4 and 6 |
//! | [`mod@unit`] | a logical unit: identity, capacity, limits, mode pages | SPC-6, SBC-4 |
//! | [`nexus`] | the table of I_T nexuses | SAM-6 clause 4 |
//! | [`attention`] | unit attention conditions | SAM-6 5.14 |
//! | [`reservation`] | reservations, and what persists of them | SPC-6, SPC-2 |
//! | [`alua`] | target port groups | SPC-6 |
//! | [`copy`] | EXTENDED COPY and RECEIVE COPY RESULTS | SPC-4 |
//! | [`sanitize`] | SANITIZE | SBC-4 |
//! | [`task_set`] | order of tasks | SAM-6 8 |
//! | [`verdict`] | what [`Target::check`] answers | |
//!
//! The stages of a check, in their order: LUN, unit attention, CDB, access state of the target port
//! ([`alua`]), reservations ([`reservation`]), then `media` for what is handed on (readiness, range,
//! limits) and `answer` for what is not.

#![forbid(unsafe_code)]

pub mod alua;
mod answer;
pub mod attention;
mod check;
pub mod copy;
mod error;
pub mod identity;
mod media;
pub mod nexus;
mod power;
pub mod reservation;
pub mod sanitize;
mod support;
pub mod target;
pub mod task_set;
pub mod unit;
pub mod verdict;

pub use attention::UnitAttention;
pub use error::SpcError;
pub use identity::Identity;
pub use nexus::{Nexus, NexusId};
pub use target::{Scope, Target, TargetPort};
pub use task_set::{Admission, TaskSet};
pub use unit::{Atomic, Capacity, Limits, LogicalUnit, Provisioning, Thin, UnitConfig};
pub use verdict::{Effect, Forwarded, PARAMETER_LIST_MAX, Parameters, Response, Verdict};
