//! Runs one I/O queue: gives it tasks, collects what it ends, sees task management functions
//! through. The loops around it (rings, messages, direct calls) differ by path; this does not.

use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Entry, MAX_BUNDLE, Region, ResponseHead, Time};

use crate::controller::{IoQueue, QueueSetup};
use crate::protocol::{ManagementFunction, SingleRequest, TaskManagement};
use crate::stamps;
use crate::task::{Bundle, Completions, Task};
use crate::values::ServiceResponse;

/// One I/O queue with the books of what it owns.
pub struct Runner {
    queue: Box<dyn IoQueue>,
    region: Region,
    first_slot: u16,
    /// generation of the task in each slot that the driver owns; 0 = the host's
    owned: Vec<u64>,
    /// number of the submission that brought it, counted from 1 as the host's sequence is
    arrived: Vec<u32>,
    /// submissions taken so far
    taken: u32,
    /// the response last written to each slot; all zero = none
    written: Vec<ResponseHead>,
    staged: Vec<Entry>,
    management: Vec<Management>,
}

/// A task management function in progress.
struct Management {
    request: TaskManagement,
    /// the tasks it waits for; `None` until the submissions before it are consumed
    waits_for: Option<Vec<(u16, u64)>>,
}

impl Runner {
    /// Around a queue made with `setup`.
    pub fn new(queue: Box<dyn IoQueue>, setup: &QueueSetup) -> Self {
        let slots = setup.slots();
        Self {
            queue,
            region: setup.region.clone(),
            first_slot: slots.start as u16,
            owned: vec![0; slots.len()],
            arrived: vec![0; slots.len()],
            taken: 0,
            written: vec![ResponseHead { version: 0, ..ResponseHead::EMPTY }; slots.len()],
            staged: Vec::with_capacity(slots.len().max(MAX_BUNDLE) * 2),
            management: Vec::new(),
        }
    }

    /// Gives the queue up to [`MAX_BUNDLE`] tasks. Entries of foreign slots, and of slots that the
    /// driver owns already, are dropped: the host counts on what it submitted, and times out.
    #[inline]
    pub fn bundle(&mut self, now: Time, entries: &[Entry]) {
        debug_assert!(entries.len() <= MAX_BUNDLE);
        let mut taken = [Entry::from_bits(0); MAX_BUNDLE];
        let mut count = 0;
        for &entry in entries.iter().take(MAX_BUNDLE) {
            if self.take(entry) {
                self.region.prefetch_task(entry.index(), false);
                taken[count] = entry;
                count += 1;
            }
        }
        let traced = self.region.is_traced();
        if traced {
            stamps::taken(&self.region, &taken[..count]);
        }
        let mut completions = Completions {
            region: &self.region,
            staged: &mut self.staged,
            owned: &mut self.owned,
            written: &mut self.written,
            first_slot: self.first_slot,
            traced,
        };
        self.queue.process_bundled_parallel_tasks(
            now,
            Bundle::new(&self.region, &taken[..count]),
            &mut completions,
        );
    }

    /// Gives the queue one task by value.
    pub fn single(&mut self, now: Time, request: &SingleRequest) -> ServiceResponse {
        let entry = Entry::from_bits(request.entry);
        if !self.take(entry) {
            return ServiceResponse::FunctionRejected;
        }
        let traced = self.region.is_traced();
        if traced {
            stamps::taken(&self.region, &[entry]);
        }
        let mut completions = Completions {
            region: &self.region,
            staged: &mut self.staged,
            owned: &mut self.owned,
            written: &mut self.written,
            first_slot: self.first_slot,
            traced,
        };
        let task = Task::new(entry, request.task);
        let response = self.queue.process_parallel_task(now, task, &mut completions);
        if response != ServiceResponse::RequestInProcess {
            self.give_back(entry);
        }
        response
    }

    /// One round of the queue.
    #[inline]
    pub fn poll(&mut self, now: Time) {
        let traced = self.region.is_traced();
        let mut completions = Completions {
            region: &self.region,
            staged: &mut self.staged,
            owned: &mut self.owned,
            written: &mut self.written,
            first_slot: self.first_slot,
            traced,
        };
        self.queue.poll(now, &mut completions);
    }

    /// What has ended since the last call, in order; the caller empties it.
    #[inline]
    pub fn staged(&mut self) -> &mut Vec<Entry> {
        &mut self.staged
    }

    /// Takes on a task management function.
    pub fn manage(&mut self, request: TaskManagement) {
        self.management.push(Management { request, waits_for: None });
    }

    /// Whether a task management function is in progress.
    #[inline]
    pub fn is_managing(&self) -> bool {
        !self.management.is_empty()
    }

    /// Goes on with task management, the submissions up to `consumed` of queue `index` being
    /// taken; returns the numbers of the functions that are done. Completions staged before must be
    /// published before the answer is sent.
    pub fn managed(&mut self, index: u32, consumed: u32) -> Vec<u64> {
        let mut done = Vec::new();
        let mut waiting = std::mem::take(&mut self.management);
        waiting.retain_mut(|m| {
            let sequence = m.request.sequence.get(index as usize).copied().unwrap_or(consumed);
            if m.waits_for.is_none() && consumed.wrapping_sub(sequence) as i32 >= 0 {
                m.waits_for = Some(self.begin(&m.request, sequence));
            }
            let Some(waits_for) = &mut m.waits_for else { return true };
            waits_for.retain(|&(slot, generation)| self.owned[usize::from(slot)] == generation);
            if !waits_for.is_empty() {
                return true;
            }
            let request = &m.request;
            match request.function {
                ManagementFunction::LogicalUnitReset { lun } => {
                    self.queue.reset(request.target, Some(lun));
                }
                ManagementFunction::TargetReset => self.queue.reset(request.target, None),
                _ => {}
            }
            done.push(request.id);
            false
        });
        self.management = waiting;
        done
    }

    /// Tasks the driver owns.
    pub fn in_flight(&self) -> usize {
        self.owned.iter().filter(|g| **g != 0).count()
    }

    /// Gives every task up: the host is gone or the driver stops.
    pub fn abort_all(&mut self) {
        for slot in 0..self.owned.len() {
            if self.owned[slot] != 0 {
                self.queue.abort(self.first_slot + slot as u16);
            }
        }
    }

    /// See [`IoQueue::next_event`].
    #[inline]
    pub fn next_event(&self) -> Time {
        self.queue.next_event()
    }

    /// See [`IoQueue::in_kernel`].
    #[inline]
    pub fn in_kernel(&self) -> u32 {
        self.queue.in_kernel()
    }

    /// See [`IoQueue::wait`].
    pub fn wait(&mut self, doorbell: Doorbell<'_>, until: Time) {
        self.queue.wait(doorbell, until);
    }

    /// Aborts what the function concerns; returns it, by position in `owned`. A task submitted after
    /// `sequence` came after the function: it stays.
    fn begin(&mut self, request: &TaskManagement, sequence: u32) -> Vec<(u16, u64)> {
        let mut concerned = Vec::new();
        for position in 0..self.owned.len() {
            let generation = self.owned[position];
            let slot = self.first_slot + position as u16;
            let came_before = sequence.wrapping_sub(self.arrived[position]) as i32 >= 0;
            if generation != 0 && came_before && self.concerns(request, slot, generation) {
                concerned.push((position as u16, generation));
                self.queue.abort(slot);
            }
        }
        concerned
    }

    fn concerns(&self, request: &TaskManagement, slot: u16, generation: u64) -> bool {
        if let ManagementFunction::AbortTask { slot: s, generation: g } = request.function {
            return s == slot && g == generation;
        }
        let Some(task) = self.region.read_task(slot) else { return false };
        if task.target_id != request.target {
            return false;
        }
        match request.function {
            ManagementFunction::AbortTaskSet { lun, nexus } => {
                task.logical_unit_bytes == lun
                    && self.region.read_extension(slot).is_some_and(|e| e.nexus == nexus)
            }
            other => other.lun().is_none_or(|lun| task.logical_unit_bytes == lun),
        }
    }

    #[inline]
    fn take(&mut self, entry: Entry) -> bool {
        self.taken = self.taken.wrapping_add(1);
        let at = usize::from(entry.index().wrapping_sub(self.first_slot));
        match (self.owned.get_mut(at), self.arrived.get_mut(at)) {
            (Some(owned), Some(arrived)) if *owned == 0 && entry.generation() != 0 => {
                *owned = entry.generation();
                *arrived = self.taken;
                true
            }
            _ => false,
        }
    }

    fn give_back(&mut self, entry: Entry) {
        let at = usize::from(entry.index().wrapping_sub(self.first_slot));
        if let Some(owned) = self.owned.get_mut(at) {
            *owned = 0;
        }
    }
}
