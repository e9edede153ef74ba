//! What a run does. A plan that exists is one that can be run, as far as is known before its
//! disks are opened; [`Plan::check_array`] says the rest.

mod array;
mod cost;
mod error;
mod idle;
mod placement;
mod random;
mod system;

pub use array::ArrayPlan;
pub use cost::{CostOptions, CostPlan};
pub use error::PlanError;
pub use idle::{IdleOptions, IdlePlan};
pub use placement::{Pinning, Placement, allowed_cpus};
pub use random::{RandomOptions, RandomPlan};
pub use system::{Plan, PlanOptions};

use crate::row::Row;

/// Most bytes of data buffers of one run: depth times command size.
pub const MAX_POOL_BYTES: u64 = 1 << 30;
/// Most tasks outstanding.
pub const MAX_QUEUE_DEPTH: u32 = 1024;
/// Most rounds.
pub const MAX_ROUNDS: u32 = 1000;
/// Most tasks in a bundle.
pub const MAX_BUNDLE: u32 = 32;
/// Frames begin at multiples of this, so that any disk can be written past the page cache.
pub const FRAME_ALIGN: u64 = 4096;
/// Longest measurement in seconds.
pub const MAX_SECONDS: f64 = 3600.0;

fn check_depth(depth: u32, command_size: u64) -> Result<(), PlanError> {
    if depth == 0 || depth > MAX_QUEUE_DEPTH {
        return Err(PlanError::QueueDepth { depth });
    }
    match u64::from(depth).checked_mul(command_size) {
        Some(bytes) if bytes <= MAX_POOL_BYTES => Ok(()),
        _ => Err(PlanError::Pool { depth, command_size }),
    }
}

fn check_rounds(rounds: u32) -> Result<(), PlanError> {
    if rounds == 0 || rounds > MAX_ROUNDS {
        return Err(PlanError::Rounds { rounds });
    }
    Ok(())
}

fn check_seconds(seconds: f64) -> Result<(), PlanError> {
    if !(0.01..=MAX_SECONDS).contains(&seconds) {
        return Err(PlanError::Seconds { seconds });
    }
    Ok(())
}

/// Sorted, each once; none named = `all`.
fn rows(rows: &[Row], all: &[Row]) -> Vec<Row> {
    match rows {
        [] => all.to_vec(),
        named => Row::ALL.into_iter().filter(|row| named.contains(row)).collect(),
    }
}

#[cfg(test)]
mod tests;
