//! A driver's lies: completions that cannot be what they say.

use outboard_host::channel::Completed;
use outboard_slots::{Entry, Time};

use crate::initiator::Dice;

/// What comes of a completion besides the truth.
pub(crate) enum Lie {
    /// in its place
    Instead(Completed),
    /// after it
    Also(Completed),
}

/// Tells lies, each of which the host must count as one violation.
pub(crate) struct Liar {
    dice: Dice,
    per_mille: u64,
    left: u64,
    /// second completions that come later, when the slot may be in use again
    late: Vec<(Time, Completed)>,
    pub(crate) told: u64,
}

impl Liar {
    /// At most `left` lies, about `per_mille` of 1000 completions.
    pub(crate) fn new(dice: Dice, per_mille: u64, left: u64) -> Self {
        Self { dice, per_mille, left, late: Vec::new(), told: 0 }
    }

    /// No more lies, but for those that are on their way.
    pub(crate) fn calm(&mut self) {
        self.left = 0;
    }

    /// Not even those.
    pub(crate) fn die(&mut self) {
        self.left = 0;
        self.late.clear();
    }

    /// A lie about `honest`, now and then.
    pub(crate) fn lie(&mut self, now: Time, honest: Completed, slots: u32) -> Option<Lie> {
        if self.left == 0 || !self.dice.chance(self.per_mille) {
            return None;
        }
        self.left -= 1;
        let Completed { entry, head } = honest;
        let told = |lie| Completed { head: lie, ..honest };
        let lie = match self.dice.below(8) {
            0 => Lie::Also(honest),
            1 => {
                let due = now.plus_nanos(self.dice.below(2_000_000));
                self.late.push((due, honest));
                return None;
            }
            2 => {
                let wrong = entry.generation() ^ 1 << self.dice.below(40);
                Lie::Instead(Completed { entry: Entry::new(entry.index(), wrong), head })
            }
            3 => {
                let beyond = slots as u16 + self.dice.below(100) as u16;
                Lie::Instead(Completed { entry: Entry::new(beyond, entry.generation()), head })
            }
            4 => {
                let version = [0, 2, u64::MAX][self.dice.below(3) as usize];
                Lie::Instead(told(outboard_slots::ResponseHead { version, ..head }))
            }
            5 => {
                let controller_task_identifier = self.dice.next();
                let lie = outboard_slots::ResponseHead { controller_task_identifier, ..head };
                Lie::Instead(told(lie))
            }
            6 => {
                let bytes_transferred = (1 << 40) + self.dice.below(1 << 40);
                Lie::Instead(told(outboard_slots::ResponseHead { bytes_transferred, ..head }))
            }
            _ => {
                let service_response = 7;
                Lie::Instead(told(outboard_slots::ResponseHead { service_response, ..head }))
            }
        };
        self.told += 1;
        Some(lie)
    }

    /// Second completions that are due.
    pub(crate) fn late(&mut self, now: Time, completed: &mut Vec<Completed>) {
        let told = &mut self.told;
        self.late.retain(|(due, lie)| {
            if *due <= now {
                *told += 1;
                completed.push(*lie);
            }
            *due > now
        });
    }

    pub(crate) fn next_event(&self) -> Time {
        self.late.iter().map(|l| l.0).min().unwrap_or(Time::NEVER)
    }
}
