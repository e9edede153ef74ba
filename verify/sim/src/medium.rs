//! A disk that outlives the driver: its blocks, its volatile cache, and the requests that it has
//! been given, which land in their own time whether the driver that made them still lives or not.
//!
//! A request's data moves at the moment it lands, from or to the memory that the driver named: a
//! buffer that is used again too early shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outboard_disk::{Completion, Disk, DiskError, Engine, Limits, Op, Rejected, Request, Segment};
use outboard_slots::{Memory, Time};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::initiator::BLOCK;

type Block = [u8; BLOCK];

/// A disk's own life.
#[derive(Clone)]
pub(crate) struct Medium(Arc<Mutex<State>>);

struct State {
    limits: Limits,
    dice: Dice,
    /// how long a request takes, ns: least and most
    takes: (u64, u64),
    blocks: Vec<Block>,
    /// for each block with unflushed writes: what it held before the first of them, and after each
    /// but the last
    unflushed: Vec<Vec<Block>>,
    dirty: Vec<usize>,
    flying: Vec<Flying>,
    /// which driver's requests are taken now
    incarnation: u64,
    /// faults that the next requests meet
    armed: Vec<Fault>,
    fired: Vec<Fault>,
    /// blocks whose content the disk has spoiled without a word
    damaged: Vec<u64>,
    /// reports are complete: no damage in silence
    says_nothing: bool,
}

/// A request on its way.
struct Flying {
    incarnation: u64,
    tag: u64,
    op: Op,
    offset: u64,
    len: u64,
    segments: Vec<Segment>,
    memory: Memory,
    lands: Time,
    ends: Time,
    /// how it ended, once it has landed
    result: Option<Result<(), DiskError>>,
    fault: Option<Fault>,
}

impl Medium {
    pub(crate) fn new(limits: Limits, takes: (u64, u64), dice: Dice) -> Self {
        let blocks = limits.blocks as usize;
        Self(Arc::new(Mutex::new(State {
            limits,
            dice,
            takes,
            blocks: vec![[0; BLOCK]; blocks],
            unflushed: vec![Vec::new(); blocks],
            dirty: Vec::new(),
            flying: Vec::new(),
            incarnation: 0,
            armed: Vec::new(),
            fired: Vec::new(),
            damaged: Vec::new(),
            says_nothing: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The driver's disk, for the present incarnation.
    pub(crate) fn disk(&self) -> Box<dyn Disk> {
        let state = self.state();
        Box::new(Handle {
            limits: state.limits,
            incarnation: state.incarnation,
            medium: self.clone(),
        })
    }

    /// The driver is dead: what it has given goes on; nobody hears of it.
    pub(crate) fn orphan(&self) {
        let mut state = self.state();
        state.incarnation += 1;
        state.flying.retain(|f| f.result.is_none());
    }

    /// Whether a dead driver's requests are still on their way.
    pub(crate) fn is_haunted(&self) -> bool {
        let state = self.state();
        let now = state.incarnation;
        state.flying.iter().any(|f| f.incarnation != now && f.result.is_none())
    }

    /// Lets what is due by `now` land.
    pub(crate) fn land(&self, now: Time) {
        self.state().land(now);
    }

    /// When something lands next.
    pub(crate) fn next_landing(&self) -> Time {
        let state = self.state();
        let lands = state.flying.iter().filter(|f| f.result.is_none()).map(|f| f.lands);
        lands.min().unwrap_or(Time::NEVER)
    }

    /// The next suitable request meets this.
    pub(crate) fn arm(&self, fault: Fault) {
        let mut state = self.state();
        if state.armed.len() < 4 {
            state.armed.push(fault);
        }
    }

    /// No more faults.
    pub(crate) fn calm(&self) {
        self.state().armed.clear();
    }

    /// A mistake: damage is not told.
    pub(crate) fn say_nothing(&self) {
        self.state().says_nothing = true;
    }

    /// Faults that have happened since the last call.
    pub(crate) fn fired(&self, out: &mut Vec<Fault>) {
        out.append(&mut self.state().fired);
    }

    /// Blocks spoiled since the last call.
    pub(crate) fn damaged(&self) -> Vec<u64> {
        std::mem::take(&mut self.state().damaged)
    }

    /// Power fails: each block keeps what it held at the last flush or any of what was written
    /// since; requests on their way land block by block, or not.
    pub(crate) fn lose_power(&self) {
        let state = &mut *self.state();
        for flying in std::mem::take(&mut state.flying) {
            // What had landed and was not told is a write like any other.
            if flying.result.is_none() && matches!(flying.op, Op::Write { .. }) {
                state.write_some(&flying, 500);
            }
        }
        for at in std::mem::take(&mut state.dirty) {
            let Some(versions) = state.unflushed.get_mut(at) else { continue };
            let pick = state.dice.below(versions.len() as u64 + 1) as usize;
            if let (Some(version), Some(block)) = (versions.get(pick), state.blocks.get_mut(at)) {
                *block = *version;
            }
            versions.clear();
        }
    }
}

impl State {
    fn land(&mut self, now: Time) {
        loop {
            let mut first: Option<(Time, usize)> = None;
            for (at, flying) in self.flying.iter().enumerate() {
                if flying.result.is_none() && flying.lands <= now {
                    let this = (flying.lands, at);
                    first = Some(first.map_or(this, |f| f.min(this)));
                }
            }
            let Some((_, at)) = first else { return };
            let flying = self.flying.swap_remove(at);
            let orphan = flying.incarnation != self.incarnation;
            if orphan {
                self.fired.push(Fault::LandsAfterDeath);
            }
            let result = self.execute(&flying);
            if !orphan {
                self.flying.push(Flying { result: Some(result), ..flying });
            }
        }
    }

    fn execute(&mut self, flying: &Flying) -> Result<(), DiskError> {
        if let Some(fault) = flying.fault {
            self.fired.push(fault);
        }
        match (flying.op, flying.fault) {
            (Op::Read | Op::Write { .. }, Some(Fault::DiskError)) => {
                return Err(DiskError::Medium { at: flying.offset });
            }
            (Op::Write { .. }, Some(Fault::TornWrite)) => {
                // Half of them fail as they should; the others lie.
                let honest = self.dice.chance(500);
                let left = self.write_some(flying, 600);
                if honest {
                    return Err(DiskError::Medium { at: flying.offset });
                }
                self.spoil(left);
            }
            (Op::Write { .. }, Some(Fault::MisdirectedWrite)) => {
                let blocks = flying.len / BLOCK as u64;
                let last = self.limits.blocks.saturating_sub(blocks);
                let there = self.dice.below(last + 1);
                let here = flying.offset / BLOCK as u64;
                self.write(flying, there, |_| true);
                self.spoil((here..here + blocks).chain(there..there + blocks));
            }
            (Op::Write { .. }, _) => self.write(flying, flying.offset / BLOCK as u64, |_| true),
            (Op::Read, _) => return self.read(flying),
            (Op::Flush, _) => {
                for at in std::mem::take(&mut self.dirty) {
                    if let Some(versions) = self.unflushed.get_mut(at) {
                        versions.clear();
                    }
                }
            }
            _ => {
                let first = flying.offset / BLOCK as u64;
                for lba in first..first + flying.len / BLOCK as u64 {
                    self.put(lba, [0; BLOCK], false);
                }
            }
        }
        Ok(())
    }

    /// Reads to the driver's memory, whatever is there by now.
    fn read(&self, flying: &Flying) -> Result<(), DiskError> {
        let mut at = flying.offset / BLOCK as u64;
        for segment in &flying.segments {
            for place in (segment.offset..segment.offset + u64::from(segment.len)).step_by(BLOCK) {
                let block = self.blocks.get(at as usize).ok_or(DiskError::OutOfRange)?;
                flying.memory.write(place, block).map_err(|_| DiskError::OutOfRange)?;
                at += 1;
            }
        }
        Ok(())
    }

    /// Writes those blocks that `does` names, at `there`.
    fn write(&mut self, flying: &Flying, there: u64, mut does: impl FnMut(u64) -> bool) {
        let fua = matches!(flying.op, Op::Write { fua: true });
        let mut number = 0;
        for segment in &flying.segments {
            for place in (segment.offset..segment.offset + u64::from(segment.len)).step_by(BLOCK) {
                let mut block = [0; BLOCK];
                if does(number) && flying.memory.read(place, &mut block).is_ok() {
                    self.put(there + number, block, fua);
                }
                number += 1;
            }
        }
    }

    /// Writes some of the blocks; returns the others.
    fn write_some(&mut self, flying: &Flying, per_mille: u64) -> Vec<u64> {
        let here = flying.offset / BLOCK as u64;
        let blocks = flying.len / BLOCK as u64;
        let done: Vec<bool> = (0..blocks).map(|_| self.dice.chance(per_mille)).collect();
        self.write(flying, here, |number| done.get(number as usize).copied().unwrap_or(false));
        (here..).zip(done).filter(|(_, done)| !done).map(|(lba, _)| lba).collect()
    }

    fn put(&mut self, lba: u64, block: Block, through: bool) {
        let at = lba as usize;
        let volatile = self.limits.volatile_cache;
        let (Some(place), Some(versions)) = (self.blocks.get_mut(at), self.unflushed.get_mut(at))
        else {
            return;
        };
        if through {
            versions.clear();
        } else if volatile {
            if versions.is_empty() {
                self.dirty.push(at);
            }
            versions.push(*place);
        }
        *place = block;
    }

    fn spoil(&mut self, blocks: impl IntoIterator<Item = u64>) {
        if !self.says_nothing {
            self.damaged.extend(blocks);
        }
    }

    /// A fault for this request, if one that fits is armed.
    fn fault_for(&mut self, op: Op) -> Option<Fault> {
        let fits = |fault: &Fault| match fault {
            Fault::TornWrite | Fault::MisdirectedWrite => matches!(op, Op::Write { .. }),
            Fault::DiskError => matches!(op, Op::Write { .. } | Op::Read),
            _ => true,
        };
        let at = self.armed.iter().position(fits)?;
        Some(self.armed.remove(at))
    }
}

/// One driver's way to the disk.
struct Handle {
    limits: Limits,
    incarnation: u64,
    medium: Medium,
}

impl Disk for Handle {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        let state = &mut *self.medium.state();
        let (least, most) = state.takes;
        let mut takes = state.dice.between(least, most);
        let fault = state.fault_for(request.op);
        if fault == Some(Fault::SlowDisk) {
            takes += 1 << state.dice.between(24, 31);
        }
        let lands = engine.now().plus_nanos(takes);
        let ends = lands.plus_nanos(state.dice.below(least + 1));
        state.flying.push(Flying {
            incarnation: self.incarnation,
            tag: request.tag,
            op: request.op,
            offset: request.offset,
            len: request.len,
            segments: request.segments.to_vec(),
            memory: engine.memory().clone(),
            lands,
            ends,
            result: None,
            fault,
        });
        Ok(())
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        let state = &mut *self.medium.state();
        let now = engine.now();
        state.land(now);
        state.flying.retain(|f| match f.result {
            Some(result) if f.ends <= now && f.incarnation == self.incarnation => {
                done.push(Completion { tag: f.tag, result });
                false
            }
            _ => true,
        });
    }

    fn next_event(&self) -> Time {
        let state = self.medium.state();
        let ours = state.flying.iter().filter(|f| f.incarnation == self.incarnation);
        ours.map(|f| f.ends).min().unwrap_or(Time::NEVER)
    }

    fn in_flight(&self) -> u32 {
        let state = self.medium.state();
        state.flying.iter().filter(|f| f.incarnation == self.incarnation).count() as u32
    }
}
