//! What the scenarios share: the command, a driver that is attached and loaded, and what a process
//! leaves behind.
#![allow(dead_code, reason = "each scenario uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

pub(crate) mod attached;
pub(crate) mod command;
pub(crate) mod leftovers;

/// Says on the terminal, not only with --nocapture, that something was not tested here.
pub(crate) fn skipped(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}");
}
