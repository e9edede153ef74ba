//! A host around one driver: its stack, its channel, and a model of what its unit must hold.

use std::collections::HashMap;
use std::time::Duration;

use outboard_hba::UnitReport;
use outboard_host::channel::Drained;
use outboard_host::driver::DriverStatus;
use outboard_host::stack::{Accepted, Answer, Command, Function, Stack};
use outboard_scsi::{Lun, Status, TaskAttribute};
use outboard_slots::{Memory, Time};
use outboard_spc::NexusId;

use super::CALL;
use super::content::{content, is_stopped, read_write};
use crate::store::Installed;
use crate::trial::{self, Disks, Running};

/// How long a task may take.
const TASK: Duration = Duration::from_secs(10);
/// How long a hang may stay unseen: initiators give up after 30 s.
const HANG: Duration = Duration::from_secs(25);

/// What a task does.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// writes blocks as the write of this number
    Write { lba: u64, blocks: u32, number: u32 },
    /// reads blocks, which must hold what the model says
    Read { lba: u64, blocks: u32 },
    /// anything, with so many bytes either way
    Any { cdb: Vec<u8>, bytes: u64 },
}

/// How tasks ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub(super) good: u32,
    pub(super) aborted: u32,
    pub(super) others: u32,
}

pub(super) struct Rig<'i> {
    installed: &'i Installed,
    running: Option<Running>,
    stack: Stack,
    memory: Memory,
    nexus: NexusId,
    pub(super) unit: UnitReport,
    pub(super) max_transfer: u64,
    target: u64,
    /// by block: the number of the write that it holds
    model: HashMap<u64, u32>,
    outstanding: HashMap<u64, What>,
    tag: u64,
    ends: Ends,
    problem: Option<String>,
}

impl<'i> Rig<'i> {
    pub(super) fn start(installed: &'i Installed) -> Result<Self, String> {
        let disks = Disks::of(installed).map_err(text)?;
        let running = trial::start(installed, disks, None, CALL).map_err(text)?;
        let driver = &running.driver;
        let report = driver.report();
        let found = report.targets.iter().find_map(|t| Some((t.id, t.units.first()?.clone())));
        let (target, unit) = found.ok_or("the driver reports no logical unit")?;
        let mut stack =
            Stack::new(report, target, driver.identifiers(), driver.region(), 0).map_err(text)?;
        let nexus = stack.open_nexus("test", 1).map_err(text)?;
        let mut rig = Self {
            installed,
            memory: driver.region().memory().clone(),
            nexus,
            max_transfer: report.dma.max_transfer_size,
            target,
            unit,
            running: Some(running),
            stack,
            model: HashMap::new(),
            outstanding: HashMap::new(),
            tag: 0,
            ends: Ends::default(),
            problem: None,
        };
        rig.settle()?;
        Ok(rig)
    }

    /// Takes the unit attentions that are waiting.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..8 {
            let ends = self.all(vec![What::Any { cdb: vec![0; 6], bytes: 0 }])?;
            if ends.good == 1 {
                return Ok(());
            }
        }
        Err("TEST UNIT READY does not end GOOD".to_owned())
    }

    pub(super) fn slots(&self) -> u32 {
        self.stack.free_slots()
    }

    /// Blocks that a task may have.
    pub(super) fn most_blocks(&self) -> u32 {
        let most = match self.unit.max_transfer {
            0 => self.max_transfer,
            own => own.min(self.max_transfer),
        };
        // The trial's buffers are shared by all tasks.
        let most = most.min(8 << 20) / u64::from(self.unit.block_size);
        u32::try_from(most.min(self.unit.blocks)).unwrap_or(u32::MAX)
    }

    /// Gives tasks to the driver in one bundle, as far as there is room; the rest later. Waits for all.
    pub(super) fn all(&mut self, tasks: Vec<What>) -> Result<Ends, String> {
        self.ends = Ends::default();
        let mut left = tasks.into_iter().rev().collect::<Vec<_>>();
        let until = after(TASK);
        while !left.is_empty() || !self.outstanding.is_empty() {
            while let Some(task) = left.pop() {
                if !self.give(&task)? {
                    left.push(task);
                    break;
                }
            }
            self.turn()?;
            if Time::now() > until {
                let count = self.outstanding.len();
                return Err(format!("{count} tasks have not ended after {} s", TASK.as_secs()));
            }
        }
        Ok(self.ends)
    }

    /// Gives tasks to the driver and does not wait.
    pub(super) fn begin(&mut self, tasks: &[What]) -> Result<(), String> {
        self.ends = Ends::default();
        for task in tasks {
            self.give(task)?;
        }
        self.turn()
    }

    /// Waits for what has begun.
    pub(super) fn finish(&mut self) -> Result<Ends, String> {
        let ends = self.ends;
        let after = self.all(Vec::new())?;
        Ok(Ends {
            good: ends.good + after.good,
            aborted: ends.aborted + after.aborted,
            others: ends.others + after.others,
        })
    }

    /// A task management function, seen through.
    pub(super) fn manage(
        &mut self,
        function: impl Fn(NexusId, u16) -> Function,
    ) -> Result<(), String> {
        let function = function(self.nexus, self.unit.lun);
        self.stack.manage(Time::now(), function, Some(77));
        let until = after(TASK);
        while Time::now() <= until {
            self.turn()?;
            if self.stack.managed().iter().any(|answer| answer.cookie == 77) {
                return Ok(());
            }
        }
        Err(format!("{function:?} was not confirmed within {} s", TASK.as_secs()))
    }

    /// What blocks hold is not known any more.
    pub(super) fn forget(&mut self) {
        self.model.clear();
    }

    /// Stops the driver's process, as a hang does, and gives it tasks; how long it took to be seen.
    pub(super) fn hang(&mut self, tasks: &[What]) -> Result<Duration, String> {
        use rustix::process::{Pid, Signal, kill_process};
        let running = self.running.as_ref().ok_or("there is no driver")?;
        let pid = Pid::from_raw(running.driver.pid().cast_signed()).ok_or("it has no process")?;
        kill_process(pid, Signal::STOP).map_err(text)?;
        let until = after(TASK);
        while !is_stopped(running.driver.pid()) {
            if Time::now() > until {
                return Err("the process does not stop on SIGSTOP".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = Time::now();
        let until = after(HANG);
        self.begin(tasks)?;
        while Time::now() <= until {
            self.turn()?;
            if self.stack.unfit().is_some() {
                return Ok(Time::now().since(begun));
            }
        }
        Err(format!("the hang was not seen within {} s", HANG.as_secs()))
    }

    /// Kills the driver and starts a successor over the same region, which has its tasks again.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        let Running { mut driver, mut channel, disks } =
            self.running.take().ok_or("there is no driver")?;
        let region = driver.region().clone();
        self.stack.driver_lost();
        driver.kill().map_err(text)?;
        let mut answers = Vec::new();
        // Disks in memory: with the process gone, all of its I/O is.
        self.stack.driver_fenced(
            Time::now(),
            &mut Drained::of(Time::now(), &mut *channel),
            &mut answers,
        );
        self.take(answers);
        drop((driver, channel));
        let running = trial::start(self.installed, disks, Some(region), CALL)
            .map_err(|error| format!("the successor does not start: {error}"))?;
        let (report, identifiers) = (running.driver.report(), running.driver.identifiers());
        let adopted = self.stack.adopt(report, identifiers).map_err(text)?;
        if adopted != Default::default() {
            return Err(format!(
                "the successor reports other units on the same disks: {adopted:?}"
            ));
        }
        self.running = Some(running);
        self.stack.driver_replaced(Time::now());
        Ok(())
    }

    /// Ends the driver in order.
    pub(super) fn stop(mut self) -> Result<(), String> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let status = running.driver.stop().map_err(text)?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("the driver did not end in order: {status}")),
        }
    }

    fn give(&mut self, what: &What) -> Result<bool, String> {
        let block = u64::from(self.unit.block_size);
        let (cdb, expected) = match what {
            What::Write { lba, blocks, .. } => {
                (read_write(0x8a, *lba, *blocks), u64::from(*blocks) * block)
            }
            What::Read { lba, blocks } => {
                (read_write(0x88, *lba, *blocks), u64::from(*blocks) * block)
            }
            What::Any { cdb, bytes } => (cdb.clone(), *bytes),
        };
        let now = Time::now();
        let command = Command {
            nexus: self.nexus,
            lun: Lun::new(self.unit.lun).unwrap_or(Lun::ZERO).encode(),
            cdb: &cdb,
            attribute: TaskAttribute::Simple,
            tag: self.tag + 1,
            expected,
            cookie: self.tag + 1,
        };
        match self.stack.submit(now, &command) {
            Accepted::Full => return Ok(false),
            Accepted::Answered(answer) => {
                self.tag += 1;
                self.outstanding.insert(self.tag, what.clone());
                self.take(vec![answer]);
            }
            Accepted::Slot { slot, offset, len } => {
                self.tag += 1;
                if let What::Write { lba, number, .. } = what {
                    let data = content(*lba, *number, block, len as usize);
                    self.memory.write(offset, &data).map_err(text)?;
                }
                self.outstanding.insert(self.tag, what.clone());
                self.stack.ready(slot, TaskAttribute::Simple);
            }
        }
        Ok(true)
    }

    fn turn(&mut self) -> Result<(), String> {
        let Some(running) = &mut self.running else { return Err("there is no driver".to_owned()) };
        let mut answers = Vec::new();
        let moved =
            self.stack.turn(Time::now(), &mut *running.channel, &mut answers).map_err(text)?;
        if self.stack.has_requests() {
            for request in self.stack.requests(&*running.channel) {
                running.driver.manage(request).map_err(text)?;
            }
        }
        if running.driver.has_news() {
            let status = running.driver.status();
            for (id, _) in running.driver.managed() {
                self.stack.confirmed(id);
            }
            match status {
                DriverStatus::Running => {}
                DriverStatus::Failed(reason) => {
                    return Err(format!("the driver gave up: {reason}"));
                }
                DriverStatus::Gone => return Err("the driver's process has ended".to_owned()),
            }
        }
        if !moved {
            let until = after(Duration::from_millis(5));
            running.channel.idle(Time::now(), until, self.stack.in_driver());
        }
        self.take(answers);
        if let Some((_, violation)) = self.stack.violations().last() {
            return Err(format!("the driver completed what it could not: {violation}"));
        }
        self.problem.take().map_or(Ok(()), Err)
    }

    /// Compares answers with the model, and gives their slots back.
    fn take(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            let what = self.outstanding.remove(&answer.cookie);
            match (answer.status, answer.aborted) {
                (_, true) | (Status::TaskAborted, _) => self.ends.aborted += 1,
                (Status::Good, _) => self.ends.good += 1,
                _ => self.ends.others += 1,
            }
            let is_good = answer.status == Status::Good && !answer.aborted;
            match what {
                Some(What::Write { lba, blocks, number }) => {
                    for block in lba..lba + u64::from(blocks) {
                        match is_good {
                            true => self.model.insert(block, number),
                            false => self.model.remove(&block),
                        };
                    }
                }
                Some(What::Read { lba, blocks }) if is_good => self.compare(&answer, lba, blocks),
                _ => {}
            }
            if let Some(slot) = answer.slot {
                self.stack.finish(slot);
            }
        }
    }

    fn compare(&mut self, answer: &Answer, lba: u64, blocks: u32) {
        let size = u64::from(self.unit.block_size);
        let mut data = vec![0; size as usize];
        for (at, block) in (0..).zip(lba..lba + u64::from(blocks)) {
            let Some(number) = self.model.get(&block) else { continue };
            let read = self.memory.read(answer.offset + at * size, &mut data);
            if read.is_err() || data != content(block, *number, size, size as usize) {
                let target = self.target;
                self.problem = Some(format!(
                    "target {target}, LUN {}: block {block} does not read as it was written",
                    self.unit.lun
                ));
            }
        }
    }
}

/// So long from now.
fn after(time: Duration) -> Time {
    Time::now().plus_nanos(time.as_nanos() as u64)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
