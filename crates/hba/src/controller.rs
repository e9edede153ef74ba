//! What a driver implements.
//!
//! # From DriverKit to Outboard
//!
//! | `IOUserSCSIParallelInterfaceController` | here |
//! |---|---|
//! | UserInitializeController | [`Controller::initialize`] |
//! | UserReportHBAConstraints | [`HbaReport::constraints`], checked before the first task |
//! | UserReportInitiatorIdentifier, UserReportHighestSupportedDeviceID, UserReportMaximumTaskCount, UserReportHBAHighestLogicalUnitNumber | fields of [`HbaReport`] |
//! | UserDoesHBAPerformAutoSense | always: sense data comes with the response |
//! | UserDoesHBASupportMultiPathing, UserDoesHBASupportSCSIParallelFeature | absent: parallel SCSI negotiation has no counterpart; paths are the host's |
//! | UserDoesHBAPerformDeviceManagement | absent: targets are those of [`HbaReport::targets`] |
//! | UserGetDMASpecification | [`HbaReport::dma`] |
//! | UserMapHBAData | [`Controller::map_hba_data`]: hands out the task's identifier, never 0 |
//! | UserMapBundledParallelTaskCommandAndResponseBuffers | [`Controller::map_bundled`]: accepts or declines the bundled path; the host is told the reason and may attach the driver on the single one |
//! | UserStartController | [`Controller::start`] |
//! | UserInitializeTargetForID | [`Controller::initialize_target`] |
//! | UserProcessParallelTask | [`IoQueue::process_parallel_task`] |
//! | UserProcessBundledParallelTasks | [`IoQueue::process_bundled_parallel_tasks`] |
//! | ParallelTaskCompletion, BundledParallelTaskCompletion | [`Completions::complete`]: consumes the [`Token`](crate::Token), so a task cannot end twice |
//! | UserAbortTaskRequest, UserAbortTaskSetRequest, UserClearTaskSetRequest | [`IoQueue::abort`], once for each task concerned; the host is answered after the last has ended |
//! | UserLogicalUnitResetRequest, UserTargetResetRequest | the same, then [`IoQueue::reset`] |
//! | UserClearACARequest | absent: NACA = 1 is refused by the host, so there is no ACA to clear |
//! | UserTargetPresentForID, UserCreateTargetForID, UserDestroyTargetForID | absent: reported, not called, so none of the three known cycles around them can close |
//! | UserGetDataBuffer | [`Startup::memory`](QueueSetup::region): every buffer is mapped for good |
//! | UserSetHBAProperties, UserRemoveHBAProperties, UserSetTargetProperties, UserRemoveTargetProperties | [`UnitReport`](crate::UnitReport) fields |
//! | UserCallMediaParametersHaveChanged | not yet: a size is reported once |
//! | IODispatchQueue, SetDispatchQueue, QUEUENAME | [`Startup::queues`], [`Manifest`] |
//! | IOService::Stop | [`Controller::stop`] |
//! | SetPowerState | absent: a process has no power state |
//!
//! # Rules
//!
//! 1. [`IoQueue`] methods never block; only [`IoQueue::wait`] sleeps.
//! 2. Each task ends exactly once, on the queue it came by, from any later call of that queue.
//! 3. A task's buffer and slots belong to the driver until it completes the task, and not after.
//! 4. Tasks of a bundle, and of different bundles, may be ended in any order; the host hands out
//!    only tasks that may be reordered freely.
//! 5. A failure is a response, never a panic: a driver that dies is restarted by the host.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Region, Time};

use crate::disks::DiskDescription;
use crate::dispatch::DispatchQueues;
use crate::manifest::Manifest;
use crate::report::HbaReport;
use crate::task::{Bundle, Completions, Task};
use crate::values::ServiceResponse;

/// Why a driver cannot go on; shown to the operator as it is: name the thing, the rule, the mend.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DriverError(pub String);

impl DriverError {
    /// From anything that reads well.
    pub fn new(reason: impl core::fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

/// A driver. Shared by its queues' threads.
pub trait Controller: Send + Sync + 'static {
    /// What one I/O thread owns.
    type Queue: IoQueue + 'static;

    /// Who the driver is, which dispatch queues it has and what runs where. Checked before
    /// anything else is called.
    fn manifest(&self) -> Manifest;

    /// The first call, once: opens the device, makes the queues of the manifest, reports what the
    /// controller is.
    fn initialize(&mut self, startup: &mut Startup) -> Result<HbaReport, DriverError>;

    /// Accepts the bundled path (the default) or declines it with a reason.
    fn map_bundled(&self, region: &Region) -> Result<(), DriverError> {
        let _ = region;
        Ok(())
    }

    /// Hands out the identifier of the task object of `slot`: unique, never 0.
    fn map_hba_data(&self, slot: u16) -> u32 {
        u32::from(slot) + 1
    }

    /// Makes the state of one I/O queue. Called once for each, on that queue's own thread.
    fn open_queue(&self, setup: &QueueSetup) -> Result<Self::Queue, DriverError>;

    /// From now on tasks come.
    fn start(&self) -> Result<(), DriverError> {
        Ok(())
    }

    /// Per-target set-up before the target's first task.
    fn initialize_target(&self, target: u64) -> Result<(), DriverError> {
        let _ = target;
        Ok(())
    }

    /// No more tasks come and none is left.
    fn stop(&self) {}
}

/// What a controller is started with.
#[derive(Debug)]
pub struct Startup {
    /// the driver's options, as its configuration has them
    pub options: serde_json::Value,
    /// descriptors of the resources it was given, in the order its options name them
    pub descriptors: Vec<OwnedFd>,
    /// what these are, for a driver whose configuration names disks; [`Startup::take_disks`] joins
    /// the two
    pub disks: Vec<DiskDescription>,
    /// where it makes the dispatch queues of its manifest
    pub queues: DispatchQueues,
}

/// What an I/O queue is made with.
#[derive(Clone, Debug)]
pub struct QueueSetup {
    /// number of the queue, from 0
    pub index: u32,
    /// the region; every buffer lies in its memory
    pub region: Region,
    /// whether the buffer memory stays mapped, so that it may be registered with the kernel once;
    /// not so on the `single-map` path
    pub mapped: bool,
    /// the io_uring that the launcher has made for this queue; none outside of a sandbox, where a
    /// driver makes its own
    pub ring: Option<InheritedRing>,
}

/// An io_uring that was made before the driver ran, on its disks and restricted to them. It is to be
/// enabled by the queue's own thread in [`Controller::open_queue`]: later that thread may not.
#[derive(Clone, Debug)]
pub struct InheritedRing {
    /// its descriptor
    pub fd: Arc<OwnedFd>,
    /// what its maker says of it (`outboard_disk::Engine::inherit`)
    pub description: String,
}

impl QueueSetup {
    /// The setup of queue `index` of a region that is mapped, without an inherited ring.
    pub fn new(index: u32, region: Region) -> Self {
        Self { index, region, mapped: true, ring: None }
    }

    /// The slots this queue owns.
    pub fn slots(&self) -> core::ops::Range<u32> {
        self.region.layout().slots_of(self.index)
    }

    /// Offset and length of memory for the driver's own use.
    pub fn scratch(&self) -> (u64, u64) {
        self.region.layout().scratch_of(self.index)
    }
}

/// The state of one I/O queue, used by one thread at a time. The rules are at the top of this
/// module.
pub trait IoQueue: Send {
    /// Takes up to 32 tasks.
    fn process_bundled_parallel_tasks(
        &mut self,
        now: Time,
        bundle: Bundle<'_>,
        completions: &mut Completions<'_>,
    );

    /// Takes one task. [`ServiceResponse::RequestInProcess`] accepts it; a task that cannot be
    /// started is accepted and completed with a failing response, as on the bundled path.
    fn process_parallel_task(
        &mut self,
        now: Time,
        task: Task,
        completions: &mut Completions<'_>,
    ) -> ServiceResponse;

    /// One round: starts what is queued, ends what is done. Called after each arrival and whenever
    /// [`Self::wait`] returns.
    fn poll(&mut self, now: Time, completions: &mut Completions<'_>);

    /// Sleeps until one of the queue's own events, the doorbell, or `until`. The default knows no
    /// events of its own.
    fn wait(&mut self, doorbell: Doorbell<'_>, until: Time) {
        wait_for_doorbell(doorbell, until);
    }

    /// When the queue next wants [`Self::poll`] by the clock alone.
    fn next_event(&self) -> Time {
        Time::NEVER
    }

    /// I/Os it has in the kernel: how a slow disk is told from a hung driver.
    fn in_kernel(&self) -> u32 {
        0
    }

    /// The task in `slot` is to be given up: start no further step of it, and complete it (TASK
    /// ABORTED, or as it ended) as soon as nothing of it can land any more. Without an own way to
    /// hasten it, do nothing: it ends in its own time.
    fn abort(&mut self, slot: u16) {
        let _ = slot;
    }

    /// All tasks of the LUN (`None`: of the target) have been aborted and have ended: reset what
    /// else there is.
    fn reset(&mut self, target: u64, lun: Option<[u8; 8]>) {
        let _ = (target, lun);
    }
}

/// Waits for nothing but the doorbell.
pub fn wait_for_doorbell(doorbell: Doorbell<'_>, until: Time) {
    let timeout = until.since(Time::now());
    match doorbell {
        Doorbell::Flag(flag) => flag.sleep(timeout),
        Doorbell::Readable(fd) => {
            let mut fds =
                [rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::IN)];
            let timeout = rustix::event::Timespec {
                tv_sec: timeout.as_secs().min(i64::MAX as u64) as i64,
                tv_nsec: i64::from(timeout.subsec_nanos()),
            };
            let _ = rustix::event::poll(&mut fds, Some(&timeout));
        }
    }
}
