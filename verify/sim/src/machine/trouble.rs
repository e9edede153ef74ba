//! What goes wrong: faults drawn, armed and counted.

use super::{Life, Machine};
use crate::fault::Fault;
use crate::initiator::BLOCK;

/// A task is the likely cause of a driver's death so many times before it ends.
const POISON_DEATHS: u32 = 3;

impl Machine {
    /// What nobody asked for.
    pub(super) fn misfortune(&mut self) -> Result<(), String> {
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

    /// What has gone wrong is counted, and what the disks have spoiled is told.
    pub(super) fn note_fired(&mut self) -> Result<(), String> {
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
}
