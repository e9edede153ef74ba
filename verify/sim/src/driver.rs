//! A driver process, simulated: the real array driver in the real runner over the real rings, with
//! a process around it that may do anything.

mod lies;
mod round;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use outboard_hba::{Runner, TaskManagement};
use outboard_slots::doorbell::{Bell, SLEEPING};
use outboard_slots::{Consumer, Entry, Producer, Queue, Time};

use self::lies::Late;
pub(crate) use self::round::Round;
use crate::dice::Dice;
use crate::fault::Fault;

/// Longest time from the doorbell to the first round, ns.
const WAKE_NS: u64 = 60_000;
/// Longest way of a message on the control socket, ns.
const MESSAGE_NS: u64 = 100_000;

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

    fn take_armed(&mut self, which: impl Fn(Fault) -> bool) -> Option<Fault> {
        let at = self.armed.iter().position(|fault| which(*fault))?;
        Some(self.armed.remove(at))
    }
}
