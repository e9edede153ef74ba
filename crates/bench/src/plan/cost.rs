use outboard_raid::Level;
use outboard_raid::spec::DEFAULT_CHUNK_BYTES;
use serde::Serialize;

use super::{
    ArrayPlan, MAX_BUNDLE, Placement, PlanError, check_depth, check_rounds, check_seconds,
};

/// What is asked of the cost test.
#[derive(Clone, Debug)]
pub struct CostOptions {
    /// members' URLs
    pub disks: Vec<String>,
    /// bytes of a task
    pub block_size: u64,
    /// tasks per bundle, one point of the curve each
    pub bundles: Vec<u32>,
    /// seconds of one measurement
    pub seconds: f64,
    /// turns; figures are medians over them
    pub rounds: u32,
    /// of the addresses
    pub seed: u64,
    /// where and how host and driver run
    pub placement: Placement,
}

impl Default for CostOptions {
    fn default() -> Self {
        Self {
            disks: vec!["null:".to_owned()],
            block_size: 4096,
            bundles: vec![1, 2, 4, 8, 16, 32],
            seconds: 0.2,
            rounds: 5,
            seed: 1,
            placement: Placement::default(),
        }
    }
}

/// What isolation costs: reads in bundles of each size over the resident and the bundled path, and
/// round trips against the bare mechanisms.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CostPlan {
    /// the array
    #[serde(flatten)]
    pub array: ArrayPlan,
    /// bytes of a task
    pub block_size: u64,
    /// tasks per bundle, ascending
    pub bundles: Vec<u32>,
    /// seconds of one measurement
    pub seconds: f64,
    /// turns
    pub rounds: u32,
    /// of the addresses
    pub seed: u64,
    /// where and how host and driver run
    #[serde(flatten)]
    pub placement: Placement,
}

impl CostPlan {
    /// Checks what was asked for.
    pub fn new(options: CostOptions) -> Result<Self, PlanError> {
        let array = ArrayPlan::new(&options.disks, Level::Raid0, DEFAULT_CHUNK_BYTES)?;
        let mut bundles = options.bundles;
        bundles.sort_unstable();
        bundles.dedup();
        if let Some(&bundle) = bundles.iter().find(|size| !(1..=MAX_BUNDLE).contains(*size)) {
            return Err(PlanError::Bundle { bundle });
        }
        let largest = bundles.last().copied().ok_or(PlanError::Bundle { bundle: 0 })?;
        let plan = Self {
            array,
            block_size: options.block_size,
            bundles,
            seconds: options.seconds,
            rounds: options.rounds,
            seed: options.seed,
            placement: options.placement,
        };
        let block_size = u64::from(plan.array.known_block_size());
        if plan.block_size == 0 || !plan.block_size.is_multiple_of(block_size) {
            return Err(PlanError::CommandSize { command_size: plan.block_size, block_size });
        }
        check_depth(largest, plan.block_size)?;
        check_rounds(plan.rounds)?;
        check_seconds(plan.seconds)?;
        Ok(plan)
    }
}
