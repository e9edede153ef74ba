//! A trial start: the whole activation of a driver on disks in memory, then its end in order. What
//! panics a kernel at load is found here, and what runs goes on.

use std::io;
use std::time::{Duration, Instant};

use outboard_disk::open::{OpenOptions, open};
use outboard_disk::{DiskKind, DiskSpec, OpenError};
use outboard_hba::{HbaReport, Path};
use outboard_host::channel::Channel;
use outboard_host::driver::{Driver, Launch, LaunchError, Offer, Options, Sandbox};
use outboard_host::stack::{Stack, StackError};
use outboard_sandbox::{Launcher, Mode};
use outboard_slots::Region;

use crate::disks::describe;
use crate::store::Installed;

/// Bytes of each disk of a trial.
pub const DISK_BYTES: u64 = 16 << 20;
/// Slots of a trial.
const SLOTS: u32 = 256;
/// Bytes of its buffer pool.
const POOL_BYTES: u64 = 32 << 20;
/// Most time of one control call.
const CALL: Duration = Duration::from_secs(5);

/// A trial that went well.
#[derive(Clone, Debug)]
pub struct Trial {
    /// what the controller reports
    pub report: HbaReport,
    /// how long the driver took to run
    pub start: Duration,
    /// how long it took to end
    pub stop: Duration,
}

/// Why a driver cannot be activated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// a disk of the trial
    #[error("no disk for the trial: {0}")]
    Disk(#[from] OpenError),
    /// a descriptor
    #[error("no disk for the trial: {0}")]
    System(#[from] io::Error),
    /// the driver did not come up
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// it wants another path
    #[error(
        "the driver declines the bundled path ({0}); `outboard serve` serves bundled drivers: accept it in Controller::map_bundled"
    )]
    Declined(String),
    /// it reports more than its package allows
    #[error("{0}")]
    Limits(String),
    /// it has nothing to serve
    #[error(
        "the driver reports no logical unit; report at least one in the first of HbaReport::targets"
    )]
    Nothing,
    /// what it reports makes no target
    #[error(transparent)]
    Stack(#[from] StackError),
    /// it did not end
    #[error(
        "the driver did not end in order ({0}) within 5 s of being asked; return from Controller::stop, and leave no thread that keeps the process"
    )]
    Stop(String),
}

/// A driver that runs on disks in memory.
pub struct Running {
    /// its process
    pub driver: Driver,
    /// its queue
    pub channel: Box<dyn Channel>,
    /// what it was started with, for another start
    pub disks: Disks,
}

/// Disks in memory that outlive their drivers.
#[derive(Debug)]
pub struct Disks(Vec<(outboard_hba::DiskDescription, std::os::fd::OwnedFd)>);

impl Disks {
    /// As many as a package needs.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn of(installed: &Installed) -> Result<Self, TrialError> {
        let one = |_| {
            let spec = DiskSpec::plain(DiskKind::Memory { len_bytes: DISK_BYTES });
            let (description, fd) = open(&spec, &OpenOptions::default())?.into_parts();
            let fd = fd.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
            Ok((describe(&description, &fd)?, fd))
        };
        (0..installed.package.resources.disks.0).map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// Starts a driver on disks in memory: Hello, Initialize, Map, Start, and every rule on the way. With
/// the region of a predecessor that is dead it takes its tasks over.
///
/// # Errors
/// The first rule that it breaks.
pub fn start(
    installed: &Installed,
    disks: Disks,
    region: Option<Region>,
    within: Duration,
) -> Result<Running, TrialError> {
    let package = &installed.package;
    let mut descriptors = Vec::new();
    for (_, fd) in &disks.0 {
        descriptors.push(fd.try_clone()?);
    }
    let launch = Launch {
        program: installed.program(),
        arguments: package.arguments.clone(),
        options: package.options_with(&serde_json::Map::new()),
        offer: Offer {
            disks: disks.0.iter().map(|(description, _)| description.clone()).collect(),
            manifest: Some(package.manifest.clone()),
        },
        descriptors,
        region,
        sandbox: Some(sandbox(installed)?),
        ..Launch::default()
    };
    let mut options = Options::new(Path::Bundled, package.slots(SLOTS), POOL_BYTES);
    options.timeout = within.min(CALL);
    let (driver, channels) = Driver::start(launch, &options)?;
    if let Some(reason) = driver.declined() {
        return Err(TrialError::Declined(reason.to_owned()));
    }
    package.check_report(driver.report()).map_err(TrialError::Limits)?;
    let channel = channels.into_iter().next();
    let channel = channel.ok_or_else(|| TrialError::Declined("it offers no queue".to_owned()))?;
    Ok(Running { driver, channel, disks })
}

/// What confines the driver: the same as at a server, so that what it misses there is missed here. The
/// program that runs this has the launcher's command.
fn sandbox(installed: &Installed) -> io::Result<Sandbox> {
    let resources = &installed.package.resources;
    Ok(Sandbox {
        launcher: Launcher {
            program: std::env::current_exe()?,
            arguments: vec!["launcher".to_owned()],
        },
        mode: Mode::BestEffort,
        package: Some(installed.folder.clone()),
        memory_bytes: resources.memory,
        threads: resources.threads,
        debug: false,
    })
}

/// Starts a driver, looks at all that it says, and ends it in order.
///
/// # Errors
/// The first rule that it breaks.
pub fn run(installed: &Installed, within: Duration) -> Result<Trial, TrialError> {
    let begun = Instant::now();
    let Running { mut driver, channel, disks } =
        start(installed, Disks::of(installed)?, None, within)?;
    let started = begun.elapsed();
    let report = driver.report().clone();
    let target = report.targets.first().filter(|target| !target.units.is_empty());
    let target = target.ok_or(TrialError::Nothing)?.id;
    Stack::new(&report, target, driver.identifiers(), driver.region(), 0)?;
    drop((channel, disks));
    let begun = Instant::now();
    let status = driver.stop()?;
    match status.success() {
        true => Ok(Trial { report, start: started, stop: begun.elapsed() }),
        false => Err(TrialError::Stop(status.to_string())),
    }
}
