//! Answers: each to a task that has none yet, as a disk may give it, with data as the model has it.

use outboard_host::stack::{Answer, Stack};
use outboard_scsi::{Sense, Status};

use super::model::{BLOCK, ChangeId};
use super::{Held, Initiator, Kind, Task};

impl Initiator {
    /// Takes answers in. What they are held for is up to [`Self::take`].
    pub(crate) fn answers(&mut self, answers: &mut Vec<Answer>) -> Result<(), String> {
        for answer in answers.drain(..) {
            if self.mistakes.lose > 0 && answer.status == Status::Good {
                self.mistakes.lose -= 1;
                continue;
            }
            self.answer(&answer)?;
            if self.mistakes.repeat > 0 {
                self.mistakes.repeat -= 1;
                self.answer(&answer)?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: &Answer) -> Result<(), String> {
        let cookie = answer.cookie;
        let Some(task) = self.tasks.remove(&cookie) else {
            return Err(format!("an answer to task {cookie}, which has none to come: {answer:?}"));
        };
        if answer.slot.is_some_and(|slot| slot != task.slot) {
            return Err(format!("task {cookie} of slot {} ends in {:?}", task.slot, answer.slot));
        }
        let good = answer.status == Status::Good && !answer.aborted;
        if good {
            self.in_order(cookie, &task)?;
        }
        self.judge(cookie, &task, answer)?;
        self.tick += 1;
        let wanted = task.wanted;
        if let Some(change) = task.change {
            // UNMAP is a wish: it may leave blocks as they were.
            let certain = good && wanted.kind != Kind::Unmap;
            let range = (wanted.lba, wanted.blocks);
            self.model.end(self.tick, change, certain, wanted.is_through(), range);
            if good && wanted.kind == Kind::CompareAndWrite {
                self.replaced(&task, change)?;
            } else if wanted.kind == Kind::CompareAndWrite
                && answer.status == Status::CheckCondition
                && !self.rules.failures
            {
                // A difference, and no driver that may have found it in a second try.
                self.model.cancel(change);
            }
        }
        if good && wanted.kind == Kind::SynchronizeCache {
            self.model.synchronized(task.began, wanted.lba, wanted.blocks);
        }
        let slot = answer.slot;
        self.held.push(Held { task, good, slot, ended: self.tick });
        Ok(())
    }

    /// A COMPARE AND WRITE has found what it was given, and nobody else may have.
    fn replaced(&mut self, task: &Task, change: ChangeId) -> Result<(), String> {
        let mut found = vec![0; BLOCK];
        for i in 0..task.wanted.blocks {
            let at = task.offset + i * BLOCK as u64;
            self.memory.read(at, &mut found).map_err(|e| e.to_string())?;
            self.model.check(task.wanted.lba + i, &found, task.began, self.tick)?;
            self.model.replaced(task.wanted.lba + i, &found, change)?;
        }
        Ok(())
    }

    /// Whether a task may end so.
    fn judge(&mut self, cookie: u64, task: &Task, answer: &Answer) -> Result<(), String> {
        let breach =
            |what: &str| Err(format!("task {cookie} ({:?}): {what}: {answer:?}", task.wanted));
        if answer.aborted {
            self.tally.aborted += 1;
            return match task.given_up || self.rules.ladder {
                true => Ok(()),
                false => breach("aborted, and nobody asked for it"),
            };
        }
        match answer.status {
            Status::Good => {
                self.tally.good += 1;
                match answer.transferred == task.wanted.expected() {
                    true => Ok(()),
                    false => breach("it moved another number of bytes"),
                }
            }
            Status::CheckCondition => {
                self.tally.failed += 1;
                let Some(sense) = answer.sense.as_deref().and_then(Sense::parse) else {
                    return breach("no sense data");
                };
                let compares = matches!(task.wanted.kind, Kind::Compare | Kind::CompareAndWrite);
                if compares && sense.is(&Sense::MISCOMPARE) {
                    return self.may_differ(cookie, task);
                }
                match self.rules.failures {
                    true => Ok(()),
                    false => breach("it failed"),
                }
            }
            Status::TaskAborted if self.rules.ladder => {
                self.tally.aborted += 1;
                Ok(())
            }
            _ => breach("a status that cannot be"),
        }
    }

    /// A MISCOMPARE needs a block that may differ from what it was compared with.
    fn may_differ(&self, cookie: u64, task: &Task) -> Result<(), String> {
        let mut found = vec![0; BLOCK];
        for i in 0..task.wanted.blocks {
            let lba = task.wanted.lba + i;
            let at = task.offset + i * BLOCK as u64;
            self.memory.read(at, &mut found).map_err(|e| e.to_string())?;
            let same = self.model.check(lba, &found, task.began, self.tick + 1);
            let possible = self.model.possible(lba, task.began, self.tick + 1);
            let spoiled = self.model.is_spoiled(lba, task.began);
            if same.is_err() || possible.len() > 1 || spoiled {
                return Ok(());
            }
        }
        Err(format!("VERIFY {cookie} finds a difference where there can be none"))
    }

    /// Takes the data of the answer at `index` (modulo their number) and gives the slot back.
    pub(crate) fn take(&mut self, stack: &mut Stack, index: usize) -> Result<(), String> {
        if self.held.is_empty() {
            return Ok(());
        }
        let Held { task, good, slot, ended } = self.held.swap_remove(index % self.held.len());
        if good && matches!(task.wanted.kind, Kind::Read | Kind::Compare) {
            let mut data = vec![0; task.wanted.blocks as usize * BLOCK];
            self.memory.read(task.offset, &mut data).map_err(|e| e.to_string())?;
            for (i, block) in data.chunks(BLOCK).enumerate() {
                self.model.check(task.wanted.lba + i as u64, block, task.began, ended)?;
            }
            self.tally.blocks_read += task.wanted.blocks;
        }
        if self.mistakes.keep > 0 {
            self.mistakes.keep -= 1;
        } else if let Some(slot) = slot {
            stack.finish(slot);
        }
        Ok(())
    }
}
