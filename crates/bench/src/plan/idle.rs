use outboard_raid::Level;
use outboard_raid::spec::DEFAULT_CHUNK_BYTES;
use serde::Serialize;

use super::{ArrayPlan, Placement, PlanError, check_seconds};

/// What is asked of the idle test.
#[derive(Clone, Debug)]
pub struct IdleOptions {
    /// members' URLs
    pub disks: Vec<String>,
    /// seconds of the measurement
    pub seconds: f64,
    /// where and how host and driver run
    pub placement: Placement,
}

impl Default for IdleOptions {
    fn default() -> Self {
        let disks = vec!["null:".to_owned()];
        Self { disks, seconds: 10.0, placement: Placement::default() }
    }
}

/// What a driver costs that is attached on the bundled path and has nothing to do.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
#[serde(tag = "test", rename = "idle")]
pub struct IdlePlan {
    /// the array
    #[serde(flatten)]
    pub array: ArrayPlan,
    /// seconds of the measurement
    pub seconds: f64,
    /// where and how host and driver run
    #[serde(flatten)]
    pub placement: Placement,
}

impl IdlePlan {
    /// Checks what was asked for.
    pub fn new(options: IdleOptions) -> Result<Self, PlanError> {
        check_seconds(options.seconds)?;
        let array = ArrayPlan::new(&options.disks, Level::Raid0, DEFAULT_CHUNK_BYTES)?;
        Ok(Self { array, seconds: options.seconds, placement: options.placement })
    }
}
