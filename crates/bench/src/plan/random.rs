use outboard_raid::Level;
use outboard_raid::spec::DEFAULT_CHUNK_BYTES;
use serde::Serialize;

use super::{ArrayPlan, Placement, PlanError, check_depth, check_rounds, check_seconds, rows};
use crate::row::Row;

/// What is asked of the random test.
#[derive(Clone, Debug)]
pub struct RandomOptions {
    /// members' URLs
    pub disks: Vec<String>,
    /// RAID level
    pub level: Level,
    /// bytes of a chunk
    pub chunk: u32,
    /// bytes of a task
    pub block_size: u64,
    /// tasks outstanding
    pub queue_depth: u32,
    /// reads among the tasks, in percent
    pub read_share: u32,
    /// seconds of one measurement
    pub seconds: f64,
    /// what is compared; none named = all
    pub rows: Vec<Row>,
    /// turns; figures are medians over them
    pub rounds: u32,
    /// a file or device that is not empty may be overwritten
    pub overwrite: bool,
    /// of the addresses
    pub seed: u64,
    /// where and how host and driver run
    pub placement: Placement,
}

impl Default for RandomOptions {
    fn default() -> Self {
        Self {
            disks: vec!["null:".to_owned()],
            level: Level::Raid0,
            chunk: DEFAULT_CHUNK_BYTES,
            block_size: 4096,
            queue_depth: 32,
            read_share: 100,
            seconds: 1.0,
            rows: Vec::new(),
            rounds: 5,
            overwrite: false,
            seed: 1,
            placement: Placement::default(),
        }
    }
}

/// Blocks at random places of the array, aligned to their size.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RandomPlan {
    /// the array
    #[serde(flatten)]
    pub array: ArrayPlan,
    /// bytes of a task
    pub block_size: u64,
    /// tasks outstanding
    pub queue_depth: u32,
    /// reads among the tasks, in percent
    pub read_share: u32,
    /// seconds of one measurement
    pub seconds: f64,
    /// what is compared, in order
    #[serde(rename = "paths")]
    pub rows: Vec<Row>,
    /// turns
    pub rounds: u32,
    /// a file or device that is not empty may be overwritten
    #[serde(skip)]
    pub overwrite: bool,
    /// of the addresses
    pub seed: u64,
    /// where and how host and driver run
    #[serde(flatten)]
    pub placement: Placement,
}

impl RandomPlan {
    /// Checks what was asked for.
    pub fn new(options: RandomOptions) -> Result<Self, PlanError> {
        let plan = Self {
            array: ArrayPlan::new(&options.disks, options.level, options.chunk)?,
            block_size: options.block_size,
            queue_depth: options.queue_depth,
            read_share: options.read_share,
            seconds: options.seconds,
            rows: rows(&options.rows, &Row::USUAL),
            rounds: options.rounds,
            overwrite: options.overwrite,
            seed: options.seed,
            placement: options.placement,
        };
        let capacity = plan.array.known_capacity()?.unwrap_or(u64::MAX);
        plan.check_array(capacity, plan.array.known_block_size())?;
        check_depth(plan.queue_depth, plan.block_size)?;
        check_rounds(plan.rounds)?;
        check_seconds(plan.seconds)?;
        if plan.read_share > 100 {
            return Err(PlanError::ReadShare { share: plan.read_share });
        }
        Ok(plan)
    }

    /// Measurements of the whole run.
    pub fn steps(&self) -> u64 {
        self.rows.len() as u64 * u64::from(self.rounds)
    }

    /// The run writes to its disks.
    pub const fn writes(&self) -> bool {
        self.read_share < 100
    }

    /// What could not be known before the array was opened.
    pub fn check_array(&self, capacity: u64, block_size: u32) -> Result<(), PlanError> {
        let block_size = u64::from(block_size);
        if self.block_size == 0 || !self.block_size.is_multiple_of(block_size) {
            return Err(PlanError::CommandSize { command_size: self.block_size, block_size });
        }
        if self.block_size > capacity {
            return Err(PlanError::SizeDoesNotFit { size: self.block_size, capacity });
        }
        Ok(())
    }
}
