//! An initiator that keeps books: it sends commands, remembers what it asked for, and checks each
//! answer against what a disk may do. Used by the property test over the paths and by the
//! simulation; a breach is an `Err` that says what, so that a checker can itself be tested.

mod answers;
mod model;
mod order;
mod wanted;

use std::collections::BTreeMap;

use outboard_host::stack::{Accepted, Answer, Command, Function, Stack};
use outboard_scsi::{Lun, Sense, SenseKey, Status};
use outboard_slots::{Memory, Time};
use outboard_spc::NexusId;

pub(crate) use model::BLOCK;
use model::{ChangeId, Model};
pub(crate) use wanted::{Kind, Taste, Wanted};

/// No task may take longer from its reception to its end, ns: the ladder of giving up with all its
/// steps. Initiators give up at 30 s.
const LADDER_NS: u64 = 25_000_000_000;
/// The same for commands that may write much: theirs is 40 s before the ladder begins.
const LONG_LADDER_NS: u64 = 55_000_000_000;

/// What answers other than GOOD are to be expected.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// tasks may fail: disks have errors, drivers die or lie
    pub(crate) failures: bool,
    /// the host itself may give tasks up
    pub(crate) ladder: bool,
    /// writes may be lost until they are synchronized
    pub(crate) volatile: bool,
}

/// What became of a command that was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sent {
    /// it has a slot; call [`Initiator::ready`] with this
    Task(u64),
    /// the host answered it
    Answered,
    /// no slot or no buffer is free
    Full,
}

/// A task that has not ended.
#[derive(Debug)]
struct Task {
    wanted: Wanted,
    change: Option<ChangeId>,
    slot: u16,
    offset: u64,
    began: u64,
    received: Time,
    /// place in the task set's order, once it is ready
    age: Option<u64>,
    /// a task management function concerns it
    given_up: bool,
    /// a driver has had it
    handed_over: bool,
}

/// An answered task whose slot is not yet finished.
#[derive(Debug)]
struct Held {
    task: Task,
    good: bool,
    slot: Option<u16>,
    ended: u64,
}

/// Counters, for messages and to see that a test tests something.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// tasks that got a slot
    pub sent: u64,
    /// ended GOOD
    pub good: u64,
    /// ended CHECK CONDITION
    pub failed: u64,
    /// ended by task management or by the host
    pub aborted: u64,
    /// unit attentions
    pub attentions: u64,
    /// task management functions
    pub functions: u64,
    /// handed to a driver again
    pub replays: u64,
    /// blocks checked
    pub blocks_read: u64,
    /// answers that never came: the host or the power had gone
    pub lost: u64,
}

/// Deliberate mistakes of the host's front end, to see that the books show them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mistakes {
    /// this many answers are lost
    pub(crate) lose: u32,
    /// this many answers come twice
    pub(crate) repeat: u32,
    /// this many slots are never finished
    pub(crate) keep: u32,
}

/// One initiator port with a few nexuses to one unit.
pub(crate) struct Initiator {
    memory: Memory,
    nexuses: Vec<NexusId>,
    lun: u16,
    rules: Rules,
    model: Model,
    tick: u64,
    next_cookie: u64,
    next_age: u64,
    tasks: BTreeMap<u64, Task>,
    held: Vec<Held>,
    /// functions under way, and the tasks that must end before them
    functions: BTreeMap<u64, (Time, Vec<u64>)>,
    free_bytes: u64,
    pub(crate) tally: Tally,
    pub(crate) mistakes: Mistakes,
}

impl Initiator {
    /// For the unit `lun` of `blocks` fresh blocks. `memory` is the region's.
    pub(crate) fn new(
        stack: &mut Stack,
        memory: Memory,
        lun: u16,
        blocks: u64,
        nexuses: u64,
        rules: Rules,
    ) -> Result<Self, String> {
        Ok(Self {
            memory,
            nexuses: log_in(stack, nexuses)?,
            lun,
            rules,
            model: Model::new(blocks, rules.volatile),
            tick: 1,
            next_cookie: 1,
            next_age: 0,
            tasks: BTreeMap::new(),
            held: Vec::new(),
            functions: BTreeMap::new(),
            free_bytes: stack.free_buffer_bytes(),
            tally: Tally::default(),
            mistakes: Mistakes::default(),
        })
    }

    /// Tasks that have not ended.
    pub(crate) fn outstanding(&self) -> usize {
        self.tasks.len()
    }

    /// Whether the task has not ended.
    pub(crate) fn has(&self, cookie: u64) -> bool {
        self.tasks.contains_key(&cookie)
    }

    /// Answers whose data has not been taken.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Functions that have not ended.
    pub(crate) fn managing(&self) -> usize {
        self.functions.len()
    }

    /// Sends a command; its data-out goes into the buffer at once.
    pub(crate) fn send(
        &mut self,
        now: Time,
        stack: &mut Stack,
        wanted: Wanted,
    ) -> Result<Sent, String> {
        let nexus = self.nexuses.get(wanted.nexus).copied().ok_or("no such nexus")?;
        let cookie = self.next_cookie;
        let cdb = wanted.cdb();
        let command = Command {
            nexus,
            lun: Lun::new(self.lun).unwrap_or(Lun::ZERO).encode(),
            cdb: cdb.as_slice(),
            attribute: wanted.attribute,
            tag: cookie,
            expected: wanted.expected(),
            cookie,
        };
        let (slot, offset, len) = match stack.submit(now, &command) {
            Accepted::Full => return Ok(Sent::Full),
            Accepted::Answered(answer) => return self.answered_by_host(&wanted, &answer),
            Accepted::Slot { slot, offset, len } => (slot, offset, len),
        };
        if len != wanted.expected() {
            return Err(format!("{wanted:?} has a buffer of {len} bytes"));
        }
        let data = wanted.data_out(&self.model, self.model.next_value());
        self.memory.write(offset, &data).map_err(|e| e.to_string())?;
        self.tick += 1;
        let oldest = self.oldest();
        let change = wanted.changes().then(|| {
            self.model.begin(self.tick, oldest, cookie, wanted.content(), &wanted.ranges())
        });
        let task = Task {
            wanted,
            change,
            slot,
            offset,
            began: self.tick,
            received: now,
            age: None,
            given_up: false,
            handed_over: false,
        };
        self.tasks.insert(cookie, task);
        self.next_cookie += 1;
        self.tally.sent += 1;
        Ok(Sent::Task(cookie))
    }

    /// The task's data is complete.
    pub(crate) fn ready(&mut self, stack: &mut Stack, cookie: u64) {
        if let Some(task) = self.tasks.get_mut(&cookie) {
            task.age = Some(self.next_age);
            self.next_age += 1;
            stack.ready(task.slot, task.wanted.attribute);
        }
    }

    fn answered_by_host(&mut self, wanted: &Wanted, answer: &Answer) -> Result<Sent, String> {
        let attention = answer
            .sense
            .as_deref()
            .and_then(Sense::parse)
            .is_some_and(|s| s.key == SenseKey::UnitAttention);
        if attention {
            self.tally.attentions += 1;
        } else if wanted.kind != Kind::TestUnitReady || answer.status != Status::Good {
            return Err(format!("{wanted:?} was answered by the host: {answer:?}"));
        }
        Ok(Sent::Answered)
    }

    /// The stack has handed the task with this tag to a driver, for the first time or again.
    pub(crate) fn handed_over(&mut self, tag: u64) -> Result<(), String> {
        let Some(task) = self.tasks.get_mut(&tag) else {
            return Err(format!("task {tag} was handed to a driver after its end"));
        };
        if !std::mem::replace(&mut task.handed_over, true) {
            return Ok(());
        }
        self.tally.replays += 1;
        if task.given_up {
            return Err(format!("task {tag} was submitted again after it was aborted"));
        }
        let overtaken = task.change.and_then(|_| self.model.overtaken(tag, &task.wanted.ranges()));
        match overtaken {
            Some(by) => Err(format!("write {tag} was submitted again, but write {by} overtook it")),
            None => Ok(()),
        }
    }

    /// No task outlives the ladder, and no function.
    pub(crate) fn check_ages(&self, now: Time) -> Result<(), String> {
        // Tasks are in order of reception.
        for (cookie, task) in &self.tasks {
            let age = now.since(task.received).as_nanos();
            if age <= u128::from(LADDER_NS) {
                break;
            }
            let long = matches!(task.wanted.kind, Kind::WriteSame | Kind::SynchronizeCache);
            if !long || age > u128::from(LONG_LADDER_NS) {
                return Err(format!(
                    "task {cookie} has not ended after {} s: {task:?}",
                    age / 1_000_000_000
                ));
            }
        }
        for (cookie, (begun, first)) in &self.functions {
            let age = now.since(*begun).as_nanos();
            if age > u128::from(LADDER_NS) && first.iter().all(|id| !self.tasks.contains_key(id)) {
                return Err(format!(
                    "function {cookie} has not ended after {} s",
                    age / 1_000_000_000
                ));
            }
        }
        Ok(())
    }

    /// When the oldest task that is still to be judged began.
    fn oldest(&self) -> u64 {
        let tasks = self.tasks.values().next().map_or(u64::MAX, |t| t.began);
        self.held.iter().map(|h| h.task.began).fold(tasks, u64::min)
    }

    /// A disk has spoiled a block and said nothing.
    pub(crate) fn damage(&mut self, lba: u64) {
        self.tick += 1;
        self.model.damage(self.tick, lba);
    }

    /// The host is gone, and with it everything under way; with `power` also what no disk had to
    /// keep. Logs in to its successor.
    pub(crate) fn begin_anew(
        &mut self,
        stack: &mut Stack,
        memory: Memory,
        power: bool,
    ) -> Result<(), String> {
        self.tick += 1;
        self.tally.lost += self.tasks.len() as u64;
        for task in std::mem::take(&mut self.tasks).into_values() {
            if let Some(change) = task.change {
                self.model.end(self.tick, change, false, false, (0, 0));
            }
        }
        self.held.clear();
        self.functions.clear();
        if power {
            self.model.power_lost();
        }
        self.memory = memory;
        self.nexuses = log_in(stack, self.nexuses.len() as u64)?;
        self.free_bytes = stack.free_buffer_bytes();
        Ok(())
    }

    /// Everything has ended and everything has come back.
    pub(crate) fn check_conserved(&self, stack: &Stack) -> Result<(), String> {
        let (used, free) = (stack.in_use(), stack.free_buffer_bytes());
        if !self.tasks.is_empty() || !self.functions.is_empty() {
            return Err(format!("left over: {:?}, functions {:?}", self.tasks, self.functions));
        }
        if used != 0 || free != self.free_bytes || stack.in_driver() != 0 {
            return Err(format!(
                "{used} slots in use, {} in the driver, {free} of {} bytes free after all has ended",
                stack.in_driver(),
                self.free_bytes
            ));
        }
        Ok(())
    }

    /// A function over `tasks`, which end before it.
    fn begin_function(&mut self, now: Time, stack: &mut Stack, function: Function, tasks: &[u64]) {
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        let mut ends_first = Vec::new();
        for (id, task) in &mut self.tasks {
            if tasks.contains(id) {
                task.given_up = true;
                // One that still waits for its data never gets to a driver.
                if task.age.is_some() {
                    ends_first.push(*id);
                }
            }
        }
        self.functions.insert(cookie, (now, ends_first));
        self.tally.functions += 1;
        stack.manage(now, function, Some(cookie));
    }
}

fn log_in(stack: &mut Stack, nexuses: u64) -> Result<Vec<NexusId>, String> {
    let opened = (0..nexuses).map(|i| stack.open_nexus(&format!("initiator {i}"), 1));
    opened.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())
}

impl Tally {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.good += other.good;
        self.failed += other.failed;
        self.aborted += other.aborted;
        self.attentions += other.attentions;
        self.functions += other.functions;
        self.replays += other.replays;
        self.blocks_read += other.blocks_read;
        self.lost += other.lost;
    }
}
