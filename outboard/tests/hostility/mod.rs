//! A hostile driver beside a sound one: the program of both, and their loads.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

pub(crate) mod driver;
pub(crate) mod load;
pub(crate) mod usage;
