//! What the scenarios over iSCSI share: a server, and foreign programs as its clients.
#![allow(dead_code, reason = "each scenario uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

pub(crate) mod guest;
pub(crate) mod mixed;
pub(crate) mod programs;
pub(crate) mod server;
pub(crate) mod session;

/// The name that every server's target has.
pub(crate) const TARGET: &str = "iqn.2026-11.io.outboard:scenario";

pub(crate) const MIB: u64 = 1 << 20;
