//! The command line of `outboard bench`.

mod go;
mod output;
mod values;

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub use go::run;
pub use output::OutputArgs;

use crate::format::{PixelFormat, Raster};
use crate::plan::{CostOptions, IdleOptions, Pinning, Placement, PlanOptions, RandomOptions};
use crate::row::Row;
use outboard_raid::Level;
use values::{bytes, chunk, pinning, raster, row};

/// Measures what the boundary around a driver costs.
///
/// Without arguments: the System test on a RAID 0 of two simulated disks of 322.5 MB/s each, over
/// all paths, at depth 1, 2, 4 and 8. It takes about a minute.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    #[command(flatten)]
    system: SystemArgs,
}

#[derive(Clone, Debug, Subcommand)]
enum BenchCommand {
    /// Blocks at random places, as fast as they come
    Random(RandomArgs),
    /// CPU time of isolation per task by bundle size, and its parts
    Cost(CostArgs),
    /// CPU time of a driver that is attached and has nothing to do
    Idle(IdleArgs),
}

/// `outboard bench`.
#[derive(Args, Clone, Debug)]
struct SystemArgs {
    #[command(flatten)]
    array: ArrayArgs,
    /// Pixels of a frame: WIDTHxHEIGHT, or ntsc, pal, 720p, hd, 2k, 2k-film, uhd, 4k, 5k, uhd2, 8k
    #[arg(long, value_name = "RASTER", default_value = "3840x2160", value_parser = raster)]
    resolution: Raster,
    /// How pixels are stored
    #[arg(long, value_enum, default_value_t = PixelFormat::Yuv10)]
    format: PixelFormat,
    /// File size, as 256M, 512M, 1G, 4G, 16G, 64G (powers of 1000; Mi, Gi are powers of 1024);
    /// whole frames of it are used
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = bytes)]
    size: u64,
    /// Most bytes of one command
    #[arg(long, value_name = "BYTES", default_value = "1Mi", value_parser = bytes)]
    command_size: u64,
    /// Tasks outstanding, 1 to 1024; one block of results each
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2,4,8")]
    queue_depth: Vec<u32>,
    /// Check every byte that is read
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    compare: CompareArgs,
    #[command(flatten)]
    repeat: RepeatArgs,
}

/// `outboard bench random`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = RANDOM_EXAMPLES)]
struct RandomArgs {
    #[command(flatten)]
    array: ArrayArgs,
    /// Bytes of a task
    #[arg(long, value_name = "BYTES", default_value = "4Ki", value_parser = bytes)]
    block_size: u64,
    /// Tasks outstanding, 1 to 1024
    #[arg(long, value_name = "N", default_value_t = 32)]
    queue_depth: u32,
    /// Reads among the tasks, in percent; less than 100 writes to the disks
    #[arg(long, value_name = "PERCENT", default_value_t = 100)]
    read_share: u32,
    /// Seconds of one measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    seconds: f64,
    #[command(flatten)]
    compare: CompareArgs,
    #[command(flatten)]
    repeat: RepeatArgs,
}

/// `outboard bench cost`.
#[derive(Args, Clone, Debug)]
struct CostArgs {
    /// Disk under the driver: a URL or a path
    #[arg(long, value_name = "URL", default_value = "null:")]
    disk: Vec<String>,
    /// Bytes of a task
    #[arg(long, value_name = "BYTES", default_value = "4Ki", value_parser = bytes)]
    block_size: u64,
    /// Tasks per bundle, 1 to 32
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2,4,8,16,32")]
    bundle: Vec<u32>,
    /// Seconds of one measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 0.2)]
    seconds: f64,
    #[command(flatten)]
    repeat: RepeatArgs,
}

/// `outboard bench idle`.
#[derive(Args, Clone, Debug)]
struct IdleArgs {
    /// Disk under the driver: a URL or a path
    #[arg(long, value_name = "URL", default_value = "null:")]
    disk: Vec<String>,
    /// Seconds of the measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    seconds: f64,
    #[command(flatten)]
    run: RunArgs,
    /// Write the result as JSON; with - to standard output, and nothing else there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
struct ArrayArgs {
    /// Member of the array, one for each --disk: a file or block device, mem:SIZE, null:, sim:hdd
    /// or sim:ssd, with options as 'sim:hdd?size=16Gi&rate=250MB' [default: two of sim:hdd for the
    /// System test, null: for random]
    #[arg(long, value_name = "URL")]
    disk: Vec<String>,
    /// RAID level: 0 (striped) or linear
    #[arg(long, default_value = "0")]
    level: Level,
    /// Bytes of a chunk, a power of two
    #[arg(long, value_name = "BYTES", default_value = "512Ki", value_parser = chunk)]
    chunk: u32,
}

#[derive(Args, Clone, Debug)]
struct CompareArgs {
    /// Overwrite files and devices that are not empty
    #[arg(long)]
    overwrite: bool,
    /// What is compared; ratios are to resident [default: all]
    #[arg(long, value_name = "PATH", value_delimiter = ',', value_parser = row())]
    path: Vec<Row>,
}

/// What all tests have that compare.
#[derive(Args, Clone, Debug)]
struct RepeatArgs {
    /// Turns of the whole comparison; figures are medians over them
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What all tests have.
#[derive(Args, Clone, Debug)]
struct RunArgs {
    /// Seed of data, addresses and order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Processors of host and driver, as 0:1, or auto, or none
    #[arg(long, value_name = "HOST:DRIVER", default_value = "auto", value_parser = pinning)]
    pin: Pinning,
    /// Sleep at once instead of watching for work for a while
    #[arg(long)]
    no_spin: bool,
    /// Driver program instead of the built-in array driver
    #[arg(long, value_name = "PROGRAM")]
    driver: Option<PathBuf>,
}

impl ArrayArgs {
    fn disks_or(&self, default: Vec<String>) -> Vec<String> {
        if self.disk.is_empty() { default } else { self.disk.clone() }
    }
}

impl RunArgs {
    fn placement(&self) -> Placement {
        Placement { pin: self.pin, spin: !self.no_spin, driver: self.driver.clone() }
    }
}

impl SystemArgs {
    fn options(&self) -> PlanOptions {
        let defaults = PlanOptions::default();
        PlanOptions {
            disks: self.array.disks_or(defaults.disks),
            level: self.array.level,
            chunk: self.array.chunk,
            raster: self.resolution,
            format: self.format,
            size: self.size,
            command_size: self.command_size,
            queue_depths: self.queue_depth.clone(),
            rows: self.compare.path.clone(),
            rounds: self.repeat.rounds,
            verify: self.verify,
            overwrite: self.compare.overwrite,
            seed: self.repeat.run.seed,
            placement: self.repeat.run.placement(),
        }
    }
}

impl RandomArgs {
    fn options(&self) -> RandomOptions {
        let defaults = RandomOptions::default();
        RandomOptions {
            disks: self.array.disks_or(defaults.disks),
            level: self.array.level,
            chunk: self.array.chunk,
            block_size: self.block_size,
            queue_depth: self.queue_depth,
            read_share: self.read_share,
            seconds: self.seconds,
            rows: self.compare.path.clone(),
            rounds: self.repeat.rounds,
            overwrite: self.compare.overwrite,
            seed: self.repeat.run.seed,
            placement: self.repeat.run.placement(),
        }
    }
}

impl CostArgs {
    fn options(&self) -> CostOptions {
        CostOptions {
            disks: self.disk.clone(),
            block_size: self.block_size,
            bundles: self.bundle.clone(),
            seconds: self.seconds,
            rounds: self.repeat.rounds,
            seed: self.repeat.run.seed,
            placement: self.repeat.run.placement(),
        }
    }
}

impl IdleArgs {
    fn options(&self) -> IdleOptions {
        let placement = self.run.placement();
        IdleOptions { disks: self.disk.clone(), seconds: self.seconds, placement }
    }
}

const EXAMPLES: &str = "\
Examples:
  outboard bench                                   about a minute
  outboard bench --queue-depth 1 --rounds 1        a first look
  outboard bench --disk /dev/sdb --disk /dev/sdc   on empty block devices
  outboard bench --size 16G --disk 'sim:hdd?size=16Gi' --verify
  outboard bench --path resident,bundled --json - | jq .ratios
  outboard bench --report report.html              charts, isolation cost too
  outboard bench random --disk mem:1Gi --disk mem:1Gi
  outboard bench cost
  outboard bench idle                              CPU use of a driver at rest

Exit codes: 0 done; 1 failed, or tasks had errors; 2 cannot be as asked for.";

const RANDOM_EXAMPLES: &str = "\
Examples:
  outboard bench random                            4 KiB reads at depth 32
  outboard bench random --disk mem:1Gi --disk mem:1Gi --path resident
  outboard bench random --disk sim:ssd --read-share 70 --queue-depth 128";

#[cfg(test)]
mod tests;
