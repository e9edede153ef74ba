use std::path::PathBuf;

use outboard_disk::SpecError;
use outboard_disk::units::format_size;
use outboard_raid::RaidError;

use super::{MAX_BUNDLE, MAX_POOL_BYTES, MAX_QUEUE_DEPTH, MAX_ROUNDS, MAX_SECONDS};
use crate::format::{PixelFormat, Raster};

/// Why a run cannot be: the thing, the rule, the mend.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// a disk URL that is none
    #[error(transparent)]
    Disk(#[from] SpecError),
    /// disks that make no array
    #[error(transparent)]
    Array(#[from] RaidError),
    /// one file or device in two places of an array
    #[error("disk `{}` is named twice: each member needs storage of its own; name another", path.display())]
    SameDisk {
        /// its path
        path: PathBuf,
    },
    /// the file, or a block, is larger than the array
    #[error(
        "size {size}: it must fit the array of {capacity}; \
         use {capacity_down} at most, or larger disks (as sim:hdd?size=16Gi)",
        size = format_size(*size),
        capacity = format_size(*capacity),
        capacity_down = format_size(*capacity / 1_000_000 * 1_000_000)
    )]
    SizeDoesNotFit {
        /// bytes of the file or block
        size: u64,
        /// bytes of the array
        capacity: u64,
    },
    /// not one frame fits the file
    #[error(
        "file size {size}: a file holds at least one frame, and a {raster} frame of {format} has \
         {frame_bytes} bytes; use a larger --size or a smaller --resolution",
        size = format_size(*size)
    )]
    FrameTooLarge {
        /// bytes of the file
        size: u64,
        /// pixels of the frame
        raster: Raster,
        /// how they are stored
        format: PixelFormat,
        /// bytes of the frame
        frame_bytes: u64,
    },
    /// a command that is no whole number of blocks
    #[error(
        "command size {command_size}: a command is one or more whole blocks of {block_size} bytes; \
         use a multiple, as {}", format_size((*command_size).next_multiple_of((*block_size).max(1)).max(*block_size))
    )]
    CommandSize {
        /// bytes of a command
        command_size: u64,
        /// bytes of a block of the array
        block_size: u64,
    },
    /// a depth that is none
    #[error(
        "queue depth {depth}: it is 1 to {MAX_QUEUE_DEPTH} tasks; use for example --queue-depth 8"
    )]
    QueueDepth {
        /// what was asked for
        depth: u32,
    },
    /// no depth at all
    #[error("no queue depth: a run needs at least one; use for example --queue-depth 8")]
    NoQueueDepth,
    /// more buffer memory than a run may take
    #[error(
        "queue depth {depth} with commands of {size}: the data buffers (their product) have at \
         most {max}; use a smaller --queue-depth or smaller commands",
        size = format_size(*command_size),
        max = format_size(MAX_POOL_BYTES)
    )]
    Pool {
        /// tasks
        depth: u32,
        /// bytes of a command
        command_size: u64,
    },
    /// a number of rounds that is none
    #[error("{rounds} rounds: a run has 1 to {MAX_ROUNDS}; use for example --rounds 5")]
    Rounds {
        /// what was asked for
        rounds: u32,
    },
    /// a share beyond the whole
    #[error("read share {share}: it is a percentage, 0 to 100; use for example --read-share 70")]
    ReadShare {
        /// what was asked for
        share: u32,
    },
    /// a time that is none
    #[error(
        "{seconds} seconds per measurement: 0.01 to {MAX_SECONDS}; use for example --seconds 1"
    )]
    Seconds {
        /// what was asked for
        seconds: f64,
    },
    /// a bundle size that is none
    #[error(
        "bundle of {bundle} tasks: a bundle has 1 to {MAX_BUNDLE}; use for example --bundle 1,8,32"
    )]
    Bundle {
        /// what was asked for
        bundle: u32,
    },
    /// a processor that this process may not use
    #[error(
        "--pin: processor {cpu} is not one that this process may run on ({allowed}); \
         name two of those, or --pin none"
    )]
    Cpu {
        /// what was asked for
        cpu: usize,
        /// those that are allowed, as text
        allowed: String,
    },
}
