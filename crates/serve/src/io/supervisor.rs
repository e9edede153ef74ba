//! The life of a target's driver: started, replaced, ended. All that may block happens here, on
//! threads of its own; the I/O thread hears of the outcome by message.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use outboard_disk::fence::{FenceError, FencedDisk, fence};
use outboard_hba::Path;
use outboard_host::channel::{Channel, Drained};
use outboard_host::driver::{Driver, Launch, LaunchError, LogSink, Options, Unstarted};
use outboard_slots::{Region, Time};

use super::disks::DisksError;
use super::mailbox::{Message, Post};
use super::plan::{Plan, Serves};
use crate::report::{Kind, Report, now_ms};

/// How long the last I/O of a dead driver may take to end.
const FENCE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a disk may still be held when a driver is to have it, by the last I/O of a server that
/// has just died, say.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a control call may take while a debugger may be at the driver.
const DEBUG_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Pauses before a start, by the number of deaths in a row without a completed task, or by its own
/// fault.
const BACK_OFF: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// Deaths in a row without a completed task after which a driver is given up.
pub const DEATHS_MAX: usize = BACK_OFF.len();

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// disks
    #[error(transparent)]
    Disks(Box<DisksError>),
    /// the process
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// the predecessor's I/O
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// somebody else has a disk; nothing was touched
    #[error(transparent)]
    Claim(FenceError),
    /// it wants another path
    #[error(
        "the driver declines the bundled path ({reason}); `outboard serve` serves bundled drivers: accept it in Controller::map_bundled"
    )]
    Declined {
        /// the driver's words
        reason: String,
    },
    /// it is not what its package says
    #[error("{0}")]
    Package(String),
    /// a thread
    #[error("the system gives no thread for a driver's replacement: {0}; raise `ulimit -u`")]
    Thread(std::io::Error),
    /// the program cannot be named
    #[error("cannot find the program of the built-in driver: {0}; set [driver] program")]
    Program(std::io::Error),
}

/// A running driver with its one queue.
pub struct Running {
    /// the process
    pub driver: Driver,
    /// its queue
    pub channel: Box<dyn Channel>,
    /// files and devices to fence after its death
    pub fenced: Vec<FencedDisk>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("pid", &self.driver.pid()).finish_non_exhaustive()
    }
}

/// The outcome of a replacement.
#[derive(Debug)]
pub struct Started {
    /// the successor
    pub result: Result<Running, StartError>,
    /// what the predecessor had completed, to be answered once it is fenced
    pub drained: Option<Drained>,
    /// LUNs whose key was to be replaced, and whether it was; all that was before is dead by then
    pub erased: Vec<(u16, bool)>,
    /// files and devices that the successor was given, even if it did not come up
    pub given: Vec<FencedDisk>,
    /// it was asked to leave and did not do so in order: its caches may not be written
    pub unwritten: bool,
    /// where the pause went
    pub pause: Pause,
}

/// The parts of the pause between two incarnations.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pause {
    /// until the process was gone
    pub end: Duration,
    /// until the last of its I/O had ended
    pub fence: Duration,
    /// because of deaths in a row
    pub back_off: Duration,
    /// until the successor ran
    pub start: Duration,
}

/// Starts a driver; blocks until it takes tasks.
///
/// # Errors
/// A disk or the driver refuses.
pub fn start(plan: &Plan, region: Option<Region>) -> Result<Running, StartError> {
    start_with(plan, region, &mut Vec::new())
}

/// The same; `fenced` are the disks that it was given, even if it did not come up.
fn start_with(
    plan: &Plan,
    region: Option<Region>,
    fenced: &mut Vec<FencedDisk>,
) -> Result<Running, StartError> {
    claim(&plan.serves).map_err(StartError::Claim)?;
    let given = plan.give()?;
    fenced.clone_from(&given.fenced);
    let program = plan.program()?;
    let sandbox = plan.sandbox(&program)?;
    let launch = Launch {
        program: program.path,
        arguments: program.arguments,
        options: given.options,
        offer: given.offer,
        descriptors: given.descriptors,
        region,
        log: log_of(&plan.target),
        sandbox: Some(sandbox),
    };
    let mut attach = Options::new(Path::Bundled, plan.slots(), plan.driver.pool);
    if plan.driver.debug {
        attach.timeout = DEBUG_TIMEOUT;
    }
    let report = Report {
        at_ms: now_ms(),
        target: plan.target.clone(),
        identifier: program.identifier,
        version: program.version,
        kind: Kind::Start,
        ..Report::default()
    };
    let (driver, mut channels) = match Driver::start_or_tell(launch, &attach) {
        Ok(started) => started,
        Err(Unstarted { error, pid, ended, log }) => {
            let (reason, pid) = (error.to_string(), pid.unwrap_or_default());
            keep(&Report { pid, reason, log, ..report }.ended(ended), plan);
            return Err(error.into());
        }
    };
    if let Err(error) = is_usable(plan, &driver) {
        let (reason, pid, log) = (error.to_string(), driver.pid(), driver.log());
        let ended = "by the host".to_owned();
        keep(&Report { pid, reason, ended, log, ..report }, plan);
        return Err(error);
    }
    let channel = channels
        .pop()
        .ok_or_else(|| StartError::Declined { reason: "it offers no queue".to_owned() })?;
    Ok(Running { driver, channel, fenced: given.fenced })
}

/// Whether a driver that takes tasks can be served with.
fn is_usable(plan: &Plan, driver: &Driver) -> Result<(), StartError> {
    plan.check(driver)?;
    match driver.declined() {
        Some(reason) => Err(StartError::Declined { reason: reason.to_owned() }),
        None => Ok(()),
    }
}

/// What a driver writes goes to the log.
fn log_of(target: &str) -> LogSink {
    let target = target.to_owned();
    LogSink::new(move |line| tracing::info!(target, "driver: {line}"))
}

/// Sees to it that no other server, and no earlier driver, has one of the disks: their descriptions
/// hold shared locks, which go together with each other, but not with the fence.
fn claim(serves: &Serves) -> Result<(), FenceError> {
    for path in &serves.paths() {
        match fence(path, CLAIM_TIMEOUT) {
            Ok(held) => drop(held),
            // Opening it fails for the same reason, and says more.
            Err(FenceError::System { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How a driver leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leave {
    /// asked to; it has no task left
    InOrder,
    /// killed, after `deaths` in a row without a completed task
    Killed {
        /// this one included
        deaths: usize,
    },
}

/// Ends `old` and starts its successor over the same region, on a thread of its own; the outcome is
/// posted.
pub fn replace(
    old: Option<(Running, Option<Box<Report>>)>,
    fenced: Vec<FencedDisk>,
    leave: Leave,
    plan: Plan,
    region: Region,
    post: Post,
    target: usize,
) {
    let again = post.clone();
    let work = move || {
        let mut pause = Pause::default();
        // Taken out before the successor makes the rings new.
        let ended = old.map(|(old, report)| end(old, report, leave, &plan, &mut pause));
        let (drained, in_order) = ended.unzip();
        let unwritten = leave == Leave::InOrder && in_order == Some(false);
        let (mut erased, mut given) = (Vec::new(), Vec::new());
        let result = succeed(fenced, leave, &plan, region, &mut erased, &mut given, &mut pause);
        // An I/O thread that has ended needs no driver.
        let started = Box::new(Started { result, drained, erased, given, unwritten, pause });
        let _ = post.send(Message::Driver { target, started });
    };
    let spawned = std::thread::Builder::new().name("supervisor".to_owned()).spawn(work);
    if let Err(error) = spawned {
        // The old driver went with what the thread was to do; the next attempt fences it.
        let result = Err(StartError::Thread(error));
        let (erased, given, pause) = (Vec::new(), Vec::new(), Pause::default());
        let unwritten = leave == Leave::InOrder;
        let drained = None;
        let started = Box::new(Started { result, drained, erased, given, unwritten, pause });
        let _ = again.send(Message::Driver { target, started });
    }
}

/// Ends a process that has never had a task; without a thread for it, here.
pub fn end_unwanted(driver: Option<Box<Running>>) {
    let Some(driver) = driver else { return };
    let _ = std::thread::Builder::new().name("supervisor".to_owned()).spawn(move || drop(driver));
}

/// Ends a driver's process, and completes and keeps the report of its death; what it has left in its
/// channel, and whether it has left by itself, without an error.
fn end(
    mut old: Running,
    report: Option<Box<Report>>,
    leave: Leave,
    plan: &Plan,
    pause: &mut Pause,
) -> (Drained, bool) {
    let begin = Instant::now();
    let ended = match leave {
        Leave::InOrder => old.driver.stop(),
        Leave::Killed { .. } => old.driver.kill(),
    };
    pause.end = begin.elapsed();
    let in_order = ended.as_ref().is_ok_and(ExitStatus::success);
    if leave == Leave::InOrder && !in_order {
        let how = ended.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        tracing::warn!(target = plan.target, how, "driver did not end in order when asked to");
    }
    let drained = Drained::of(Time::now(), &mut *old.channel);
    if let Some(report) = report {
        keep(&Report { log: old.driver.log(), ..*report }.ended(ended.ok()), plan);
    }
    (drained, in_order)
}

fn keep(report: &Report, plan: &Plan) {
    let Some(reports) = &plan.reports else { return };
    match reports.write(report) {
        Ok(path) => {
            tracing::info!(target = plan.target, report = %path.display(), "report is kept");
        }
        Err(error) => tracing::error!(target = plan.target, %error, "no report is kept"),
    }
}

fn succeed(
    disks: Vec<FencedDisk>,
    leave: Leave,
    plan: &Plan,
    region: Region,
    erased: &mut Vec<(u16, bool)>,
    given: &mut Vec<FencedDisk>,
    pause: &mut Pause,
) -> Result<Running, StartError> {
    let fenced = Instant::now();
    for disk in disks {
        drop(disk.fence(FENCE_TIMEOUT)?);
    }
    pause.fence = fenced.elapsed();
    // Nobody has the keys now, and the successor reads what is then in force.
    *erased = plan.erase();
    if let Leave::Killed { deaths } = leave {
        let index = deaths.saturating_sub(1).min(BACK_OFF.len() - 1);
        pause.back_off = BACK_OFF.get(index).copied().unwrap_or_default();
        std::thread::sleep(pause.back_off);
    }
    let started = Instant::now();
    let result = start_with(plan, Some(region), given);
    pause.start = started.elapsed();
    result
}
