//! The life of a target's driver: started, replaced, ended. All that may block happens here, on
//! threads of its own; the I/O thread hears of the outcome by message.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use outboard_array::ArrayOptions;
use outboard_disk::DiskKind;
use outboard_disk::fence::{FenceError, fence};
use outboard_hba::Path;
use outboard_host::channel::{Channel, Drained};
use outboard_host::driver::{Driver, Launch, LaunchError, Options};
use outboard_slots::{Region, Time};
use rustix::io::Errno;

use super::disks::{DisksError, Kept, open_all};
use super::mailbox::{Message, Post};
use crate::config::{self, Array};

/// How long the last I/O of a dead driver may take to end.
const FENCE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a disk may still be held when a driver is to have it, by the last I/O of a server that
/// has just died, say.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(3);
/// Pauses before a start, by the number of deaths in a row without a completed task.
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
    /// it wants another path
    #[error(
        "the driver declines the bundled path ({reason}); `outboard serve` serves bundled drivers: accept it in Controller::map_bundled"
    )]
    Declined {
        /// the driver's words
        reason: String,
    },
    /// a thread
    #[error("the system gives no thread for a driver's replacement: {0}; raise `ulimit -u`")]
    Thread(std::io::Error),
    /// the program cannot be named
    #[error("cannot find the program of the built-in driver: {0}; set [driver] program")]
    Program(std::io::Error),
}

/// What a target's driver is made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// LUNs and what is under them
    pub units: Vec<(u16, Array)>,
    /// its process
    pub driver: config::Driver,
    /// disks in memory
    pub kept: Arc<Mutex<Kept>>,
}

/// A running driver with its one queue.
pub struct Running {
    /// the process
    pub driver: Driver,
    /// its queue
    pub channel: Box<dyn Channel>,
    /// files and devices to fence after its death
    pub paths: Vec<PathBuf>,
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
    /// until the successor ran
    pub start: Duration,
}

/// Starts a driver; blocks until it takes tasks.
///
/// # Errors
/// A disk or the driver refuses.
pub fn start(plan: &Plan, region: Option<Region>) -> Result<Running, StartError> {
    claim(&plan.units)?;
    let units = {
        let mut kept = plan.kept.lock().unwrap_or_else(PoisonError::into_inner);
        open_all(&plan.units, &mut kept).map_err(|e| StartError::Disks(Box::new(e)))?
    };
    let options = ArrayOptions {
        units: units.options,
        maximum_task_count: plan.driver.slots,
        max_transfer: plan.driver.max_transfer,
    };
    let (program, arguments) = match &plan.driver.program {
        Some(program) => (program.clone(), Vec::new()),
        None => {
            let own = std::env::current_exe().map_err(StartError::Program)?;
            (own, vec!["driver".to_owned(), "array".to_owned()])
        }
    };
    // Plain data: it has a JSON form.
    let options = serde_json::to_value(&options).unwrap_or_default();
    let launch = Launch { program, arguments, options, descriptors: units.descriptors, region };
    let attach = Options::new(Path::Bundled, plan.driver.slots, plan.driver.pool);
    let (driver, mut channels) = Driver::start(launch, &attach)?;
    if let Some(reason) = driver.declined() {
        return Err(StartError::Declined { reason: reason.to_owned() });
    }
    let channel = channels
        .pop()
        .ok_or_else(|| StartError::Declined { reason: "it offers no queue".to_owned() })?;
    Ok(Running { driver, channel, paths: units.paths })
}

/// Sees to it that no other server, and no earlier driver, has one of the disks: their descriptions
/// hold shared locks, which go together with each other, but not with the fence.
fn claim(units: &[(u16, Array)]) -> Result<(), FenceError> {
    for member in units.iter().flat_map(|(_, array)| &array.members) {
        let DiskKind::File { path, .. } = &member.kind else { continue };
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
    old: Option<Running>,
    paths: Vec<PathBuf>,
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
        let drained = old.map(|old| end(old, leave, &mut pause));
        let result = succeed(&paths, leave, &plan, region, &mut pause);
        // An I/O thread that has ended needs no driver.
        let started = Box::new(Started { result, drained, pause });
        let _ = post.send(Message::Driver { target, started });
    };
    let spawned = std::thread::Builder::new().name("supervisor".to_owned()).spawn(work);
    if let Err(error) = spawned {
        // The old driver went with what the thread was to do; the next attempt fences it.
        let result = Err(StartError::Thread(error));
        let started = Box::new(Started { result, drained: None, pause: Pause::default() });
        let _ = again.send(Message::Driver { target, started });
    }
}

/// Ends a driver's process; what it has left in its channel.
fn end(mut old: Running, leave: Leave, pause: &mut Pause) -> Drained {
    let begin = Instant::now();
    // That it has ended is what counts, not how.
    let _ = match leave {
        Leave::InOrder => old.driver.stop(),
        Leave::Killed { .. } => old.driver.kill(),
    };
    pause.end = begin.elapsed();
    Drained::of(Time::now(), &mut *old.channel)
}

fn succeed(
    paths: &[PathBuf],
    leave: Leave,
    plan: &Plan,
    region: Region,
    pause: &mut Pause,
) -> Result<Running, StartError> {
    let fenced = Instant::now();
    for path in paths {
        match fence(path, FENCE_TIMEOUT) {
            Ok(held) => drop(held),
            // A disk that is not there any more takes no writes either.
            Err(FenceError::System {
                path,
                source: Errno::NOENT | Errno::NOTDIR | Errno::NXIO | Errno::NODEV,
                ..
            }) => {
                tracing::warn!(path = %path.display(), "no fence for a lost disk");
            }
            Err(error) => return Err(error.into()),
        }
    }
    pause.fence = fenced.elapsed();
    if let Leave::Killed { deaths } = leave {
        let index = deaths.saturating_sub(1).min(BACK_OFF.len() - 1);
        std::thread::sleep(BACK_OFF.get(index).copied().unwrap_or_default());
    }
    let started = Instant::now();
    let result = start(plan, Some(region));
    pause.start = started.elapsed();
    result
}
