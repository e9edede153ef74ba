//! The whole host on a virtual clock: one stack, one initiator, a driver that dies and comes back.

use std::os::fd::OwnedFd;

use outboard_array::{ArrayController, ArrayOptions, UnitOptions};
use outboard_disk::open::{OpenOptions, open};
use outboard_hba::{Controller, DispatchQueues, HbaReport, QueueSetup, Runner, Startup};
use outboard_host::stack::{Answer, Poison, Stack};
use outboard_slots::{Region, RegionConfig, Time};

use crate::attempts::Attempts;
use crate::driver::{NoDriver, SimulatedDriver};
use crate::initiator::{BLOCK, Dice, Initiator, Kind, Sent, Taste, Wanted};
use crate::lies::Liar;
use crate::scenario::{Planted, Scenario};

const NEXUSES: u64 = 2;
/// Virtual time after which a run hangs, ns: far more than its tasks can take, one after another.
const RUN_NS: u64 = 3_600_000_000_000;
/// Longest time that a driver may hang with tasks before it is killed, ns: that for tasks which may
/// take long.
const HANG_MAX_NS: u128 = 10_500_000_000;
/// Blocks of a read that looks at the medium at the end.
const LOOK_BLOCKS: u64 = 4;

/// Where a driver's life stands.
enum Life {
    Runs(Box<SimulatedDriver>),
    /// dead; until the fence passes, what it left in the kernel still happens
    Fenced(Box<SimulatedDriver>, Time),
}

pub(crate) struct Machine {
    scenario: Scenario,
    dice: Dice,
    now: Time,
    region: Region,
    options: serde_json::Value,
    descriptors: Vec<OwnedFd>,
    stack: Stack,
    life: Option<Life>,
    /// dead drivers that no fence has waited for
    unfenced: Vec<SimulatedDriver>,
    initiator: Initiator,
    taste: Taste,
    answers: Vec<Answer>,
    /// tasks whose data has not come yet
    filling: Vec<(Time, u64)>,
    /// everything goes well from now on
    calm: bool,
    lies_of_the_dead: u64,
    swallow: u32,
    attempts: Attempts,
    /// since when the driver has hung with tasks
    hung_since: Option<Time>,
    pub(crate) deaths: u64,
}

impl Machine {
    pub(crate) fn new(scenario: Scenario, dice: Dice) -> Result<Self, String> {
        let mut members = Vec::new();
        for url in &scenario.members {
            let spec = url.parse().map_err(text)?;
            members.push(open(&spec, &OpenOptions::default()).map_err(text)?);
        }
        let (unit, descriptors) = UnitOptions::new(0, "simulated", scenario.array, members);
        let options = ArrayOptions {
            units: vec![unit],
            maximum_task_count: u32::from(scenario.slots),
            max_transfer: 1 << 20,
        };
        let options = serde_json::to_value(&options).map_err(text)?;
        let region = Region::create(RegionConfig {
            slots_per_queue: u32::from(scenario.slots),
            queues: 1,
            pool_bytes: scenario.pool_bytes,
            scratch_bytes: 256 << 10,
        })
        .map_err(text)?;
        let (report, identifiers, runner) = incarnation(&options, &descriptors, &region)?;
        let mut stack = Stack::new(&report, 0, &identifiers, &region, 0).map_err(text)?;
        stack.set_verify_replay(scenario.scribbles && scenario.planted != Planted::SpoiledRepeated);
        let unit = report.targets.first().and_then(|t| t.units.first()).ok_or("no unit")?;
        let memory = region.memory().clone();
        let rules = scenario.rules();
        let mut initiator = Initiator::new(&mut stack, memory, 0, unit.blocks, NEXUSES, rules)?;
        initiator.mistakes = scenario.mistakes();
        let taste = Taste {
            blocks: unit.blocks,
            chunk: scenario.array.map_or(16, |a| u64::from(a.chunk) / BLOCK as u64),
            writes: scenario.writes,
            ordered: scenario.ordered,
            can_unmap: unit.unmap_granularity.is_some(),
            nexuses: NEXUSES,
        };
        let mut machine = Self {
            swallow: u32::from(scenario.planted == Planted::WriteSwallowed),
            scenario,
            dice,
            now: Time::from_nanos(1_000_000_000),
            region,
            options,
            descriptors,
            stack,
            life: None,
            unfenced: Vec::new(),
            initiator,
            taste,
            answers: Vec::new(),
            filling: Vec::new(),
            calm: false,
            lies_of_the_dead: 0,
            attempts: Attempts::default(),
            hung_since: None,
            deaths: 0,
        };
        machine.life = Some(Life::Runs(Box::new(machine.driver(runner))));
        Ok(machine)
    }

    /// The whole run: tasks with all that may go wrong, then a look at the whole medium.
    pub(crate) fn run(&mut self) -> Result<&Initiator, String> {
        let mut sent = 0;
        let tasks = self.scenario.tasks;
        while sent < tasks || self.busy() {
            self.advance(sent < tasks)?;
            while sent < tasks && self.dice.chance(700) {
                let wanted = Wanted::draw(&mut self.dice, &self.taste);
                if !self.send(wanted)? {
                    break;
                }
                sent += 1;
            }
            self.misfortune();
            self.step()?;
        }
        self.calm = true;
        if let Some(Life::Runs(driver)) = &mut self.life {
            driver.calm();
        }
        let mut lba = 0;
        while lba < self.taste.blocks || self.busy() {
            self.advance(lba < self.taste.blocks)?;
            let blocks = LOOK_BLOCKS.min(self.taste.blocks - lba);
            if blocks > 0 && self.send(Wanted::look(lba, blocks))? {
                lba += blocks;
            }
            self.step()?;
        }
        self.finish()
    }

    /// What the stack names as the cause of deaths, and what it counts.
    pub(crate) fn poison(&mut self) -> (Vec<Poison>, outboard_host::stack::Counters) {
        (self.stack.poison(), self.stack.counters())
    }

    fn finish(&mut self) -> Result<&Initiator, String> {
        // What a lie has put into quarantine comes back with a restart.
        if self.scenario.lies.0 > 0 {
            self.kill();
            while !matches!(self.life, Some(Life::Runs(_))) {
                self.advance(false)?;
                self.step()?;
            }
        }
        self.initiator.check_conserved(&self.stack)?;
        let lies = self.lies_of_the_dead
            + match &self.life {
                Some(Life::Runs(driver)) => driver.lies_told(),
                _ => 0,
            };
        let violations = self.stack.counters().violations;
        match violations == lies {
            true => Ok(&self.initiator),
            false => Err(format!("{lies} lies, {violations} violations counted")),
        }
    }

    fn busy(&self) -> bool {
        let i = &self.initiator;
        i.outstanding() + i.managing() + i.held() > 0 || !matches!(self.life, Some(Life::Runs(_)))
    }

    /// The clock goes to the next event, or to the initiator's next command.
    fn advance(&mut self, sends: bool) -> Result<(), String> {
        let mut next = self.stack.next_deadline();
        next = next.min(match &self.life {
            Some(Life::Runs(driver)) => driver.next_event(),
            Some(Life::Fenced(driver, until)) => driver.next_event().min(*until),
            None => Time::NEVER,
        });
        next = self.filling.iter().map(|f| f.0).fold(next, Time::min);
        if sends || self.initiator.held() > 0 {
            next = next.min(self.now.plus_nanos(self.dice.below(100_000)));
        }
        self.now = next.max(self.now.plus_nanos(500));
        match self.now.as_nanos() > RUN_NS {
            true => Err(format!("the run hangs, {} tasks left", self.initiator.outstanding())),
            false => self.initiator.check_ages(self.now),
        }
    }

    /// Sends a command; false if it has to be sent again.
    fn send(&mut self, wanted: Wanted) -> Result<bool, String> {
        match self.initiator.send(self.now, &mut self.stack, wanted)? {
            Sent::Full => Ok(false),
            Sent::Answered => Ok(wanted.kind == Kind::TestUnitReady),
            Sent::Task(cookie) if self.dice.chance(200) => {
                let due = self.now.plus_nanos(self.dice.below(3_000_000));
                self.filling.push((due, cookie));
                Ok(true)
            }
            Sent::Task(cookie) => {
                self.initiator.ready(&mut self.stack, cookie);
                Ok(true)
            }
        }
    }

    /// What nobody asked for, and task management.
    fn misfortune(&mut self) {
        if self.dice.chance(self.scenario.manage) {
            self.initiator.manage(self.now, &mut self.stack, &mut self.dice);
        }
        if self.dice.chance(self.scenario.crash) {
            self.kill();
        }
        if self.dice.chance(self.scenario.hang)
            && let Some(Life::Runs(driver)) = &mut self.life
        {
            // From a hiccup to for ever.
            let ns = 1 << self.dice.between(20, 36);
            driver.hang(self.now.plus_nanos(ns));
        }
    }

    /// One round of everything.
    fn step(&mut self) -> Result<(), String> {
        let now = self.now;
        let due: Vec<u64> = self.filling.iter().filter(|f| f.0 <= now).map(|f| f.1).collect();
        self.filling.retain(|f| f.0 > now);
        for cookie in due {
            self.initiator.ready(&mut self.stack, cookie);
        }
        for driver in &mut self.unfenced {
            driver.linger(now);
        }
        match self.life.take() {
            Some(Life::Runs(driver)) => self.round(driver)?,
            Some(Life::Fenced(mut driver, until)) => {
                driver.linger(now);
                self.stack.turn(now, &mut NoDriver, &mut self.answers).map_err(text)?;
                let early = self.scenario.planted == Planted::NoFence;
                if now >= until || early {
                    self.replace(*driver)?;
                } else {
                    self.life = Some(Life::Fenced(driver, until));
                }
            }
            None => return Err("no driver".to_owned()),
        }
        self.answers.iter().for_each(|answer| self.attempts.ended(answer.cookie));
        self.initiator.answers(&mut self.answers)?;
        self.initiator.managed(&mut self.stack)?;
        while self.initiator.held() > 0 && self.dice.chance(700) {
            let index = self.dice.below(self.initiator.held() as u64) as usize;
            self.initiator.take(&mut self.stack, index)?;
        }
        Ok(())
    }

    /// A round with a driver that runs.
    fn round(&mut self, mut driver: Box<SimulatedDriver>) -> Result<(), String> {
        let now = self.now;
        driver.run(now);
        for id in driver.managed(now) {
            self.stack.confirmed(id);
        }
        self.stack.turn(now, &mut *driver, &mut self.answers).map_err(text)?;
        if self.stack.has_requests() {
            for request in self.stack.requests(&*driver) {
                driver.manage(now, request);
            }
        }
        self.answers.iter().for_each(|answer| self.attempts.ended(answer.cookie));
        self.initiator.answers(&mut self.answers)?;
        for tag in driver.handed_over() {
            self.initiator.handed_over(tag)?;
            if self.scenario.planted == Planted::Nothing {
                self.attempts.handed_over(tag)?;
            }
        }
        let hangs = driver.hangs(now) && self.stack.in_driver() > 0;
        let poisoned = driver.poisoned;
        self.life = Some(Life::Runs(driver));
        self.hung_since = if hangs { self.hung_since.or(Some(now)) } else { None };
        if self.hung_since.is_some_and(|since| now.since(since).as_nanos() > HANG_MAX_NS) {
            return Err("a driver hangs, and nobody kills it".to_owned());
        }
        if poisoned || self.stack.unfit().is_some() {
            self.kill();
        }
        Ok(())
    }

    /// The driver dies, or is killed because it is unfit.
    fn kill(&mut self) {
        self.life = match self.life.take() {
            Some(Life::Runs(mut driver)) => {
                self.deaths += 1;
                self.stack.driver_lost();
                self.lies_of_the_dead += driver.lies_told();
                self.swallow = driver.swallow;
                driver.die(self.now);
                // The fence, and the start of a successor.
                let longest = if self.dice.chance(100) { 2_000_000_000 } else { 60_000_000 };
                let until = self.now.plus_nanos(self.dice.between(100_000, longest));
                Some(Life::Fenced(driver, until))
            }
            other => other,
        };
    }

    /// A successor takes over.
    fn replace(&mut self, mut dead: SimulatedDriver) -> Result<(), String> {
        self.stack.driver_fenced(self.now, &mut dead, &mut self.answers);
        // Not what has ended: the data of a comparison is looked at after its end.
        if self.scenario.scribbles {
            self.scribble(&dead)?;
        }
        self.answers.iter().for_each(|answer| self.attempts.ended(answer.cookie));
        self.attempts.died();
        self.hung_since = None;
        let (_, _, runner) = incarnation(&self.options, &self.descriptors, &self.region)?;
        let mut driver = self.driver(runner);
        self.stack.driver_replaced(self.now);
        match self.scenario.planted {
            Planted::NoFence => self.unfenced.push(dead),
            Planted::OvertakenRepeated => {
                for (entry, nexus, task) in dead.unanswered() {
                    driver.repeat(entry, nexus, &task);
                }
            }
            _ => {}
        }
        self.life = Some(Life::Runs(Box::new(driver)));
        Ok(())
    }

    /// What the dead driver has done to the data of the tasks it had.
    fn scribble(&mut self, dead: &SimulatedDriver) -> Result<(), String> {
        for (_, _, task) in dead.unanswered() {
            let len = task.requested_transfer_count;
            if task.transfer_direction == 1 && len > 0 && self.dice.chance(500) {
                let at = task.buffer_iovm_addr + self.dice.below(len);
                let mut byte = [0];
                self.region.memory().read(at, &mut byte).map_err(text)?;
                let spoiled = [byte[0] ^ (1 << self.dice.below(8))];
                self.region.memory().write(at, &spoiled).map_err(text)?;
            }
        }
        Ok(())
    }

    fn driver(&mut self, runner: Runner) -> SimulatedDriver {
        let (most, per_mille) = if self.calm { (0, 0) } else { self.scenario.lies };
        let liar = Liar::new(Dice::new(self.dice.next()), per_mille, most);
        let dice = Dice::new(self.dice.next());
        let mut driver = SimulatedDriver::new(runner, self.region.clone(), dice, liar);
        driver.swallow = self.swallow;
        driver.poison = self.scenario.poison;
        driver
    }
}

/// The real driver, started anew over the same disks: what it reports, and its queue.
fn incarnation(
    options: &serde_json::Value,
    descriptors: &[OwnedFd],
    region: &Region,
) -> Result<(HbaReport, Vec<u32>, Runner), String> {
    let copies: Result<Vec<_>, _> = descriptors.iter().map(OwnedFd::try_clone).collect();
    let mut startup = Startup {
        options: options.clone(),
        descriptors: copies.map_err(text)?,
        queues: DispatchQueues::default(),
    };
    let mut controller = ArrayController::simulated();
    let report = controller.initialize(&mut startup).map_err(text)?;
    let slots = region.layout().slots();
    let identifiers = (0..slots).map(|s| controller.map_hba_data(s as u16)).collect();
    let setup = QueueSetup { index: 0, region: region.clone(), mapped: true };
    let queue = controller.open_queue(&setup).map_err(text)?;
    controller.start().map_err(text)?;
    Ok((report, identifiers, Runner::new(Box::new(queue), &setup)))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
