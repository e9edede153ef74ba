//! Loads that go on while processes are killed or stopped, and what the pauses came to.
#![allow(dead_code, reason = "each scenario uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

pub(crate) mod gaps;
pub(crate) mod killer;
pub(crate) mod reconnecting;
pub(crate) mod report;

use std::time::Duration;

/// How long, from the environment; `cargo xtask kills` sets it.
pub(crate) fn seconds(short: u64) -> Duration {
    let text = std::env::var("OUTBOARD_KILLS_SECONDS");
    Duration::from_secs(text.map_or(short, |text| text.parse().unwrap()))
}

/// A seed, from the environment.
pub(crate) fn seed() -> u64 {
    std::env::var("OUTBOARD_KILLS_SEED").map_or(1, |text| text.parse().unwrap())
}
