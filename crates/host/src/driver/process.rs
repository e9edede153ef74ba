//! A driver that runs: asked, watched, ended. The edge around [`Activation`].

use std::io;
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use outboard_hba::control::{Control, ControlError, socket_pair};
use outboard_hba::protocol::{TaskManagement, ToDriver};
use outboard_hba::{HbaReport, Manifest, Path};
use outboard_sandbox::Measure;
use outboard_slots::Region;

use super::activation::{Activation, Step};
use super::child::Child;
use super::launch::{Launch, LaunchError, Options, Unstarted};
use super::start::{Start, out_of_turn, sockets};
use super::watch::{DriverStatus, Watch};
use crate::channel::{Bundled, Channel, Single, SingleEnds};

/// How long a driver may take to end by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

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

impl Driver {
    /// Starts a driver and brings it up; on any error its process is gone.
    pub fn start(
        launch: Launch,
        options: &Options,
    ) -> Result<(Self, Vec<Box<dyn Channel>>), LaunchError> {
        Self::start_or_tell(launch, options).map_err(|unstarted| unstarted.error)
    }

    /// The same, with what is left of a process that did not come up.
    pub fn start_or_tell(
        mut launch: Launch,
        options: &Options,
    ) -> Result<(Self, Vec<Box<dyn Channel>>), Unstarted> {
        if options.path == Path::Resident {
            return Err(LaunchError::Resident.into());
        }
        let (ours, theirs) = socket_pair().map_err(|e| LaunchError::from(ControlError::from(e)))?;
        let mut start = Start {
            child: Child::spawn(&launch, options, theirs)?,
            control: Control::new(ours),
            activation: Activation::new(launch.options.take(), options.path)
                .offer(std::mem::take(&mut launch.offer)),
            timeout: options.timeout,
        };
        match Self::bring_up(&mut start, launch, options) {
            Ok((region, ends)) => Ok(Self::running(start, region, ends, options)?),
            Err(error) => Err(start.gave_up(error)),
        }
    }

    /// Step by step until it takes tasks: its region, and the host's ends of the single paths.
    fn bring_up(
        start: &mut Start,
        launch: Launch,
        options: &Options,
    ) -> Result<(Region, Vec<SingleEnds>), LaunchError> {
        start.call(&[])?; // hello
        let descriptors: Vec<_> = launch.descriptors.iter().map(AsFd::as_fd).collect();
        start.call(&descriptors)?; // initialize
        drop(launch.descriptors);
        let report = start.activation.report().cloned().ok_or_else(|| out_of_turn(Step::Map))?;
        let region = match launch.region {
            Some(region) => {
                let slots = region.layout().slots();
                if report.maximum_task_count < slots {
                    return Err(LaunchError::FewerTasks {
                        tasks: report.maximum_task_count,
                        slots,
                    });
                }
                region.renew()?;
                region
            }
            None => Region::create(options.region(report.maximum_task_count))?,
        };
        if options.path != Path::SingleMap {
            region.memory().populate().map_err(outboard_slots::RegionError::from)?;
        }
        let (ends, theirs) = sockets(options, &region)?;
        let shared = region.share()?;
        let mut descriptors = vec![shared.as_fd()];
        descriptors.extend(theirs.iter().map(AsFd::as_fd));
        start.call(&descriptors)?; // map
        drop(theirs);
        start.call(&[])?; // start
        Ok((region, ends))
    }

    /// One that takes tasks, with its channels.
    fn running(
        start: Start,
        region: Region,
        ends: Vec<SingleEnds>,
        options: &Options,
    ) -> Result<(Self, Vec<Box<dyn Channel>>), LaunchError> {
        let report = start.activation.report().cloned().ok_or_else(|| out_of_turn(Step::Map))?;
        let Start { child, control, activation, .. } = start;
        let watch = Arc::new(Watch::new(region.clone()));
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

    /// Sends a task management function; its answer is in [`Self::managed`] later. Does not wait.
    ///
    /// # Errors
    /// [`ControlError::Full`] as long as the driver has not read enough of those before.
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
        self.watch.lock().asked_to_stop = true;
        let _ = self.control.offer(&ToDriver::Stop);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !self.child.has_ended() && Instant::now() <= deadline {
            std::thread::sleep(Duration::from_micros(500));
        }
        self.end()
    }

    /// Kills the driver at once and waits for its end.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.stopped = true;
        self.end()
    }

    /// What its sandbox could apply, and what not; nothing without a sandbox.
    pub fn measures(&self) -> &[Measure] {
        self.child.measures()
    }

    /// The last lines that it wrote; the very last ones are there once it has ended.
    pub fn log(&self) -> Vec<String> {
        self.child.log()
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        let ended = self.child.end();
        // The watcher must not wait for a process that has escaped with a copy of the socket.
        self.control.shut_down();
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
        ended
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.stopped {
            let _ = self.kill();
        }
    }
}
