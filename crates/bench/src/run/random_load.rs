//! Blocks anywhere on the unit, for a time.

use outboard_scsi::command::build;
use outboard_slots::Time;

use super::drive::{Io, Load};

/// A random load.
pub(crate) struct Random {
    state: u64,
    blocks: u32,
    bytes: u64,
    places: u64,
    read_percent: u64,
    end: Time,
    /// submit only when this many places are free, so that bundles have this size
    pub(crate) left: u64,
}

impl Random {
    /// `bytes` a command, on a unit of `unit_blocks` blocks of `block_bytes`, until `end` or for
    /// `tasks` commands.
    pub(crate) fn new(
        seed: u64,
        bytes: u64,
        (unit_blocks, block_bytes): (u64, u64),
        read_percent: u8,
        end: Time,
        tasks: u64,
    ) -> Self {
        let blocks = (bytes / block_bytes) as u32;
        Self {
            state: seed,
            blocks,
            bytes,
            places: (unit_blocks / u64::from(blocks.max(1))).max(1),
            read_percent: u64::from(read_percent),
            end,
            left: tasks,
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): full period, good enough for addresses.
    #[inline]
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Load for Random {
    #[inline]
    fn next(&mut self, now: Time) -> Option<Io> {
        if now >= self.end || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let drawn = self.draw();
        // Multiply-shift instead of a division: the bias is below 2^-32 for these sizes.
        let place = ((u128::from(drawn) * u128::from(self.places)) >> 64) as u64;
        let lba = place * u64::from(self.blocks);
        let write =
            self.read_percent != 100 && (drawn & 0xffff) * 100 / 0x1_0000 >= self.read_percent;
        let cdb = if write {
            build::write_16(lba, self.blocks)
        } else {
            build::read_16(lba, self.blocks)
        };
        Some(Io { cdb, bytes: self.bytes, name: lba, write })
    }
}
