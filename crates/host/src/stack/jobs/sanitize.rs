//! SANITIZE: once every task on the unit has ended, WRITE SAME over the whole of it, pass by pass,
//! then SYNCHRONIZE CACHE. A pass of zeroes is made of WRITEs: a disk answers a WRITE SAME of zeroes
//! by noting that the blocks are empty, and leaves what was in them on the medium.
//!
//! CRYPTOGRAPHIC ERASE has no task: the caller asks whose key is to be replaced ([`Stack::erasures`]),
//! sees to it that the new one is durable and no driver has the old one, and says so
//! ([`Stack::erased`]).

use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::sanitize::Overwrite;
use outboard_scsi::{Direction, Lun, Sense};
use outboard_spc::Response;
use outboard_spc::sanitize::{Method, Plan};

use super::{Outcome, Stack, Step, Task};
use crate::ledger::SlotState;

/// Bytes of one WRITE SAME that writes: a slow disk has time enough for them.
const OVERWRITE_BYTES: u64 = 16 << 20;
/// Bytes of one WRITE of zeroes.
const ZEROES_BYTES: u64 = 1 << 20;
/// Bytes of one WRITE SAME that unmaps.
const ERASE_BYTES: u64 = 1 << 30;

/// A sanitize operation in progress.
#[derive(Debug)]
pub(super) struct Sanitizing {
    plan: Plan,
    /// from 0
    pass: u8,
    /// the next block
    lba: u64,
    /// blocks of the WRITE SAME in process
    blocks: u64,
    /// everything is written, and the cache is being written to the medium
    syncing: bool,
    /// whether the key has been replaced, once that is known
    erased: Option<bool>,
}

impl Sanitizing {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, pass: 0, lba: 0, blocks: 0, syncing: false, erased: None }
    }

    pub(super) fn step(
        &mut self,
        stack: &mut Stack,
        outcome: Option<Outcome>,
        slot: Option<u16>,
    ) -> Step {
        let lun = self.plan.lun;
        match outcome {
            Some(Outcome::Good) if self.syncing => {
                stack.target.sanitize_ended(lun, true);
                return Step::End(Response::good(Vec::new()));
            }
            Some(Outcome::Good) => self.lba += std::mem::take(&mut self.blocks),
            Some(_) => {
                stack.target.sanitize_ended(lun, false);
                return Step::End(Sense::SANITIZE_COMMAND_FAILED.into());
            }
            None => {}
        }
        // The unit may have gone, or be another one now.
        let unit =
            stack.target.unit(lun).filter(|_| stack.target.sanitize_in_progress(lun).is_some());
        let Some(config) = unit.map(|unit| unit.config()) else {
            return Step::End(Sense::LOGICAL_UNIT_NOT_SUPPORTED.into());
        };
        if self.plan.method == Method::CryptographicErase {
            return self.end_of_key(stack);
        }
        let (capacity, block) = (config.capacity.blocks(), config.capacity.block_size());
        let most = u64::from(config.limits.max_write_same);
        let max_transfer = u64::from(config.limits.max_transfer);
        let granularity = config.provisioning.thin().map_or(1, |thin| thin.granularity.max(1));
        if slot.is_none() {
            if stack.is_in_use(lun) {
                return Step::Wait;
            }
            let block = u64::from(block);
            let (bytes, least) = match self.plan.method {
                Method::Overwrite { .. } if (0..self.passes()).any(|pass| self.zeroes(pass)) => {
                    (ZEROES_BYTES.min(max_transfer * block).max(block), block)
                }
                Method::Overwrite { .. } => (block, block),
                Method::BlockErase | Method::CryptographicErase => (0, 0),
            };
            return Step::Place { bytes, least };
        }
        let passes = self.passes();
        if self.lba >= capacity && self.pass + 1 < passes {
            (self.pass, self.lba) = (self.pass + 1, 0);
        }
        let done = u128::from(self.pass) * u128::from(capacity) + u128::from(self.lba);
        let total = u128::from(passes) * u128::from(capacity);
        stack.target.sanitize_progress(lun, (done * 65_536 / total.max(1)) as u64, 65_536);
        if self.lba >= capacity {
            self.syncing = true;
            return Step::Start(Task {
                range: (0, u64::MAX),
                ..task(lun, build::synchronize_cache_16(0, 0))
            });
        }
        let zeroes = self.zeroes(self.pass);
        let (bytes, unit) = match self.plan.method {
            Method::Overwrite { .. } if zeroes => {
                let record = slot.and_then(|slot| stack.ledger.record(slot));
                let room = record.map_or(0, |record| record.buffer.len);
                (room.min(ZEROES_BYTES).min(max_transfer * u64::from(block)), 1)
            }
            Method::Overwrite { .. } => (OVERWRITE_BYTES, 1),
            _ => (ERASE_BYTES, u64::from(granularity)),
        };
        let piece = (bytes / u64::from(block)).min(most);
        let piece = if piece > unit { piece - piece % unit } else { piece };
        self.blocks = piece.max(1).min(capacity - self.lba);
        let blocks = u32::try_from(self.blocks).unwrap_or(u32::MAX);
        self.blocks = u64::from(blocks);
        let range = (self.lba, self.blocks);
        match self.plan.method {
            Method::BlockErase | Method::CryptographicErase => {
                let cdb = build::write_same_16(self.lba, blocks, true, true);
                Step::Start(Task { range, writes: true, ..task(lun, cdb) })
            }
            Method::Overwrite { .. } => {
                let bytes = u64::from(block) * if zeroes { self.blocks } else { 1 };
                if !self.fill(stack, slot, bytes, block) {
                    stack.target.sanitize_ended(lun, false);
                    return Step::End(Sense::SANITIZE_COMMAND_FAILED.into());
                }
                let cdb = match zeroes {
                    true => build::write_16(self.lba, blocks),
                    false => build::write_same_16(self.lba, blocks, false, false),
                };
                Step::Start(Task {
                    range,
                    writes: true,
                    direction: Direction::ToDevice,
                    bytes,
                    ..task(lun, cdb)
                })
            }
        }
    }

    /// What was written for `lun` may be lost: from the first block of the first pass on, once the
    /// task in process has ended.
    pub(super) fn begin_again(&mut self, lun: Lun) {
        if self.plan.lun == lun {
            (self.pass, self.lba, self.blocks, self.syncing) = (0, 0, 0, false);
        }
    }

    /// The caller replaces the key, and has told how that ended, or not yet.
    fn end_of_key(&self, stack: &mut Stack) -> Step {
        let Some(erased) = self.erased else { return Step::Wait };
        stack.target.sanitize_ended(self.plan.lun, erased);
        Step::End(match erased {
            true => Response::good(Vec::new()),
            false => Sense::SANITIZE_COMMAND_FAILED.into(),
        })
    }

    fn passes(&self) -> u8 {
        match self.plan.method {
            Method::Overwrite { passes, .. } => passes,
            Method::BlockErase | Method::CryptographicErase => 1,
        }
    }

    /// Whether a pass writes zeroes.
    fn zeroes(&self, pass: u8) -> bool {
        match &self.plan.method {
            Method::Overwrite { pattern, .. } => {
                pattern.iter().all(|byte| byte ^ self.mask(pass) == 0)
            }
            Method::BlockErase | Method::CryptographicErase => false,
        }
    }

    /// What the pattern's bytes are combined with in a pass.
    fn mask(&self, pass: u8) -> u8 {
        match &self.plan.method {
            Method::Overwrite { invert, passes, .. }
                if Overwrite::is_inverted(*invert, *passes, pass) =>
            {
                0xFF
            }
            _ => 0x00,
        }
    }

    /// Puts `len` bytes of this pass into the buffer: zeroes, or a block of the pattern. The driver
    /// could have spoilt them, so that they are written anew for each task.
    fn fill(&self, stack: &Stack, slot: Option<u16>, len: u64, block: u32) -> bool {
        let Method::Overwrite { pattern, .. } = &self.plan.method else { return true };
        let record = slot.and_then(|slot| stack.ledger.record(slot));
        let Some(record) = record.filter(|record| record.buffer.len >= len) else { return false };
        if self.zeroes(self.pass) {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            return stack.memory.fill(record.buffer.offset, len, 0).is_ok();
        }
        let mask = self.mask(self.pass);
        let bytes: Vec<u8> =
            pattern.iter().cycle().take(block as usize).map(|byte| byte ^ mask).collect();
        stack.memory.write(record.buffer.offset, &bytes).is_ok()
    }
}

fn task(lun: Lun, cdb: Cdb) -> Task {
    Task {
        lun,
        cdb,
        direction: Direction::None,
        bytes: 0,
        range: (0, 0),
        writes: false,
        through: false,
    }
}

impl Stack {
    /// Units whose key is to be replaced now: no task of theirs is with the driver, and none goes there
    /// before [`Self::erased`].
    pub fn erasures(&self) -> Vec<u16> {
        if !self.jobs.sanitizing {
            return Vec::new();
        }
        let waiting = self.jobs.sanitizing().filter(|s| {
            s.plan.method == Method::CryptographicErase
                && s.erased.is_none()
                && self.target.sanitize_in_progress(s.plan.lun).is_some()
                && !self.is_in_use(s.plan.lun)
        });
        waiting.map(|s| s.plan.lun.number()).collect()
    }

    /// The key of a unit has been replaced for good, and nobody has the old one; or it stays as it
    /// was. The command ends with the next turn.
    pub fn erased(&mut self, lun: u16, replaced: bool) {
        let mut waiting = self.jobs.sanitizing_mut();
        let this = waiting
            .find(|s| s.plan.method == Method::CryptographicErase && s.plan.lun.number() == lun);
        if let Some(sanitizing) = this {
            sanitizing.erased = Some(replaced);
        }
    }

    /// Ends the tasks of a unit that have not begun, but the command in `cause`: they would come
    /// after the sanitize operation.
    pub(super) fn clear_for_sanitize(&mut self, lun: Lun, cause: u16) {
        let waiting: Vec<u16> = self
            .ledger
            .iter()
            .filter(|(slot, record)| {
                let waits = record.state == SlotState::Waiting && !record.internal;
                waits && record.lun == lun.number() && *slot != cause
            })
            .map(|(slot, _)| slot)
            .collect();
        let sense = self.target.sanitize_in_progress(lun);
        for slot in self.withdraw(&waiting) {
            match (self.ledger.record(slot).is_some_and(|record| record.aborted), &sense) {
                (false, Some(sense)) => self.end_with_sense(slot, sense),
                _ => self.end_aborted(slot),
            }
        }
    }

    /// Ends a task whose data has come while its unit is being sanitized; false if it is not.
    #[cold]
    pub(in crate::stack) fn ends_for_sanitize(&mut self, slot: u16) -> bool {
        let Some(record) = self.ledger.record(slot) else { return false };
        let sense = Lun::new(record.lun).and_then(|lun| self.target.sanitize_in_progress(lun));
        match sense {
            Some(sense) if record.state == SlotState::Filling && !record.aborted => {
                self.end_with_sense(slot, &sense);
                true
            }
            _ => false,
        }
    }

    /// Whether the driver has tasks of a unit, or gets some that other jobs have begun.
    fn is_in_use(&self, lun: Lun) -> bool {
        self.ledger.iter().any(|(_, record)| {
            let begun = match record.state {
                SlotState::InDriver => true,
                SlotState::Waiting => record.internal,
                _ => false,
            };
            begun && record.lun == lun.number()
        })
    }
}
