//! The measuring engine: attaches drivers, loads them, measures.
//!
//! What is compared runs in turn inside one round: every row of a depth, one after the other, then
//! the next round. Each measurement starts a driver of its own, so none inherits another's state;
//! the disks' contents stay.

mod cost;
mod cpu;
mod drive;
mod error;
mod idle;
mod pattern;
mod pingpong;
mod random;
mod random_load;
mod sequential;
mod session;
mod system;
mod units;

use crate::error::BenchError;
use crate::idle::Idle;
use crate::plan::{CostPlan, IdlePlan, Plan, RandomPlan};
use crate::sample::{Cost, Observer, Sample};

/// Runs the System test.
///
/// # Errors
/// [`BenchError::Refused`] for disks that cannot be used, [`BenchError::Failed`] if a driver did not
/// come up or was lost.
pub fn system_test(plan: &Plan, observer: &mut dyn Observer) -> Result<Vec<Sample>, BenchError> {
    system::run(plan, observer)
}

/// Runs a random load.
///
/// # Errors
/// As [`system_test`].
pub fn random(plan: &RandomPlan, observer: &mut dyn Observer) -> Result<Vec<Sample>, BenchError> {
    random::run(plan, observer)
}

/// Measures what a driver costs that has nothing to do.
///
/// # Errors
/// As [`system_test`].
pub fn idle(plan: &IdlePlan, observer: &mut dyn Observer) -> Result<Idle, BenchError> {
    idle::run(plan, observer)
}

/// Measures what the boundary costs.
///
/// # Errors
/// As [`system_test`].
pub fn cost(plan: &CostPlan, observer: &mut dyn Observer) -> Result<Cost, BenchError> {
    cost::run(plan, observer)
}
