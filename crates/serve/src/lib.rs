//! The server: arrays and extensions, as LUNs over iSCSI.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the TOML file and the flags, as checked data |
//! | [`run`] | the running server, from start to end |
//! | [`io`] | the data side: portals, I/O threads, drivers |
//! | [`offer`] | the configuration in the terms of the iSCSI login |
//! | [`control`] | what the control side may ask of the running server |
//! | [`status`] | what it tells of itself |
//! | [`api`] | the control thread: HTTP over a Unix socket, signals, the watchdog |
//! | [`metrics`] | the status for Prometheus |
//! | [`report`] | what a driver's death leaves |
//! | [`trace`] | the life of single tasks |
//! | [`notify`] | readiness, for the service manager and on standard output |
//! | [`log`] | set-up of the log |
//! | [`cli`] | `outboard serve`, `outboard status`, `outboard config`, `outboard ext` |

#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod config;
pub mod control;
pub mod io;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod offer;
pub mod report;
pub mod run;
mod signals;
pub mod status;
#[cfg(test)]
mod testing;
pub mod trace;
