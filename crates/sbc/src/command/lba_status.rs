//! What GET LBA STATUS tells.

use outboard_disk::{Allocation, Disk};
use outboard_scsi::lba_status::{LbaStatusDescriptor, ProvisioningStatus};

use crate::shape::Shape;

/// Most descriptors of one GET LBA STATUS: each may be a look at the file system.
pub(super) const MAX: usize = 64;
/// Looks of one GET LBA STATUS that join stretches of one state.
const JOINS_MAX: usize = 64;

/// The states of the blocks from one on, to the end of the medium.
pub(super) struct LbaStates<'a> {
    disk: &'a dyn Disk,
    shape: &'a Shape,
    next: u64,
    /// what was found there already
    ahead: Option<Allocation>,
    joins: usize,
}

impl<'a> LbaStates<'a> {
    /// From block `lba` on.
    pub(super) fn new(disk: &'a dyn Disk, shape: &'a Shape, lba: u64) -> Self {
        Self { disk, shape, next: lba, ahead: None, joins: JOINS_MAX }
    }

    fn look(&self, lba: u64) -> Allocation {
        let at = lba * self.shape.block();
        match self.shape.discard {
            Some(_) => self.disk.allocation(at),
            // Fully provisioned: every block is mapped, whatever a file system makes of it.
            None => Allocation { mapped: true, len: self.shape.len - at },
        }
    }

    /// Whole blocks of what was found at `lba`, at least one.
    fn blocks(&self, lba: u64, found: Allocation) -> u64 {
        (found.len / self.shape.block()).clamp(1, self.shape.blocks - lba)
    }
}

impl Iterator for LbaStates<'_> {
    type Item = LbaStatusDescriptor;

    fn next(&mut self) -> Option<LbaStatusDescriptor> {
        let lba = self.next;
        if lba >= self.shape.blocks {
            return None;
        }
        let found = self.ahead.take().unwrap_or_else(|| self.look(lba));
        let mut blocks = self.blocks(lba, found);
        // A disk may tell less than there is: what follows can be in the same state.
        while lba + blocks < self.shape.blocks && self.joins > 0 {
            self.joins -= 1;
            let more = self.look(lba + blocks);
            if more.mapped != found.mapped {
                self.ahead = Some(more);
                break;
            }
            blocks += self.blocks(lba + blocks, more);
        }
        if blocks > u64::from(u32::MAX) {
            blocks = u64::from(u32::MAX);
            self.ahead = None;
        }
        self.next = lba + blocks;
        let provisioning = match found.mapped {
            true => ProvisioningStatus::Mapped,
            false => ProvisioningStatus::Deallocated,
        };
        Some(LbaStatusDescriptor { lba, blocks: blocks as u32, provisioning })
    }
}
