//! The whole host on a virtual clock: one stack, one initiator, disks, and a driver that dies and
//! comes back.

mod death;
mod round;
mod trouble;
mod world;

use std::os::fd::OwnedFd;

use outboard_disk::Limits;
use outboard_host::ledger::SlotState;
use outboard_host::stack::{Answer, StateRecord};
use outboard_raid::Geometry;
use outboard_slots::Time;

use self::world::World;
use crate::attempts::Attempts;
use crate::dice::Dice;
use crate::driver::SimulatedDriver;
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
}
