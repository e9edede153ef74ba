//! Processor time: of this thread and of another process.

use rustix::time::{ClockId, clock_gettime};

use crate::plan::{Placement, PlanError, allowed_cpus};

/// Nanoseconds the threads of this process have run.
pub(super) fn this_process_ns() -> u64 {
    nanos(ClockId::ProcessCPUTime)
}

/// Nanoseconds this thread has run.
pub(super) fn this_thread_ns() -> u64 {
    nanos(ClockId::ThreadCPUTime)
}

fn nanos(clock: ClockId) -> u64 {
    let t = clock_gettime(clock);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// Nanoseconds the threads of process `pid` have run, the kernel's own workers for it included;
/// 0 once it has ended.
pub(super) fn process_ns(pid: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// Keeps this thread, and threads and processes it starts from now on, on the given CPUs.
pub(super) fn pin(cpus: &[usize]) {
    let mut set = rustix::thread::CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    // A measurement without pinning is still one: the kernel's refusal is not fatal.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Where host and driver run in a run; the thread goes back to where it was when it is dropped.
pub(super) struct Placed {
    before: Vec<usize>,
    pub(super) pins: Option<Pins>,
}

/// The CPUs of host and driver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pins {
    pub(super) host: usize,
    pub(super) driver: usize,
}

impl Placed {
    /// As the plan says, of the CPUs this thread may use now.
    pub(super) fn new(placement: &Placement) -> Result<Self, PlanError> {
        let before = allowed_cpus();
        let pins = placement.pin.resolve(&before)?;
        Ok(Self { before, pins: pins.map(|(host, driver)| Pins { host, driver }) })
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if self.pins.is_some() {
            pin(&self.before);
        }
    }
}
