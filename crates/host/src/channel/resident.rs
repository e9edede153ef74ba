//! The resident path: the driver runs in the host's own thread, by direct call. It plays the
//! kernel extension: nothing is isolated, and a crash takes the host down. For comparison only.

use outboard_hba::{Path, Runner, TaskManagement};
use outboard_slots::doorbell::{AWAKE, Doorbell, SLEEPING};
use outboard_slots::{
    Entry, MAX_BUNDLE, ParallelTask, Region, SENSE_BYTES, SleepFlag, TaskExtension, Time,
};

use super::{Channel, ChannelError, Completed};

/// How long before the driver's next event to stop sleeping, ns: as the driver's own loop has it.
const EVENT_GUARD_NS: u64 = 150_000;
/// How long to look for completions before sleeping in the driver's wait, ns.
const SPIN_NS: u64 = 60_000;

/// A runner called directly.
pub struct Resident {
    runner: Runner,
    region: Region,
    pending: Vec<Entry>,
    /// nexus last written to each slot's extension
    nexus: Vec<u32>,
    sequence: u32,
    idle_since: Option<Time>,
}

impl Resident {
    /// Around a driver's queue. `region` is private to this process but has the shared one's shape,
    /// so that the driver's code is the very same.
    pub fn new(runner: Runner, region: Region) -> Self {
        let nexus = vec![u32::MAX; region.layout().slots() as usize];
        Self {
            runner,
            region,
            nexus,
            pending: Vec::with_capacity(MAX_BUNDLE),
            sequence: 0,
            idle_since: None,
        }
    }

    /// Takes on a task management function, as the driver's own loop does for a process.
    pub fn manage(&mut self, request: TaskManagement) {
        self.runner.manage(request);
    }

    /// Numbers of the functions that are done. Their tasks' completions come with the next reap.
    pub fn managed(&mut self) -> Vec<u64> {
        match self.runner.is_managing() {
            true => self.runner.managed(0, self.sequence),
            false => Vec::new(),
        }
    }
}

impl Channel for Resident {
    fn path(&self) -> Path {
        Path::Resident
    }

    #[inline]
    fn push(&mut self, entry: Entry, nexus: u32, task: &ParallelTask) -> Result<(), ChannelError> {
        self.region.write_task(entry.index(), task);
        // Task management goes by the nexus: a slot must not keep that of its last task.
        match self.nexus.get_mut(usize::from(entry.index())) {
            Some(last) if *last != nexus => {
                *last = nexus;
                let extension = TaskExtension { nexus: u64::from(nexus), ..TaskExtension::EMPTY };
                self.region.write_extension(entry.index(), &extension);
            }
            _ => {}
        }
        self.pending.push(entry);
        Ok(())
    }

    #[inline]
    fn publish(&mut self, now: Time) -> Result<(), ChannelError> {
        for bundle in self.pending.chunks(MAX_BUNDLE) {
            self.runner.bundle(now, bundle);
        }
        if !self.pending.is_empty() {
            self.sequence = self.sequence.wrapping_add(self.pending.len() as u32);
            self.pending.clear();
            self.runner.poll(now);
        }
        Ok(())
    }

    #[inline]
    fn reap(&mut self, now: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        if self.runner.staged().is_empty() {
            self.runner.poll(now);
        }
        for entry in self.runner.staged().drain(..) {
            if let Some(head) = self.region.read_response(entry.index()) {
                completed.push(Completed { entry, head });
            }
        }
        if !completed.is_empty() {
            self.idle_since = None;
        }
        Ok(())
    }

    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]) {
        self.region.read_sense(slot, out);
    }

    fn idle(&mut self, now: Time, until: Time, outstanding: usize) {
        let since = *self.idle_since.get_or_insert(now);
        let event = self.runner.next_event();
        let near = event.as_nanos().saturating_sub(EVENT_GUARD_NS) <= now.as_nanos();
        if outstanding != 0 && (near || now.since(since).as_nanos() < u128::from(SPIN_NS)) {
            core::hint::spin_loop();
            return;
        }
        let event = Time::from_nanos(event.as_nanos().saturating_sub(EVENT_GUARD_NS));
        // Nobody rings: the driver's own events or the time end the wait.
        let word = std::sync::atomic::AtomicU32::new(SLEEPING);
        self.runner.wait(Doorbell::Flag(SleepFlag::new(&word)), until.min(event));
        word.store(AWAKE, std::sync::atomic::Ordering::Relaxed);
    }

    fn sequence(&self) -> u32 {
        self.sequence
    }
}
