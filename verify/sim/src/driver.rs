//! A driver process, simulated: the real array driver in the real runner over the real rings, with
//! a process around it that may do anything.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use outboard_hba::{HEARTBEAT_NS, Runner, TaskManagement};
use outboard_slots::doorbell::{Bell, SLEEPING};
use outboard_slots::{Consumer, Entry, MAX_BUNDLE, Producer, Queue, ResponseHead, Time};

use crate::dice::Dice;
use crate::fault::Fault;

/// Longest time between two rounds of a driver that is awake, ns.
const ROUND_NS: u64 = 20_000;
/// Longest time from the doorbell to the first round, ns.
const WAKE_NS: u64 = 60_000;
/// Longest way of a message on the control socket, ns.
const MESSAGE_NS: u64 = 100_000;
/// Places in a round where the process may die.
const STEPS: u64 = 8;

/// Something that the driver does later than it should.
enum Late {
    /// it completes a task again
    Again(Entry),
    /// it writes over a response
    Scribble(u16),
}

/// The driver.
pub(crate) struct SimulatedDriver {
    runner: Runner,
    queue: Queue,
    dice: Dice,
    consumer: Consumer,
    producer: Producer,
    bell: Bell,
    /// it does nothing before, unless something wakes it
    next_round: Time,
    asleep: bool,
    hangs_until: Time,
    slow_until: Time,
    armed: Vec<Fault>,
    fired: Vec<Fault>,
    late: Vec<(Time, Late)>,
    /// tasks that have ended in this round
    staged: Vec<Entry>,
    requests: VecDeque<(Time, TaskManagement)>,
    managed: VecDeque<(Time, u64)>,
    /// it dies when it takes the task with this tag
    pub(crate) poison: Option<u64>,
    /// the host has been rung since [`Self::has_rung`]
    rung: bool,
    /// when it next says that it lives
    heartbeat: Time,
    /// ring index to jump by, after the next publishing
    jump: u32,
}

/// What a round was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Round {
    Lives,
    Died,
}

impl SimulatedDriver {
    pub(crate) fn new(runner: Runner, queue: Queue, dice: Dice) -> Self {
        Self {
            runner,
            queue,
            dice,
            consumer: Consumer::new(),
            producer: Producer::new(),
            bell: Bell::default(),
            next_round: Time::ZERO,
            asleep: false,
            hangs_until: Time::ZERO,
            slow_until: Time::ZERO,
            armed: Vec::new(),
            fired: Vec::new(),
            late: Vec::new(),
            staged: Vec::new(),
            requests: VecDeque::new(),
            managed: VecDeque::new(),
            poison: None,
            rung: false,
            heartbeat: Time::ZERO,
            jump: 0,
        }
    }

    /// What happens to it next.
    pub(crate) fn arm(&mut self, now: Time, fault: Fault) {
        match fault {
            // From a hiccup to for ever.
            Fault::Hang => {
                self.hangs_until = now.plus_nanos(1 << self.dice.between(20, 36));
                self.fired.push(fault);
            }
            Fault::Slow => {
                self.slow_until = now.plus_nanos(1 << self.dice.between(24, 29));
                self.fired.push(fault);
            }
            Fault::SpuriousDoorbell => {
                self.fired.push(fault);
                match self.dice.chance(500) {
                    true => self.rung = true,
                    false => self.next_round = self.next_round.min(now),
                }
            }
            _ if self.armed.len() < 4 => self.armed.push(fault),
            _ => {}
        }
    }

    /// Nothing goes wrong any more, but for what already does.
    pub(crate) fn calm(&mut self) {
        self.armed.clear();
        self.hangs_until = Time::ZERO;
        self.slow_until = Time::ZERO;
        self.poison = None;
    }

    /// Faults that have happened since the last call.
    pub(crate) fn fired(&mut self, out: &mut Vec<Fault>) {
        out.append(&mut self.fired);
    }

    /// A task management function goes to the driver.
    pub(crate) fn manage(&mut self, now: Time, request: TaskManagement) {
        let due = now.plus_nanos(self.dice.below(MESSAGE_NS));
        self.requests.push_back((due.max(self.requests.back().map_or(due, |r| r.0)), request));
    }

    /// Functions that the host learns now to be done.
    pub(crate) fn managed(&mut self, now: Time) -> Option<u64> {
        match self.managed.front() {
            Some((due, _)) if *due <= now => self.managed.pop_front().map(|m| m.1),
            _ => None,
        }
    }

    /// Whether it has rung the host since the last call.
    pub(crate) fn has_rung(&mut self) -> bool {
        std::mem::take(&mut self.rung)
    }

    /// The host has done something: it may have rung.
    pub(crate) fn listen(&mut self, now: Time) {
        let flag = self.queue.words().driver_flag.word();
        if !self.asleep || flag.load(Ordering::Relaxed) == SLEEPING {
            return;
        }
        self.asleep = false;
        if self.take_armed(|f| f == Fault::LostDoorbell).is_some() {
            // It sleeps on, and the host takes it for awake.
            self.fired.push(Fault::LostDoorbell);
        } else {
            self.next_round = self.next_round.min(now.plus_nanos(self.dice.below(WAKE_NS)));
        }
    }

    /// When it next does something by itself.
    pub(crate) fn next_event(&self) -> Time {
        let round = self.next_round.min(self.requests.front().map_or(Time::NEVER, |r| r.0));
        let late = self.late.iter().map(|l| l.0).min().unwrap_or(Time::NEVER);
        let told = self.managed.front().map_or(Time::NEVER, |m| m.0);
        round.max(self.hangs_until).min(late).min(told)
    }

    /// One round of its loop, if it is time.
    pub(crate) fn run(&mut self, now: Time) -> Round {
        self.be_late(now);
        let asked = self.requests.front().is_some_and(|r| r.0 <= now);
        if now < self.hangs_until || (now < self.next_round && !asked) {
            return Round::Lives;
        }
        let mut dies_at = None;
        if self.take_armed(|f| f == Fault::Crash).is_some() {
            dies_at = Some(self.dice.below(STEPS));
        }
        let mut step = 0;
        let mut dies = || {
            step += 1;
            dies_at == Some(step - 1)
        };
        self.asleep = false;
        self.queue.words().driver_flag.withdraw();
        let mut bundle = [Entry::from_bits(0); MAX_BUNDLE];
        let mut count = 0;
        // The host keeps its ring in order.
        let waiting = self.consumer.poll(self.queue.words().submission).unwrap_or(0);
        let limit = self.dice.between(1, MAX_BUNDLE as u64) as usize;
        while count < limit {
            let Some(entry) = self.consumer.take(self.queue.words().submission) else { break };
            bundle[count] = entry;
            count += 1;
        }
        if self.is_poisoned(&bundle[..count]) {
            return self.die(Fault::Poison);
        }
        if dies() {
            return self.die(Fault::Crash);
        }
        if count != 0 {
            self.runner.bundle(now, &bundle[..count]);
        }
        self.staged.clone_from(self.runner.staged());
        self.answer_early(&bundle[..count]);
        if dies() {
            return self.die(Fault::Crash);
        }
        self.runner.poll(now);
        if dies() {
            return self.die(Fault::Crash);
        }
        let staged = std::mem::take(self.runner.staged());
        let completed = staged.len();
        for (number, entry) in staged.into_iter().enumerate() {
            if number == completed / 2 && dies() {
                return self.die(Fault::Crash);
            }
            self.complete(now, entry);
        }
        if dies() {
            return self.die(Fault::Crash);
        }
        self.publish();
        if dies() {
            return self.die(Fault::Crash);
        }
        while self.requests.front().is_some_and(|r| r.0 <= now) {
            let Some((_, request)) = self.requests.pop_front() else { break };
            self.runner.manage(request);
        }
        for id in self.runner.managed(0, self.consumer.sequence()) {
            self.managed.push_back((now.plus_nanos(self.dice.below(MESSAGE_NS)), id));
        }
        if dies() || dies_at.is_some() {
            return self.die(Fault::Crash);
        }
        let words = self.queue.words();
        if waiting != 0 || completed != 0 || now >= self.heartbeat {
            self.heartbeat = now.plus_nanos(HEARTBEAT_NS);
            words.progress.fetch_add(1, Ordering::Relaxed);
            words.consumed.store(self.consumer.sequence(), Ordering::Relaxed);
        }
        words.in_kernel.store(self.runner.in_flight() as u32, Ordering::Relaxed);
        self.rest(now, waiting as usize > count || completed != 0);
        Round::Lives
    }

    /// The next round comes soon, or when something wakes it.
    fn rest(&mut self, now: Time, busy: bool) {
        if busy {
            let slow = if now < self.slow_until { 1 << self.dice.between(18, 24) } else { 0 };
            self.next_round = now.plus_nanos(200 + self.dice.below(ROUND_NS) + slow);
            return;
        }
        if self.bell.settle(self.queue.words().host_flag) {
            self.ring();
        }
        let mut event = self.runner.next_event();
        if self.runner.in_flight() != 0 {
            event = event.min(self.heartbeat);
        }
        self.next_round = event.max(now.plus_nanos(200));
        self.queue.words().driver_flag.announce();
        if self.consumer.poll(self.queue.words().submission) == Ok(0) {
            self.asleep = true;
        } else {
            self.queue.words().driver_flag.withdraw();
            self.next_round = now.plus_nanos(200);
        }
    }

    fn is_poisoned(&self, bundle: &[Entry]) -> bool {
        let Some(tag) = self.poison else { return false };
        bundle.iter().any(|entry| {
            let task = self.queue.region().read_task(entry.index());
            task.is_some_and(|t| t.task_tag_identifier == tag)
        })
    }

    fn die(&mut self, by: Fault) -> Round {
        self.fired.push(by);
        Round::Died
    }

    /// A completion goes on the ring, or something else does.
    fn complete(&mut self, now: Time, entry: Entry) {
        let lie = self.take_armed(Fault::is_lie);
        let Some(lie) = lie else { return self.push(entry) };
        self.fired.push(lie);
        let (slot, generation) = (entry.index(), entry.generation());
        let slots = self.queue.region().layout().slots() as u16;
        // The truth comes as well as a rule: else it takes the ladder to get rid of the task.
        let also = self.dice.chance(800);
        match lie {
            Fault::DoubleCompletion => {
                self.push(entry);
                match self.dice.chance(400) {
                    true => self.push(entry),
                    false => {
                        let due = now.plus_nanos(1 << self.dice.between(10, 22));
                        self.late.push((due, Late::Again(entry)));
                    }
                }
            }
            Fault::WrongIndex => {
                // Never one that another task has by chance: that lie nobody could tell.
                let wrong = match self.dice.chance(500) {
                    true => Entry::new(slots + self.dice.below(100) as u16, generation),
                    false => Entry::new((slot + 1) % slots, generation | 1 << 46),
                };
                self.push(wrong);
                if also {
                    self.push(entry);
                }
            }
            Fault::WrongGeneration => {
                let other = match self.dice.chance(500) {
                    true => generation.wrapping_sub(1),
                    false => generation ^ 1 << self.dice.below(40),
                };
                self.push(Entry::new(slot, other));
                if also {
                    self.push(entry);
                }
            }
            Fault::Rewritten => {
                self.push(entry);
                let due = now.plus_nanos(self.dice.below(200_000));
                self.late.push((due, Late::Scribble(slot)));
            }
            Fault::RingJump => {
                self.push(entry);
                self.jump = match self.dice.chance(500) {
                    true => self.dice.between(1, 3) as u32,
                    false => self.dice.next() as u32,
                };
            }
            lie => {
                let honest = self.queue.region().read_response(slot);
                let lie = honest.map(|head| self.alter(lie, head));
                if let Some(head) = lie {
                    self.queue.region().write_response(slot, &head);
                }
                self.push(entry);
            }
        }
    }

    /// A response that cannot be, while the task still goes on: its buffer must not be used again.
    fn answer_early(&mut self, bundle: &[Entry]) {
        let going_on = |entry: &Entry| !self.staged.contains(entry);
        let Some(entry) = bundle.iter().copied().find(going_on) else { return };
        let lies = |f| matches!(f, Fault::WrongVersion | Fault::WrongStatus | Fault::WrongBytes);
        if !self.armed.iter().any(|fault| lies(*fault)) || !self.dice.chance(500) {
            return;
        }
        let (slot, region) = (entry.index(), self.queue.region().clone());
        let (Some(lie), Some(task)) = (self.take_armed(lies), region.read_task(slot)) else {
            return;
        };
        let head = ResponseHead {
            target_id: task.target_id,
            controller_task_identifier: task.controller_task_identifier,
            ..ResponseHead::EMPTY
        };
        let head = self.alter(lie, head);
        region.write_response(slot, &head);
        self.fired.push(lie);
        self.push(entry);
    }

    fn alter(&mut self, lie: Fault, head: ResponseHead) -> ResponseHead {
        match lie {
            Fault::WrongVersion => {
                let version = self.dice.pick(&[0, 2, u64::MAX]).unwrap_or(0);
                ResponseHead { version, ..head }
            }
            Fault::WrongIdentifier if self.dice.chance(300) => {
                ResponseHead { target_id: head.target_id + 1, ..head }
            }
            Fault::WrongIdentifier => {
                ResponseHead { controller_task_identifier: self.dice.next(), ..head }
            }
            Fault::WrongBytes => {
                ResponseHead { bytes_transferred: (1 << 30) + self.dice.below(1 << 40), ..head }
            }
            _ => ResponseHead { service_response: 7, ..head },
        }
    }

    fn push(&mut self, entry: Entry) {
        self.producer.push(self.queue.words().completion, entry);
    }

    fn publish(&mut self) {
        let words = self.queue.words();
        if self.producer.publish(words.completion) != 0 {
            if self.jump != 0 {
                let jump = std::mem::take(&mut self.jump);
                words.completion.tail.fetch_add(jump, Ordering::Release);
            }
            if self.bell.published(words.host_flag) {
                self.ring();
            }
        }
    }

    fn ring(&mut self) {
        match self.take_armed(|f| f == Fault::LostDoorbell) {
            Some(lost) => self.fired.push(lost),
            None => self.rung = true,
        }
    }

    /// What it should not do any more.
    fn be_late(&mut self, now: Time) {
        while let Some(at) = self.late.iter().position(|l| l.0 <= now) {
            match self.late.swap_remove(at).1 {
                Late::Again(entry) => {
                    self.fired.push(Fault::DoubleCompletion);
                    self.push(entry);
                    self.publish();
                }
                Late::Scribble(slot) => {
                    self.fired.push(Fault::Rewritten);
                    let lie = ResponseHead { version: 99, ..ResponseHead::EMPTY };
                    self.queue.region().write_response(slot, &lie);
                }
            }
        }
    }

    fn take_armed(&mut self, which: impl Fn(Fault) -> bool) -> Option<Fault> {
        let at = self.armed.iter().position(|fault| which(*fault))?;
        Some(self.armed.remove(at))
    }
}
