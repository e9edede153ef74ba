//! What happens at one moment: the driver's round, the host's round, and when the next comes.

use outboard_host::channel::Channel;
use outboard_slots::spin::Advice;

use super::{Life, Machine};
use crate::driver::Round;
use crate::make::text;

/// Longest time between two rounds of a host that is awake, ns.
const ROUND_NS: u64 = 5_000;
const WAKE_NS: u64 = 60_000;

impl Machine {
    /// Everything that happens now.
    pub(super) fn step(
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

    /// Violations that the host must have found, and those that it has.
    pub(super) fn compare(&self, expected: u64, found: u64) -> Result<(), String> {
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
}
