//! The whole host on a virtual clock: one stack, one initiator, disks, and a driver that dies and
//! comes back.

use std::os::fd::OwnedFd;

use outboard_disk::Limits;
use outboard_hba::HbaReport;
use outboard_host::channel::{Bundled, Channel};
use outboard_host::ledger::SlotState;
use outboard_host::stack::{Answer, Stack, StateRecord};
use outboard_raid::Geometry;
use outboard_scsi::Lun;
use outboard_slots::spin::Advice;
use outboard_slots::{Queue, Region, Time};

use crate::attempts::Attempts;
use crate::audit::Audit;
use crate::dice::Dice;
use crate::driver::{Round, SimulatedDriver};
use crate::fault::{Coverage, Fault};
use crate::initiator::{BLOCK, Initiator, Kind, Sent, Tally, Taste, Wanted};
use crate::make::{describe, incarnation, new_region, replace, text};
use crate::medium::Medium;
use crate::scenario::Scenario;

const NEXUSES: u64 = 2;
/// Virtual time without an end of a task after which a run hangs, ns.
const STILL_NS: u64 = 120_000_000_000;
/// Blocks of a read that looks at the medium at the end.
const LOOK_BLOCKS: u64 = 4;
/// Longest time between two rounds of a host that is awake, ns.
const ROUND_NS: u64 = 5_000;
const WAKE_NS: u64 = 60_000;
/// A task is the likely cause of a driver's death so many times before it ends.
const POISON_DEATHS: u32 = 3;

/// Where a driver's life stands.
enum Life {
    Runs(Box<SimulatedDriver>),
    /// dead, and the host has not seen it
    Died(Time),
    /// seen; the fence and the start of a successor take until then at least
    Fenced(Time),
}

pub(crate) struct Machine {
    scenario: Scenario,
    dice: Dice,
    now: Time,
    media: Vec<Medium>,
    geometry: Option<Geometry>,
    options: serde_json::Value,
    descriptors: Vec<OwnedFd>,
    world: World,
    life: Life,
    initiator: Initiator,
    taste: Taste,
    answers: Vec<Answer>,
    /// tasks whose data has not come yet
    filling: Vec<(Time, u64)>,
    /// records on their way to their medium
    keeping: Vec<(Time, StateRecord)>,
    next_send: Time,
    /// nothing can be sent until a slot and a buffer come back
    full: bool,
    /// the task that kills drivers, and how many it has killed
    poison: Option<(u64, u32)>,
    arms_poison: bool,
    attempts: Attempts,
    /// tags that the host has named as poison
    pub(crate) poisoned: Vec<u64>,
    /// everything goes well from now on
    calm: bool,
    last_end: Time,
    pub(crate) deaths: u64,
    pub(crate) coverage: Coverage,
    fired: Vec<Fault>,
}

/// The host process, as far as it dies with it.
struct World {
    region: Region,
    stack: Stack,
    channel: Bundled,
    audit: Audit,
    next_round: Time,
    /// in its wait
    asleep: bool,
}

impl Machine {
    pub(crate) fn new(scenario: Scenario, mut dice: Dice) -> Result<Self, String> {
        let (options, descriptors, limits) = describe(&scenario)?;
        let lens: Vec<u64> = limits.iter().map(Limits::len_bytes).collect();
        let geometry = scenario.array.map(|spec| Geometry::new(&spec, &lens));
        let geometry = geometry.transpose().map_err(text)?;
        let media: Vec<_> = limits
            .iter()
            .map(|limits| {
                let limits = Limits { volatile_cache: scenario.volatile, ..*limits };
                Medium::new(limits, scenario.takes, Dice::new(dice.next()))
            })
            .collect();
        if scenario.planted == "world: damage is not told" {
            media.iter().for_each(Medium::say_nothing);
        }
        let region = new_region(&scenario)?;
        let (report, identifiers, runner) =
            incarnation(&options, &descriptors, &region, replace(&media))?;
        let mut world = World::new(region, &report, &identifiers)?;
        let unit = report.targets.first().and_then(|t| t.units.first()).ok_or("no unit")?;
        let memory = world.region.memory().clone();
        let rules = scenario.rules();
        let stack = &mut world.stack;
        let initiator = Initiator::new(stack, memory, 0, unit.blocks, NEXUSES, rules)?;
        let taste = Taste {
            blocks: unit.blocks,
            chunk: scenario.array.map_or(16, |a| u64::from(a.chunk) / BLOCK as u64),
            writes: scenario.writes,
            ordered: scenario.ordered,
            can_unmap: unit.unmap_granularity.is_some(),
            nexuses: NEXUSES,
            most: scenario.most,
        };
        let now = Time::from_nanos(1_000_000_000);
        let queue = world.queue()?;
        let driver = SimulatedDriver::new(runner, queue, Dice::new(dice.next()));
        let mut machine = Self {
            scenario,
            dice,
            now,
            media,
            geometry,
            options,
            descriptors,
            world,
            life: Life::Runs(Box::new(driver)),
            initiator,
            taste,
            answers: Vec::new(),
            filling: Vec::new(),
            keeping: Vec::new(),
            next_send: now,
            full: false,
            poison: None,
            arms_poison: false,
            attempts: Attempts::default(),
            poisoned: Vec::new(),
            calm: false,
            last_end: now,
            deaths: 0,
            coverage: Coverage::default(),
            fired: Vec::new(),
        };
        machine.make_mistakes();
        Ok(machine)
    }

    fn make_mistakes(&mut self) {
        let one = |name| u32::from(self.scenario.planted == name);
        self.initiator.mistakes = crate::initiator::Mistakes {
            lose: one("world: an answer is lost"),
            repeat: one("world: an answer comes twice"),
            keep: one("world: a slot is kept"),
        };
    }

    /// The whole run: tasks with all that may go wrong, then a look at the whole medium.
    pub(crate) fn run(&mut self) -> Result<Tally, String> {
        let mut left = self.scenario.tasks;
        while left > 0 || self.busy() {
            let sends = left > 0;
            self.advance(sends)?;
            self.misfortune()?;
            self.step(&mut |machine| {
                while left > 0 && machine.now >= machine.next_send {
                    let wanted = Wanted::draw(&mut machine.dice, &machine.taste);
                    if !machine.send(wanted)? {
                        break;
                    }
                    left -= 1;
                    if machine.dice.chance(200) {
                        let gap = 1 << machine.dice.between(8, 18);
                        machine.next_send = machine.now.plus_nanos(gap);
                    }
                }
                Ok(())
            })?;
        }
        self.calm_down();
        let mut lba = 0;
        while lba < self.taste.blocks || self.busy() {
            self.advance(lba < self.taste.blocks)?;
            self.step(&mut |machine| {
                while lba < machine.taste.blocks {
                    let blocks = LOOK_BLOCKS.min(machine.taste.blocks - lba);
                    if !machine.send(Wanted::look(lba, blocks))? {
                        break;
                    }
                    lba += blocks;
                }
                Ok(())
            })?;
        }
        self.finish()?;
        Ok(self.initiator.tally)
    }

    fn calm_down(&mut self) {
        self.calm = true;
        self.poison = None;
        self.media.iter().for_each(Medium::calm);
        if let Life::Runs(driver) = &mut self.life {
            driver.calm();
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        // What a lie has put into quarantine comes back with a restart.
        if self.world.stack.slot_states().any(|s| s == SlotState::Quarantined) {
            self.kill();
            while !matches!(self.life, Life::Runs(_)) {
                self.advance(false)?;
                self.step(&mut |_| Ok(()))?;
            }
        }
        self.initiator.check_conserved(&self.world.stack)
    }

    fn busy(&self) -> bool {
        let i = &self.initiator;
        i.outstanding() + i.managing() + i.held() > 0 || !matches!(self.life, Life::Runs(_))
    }

    /// The clock goes to the next event.
    fn advance(&mut self, sends: bool) -> Result<(), String> {
        let host = match sends && !self.full {
            // What comes from the network wakes the host.
            true => self.world.next_round.min(self.next_send.max(self.now)),
            false => self.world.next_round,
        };
        let driver = match &self.life {
            Life::Runs(driver) => driver.next_event(),
            Life::Died(until) => *until,
            Life::Fenced(until) => {
                let landing = self.media.iter().map(Medium::next_landing).min();
                match self.media.iter().any(Medium::is_haunted) {
                    true => landing.unwrap_or(Time::NEVER),
                    false => *until,
                }
            }
        };
        let filled = self.filling.iter().map(|f| f.0).min().unwrap_or(Time::NEVER);
        let kept = self.keeping.iter().map(|k| k.0).min().unwrap_or(Time::NEVER);
        let next = host.min(driver).min(filled).min(kept);
        self.now = next.max(self.now.plus_nanos(100));
        if self.now.since(self.last_end).as_nanos() > u128::from(STILL_NS) {
            return Err(format!("the run hangs, {} tasks left", self.initiator.outstanding()));
        }
        self.initiator.check_ages(self.now)
    }

    /// Sends a command; false if it has to be sent again.
    fn send(&mut self, wanted: Wanted) -> Result<bool, String> {
        match self.initiator.send(self.now, &mut self.world.stack, wanted)? {
            Sent::Full => {
                self.full = true;
                Ok(false)
            }
            Sent::Answered => Ok(wanted.kind == Kind::TestUnitReady),
            Sent::Task(cookie) => {
                if std::mem::take(&mut self.arms_poison) {
                    self.poison = Some((cookie, 0));
                    if let Life::Runs(driver) = &mut self.life {
                        driver.poison = Some(cookie);
                    }
                }
                if self.dice.chance(200) {
                    let due = self.now.plus_nanos(self.dice.below(300_000));
                    self.filling.push((due, cookie));
                } else {
                    self.initiator.ready(&mut self.world.stack, cookie);
                }
                Ok(true)
            }
        }
    }

    /// What nobody asked for.
    fn misfortune(&mut self) -> Result<(), String> {
        if self.calm || self.dice.below(100_000) >= self.scenario.trouble {
            return Ok(());
        }
        let Some(fault) = self.dice.pick(&self.scenario.faults) else { return Ok(()) };
        match fault {
            Fault::PowerLoss | Fault::HostDeath => {
                // Rarely: each costs a whole host.
                if self.dice.chance(200) {
                    self.fired.push(fault);
                    self.note_fired()?;
                    self.begin_anew(fault == Fault::PowerLoss)?;
                }
            }
            Fault::Poison => {
                let over = self.poison.is_none_or(|(task, _)| !self.initiator.has(task));
                self.arms_poison = over;
            }
            Fault::LandsAfterDeath => {}
            disk if disk.is_of_disk() => {
                let at = self.dice.below(self.media.len() as u64) as usize;
                if let Some(medium) = self.media.get(at) {
                    medium.arm(disk);
                }
            }
            other => {
                if let Life::Runs(driver) = &mut self.life {
                    driver.arm(self.now, other);
                }
            }
        }
        Ok(())
    }

    /// Everything that happens now.
    fn step(
        &mut self,
        front: &mut dyn FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let now = self.now;
        for medium in &self.media {
            medium.land(now);
        }
        if let Life::Runs(driver) = &mut self.life {
            let round = driver.run(now);
            driver.fired(&mut self.fired);
            let rung = driver.has_rung();
            if rung && self.world.asleep {
                let wake = now.plus_nanos(self.dice.below(WAKE_NS));
                self.world.next_round = self.world.next_round.min(wake);
            }
            if round == Round::Died {
                self.driver_died();
            }
        }
        self.note_fired()?;
        let due = self.filling.iter().any(|f| f.0 <= now)
            || self.keeping.iter().any(|k| k.0 <= now)
            || (now >= self.next_send && !self.full)
            || now >= self.world.next_round;
        if due {
            self.round(front)?;
        }
        match self.life {
            Life::Died(until) if now >= until => self.see_death(),
            Life::Fenced(until) if now >= until && self.is_fenced() => self.replace()?,
            _ => {}
        }
        Ok(())
    }

    /// What has gone wrong is counted, and what the disks have spoiled is told.
    fn note_fired(&mut self) -> Result<(), String> {
        for number in 0..self.media.len() {
            let Some(medium) = self.media.get(number) else { continue };
            medium.fired(&mut self.fired);
            for block in medium.damaged() {
                let lba = match &self.geometry {
                    None => Some(block),
                    Some(geometry) => geometry
                        .offset_of(number, block * BLOCK as u64)
                        .map(|offset| offset / BLOCK as u64),
                };
                if let Some(lba) = lba {
                    self.initiator.damage(lba);
                }
            }
        }
        for fault in self.fired.drain(..) {
            self.coverage.note(fault, self.world.stack.slot_states());
            if fault == Fault::Poison
                && let Some((task, killed)) = &mut self.poison
            {
                *killed += 1;
                if *killed > POISON_DEATHS {
                    return Err(format!("task {task} has killed {killed} drivers"));
                }
            }
        }
        Ok(())
    }

    /// One round of the host's thread: network, stack, answers, and perhaps sleep.
    fn round(
        &mut self,
        front: &mut dyn FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let now = self.now;
        if std::mem::take(&mut self.world.asleep) {
            self.world.channel.withdraw();
        }
        self.receive()?;
        front(self)?;
        if self.dice.chance(self.scenario.manage) && !self.calm {
            self.initiator.manage(now, &mut self.world.stack, &mut self.dice);
        }
        if let Life::Runs(driver) = &mut self.life {
            while let Some(id) = driver.managed(now) {
                self.world.stack.confirmed(id);
            }
        }
        let moved = self.turn()?;
        for record in self.world.stack.state_records() {
            let due = now.plus_nanos(self.dice.below(500_000));
            self.keeping.push((due, record));
        }
        if let Life::Runs(driver) = &mut self.life {
            if self.world.stack.has_requests() {
                for request in self.world.stack.requests(&self.world.channel) {
                    driver.manage(now, request);
                }
            }
            driver.listen(now);
            if self.world.stack.unfit().is_some() {
                self.kill();
            }
        }
        self.rest(moved);
        if let Life::Runs(driver) = &mut self.life {
            // Before it sleeps the host makes up for the doorbell that it has put off.
            driver.listen(now);
        }
        Ok(())
    }

    /// What comes from the network and from the state file.
    fn receive(&mut self) -> Result<(), String> {
        let now = self.now;
        while let Some(at) = self.filling.iter().position(|f| f.0 <= now) {
            let (_, cookie) = self.filling.remove(at);
            self.initiator.ready(&mut self.world.stack, cookie);
        }
        while let Some(at) = self.keeping.iter().position(|k| k.0 <= now) {
            let (_, record) = self.keeping.remove(at);
            self.world.stack.state_kept(&record, true);
        }
        while self.initiator.held() > 0 && self.dice.chance(850) {
            let index = self.dice.below(self.initiator.held() as u64) as usize;
            self.initiator.take(&mut self.world.stack, index)?;
            self.full = false;
        }
        Ok(())
    }

    /// A turn of the stack, and a look at what it did.
    fn turn(&mut self) -> Result<bool, String> {
        let world = &mut self.world;
        let attached = !matches!(self.life, Life::Fenced(_));
        let before = world.stack.counters().violations;
        let expected = if attached { world.audit.reap() } else { 0 };
        let moved =
            world.stack.turn(self.now, &mut world.channel, &mut self.answers).map_err(text)?;
        let found = world.stack.counters().violations - before;
        self.compare(expected, found)?;
        if !self.answers.is_empty() {
            self.last_end = self.now;
        }
        self.answers.iter().for_each(|answer| self.attempts.ended(answer.cookie));
        self.initiator.answers(&mut self.answers)?;
        let (initiator, world) = (&mut self.initiator, &mut self.world);
        let attempts = &mut self.attempts;
        // A planted mistake is somebody else's to find: each has a checker of its own.
        let counts = self.scenario.planted.is_empty();
        world.audit.learn(|tag| {
            initiator.handed_over(tag)?;
            if counts { attempts.handed_over(tag) } else { Ok(()) }
        })?;
        self.poisoned.extend(world.stack.poison().iter().map(|poison| poison.tag));
        initiator.managed(&mut world.stack)?;
        Ok(moved)
    }

    /// The next round comes soon, or when something wakes the host.
    fn rest(&mut self, moved: bool) {
        let world = &mut self.world;
        let soon = self.now.plus_nanos(200 + self.dice.below(ROUND_NS));
        world.next_round = soon;
        if moved || self.initiator.held() > 0 {
            return;
        }
        let until = world.stack.next_deadline();
        let outstanding = world.stack.in_driver();
        if !matches!(self.life, Life::Runs(_)) {
            world.next_round = until.max(soon);
            return;
        }
        match world.channel.advise(self.now, until, outstanding) {
            Advice::Spin => {}
            Advice::SleepUntil(end) => {
                let empty = world.channel.announce().is_some();
                world.asleep = true;
                world.next_round = if empty { end.max(soon) } else { soon };
            }
        }
    }

    fn driver_died(&mut self) {
        self.deaths += 1;
        self.media.iter().for_each(Medium::orphan);
        let until = self.now.plus_nanos(self.dice.below(50_000));
        self.life = Life::Died(until);
    }

    /// The host sees that the driver is dead.
    fn see_death(&mut self) {
        self.world.stack.driver_lost();
        // The fence, and the start of a successor.
        let longest = if self.dice.chance(100) { 1_000_000_000 } else { 60_000_000 };
        let mut until = self.now.plus_nanos(self.dice.between(100_000, longest));
        if self.scenario.planted == "world: no fence" {
            until = self.now;
        }
        self.life = Life::Fenced(until);
    }

    /// The host kills the driver because it is unfit.
    fn kill(&mut self) {
        if matches!(self.life, Life::Runs(_)) {
            self.driver_died();
            self.see_death();
        }
    }

    fn is_fenced(&self) -> bool {
        self.scenario.planted == "world: no fence" || !self.media.iter().any(Medium::is_haunted)
    }

    /// A successor takes over.
    fn replace(&mut self) -> Result<(), String> {
        self.drain()?;
        self.world.renew(self.scenario.planted == "world: rings not renewed")?;
        self.attach_driver()?;
        self.world.stack.driver_replaced(self.now);
        self.world.next_round = self.now;
        Ok(())
    }

    /// What the dead driver had completed ends by that.
    fn drain(&mut self) -> Result<(), String> {
        let world = &mut self.world;
        let before = world.stack.counters().violations;
        let expected = world.audit.drain();
        world.stack.driver_fenced(self.now, &mut world.channel, &mut self.answers);
        let found = world.stack.counters().violations - before;
        self.compare(expected, found)?;
        self.answers.iter().for_each(|answer| self.attempts.ended(answer.cookie));
        self.attempts.died();
        self.initiator.answers(&mut self.answers)
    }

    /// Violations that the host must have found, and those that it has.
    fn compare(&self, expected: u64, found: u64) -> Result<(), String> {
        if found != expected {
            return Err(format!(
                "{expected} violations in this round, {found} counted; the last: {:?}",
                self.world.stack.violations().last()
            ));
        }
        match expected > 0 && !self.scenario.faults.iter().any(|f| f.is_lie()) {
            true => Err("violations, and no lie was told".to_owned()),
            false => Ok(()),
        }
    }

    fn attach_driver(&mut self) -> Result<(), String> {
        let replace = replace(&self.media);
        let (.., runner) =
            incarnation(&self.options, &self.descriptors, &self.world.region, replace)?;
        let dice = Dice::new(self.dice.next());
        let mut driver = SimulatedDriver::new(runner, self.world.queue()?, dice);
        driver.poison = self.poison.map(|p| p.0);
        self.life = Life::Runs(Box::new(driver));
        Ok(())
    }

    /// The host process is gone; its successor begins with nothing but the disks.
    fn begin_anew(&mut self, power: bool) -> Result<(), String> {
        self.media.iter().for_each(Medium::orphan);
        if power {
            self.media.iter().for_each(Medium::lose_power);
        }
        while let Some(next) = self.media.iter().map(Medium::next_landing).min()
            && next != Time::NEVER
        {
            self.now = self.now.max(next);
            self.media.iter().for_each(|medium| medium.land(next));
        }
        self.note_fired()?;
        self.full = false;
        self.filling.clear();
        self.keeping.clear();
        self.answers.clear();
        self.poison = None;
        self.attempts = Attempts::default();
        let region = new_region(&self.scenario)?;
        let (report, identifiers, runner) =
            incarnation(&self.options, &self.descriptors, &region, replace(&self.media))?;
        self.world = World::new(region, &report, &identifiers)?;
        self.now = self.now.plus_nanos(self.dice.between(1_000_000, 1_000_000_000));
        let memory = self.world.region.memory().clone();
        self.initiator.begin_anew(&mut self.world.stack, memory, power)?;
        let dice = Dice::new(self.dice.next());
        let driver = SimulatedDriver::new(runner, self.world.queue()?, dice);
        self.life = Life::Runs(Box::new(driver));
        self.last_end = self.now;
        self.world.next_round = self.now;
        Ok(())
    }
}

impl World {
    fn new(region: Region, report: &HbaReport, identifiers: &[u32]) -> Result<Self, String> {
        let mut stack = Stack::new(report, 0, identifiers, &region, 0).map_err(text)?;
        stack.target_mut().restore(Lun::ZERO, &[]).map_err(text)?;
        let channel = Bundled::new(region.clone(), 0, false).ok_or("no queue")?;
        let audit = Audit::new(Queue::new(region.clone(), 0).ok_or("no queue")?);
        Ok(Self { region, stack, channel, audit, next_round: Time::ZERO, asleep: false })
    }

    fn queue(&self) -> Result<Queue, String> {
        Queue::new(self.region.clone(), 0).ok_or_else(|| "no queue".to_owned())
    }

    /// Fresh rings for a successor.
    fn renew(&mut self, mistaken: bool) -> Result<(), String> {
        if !mistaken {
            self.region.renew().map_err(text)?;
        }
        self.channel = Bundled::new(self.region.clone(), 0, false).ok_or("no queue")?;
        self.audit = Audit::new(self.queue()?);
        self.asleep = false;
        Ok(())
    }
}
