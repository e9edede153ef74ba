//! One stream of tasks through one path.

use std::time::Duration;

use outboard_hba::Path;
use outboard_raid::ArraySpec;
use outboard_slots::Time;

use crate::attached::Attached;
use crate::dice::Dice;
use crate::initiator::{BLOCK, Initiator, Rules, Sent, Taste, Wanted};

/// Nexuses of the stream's initiator.
const NEXUSES: u64 = 2;
/// A stream takes milliseconds; this long, and something hangs.
const HANG: Duration = Duration::from_secs(20);
/// Most blocks of a command.
const MOST_BLOCKS: u64 = 64;
/// Blocks of a read that looks at the medium at the end.
const LOOK_BLOCKS: u64 = 32;

/// What a stream runs on.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// disk URLs
    pub(crate) members: Vec<String>,
    pub(crate) array: Option<ArraySpec>,
    pub(crate) slots: u16,
    pub(crate) lun: u16,
    /// share of ORDERED and HEAD OF QUEUE tasks, per mille
    pub(crate) ordered: u64,
}

/// One step of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// a command drawn from these dice
    Send(u64),
    /// the same, but its data takes until the next step
    SendLate(u64),
    /// a task management function drawn from these dice
    Manage(u64),
    /// rounds of the stack
    Turn(u8),
}

struct Run {
    attached: Attached,
    initiator: Initiator,
    taste: Taste,
    answers: Vec<outboard_host::stack::Answer>,
    late: Option<u64>,
    began: Time,
}

pub(crate) fn run(path: Path, setup: &Setup, steps: &[Step]) -> Result<(), String> {
    let mut attached = Attached::start(path, setup)?;
    let blocks = attached.unit.blocks;
    let memory = attached.memory.clone();
    let (lun, rules) = (setup.lun, Rules::default());
    let initiator = Initiator::new(&mut attached.stack, memory, lun, blocks, NEXUSES, rules)?;
    let taste = Taste {
        blocks,
        chunk: setup.array.map_or(16, |a| u64::from(a.chunk) / BLOCK as u64),
        writes: 600,
        ordered: setup.ordered,
        can_unmap: attached.unit.unmap_granularity.is_some(),
        nexuses: NEXUSES,
        most: MOST_BLOCKS,
    };
    let (answers, began) = (Vec::new(), Time::now());
    let mut run = Run { attached, initiator, taste, answers, late: None, began };
    for step in steps {
        run.step(*step).map_err(|e| format!("{step:?}: {e}"))?;
    }
    run.finish()
}

impl Run {
    fn step(&mut self, step: Step) -> Result<(), String> {
        if let Some(late) = self.late.take() {
            self.initiator.ready(&mut self.attached.stack, late);
        }
        match step {
            Step::Send(seed) => {
                let wanted = Wanted::draw(&mut Dice::new(seed), &self.taste);
                if let Some(cookie) = self.send(wanted)? {
                    self.initiator.ready(&mut self.attached.stack, cookie);
                }
            }
            Step::SendLate(seed) => {
                self.late = self.send(Wanted::draw(&mut Dice::new(seed), &self.taste))?;
            }
            Step::Manage(seed) => {
                let stack = &mut self.attached.stack;
                self.initiator.manage(Time::now(), stack, &mut Dice::new(seed));
            }
            Step::Turn(rounds) => {
                for _ in 0..rounds {
                    self.turn()?;
                }
            }
        }
        Ok(())
    }

    /// Sends a command; where there is no room, waits for an answer and tries again.
    fn send(&mut self, wanted: Wanted) -> Result<Option<u64>, String> {
        loop {
            match self.initiator.send(Time::now(), &mut self.attached.stack, wanted)? {
                Sent::Task(cookie) => return Ok(Some(cookie)),
                Sent::Answered => return Ok(None),
                Sent::Full => self.turn()?,
            }
        }
    }

    fn turn(&mut self) -> Result<(), String> {
        let now = Time::now();
        if now.since(self.began) > HANG {
            let waiting = self.initiator.outstanding();
            return Err(format!(
                "{waiting} tasks and {} functions hang",
                self.initiator.managing()
            ));
        }
        self.attached.manage()?;
        let (stack, channel) = self.attached.parts();
        let moved = stack.turn(now, channel, &mut self.answers).map_err(|e| e.to_string())?;
        if !moved && self.initiator.held() == 0 {
            let outstanding = stack.in_driver();
            channel.idle(now, now.plus_nanos(200_000), outstanding);
        }
        for record in self.attached.stack.state_records() {
            self.attached.stack.state_kept(&record, true);
        }
        self.initiator.answers(&mut self.answers)?;
        self.initiator.managed(&mut self.attached.stack)?;
        while self.initiator.held() > 0 {
            self.initiator.take(&mut self.attached.stack, 0)?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), String> {
        if let Some(late) = self.late.take() {
            self.initiator.ready(&mut self.attached.stack, late);
        }
        while self.initiator.outstanding() > 0 || self.initiator.managing() > 0 {
            self.turn()?;
        }
        Ok(())
    }

    /// Ends everything, looks at the whole medium, ends the driver.
    fn finish(mut self) -> Result<(), String> {
        self.drain()?;
        let mut lba = 0;
        while lba < self.taste.blocks {
            let blocks = LOOK_BLOCKS.min(self.taste.blocks - lba);
            // A unit attention is told first.
            if let Some(cookie) = self.send(Wanted::look(lba, blocks))? {
                self.initiator.ready(&mut self.attached.stack, cookie);
                lba += blocks;
            }
        }
        self.drain()?;
        self.initiator.check_conserved(&self.attached.stack)?;
        let counters = self.attached.stack.counters();
        if counters.violations != 0 || counters.timed_out != 0 {
            return Err(format!("{counters:?}"));
        }
        self.attached.stop()
    }
}
