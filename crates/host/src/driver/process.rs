//! A driver process: launched, started, watched, ended. The edge around [`Activation`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use outboard_hba::control::{Control, ControlError, socket_pair};
use outboard_hba::protocol::{FromDriver, TaskManagement, ToDriver};
use outboard_hba::{CONTROL_FD_VARIABLE, HbaReport, Manifest, Path};
use outboard_slots::{Region, RegionConfig};
use rustix::process::{Pid, Signal};

use super::activation::{Activation, ActivationError, Step};
use crate::channel::{Bundled, Channel, Single, SingleEnds};

/// How long a control call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a driver may take to end by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Debug)]
pub struct Launch {
    /// the driver program
    pub program: PathBuf,
    /// its arguments
    pub arguments: Vec<String>,
    /// its options
    pub options: serde_json::Value,
    /// its resources' descriptors; the host's copies are closed once they are sent
    pub descriptors: Vec<OwnedFd>,
    /// the region of a predecessor that is gone for certain (fenced), with the tasks' data; `None`
    /// makes a new one
    pub region: Option<Region>,
}

/// How to attach it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// how tasks reach it; whether it declines the bundled path, [`Driver::declined`] tells
    pub path: Path,
    /// I/O queues
    pub queues: u32,
    /// slots of each queue, at most what the driver reports
    pub slots_per_queue: u32,
    /// bytes of the buffer pool
    pub pool_bytes: u64,
    /// spin while tasks are outstanding
    pub spin: bool,
    /// how long each control call may take
    pub timeout: Duration,
}

impl Options {
    /// One queue of `slots` slots with `pool_bytes` of buffers.
    pub fn new(path: Path, slots: u32, pool_bytes: u64) -> Self {
        Self {
            path,
            queues: 1,
            slots_per_queue: slots,
            pool_bytes,
            spin: true,
            timeout: CALL_TIMEOUT,
        }
    }

    /// Bytes of scratch memory for each of a driver's queues.
    pub(crate) const SCRATCH_BYTES: u64 = 4 << 20;

    /// The region for a controller that takes `maximum_task_count` tasks.
    pub(crate) fn region(&self, maximum_task_count: u32) -> RegionConfig {
        let each = (maximum_task_count / self.queues.max(1)).max(1);
        RegionConfig {
            slots_per_queue: self.slots_per_queue.min(each),
            queues: self.queues,
            pool_bytes: self.pool_bytes,
            scratch_bytes: Self::SCRATCH_BYTES,
        }
    }
}

/// Why a driver could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// the program
    #[error("cannot start driver {program:?}: {source}; check the path and that it is executable")]
    Spawn {
        /// as given
        program: PathBuf,
        /// the kernel's answer
        source: io::Error,
    },
    /// what it said
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// it ended
    #[error(
        "the driver ended ({status}) in {step}; its messages are above, run it alone to see more"
    )]
    Ended {
        /// the step
        step: &'static str,
        /// how it ended
        status: String,
    },
    /// it hangs
    #[error(
        "the driver has not answered {step} within {seconds} s and was ended; a driver must not block in {step}"
    )]
    Hung {
        /// the step
        step: &'static str,
        /// the limit
        seconds: f32,
    },
    /// the region
    #[error(transparent)]
    Region(#[from] outboard_slots::RegionError),
    /// the socket
    #[error(transparent)]
    Control(#[from] ControlError),
    /// the resident path has no process
    #[error("the resident path runs inside the host; attach it with attach_resident")]
    Resident,
}

/// What has become of a driver that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DriverStatus {
    /// it runs
    Running,
    /// it said that it cannot go on
    Failed(String),
    /// its process has ended or closed its control socket
    Gone,
}

/// A running driver. Dropping it ends the process: no process, descriptor or mapping is left.
pub struct Driver {
    child: Child,
    control: Arc<Control>,
    watch: Arc<Watch>,
    watcher: Option<std::thread::JoinHandle<()>>,
    manifest: Manifest,
    report: HbaReport,
    identifiers: Vec<u32>,
    region: Region,
    path: Path,
    declined: Option<String>,
    stopped: bool,
}

/// What the watcher thread has seen.
struct Watch {
    changed: AtomicBool,
    seen: Mutex<Seen>,
    region: Region,
}

struct Seen {
    status: DriverStatus,
    managed: Vec<(u64, u32)>,
    stopped: bool,
}

impl Driver {
    /// Starts a driver and brings it up; on any error its process is gone.
    pub fn start(
        launch: Launch,
        options: &Options,
    ) -> Result<(Self, Vec<Box<dyn Channel>>), LaunchError> {
        if options.path == Path::Resident {
            return Err(LaunchError::Resident);
        }
        let (ours, theirs) = socket_pair().map_err(ControlError::from)?;
        let child = spawn(&launch, theirs)?;
        let mut start = Start {
            child: Guard(Some(child)),
            control: Control::new(ours),
            activation: Activation::new(launch.options, options.path),
            timeout: options.timeout,
        };
        start.call(&[])?; // hello
        let descriptors: Vec<_> = launch.descriptors.iter().map(AsFd::as_fd).collect();
        start.call(&descriptors)?; // initialize
        drop(launch.descriptors);
        let report = start.activation.report().cloned().ok_or_else(|| out_of_turn(Step::Map))?;
        let region = match launch.region {
            Some(region) => {
                region.renew()?;
                region
            }
            None => Region::create(options.region(report.maximum_task_count))?,
        };
        if options.path != Path::SingleMap {
            region.memory().populate().map_err(outboard_slots::RegionError::from)?;
        }
        let (ends, theirs) = sockets(options, &region)?;
        let mut descriptors = vec![region.fd()];
        descriptors.extend(theirs.iter().map(AsFd::as_fd));
        start.call(&descriptors)?; // map
        drop(theirs);
        start.call(&[])?; // start
        let Start { mut child, control, activation, .. } = start;
        let watch = Arc::new(Watch::new(region.clone()));
        let child = child.0.take().ok_or_else(|| out_of_turn(Step::Start))?;
        let sender = rustix::io::fcntl_dupfd_cloexec(&control, 3).map_err(ControlError::from)?;
        let driver = Self {
            child,
            control: Arc::new(Control::new(sender)),
            watcher: Some(watch.clone().spawn(control)?),
            watch,
            manifest: activation.manifest().cloned().ok_or_else(|| out_of_turn(Step::Start))?,
            report,
            identifiers: activation.identifiers().to_vec(),
            declined: activation.declined().map(str::to_owned),
            path: options.path,
            region,
            stopped: false,
        };
        let channels = driver.channels(ends, options)?;
        Ok((driver, channels))
    }

    fn channels(
        &self,
        ends: Vec<SingleEnds>,
        options: &Options,
    ) -> Result<Vec<Box<dyn Channel>>, LaunchError> {
        let layout = *self.region.layout();
        if self.path != Path::Bundled {
            let map_each = self.path == Path::SingleMap;
            let channel = |(i, ends)| -> Box<dyn Channel> {
                Box::new(Single::new(ends, layout.slots_of(i as u32), map_each))
            };
            return Ok(ends.into_iter().enumerate().map(channel).collect());
        }
        (0..layout.config.queues)
            .map(|i| -> Result<Box<dyn Channel>, LaunchError> {
                let channel = Bundled::new(self.region.clone(), i, options.spin);
                Ok(Box::new(channel.ok_or_else(|| out_of_turn(Step::Start))?))
            })
            .collect()
    }

    /// Who it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What its controller is.
    pub fn report(&self) -> &HbaReport {
        &self.report
    }

    /// Task identifiers by slot.
    pub fn identifiers(&self) -> &[u32] {
        &self.identifiers
    }

    /// The region shared with it.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Why it declined the bundled path, if it did.
    pub fn declined(&self) -> Option<&str> {
        self.declined.as_deref()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether anything has happened since the last look: one relaxed load.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.watch.changed.load(Ordering::Relaxed)
    }

    /// What has become of it.
    pub fn status(&self) -> DriverStatus {
        self.watch.changed.store(false, Ordering::SeqCst);
        self.watch.lock().status.clone()
    }

    /// Sends a task management function; its answer is in [`Self::managed`] later. Does not wait: a
    /// driver that does not read is unfit.
    pub fn manage(&self, request: TaskManagement) -> Result<(), ControlError> {
        self.control.offer(&ToDriver::Manage(request))
    }

    /// Answers to task management functions: number and service response.
    pub fn managed(&self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.watch.lock().managed)
    }

    /// Ends the driver: asks it, waits a little, then kills it. Every task should have ended.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.stopped = true;
        let _ = self.control.offer(&ToDriver::Stop);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !self.has_ended() && Instant::now() <= deadline {
            std::thread::sleep(Duration::from_micros(500));
        }
        self.end()
    }

    /// Kills the driver at once and waits for its end.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.stopped = true;
        self.end()
    }

    /// Whether the process has ended; it stays to be waited for, so that its number is its own.
    fn has_ended(&self) -> bool {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match Pid::from_raw(self.child.id().cast_signed()) {
            Some(pid) => !matches!(waitid(WaitId::Pid(pid), options), Ok(None)),
            None => true,
        }
    }

    /// Kills what is left of the process and of those it has started, and reaps it.
    fn end(&mut self) -> io::Result<ExitStatus> {
        // Before it is waited for: until then nobody else has the number, which is its group's too.
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        self.child.kill()?;
        let status = self.child.wait()?;
        // The watcher must not wait for a process that has escaped with a copy of the socket.
        self.control.shut_down();
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
        Ok(status)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.stopped {
            let _ = self.kill();
        }
    }
}

impl Watch {
    fn new(region: Region) -> Self {
        let seen = Seen { status: DriverStatus::Running, managed: Vec::new(), stopped: false };
        Self { changed: AtomicBool::new(false), seen: Mutex::new(seen), region }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread that reads the control socket and wakes the host's I/O threads when something
    /// has happened.
    fn spawn(
        self: Arc<Self>,
        mut control: Control,
    ) -> Result<std::thread::JoinHandle<()>, LaunchError> {
        std::thread::Builder::new()
            .name("driver watch".to_owned())
            .spawn(move || {
                loop {
                    let message = control.receive::<FromDriver>(None);
                    let mut seen = self.lock();
                    let more = match message {
                        Ok(Some((FromDriver::Managed { id, response }, _))) => {
                            seen.managed.push((id, response));
                            true
                        }
                        Ok(Some((FromDriver::Failed { step, reason }, _))) => {
                            seen.status = DriverStatus::Failed(format!("{step}: {reason}"));
                            true
                        }
                        Ok(Some((FromDriver::Stopped, _))) => {
                            seen.stopped = true;
                            true
                        }
                        Ok(_) | Err(ControlError::Malformed(_)) => {
                            let what = "a control message that makes no sense now".to_owned();
                            seen.status = DriverStatus::Failed(what);
                            true
                        }
                        Err(_) => {
                            if seen.status == DriverStatus::Running && !seen.stopped {
                                seen.status = DriverStatus::Gone;
                            }
                            false
                        }
                    };
                    drop(seen);
                    self.changed.store(true, Ordering::SeqCst);
                    self.wake();
                    if !more {
                        return;
                    }
                }
            })
            .map_err(|source| LaunchError::Spawn { program: "(watch thread)".into(), source })
    }

    fn wake(&self) {
        for queue in 0..self.region.layout().config.queues {
            if let Some(words) = self.region.queue(queue)
                && words.host_flag.must_ring()
            {
                words.host_flag.ring();
            }
        }
    }
}

/// A driver on its way up.
struct Start {
    child: Guard,
    control: Control,
    activation: Activation,
    timeout: Duration,
}

/// Kills and reaps the child unless it is taken out.
struct Guard(Option<Child>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Start {
    fn call(&mut self, descriptors: &[BorrowedFd<'_>]) -> Result<(), LaunchError> {
        let step = self.activation.step();
        let Some(message) = self.activation.message() else { return Ok(()) };
        match self.control.send(&message, descriptors) {
            // A driver that has ended may have said why before.
            Ok(()) | Err(ControlError::Closed) => {}
            Err(e) => return Err(e.into()),
        }
        match self.control.receive::<FromDriver>(Some(self.timeout)) {
            Ok(Some((answer, _))) => {
                self.activation.answer(answer)?;
                Ok(())
            }
            Ok(None) => {
                let seconds = self.timeout.as_secs_f32();
                Err(LaunchError::Hung { step: step.name(), seconds })
            }
            Err(ControlError::Closed) => {
                Err(LaunchError::Ended { step: step.name(), status: self.exit_status() })
            }
            Err(e) => Err(e.into()),
        }
    }

    fn exit_status(&mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(1);
        while let Some(child) = &mut self.child.0 {
            match child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                _ => break,
            }
        }
        "it closed its control socket".to_owned()
    }
}

fn out_of_turn(step: Step) -> LaunchError {
    ActivationError::OutOfTurn { step: step.name() }.into()
}

fn spawn(launch: &Launch, socket: OwnedFd) -> Result<Child, LaunchError> {
    let fail = |source| LaunchError::Spawn { program: launch.program.clone(), source };
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(fail)?;
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        // Signals of a terminal or a service manager are for the host, which ends the driver in order.
        .process_group(0)
        .env(CONTROL_FD_VARIABLE, "0")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::from(stderr));
    if let Some(backtrace) = std::env::var_os("RUST_BACKTRACE") {
        command.env("RUST_BACKTRACE", backtrace);
    }
    command.spawn().map_err(fail)
}

/// The sockets of the single paths: the host's ends, and the driver's in the order it expects.
fn sockets(
    options: &Options,
    region: &Region,
) -> Result<(Vec<SingleEnds>, Vec<OwnedFd>), LaunchError> {
    let (mut ends, mut theirs) = (Vec::new(), Vec::new());
    if options.path != Path::Bundled {
        for _ in 0..region.layout().config.queues {
            let (requests, a) = socket_pair().map_err(ControlError::from)?;
            let (completions, b) = socket_pair().map_err(ControlError::from)?;
            ends.push(SingleEnds { requests, completions });
            theirs.extend([a, b]);
        }
    }
    Ok((ends, theirs))
}
