//! Commands as an initiator wants them, drawn from dice.

use outboard_scsi::TaskAttribute;
use outboard_scsi::command::build::{self, Cdb, FUA};
use outboard_scsi::command::{LbaRange, PersistentReserveOutAction};
use outboard_scsi::unmap;

use crate::dice::Dice;

use super::model::{BLOCK, Content, Model, stamp};

/// Bytes of a registration.
const REGISTER_BYTES: u32 = 24;
/// Most of a COMPARE AND WRITE.
const MOST_COMPARED: u64 = 2;

/// What a command does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Read,
    Write,
    /// BYTCHK 0: the medium can be read
    Verify,
    /// BYTCHK 1: medium and data-out are the same
    Compare,
    WriteSame,
    /// with UNMAP and NDOB
    Zero,
    Unmap,
    SynchronizeCache,
    TestUnitReady,
    CompareAndWrite,
    /// PERSISTENT RESERVE OUT, REGISTER: executed by the host
    Register,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) kind: Kind,
    pub(crate) lba: u64,
    pub(crate) blocks: u64,
    pub(crate) fua: bool,
    pub(crate) attribute: TaskAttribute,
    /// which of the initiator's nexuses
    pub(crate) nexus: usize,
    /// which size of CDB
    cdb: u64,
}

/// What streams are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taste {
    /// blocks of the unit
    pub(crate) blocks: u64,
    /// blocks of a chunk
    pub(crate) chunk: u64,
    /// share of writes among reads and writes, per mille
    pub(crate) writes: u64,
    /// share of tasks that are not SIMPLE, per mille
    pub(crate) ordered: u64,
    pub(crate) can_unmap: bool,
    pub(crate) nexuses: u64,
    /// most blocks of a command
    pub(crate) most: u64,
}

impl Wanted {
    pub(crate) fn draw(dice: &mut Dice, taste: &Taste) -> Self {
        let blocks = match dice.below(4) {
            0 => 1,
            1 => dice.between(1, 8.min(taste.most)),
            _ => dice.between(1, taste.most),
        };
        let blocks = blocks.min(taste.blocks);
        let last = taste.blocks - blocks;
        let lba = match dice.below(8) {
            // At the end of the unit.
            0 => last - dice.below(last.min(4) + 1),
            // Around a boundary of chunks.
            1 | 2 => {
                let boundary = dice.below(taste.blocks / taste.chunk + 1) * taste.chunk;
                (boundary + dice.below(4)).saturating_sub(dice.below(blocks + 1))
            }
            // Where others are too.
            3 | 4 => dice.below(16),
            _ => dice.below(last + 1),
        }
        .min(last);
        let kind = match dice.below(24) {
            0 => Kind::Verify,
            1 => Kind::Compare,
            2 => Kind::WriteSame,
            3 => Kind::Zero,
            4 => Kind::Unmap,
            5 => Kind::SynchronizeCache,
            6 => Kind::TestUnitReady,
            7 | 8 => Kind::CompareAndWrite,
            9 if dice.chance(300) => Kind::Register,
            _ if dice.chance(taste.writes) => Kind::Write,
            _ => Kind::Read,
        };
        let kind = match kind {
            Kind::Zero | Kind::Unmap if !taste.can_unmap => Kind::Read,
            kind => kind,
        };
        let blocks = match kind {
            Kind::CompareAndWrite => blocks.min(MOST_COMPARED),
            // All of it.
            Kind::SynchronizeCache if dice.chance(600) => 0,
            _ => blocks,
        };
        let lba = if blocks == 0 { 0 } else { lba };
        let attribute = match dice.below(2) {
            _ if !dice.chance(taste.ordered) => TaskAttribute::Simple,
            0 => TaskAttribute::Ordered,
            _ => TaskAttribute::HeadOfQueue,
        };
        let nexus = dice.below(taste.nexuses) as usize;
        Self { kind, lba, blocks, fua: dice.chance(150), attribute, nexus, cdb: dice.below(4) }
    }

    /// A read of these blocks, for a look at the medium.
    pub(crate) fn look(lba: u64, blocks: u64) -> Self {
        let attribute = TaskAttribute::Simple;
        Self { kind: Kind::Read, lba, blocks, fua: false, attribute, nexus: 0, cdb: 3 }
    }

    pub(crate) fn cdb(&self) -> Cdb {
        let (lba, blocks) = (self.lba, self.blocks as u32);
        let (lba32, blocks16) = (lba as u32, blocks as u16);
        let fua = if self.fua { FUA } else { 0 };
        match self.kind {
            Kind::Read => match self.cdb {
                0 if !self.fua => build::read_6(lba32, blocks as u8),
                1 => build::read_12(lba32, blocks).with(1, fua),
                2 => build::read_16(lba, blocks).with(1, fua),
                _ => build::read_10(lba32, blocks16).with(1, fua),
            },
            Kind::Write => match self.cdb {
                0 if !self.fua => build::write_6(lba32, blocks as u8),
                1 => build::write_12(lba32, blocks).with(1, fua),
                2 => build::write_16(lba, blocks).with(1, fua),
                _ => build::write_10(lba32, blocks16).with(1, fua),
            },
            Kind::Verify => build::verify_16(lba, blocks, 0),
            Kind::Compare => build::verify_16(lba, blocks, 1),
            Kind::WriteSame if self.cdb < 2 => build::write_same_10(lba32, blocks16, false),
            Kind::WriteSame => build::write_same_16(lba, blocks, false, false),
            Kind::Zero => build::write_same_16(lba, blocks, true, true),
            Kind::Unmap => build::unmap(self.unmap_list().len() as u16),
            Kind::SynchronizeCache => build::synchronize_cache_10(lba32, blocks16),
            Kind::TestUnitReady => build::test_unit_ready(),
            Kind::CompareAndWrite => build::compare_and_write(lba, self.blocks as u8).with(1, fua),
            Kind::Register => build::persistent_reserve_out(
                PersistentReserveOutAction::RegisterAndIgnoreExistingKey,
                0,
                REGISTER_BYTES,
            ),
        }
    }

    /// Bytes that the initiator expects to move.
    pub(crate) fn expected(&self) -> u64 {
        match self.kind {
            Kind::Read | Kind::Write | Kind::Compare => self.blocks * BLOCK as u64,
            Kind::WriteSame => BLOCK as u64,
            Kind::CompareAndWrite => 2 * self.blocks * BLOCK as u64,
            Kind::Register => u64::from(REGISTER_BYTES),
            Kind::Unmap => self.unmap_list().len() as u64,
            Kind::Verify | Kind::Zero | Kind::SynchronizeCache | Kind::TestUnitReady => 0,
        }
    }

    /// Whether it changes the medium.
    pub(crate) const fn changes(&self) -> bool {
        matches!(
            self.kind,
            Kind::Write | Kind::WriteSame | Kind::Zero | Kind::Unmap | Kind::CompareAndWrite
        )
    }

    /// What it puts down where it changes something.
    pub(crate) const fn content(&self) -> Content {
        match self.kind {
            Kind::Zero | Kind::Unmap => Content::Zeroes,
            Kind::WriteSame => Content::Same,
            _ => Content::Stamped,
        }
    }

    /// Whether what it puts down is past all caches when it ends.
    pub(crate) const fn is_through(&self) -> bool {
        self.fua && matches!(self.kind, Kind::Write | Kind::CompareAndWrite)
    }

    /// The blocks that it concerns.
    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        match self.kind {
            Kind::Unmap => self.unmapped().collect(),
            _ => vec![(self.lba, self.blocks)],
        }
    }

    /// Its data-out; `value` is what a write puts down.
    pub(crate) fn data_out(&self, model: &Model, value: u64) -> Vec<u8> {
        let each = |block: &dyn Fn(u64) -> [u8; BLOCK]| -> Vec<u8> {
            (self.lba..self.lba + self.blocks).flat_map(block).collect()
        };
        match self.kind {
            Kind::Write => each(&|lba| stamp(value, Some(lba))),
            Kind::Compare => each(&|lba| model.guess(lba).1),
            Kind::WriteSame => stamp(value, None).to_vec(),
            Kind::CompareAndWrite => {
                let mut both = each(&|lba| model.guess(lba).1);
                both.append(&mut each(&|lba| stamp(value, Some(lba))));
                both
            }
            Kind::Register => {
                let mut list = vec![0; REGISTER_BYTES as usize];
                // SERVICE ACTION RESERVATION KEY, and APTPL.
                list[15] = 1 + (value % 200) as u8;
                list[20] = 1;
                list
            }
            Kind::Unmap => self.unmap_list(),
            _ => Vec::new(),
        }
    }

    /// Two ranges with a gap, or one.
    fn unmapped(&self) -> impl Iterator<Item = (u64, u64)> {
        let first = self.blocks / 2;
        let second = self.blocks - first - self.blocks / 8;
        [(self.lba, first), (self.lba + self.blocks - second, second)]
            .into_iter()
            .filter(|(_, blocks)| *blocks != 0)
    }

    fn unmap_list(&self) -> Vec<u8> {
        let mut list = vec![0; 64];
        let ranges = self.unmapped().map(|(lba, blocks)| LbaRange { lba, blocks });
        let len = unmap::encode(ranges, &mut list);
        list.truncate(len);
        list
    }
}
