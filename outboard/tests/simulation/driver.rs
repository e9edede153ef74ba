//! A driver process and the way to it, simulated: the real array driver in the real runner, with
//! everything between host and driver late, in batches, and now and then false.

use std::collections::VecDeque;

use outboard_hba::protocol::SingleRequest;
use outboard_hba::{Path, Runner, TaskManagement};
use outboard_host::channel::{Channel, ChannelError, Completed, Pulse};
use outboard_slots::{Entry, MAX_BUNDLE, ParallelTask, Region, SENSE_BYTES, TaskExtension, Time};

use crate::initiator::Dice;
use crate::lies::{Liar, Lie};

/// Longest way of a bundle or of a batch of completions, ns.
const WAY_NS: u64 = 60_000;
/// Longest way of a request that the dead process left in the kernel, ns.
const LEFT_BEHIND_NS: u64 = 30_000_000;

/// A task on its way to the driver.
struct Submitted {
    due: Time,
    entry: Entry,
    nexus: u32,
    task: ParallelTask,
}

/// What comes back from the driver, in this order.
enum Returned {
    Completion(Entry),
    Managed(u64),
}

/// The driver, and the host's channel to it.
pub(crate) struct SimulatedDriver {
    runner: Runner,
    region: Region,
    dice: Dice,
    liar: Liar,
    /// pushed and not completed, for [`Self::repeat`]
    pushed: Vec<(Entry, u32, ParallelTask)>,
    unpublished: Vec<Submitted>,
    submitted: VecDeque<Submitted>,
    consumed: u32,
    sequence: u32,
    requests: VecDeque<(Time, TaskManagement)>,
    returned: VecDeque<(Time, Returned)>,
    /// the driver does nothing before
    hangs_until: Time,
    /// tags of the tasks handed over since the host looked
    handed_over: Vec<u64>,
    is_dead: bool,
    /// rounds of its loop
    rounds: u32,
    /// the tag of a task that kills it
    pub(crate) poison: Option<u64>,
    /// that has happened
    pub(crate) poisoned: bool,
    /// a mistake: this many writes are answered and not done
    pub(crate) swallow: u32,
}

impl SimulatedDriver {
    pub(crate) fn new(runner: Runner, region: Region, dice: Dice, liar: Liar) -> Self {
        Self {
            runner,
            region,
            dice,
            liar,
            pushed: Vec::new(),
            unpublished: Vec::new(),
            submitted: VecDeque::new(),
            consumed: 0,
            sequence: 0,
            requests: VecDeque::new(),
            returned: VecDeque::new(),
            hangs_until: Time::ZERO,
            handed_over: Vec::new(),
            is_dead: false,
            rounds: 0,
            poison: None,
            poisoned: false,
            swallow: 0,
        }
    }

    /// Nothing goes wrong any more, but for what already does.
    pub(crate) fn calm(&mut self) {
        self.liar.calm();
        self.hangs_until = Time::ZERO;
    }

    /// It does nothing before `until`.
    pub(crate) fn hang(&mut self, until: Time) {
        self.hangs_until = until;
    }

    /// Whether it does nothing now.
    pub(crate) fn hangs(&self, now: Time) -> bool {
        now < self.hangs_until
    }

    /// A task management function goes to the driver.
    pub(crate) fn manage(&mut self, now: Time, request: TaskManagement) {
        let due = self.later(now, self.requests.back().map(|r| r.0));
        self.requests.push_back((due, request));
    }

    /// Functions that the driver has answered by now.
    pub(crate) fn managed(&mut self, now: Time) -> Vec<u64> {
        // An answer stands behind the completions of its tasks: it is seen when they are gone.
        let mut done = Vec::new();
        while let Some((due, Returned::Managed(id))) = self.returned.front() {
            if *due > now {
                break;
            }
            done.push(*id);
            self.returned.pop_front();
        }
        done
    }

    /// Tags of the tasks handed over since the last call.
    pub(crate) fn handed_over(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.handed_over)
    }

    /// Completions so far that the host must refuse.
    pub(crate) fn lies_told(&self) -> u64 {
        self.liar.told
    }

    /// When [`Self::run`], [`Channel::reap`] or [`Self::managed`] next has something to do.
    pub(crate) fn next_event(&self) -> Time {
        let driver = [
            self.submitted.front().map_or(Time::NEVER, |s| s.due),
            self.requests.front().map_or(Time::NEVER, |r| r.0),
            self.runner.next_event(),
        ];
        let driver = driver.into_iter().min().unwrap_or(Time::NEVER).max(self.hangs_until);
        // What a dead one has left is looked at once, after the fence.
        let returned = self.returned.front().filter(|_| !self.is_dead);
        let returned = returned.map_or(Time::NEVER, |r| r.0);
        driver.min(returned).min(self.liar.next_event())
    }

    /// One round of the driver's loop.
    pub(crate) fn run(&mut self, now: Time) {
        if self.hangs(now) || self.poisoned {
            return;
        }
        self.rounds = self.rounds.wrapping_add(1);
        let limit = self.dice.between(1, MAX_BUNDLE as u64) as usize;
        let mut bundle = Vec::with_capacity(limit);
        while bundle.len() < limit && self.submitted.front().is_some_and(|s| s.due <= now) {
            let Some(Submitted { entry, task, .. }) = self.submitted.pop_front() else { break };
            self.consumed = self.consumed.wrapping_add(1);
            if self.poison == Some(task.task_tag_identifier) {
                self.poisoned = true;
                return;
            }
            match self.swallows(&task) {
                true => self.answer_unasked(now, entry, &task),
                false => bundle.push(entry),
            }
        }
        if !bundle.is_empty() {
            self.runner.bundle(now, &bundle);
        }
        self.runner.poll(now);
        while self.requests.front().is_some_and(|r| r.0 <= now) {
            let Some((_, request)) = self.requests.pop_front() else { break };
            self.runner.manage(request);
        }
        let due = self.later(now, self.returned.back().map(|r| r.0));
        let completed = self.runner.staged().drain(..).map(|e| (due, Returned::Completion(e)));
        self.returned.extend(completed);
        let done = self.runner.managed(0, self.consumed).into_iter();
        self.returned.extend(done.map(|id| (due, Returned::Managed(id))));
    }

    /// The process dies. What it has handed to the kernel goes on until the fence; nobody hears of
    /// it any more, but for the completions that are on the ring already.
    pub(crate) fn die(&mut self, now: Time) {
        self.is_dead = true;
        let published = self.dice.below(self.returned.len() as u64 + 1) as usize;
        self.returned.truncate(published);
        self.returned.retain(|(_, returned)| matches!(returned, Returned::Completion(_)));
        self.returned.iter_mut().for_each(|(due, _)| *due = now);
        self.requests.clear();
        self.liar.die();
        for submitted in &mut self.submitted {
            submitted.due = now.plus_nanos(self.dice.below(LEFT_BEHIND_NS));
        }
        let mut left: Vec<_> = self.submitted.drain(..).collect();
        left.sort_by_key(|s| s.due);
        // Half of it had not reached the kernel.
        left.retain(|_| self.dice.chance(500));
        self.submitted = left.into();
    }

    /// What is left of a dead driver until the fence: requests with a memory of their own.
    pub(crate) fn linger(&mut self, now: Time) {
        while self.submitted.front().is_some_and(|s| s.due <= now) {
            let Some(s) = self.submitted.pop_front() else { break };
            let entry = s.entry.to_bits();
            let request = SingleRequest { entry, nexus: u64::from(s.nexus), task: s.task };
            self.runner.single(now, &request);
        }
        self.runner.poll(now);
        self.runner.staged().clear();
    }

    /// Writes handed over and not completed, for [`Self::repeat`].
    pub(crate) fn unanswered(&self) -> Vec<(Entry, u32, ParallelTask)> {
        self.pushed.clone()
    }

    /// A mistake of the host: an old task is submitted again without a look at the ledger.
    pub(crate) fn repeat(&mut self, entry: Entry, nexus: u32, task: &ParallelTask) {
        // Neither of the two can fail here.
        let _ = self.push(entry, nexus, task);
        let _ = self.publish(Time::ZERO);
    }

    fn later(&mut self, now: Time, not_before: Option<Time>) -> Time {
        let due = now.plus_nanos(self.dice.below(WAY_NS));
        due.max(not_before.unwrap_or(Time::ZERO))
    }

    fn swallows(&mut self, task: &ParallelTask) -> bool {
        let swallowed = self.swallow > 0 && task.command_descriptor_block[0] == 0x2A;
        self.swallow -= u32::from(swallowed);
        swallowed
    }

    fn answer_unasked(&mut self, now: Time, entry: Entry, task: &ParallelTask) {
        let head = outboard_slots::ResponseHead {
            target_id: task.target_id,
            controller_task_identifier: task.controller_task_identifier,
            service_response: outboard_hba::ServiceResponse::TaskComplete as u32,
            bytes_transferred: task.requested_transfer_count,
            ..outboard_slots::ResponseHead::EMPTY
        };
        self.region.write_response(entry.index(), &head);
        let due = self.later(now, self.returned.back().map(|r| r.0));
        self.returned.push_back((due, Returned::Completion(entry)));
    }
}

/// What the host has while there is no driver.
pub(crate) struct NoDriver;

impl Channel for NoDriver {
    fn path(&self) -> Path {
        Path::Bundled
    }

    fn push(&mut self, _: Entry, _: u32, _: &ParallelTask) -> Result<(), ChannelError> {
        Err(ChannelError::Gone)
    }

    fn publish(&mut self, _now: Time) -> Result<(), ChannelError> {
        Err(ChannelError::Gone)
    }

    fn reap(&mut self, _: Time, _: &mut Vec<Completed>) -> Result<(), ChannelError> {
        Err(ChannelError::Gone)
    }

    fn sense(&self, _slot: u16, _out: &mut [u8; SENSE_BYTES]) {}

    fn idle(&mut self, _now: Time, _until: Time, _outstanding: usize) {}

    fn sequence(&self) -> u32 {
        0
    }
}

impl Channel for SimulatedDriver {
    fn path(&self) -> Path {
        Path::Bundled
    }

    fn push(&mut self, entry: Entry, nexus: u32, task: &ParallelTask) -> Result<(), ChannelError> {
        let slot = entry.index();
        self.region.write_task(slot, task);
        let extension = TaskExtension { nexus: u64::from(nexus), ..TaskExtension::EMPTY };
        self.region.write_extension(slot, &extension);
        self.pushed.retain(|(e, ..)| e.index() != slot);
        self.pushed.push((entry, nexus, *task));
        self.sequence = self.sequence.wrapping_add(1);
        self.handed_over.push(task.task_tag_identifier);
        self.unpublished.push(Submitted { due: Time::ZERO, entry, nexus, task: *task });
        Ok(())
    }

    fn publish(&mut self, now: Time) -> Result<(), ChannelError> {
        let due = self.later(now, self.submitted.back().map(|s| s.due));
        let bundle = self.unpublished.drain(..).map(|s| Submitted { due, ..s });
        self.submitted.extend(bundle);
        Ok(())
    }

    fn reap(&mut self, now: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        while let Some((due, Returned::Completion(entry))) = self.returned.front() {
            let entry = *entry;
            if *due > now {
                break;
            }
            self.returned.pop_front();
            self.pushed.retain(|(e, ..)| *e != entry);
            let Some(head) = self.region.read_response(entry.index()) else { continue };
            let honest = Completed { entry, head };
            match self.liar.lie(now, honest, self.region.layout().slots()) {
                None => completed.push(honest),
                Some(Lie::Instead(lie)) => completed.push(lie),
                Some(Lie::Also(lie)) => completed.extend([honest, lie]),
            }
        }
        self.liar.late(now, completed);
        Ok(())
    }

    fn sense(&self, slot: u16, out: &mut [u8; SENSE_BYTES]) {
        self.region.read_sense(slot, out);
    }

    fn idle(&mut self, _now: Time, _until: Time, _outstanding: usize) {}

    fn sequence(&self) -> u32 {
        self.sequence
    }

    fn pulse(&self) -> Option<Pulse> {
        let (progress, consumed) = (self.rounds, self.consumed);
        Some(Pulse { progress, consumed, in_kernel: self.runner.in_kernel() })
    }
}
