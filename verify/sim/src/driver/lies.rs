//! What the simulated driver tells the host besides the truth.

use outboard_slots::{Entry, ResponseHead, Time};

use super::SimulatedDriver;
use crate::fault::Fault;

/// Something that the driver does later than it should.
pub(super) enum Late {
    /// it completes a task again
    Again(Entry),
    /// it writes over a response
    Scribble(u16),
}

impl SimulatedDriver {
    /// A completion goes on the ring, or something else does.
    pub(super) fn complete(&mut self, now: Time, entry: Entry) {
        let lie = self.take_armed(Fault::is_lie);
        let Some(lie) = lie else { return self.push(entry) };
        self.fired.push(lie);
        let (slot, generation) = (entry.index(), entry.generation());
        let slots = self.queue.region().layout().slots() as u16;
        // The truth comes as well as a rule: else it takes the ladder to get rid of the task.
        let also = self.dice.chance(800);
        match lie {
            Fault::DoubleCompletion => {
                self.push(entry);
                match self.dice.chance(400) {
                    true => self.push(entry),
                    false => {
                        let due = now.plus_nanos(1 << self.dice.between(10, 22));
                        self.late.push((due, Late::Again(entry)));
                    }
                }
            }
            Fault::WrongIndex => {
                // Never one that another task has by chance: that lie nobody could tell.
                let wrong = match self.dice.chance(500) {
                    true => Entry::new(slots + self.dice.below(100) as u16, generation),
                    false => Entry::new((slot + 1) % slots, generation | 1 << 46),
                };
                self.push(wrong);
                if also {
                    self.push(entry);
                }
            }
            Fault::WrongGeneration => {
                let other = match self.dice.chance(500) {
                    true => generation.wrapping_sub(1),
                    false => generation ^ 1 << self.dice.below(40),
                };
                self.push(Entry::new(slot, other));
                if also {
                    self.push(entry);
                }
            }
            Fault::Rewritten => {
                self.push(entry);
                let due = now.plus_nanos(self.dice.below(200_000));
                self.late.push((due, Late::Scribble(slot)));
            }
            Fault::RingJump => {
                self.push(entry);
                self.jump = match self.dice.chance(500) {
                    true => self.dice.between(1, 3) as u32,
                    false => self.dice.next() as u32,
                };
            }
            lie => {
                let honest = self.queue.region().read_response(slot);
                let lie = honest.map(|head| self.alter(lie, head));
                if let Some(head) = lie {
                    self.queue.region().write_response(slot, &head);
                }
                self.push(entry);
            }
        }
    }

    /// A response that cannot be, while the task still goes on: its buffer must not be used again.
    pub(super) fn answer_early(&mut self, bundle: &[Entry]) {
        let going_on = |entry: &Entry| !self.staged.contains(entry);
        let Some(entry) = bundle.iter().copied().find(going_on) else { return };
        let lies = |f| matches!(f, Fault::WrongVersion | Fault::WrongStatus | Fault::WrongBytes);
        if !self.armed.iter().any(|fault| lies(*fault)) || !self.dice.chance(500) {
            return;
        }
        let (slot, region) = (entry.index(), self.queue.region().clone());
        let (Some(lie), Some(task)) = (self.take_armed(lies), region.read_task(slot)) else {
            return;
        };
        let head = ResponseHead {
            target_id: task.target_id,
            controller_task_identifier: task.controller_task_identifier,
            ..ResponseHead::EMPTY
        };
        let head = self.alter(lie, head);
        region.write_response(slot, &head);
        self.fired.push(lie);
        self.push(entry);
    }

    fn alter(&mut self, lie: Fault, head: ResponseHead) -> ResponseHead {
        match lie {
            Fault::WrongVersion => {
                let version = self.dice.pick(&[0, 2, u64::MAX]).unwrap_or(0);
                ResponseHead { version, ..head }
            }
            Fault::WrongIdentifier if self.dice.chance(300) => {
                ResponseHead { target_id: head.target_id + 1, ..head }
            }
            Fault::WrongIdentifier => {
                ResponseHead { controller_task_identifier: self.dice.next(), ..head }
            }
            Fault::WrongBytes => {
                ResponseHead { bytes_transferred: (1 << 30) + self.dice.below(1 << 40), ..head }
            }
            _ => ResponseHead { service_response: 7, ..head },
        }
    }

    /// What it should not do any more.
    pub(super) fn be_late(&mut self, now: Time) {
        while let Some(at) = self.late.iter().position(|l| l.0 <= now) {
            match self.late.swap_remove(at).1 {
                Late::Again(entry) => {
                    self.fired.push(Fault::DoubleCompletion);
                    self.push(entry);
                    self.publish();
                }
                Late::Scribble(slot) => {
                    self.fired.push(Fault::Rewritten);
                    let lie = ResponseHead { version: 99, ..ResponseHead::EMPTY };
                    self.queue.region().write_response(slot, &lie);
                }
            }
        }
    }
}
