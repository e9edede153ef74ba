use outboard_raid::Level;
use outboard_raid::spec::DEFAULT_CHUNK_BYTES;
use serde::Serialize;

use super::{ArrayPlan, FRAME_ALIGN, Placement, PlanError, check_depth, check_rounds, rows};
use crate::format::{PixelFormat, Raster};
use crate::row::Row;

/// What is asked of the System test.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// members' URLs
    pub disks: Vec<String>,
    /// RAID level
    pub level: Level,
    /// bytes of a chunk
    pub chunk: u32,
    /// pixels of a frame
    pub raster: Raster,
    /// how they are stored
    pub format: PixelFormat,
    /// bytes of the file; whole frames of it are used
    pub size: u64,
    /// most bytes of one command
    pub command_size: u64,
    /// tasks outstanding, one block of results each
    pub queue_depths: Vec<u32>,
    /// what is compared; none named = all
    pub rows: Vec<Row>,
    /// turns; figures are medians over them
    pub rounds: u32,
    /// check every byte that is read
    pub verify: bool,
    /// a file or device that is not empty may be overwritten
    pub overwrite: bool,
    /// of the data and of the order of rows
    pub seed: u64,
    /// where and how host and driver run
    pub placement: Placement,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            disks: vec!["sim:hdd".to_owned(); 2],
            level: Level::Raid0,
            chunk: DEFAULT_CHUNK_BYTES,
            raster: Raster::UHD,
            format: PixelFormat::Yuv10,
            size: 256_000_000,
            command_size: 1 << 20,
            queue_depths: vec![1, 2, 4, 8],
            rows: Vec::new(),
            rounds: 5,
            verify: false,
            overwrite: false,
            seed: 1,
            placement: Placement::default(),
        }
    }
}

/// The System test: one large file of video frames is written, then read.
///
/// The file is [`Plan::frames`] whole frames. A frame begins at a multiple of
/// [`FRAME_ALIGN`] and is written as commands of [`Plan::command_size`], the last one
/// shorter; its padding is written too and counts.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// the array
    #[serde(flatten)]
    pub array: ArrayPlan,
    /// pixels of a frame
    #[serde(rename = "resolution")]
    pub raster: Raster,
    /// how they are stored
    pub format: PixelFormat,
    /// bytes of a frame
    pub frame_bytes: u64,
    /// bytes from the beginning of a frame to that of the next
    pub frame_stride: u64,
    /// frames of the file
    pub frames: u64,
    /// bytes of the file as asked for
    pub size: u64,
    /// most bytes of one command
    pub command_size: u64,
    /// tasks outstanding, ascending
    pub queue_depths: Vec<u32>,
    /// what is compared, in order
    #[serde(rename = "paths")]
    pub rows: Vec<Row>,
    /// turns
    pub rounds: u32,
    /// check every byte that is read
    pub verify: bool,
    /// a file or device that is not empty may be overwritten
    #[serde(skip)]
    pub overwrite: bool,
    /// of the data and of the order of rows
    pub seed: u64,
    /// where and how host and driver run
    #[serde(flatten)]
    pub placement: Placement,
}

impl Plan {
    /// Checks what was asked for.
    pub fn new(options: PlanOptions) -> Result<Self, PlanError> {
        let array = ArrayPlan::new(&options.disks, options.level, options.chunk)?;
        let PlanOptions { raster, format, size, command_size, .. } = options;
        let frame_bytes = format.frame_bytes(raster);
        let frame_stride = frame_bytes.next_multiple_of(FRAME_ALIGN);
        let mut queue_depths = options.queue_depths;
        queue_depths.sort_unstable();
        queue_depths.dedup();
        let plan = Self {
            array,
            raster,
            format,
            frame_bytes,
            frame_stride,
            frames: size / frame_stride,
            size,
            command_size,
            queue_depths,
            rows: rows(&options.rows, &Row::ONE_THREAD),
            rounds: options.rounds,
            verify: options.verify,
            overwrite: options.overwrite,
            seed: options.seed,
            placement: options.placement,
        };
        plan.check()?;
        Ok(plan)
    }

    /// Bytes that are written and then read.
    pub const fn file_bytes(&self) -> u64 {
        self.frames * self.frame_stride
    }

    /// Commands of a frame.
    pub const fn commands_per_frame(&self) -> u64 {
        self.frame_stride.div_ceil(self.command_size)
    }

    /// Measurements of the whole run: write and read of each row, depth and round.
    pub fn steps(&self) -> u64 {
        self.rows.len() as u64 * self.queue_depths.len() as u64 * u64::from(self.rounds) * 2
    }

    /// What could not be known before the array was opened.
    pub fn check_array(&self, capacity: u64, block_size: u32) -> Result<(), PlanError> {
        if self.file_bytes() > capacity {
            return Err(PlanError::SizeDoesNotFit { size: self.size, capacity });
        }
        let block_size = u64::from(block_size);
        if self.command_size == 0 || !self.command_size.is_multiple_of(block_size) {
            return Err(PlanError::CommandSize { command_size: self.command_size, block_size });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), PlanError> {
        let Self { raster, format, size, frame_bytes, .. } = *self;
        if self.frames == 0 {
            return Err(PlanError::FrameTooLarge { size, raster, format, frame_bytes });
        }
        let capacity = self.array.known_capacity()?.unwrap_or(u64::MAX);
        self.check_array(capacity, self.array.known_block_size())?;
        if self.queue_depths.is_empty() {
            return Err(PlanError::NoQueueDepth);
        }
        self.queue_depths.iter().try_for_each(|&depth| check_depth(depth, self.command_size))?;
        check_rounds(self.rounds)
    }
}
