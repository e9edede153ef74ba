//! The end of a driver and of the whole host, and what comes after them.

use outboard_slots::Time;

use super::{Life, Machine, World};
use crate::attempts::Attempts;
use crate::dice::Dice;
use crate::driver::SimulatedDriver;
use crate::make::{incarnation, new_region, replace};
use crate::medium::Medium;

impl Machine {
    pub(super) fn driver_died(&mut self) {
        self.deaths += 1;
        self.media.iter().for_each(Medium::orphan);
        let until = self.now.plus_nanos(self.dice.below(50_000));
        self.life = Life::Died(until);
    }

    /// The host sees that the driver is dead.
    pub(super) fn see_death(&mut self) {
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
    pub(super) fn kill(&mut self) {
        if matches!(self.life, Life::Runs(_)) {
            self.driver_died();
            self.see_death();
        }
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.scenario.planted == "world: no fence" || !self.media.iter().any(Medium::is_haunted)
    }

    /// A successor takes over.
    pub(super) fn replace(&mut self) -> Result<(), String> {
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
    pub(super) fn begin_anew(&mut self, power: bool) -> Result<(), String> {
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
