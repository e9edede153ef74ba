//! Order: task attributes, and task management functions that end after the tasks they concern.

use outboard_host::stack::{Function, Stack};
use outboard_scsi::TaskAttribute;
use outboard_slots::Time;

use super::{Initiator, Task};
use crate::dice::Dice;

impl Initiator {
    /// SAM-6 8: an ORDERED task ends after everything older, and before everything younger but HEAD
    /// OF QUEUE tasks.
    pub(super) fn in_order(&self, cookie: u64, task: &Task) -> Result<(), String> {
        let older = |(_, other): &(&u64, &Task)| other.age.is_some_and(|age| Some(age) < task.age);
        for (id, other) in self.tasks.iter().filter(older) {
            let breach = match task.wanted.attribute {
                TaskAttribute::Ordered => true,
                TaskAttribute::Simple => other.wanted.attribute == TaskAttribute::Ordered,
                _ => false,
            };
            if breach {
                return Err(format!("task {cookie} ended before the older task {id}: {other:?}"));
            }
        }
        Ok(())
    }

    /// Begins some task management function.
    pub(crate) fn manage(&mut self, now: Time, stack: &mut Stack, dice: &mut Dice) {
        let victim = dice.below(self.tasks.len() as u64) as usize;
        let Some((&tag, task)) = self.tasks.iter().nth(victim) else { return };
        let by = task.wanted.nexus;
        let Some(&nexus) = self.nexuses.get(by) else { return };
        let lun = self.lun;
        let of_nexus: Vec<u64> =
            self.tasks.iter().filter(|(_, t)| t.wanted.nexus == by).map(|(id, _)| *id).collect();
        let all: Vec<u64> = self.tasks.keys().copied().collect();
        let (function, tasks) = match dice.below(10) {
            0..=5 => (Function::AbortTask { nexus, lun, tag }, vec![tag]),
            6 | 7 => (Function::AbortTaskSet { nexus, lun }, of_nexus),
            8 => (Function::ClearTaskSet { nexus, lun }, all),
            _ if dice.chance(700) => (Function::LogicalUnitReset { lun }, all),
            _ => (Function::TargetReset, all),
        };
        self.begin_function(now, stack, function, &tasks);
    }

    /// Takes the ends of functions in; call it after the answers of the same turn.
    pub(crate) fn managed(&mut self, stack: &mut Stack) -> Result<(), String> {
        for answer in stack.managed() {
            let Some((_, first)) = self.functions.remove(&answer.cookie) else {
                return Err(format!("function {} ended twice", answer.cookie));
            };
            if let Some(left) = first.iter().find(|id| self.tasks.contains_key(id)) {
                return Err(format!(
                    "function {} ended before task {left}, which it aborts",
                    answer.cookie
                ));
            }
        }
        Ok(())
    }
}
