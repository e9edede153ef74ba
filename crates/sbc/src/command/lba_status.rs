//! What GET LBA STATUS tells.

use outboard_disk::{Allocation, Disk};
use outboard_scsi::lba_status::{LbaStatusDescriptor, ProvisioningStatus};

use crate::shape::Shape;

/// The states of the blocks from one on, to the end of the medium.
pub(super) struct LbaStates<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) shape: &'a Shape,
    pub(super) next: u64,
}

impl Iterator for LbaStates<'_> {
    type Item = LbaStatusDescriptor;

    fn next(&mut self) -> Option<LbaStatusDescriptor> {
        let lba = self.next;
        if lba >= self.shape.blocks {
            return None;
        }
        let block = self.shape.block();
        let found = match self.shape.discard {
            Some(_) => self.disk.allocation(lba * block),
            // Fully provisioned: every block is mapped, whatever a file system makes of it.
            None => Allocation { mapped: true, len: self.shape.len - lba * block },
        };
        let blocks = (found.len / block).clamp(1, self.shape.blocks - lba);
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        self.next = lba + u64::from(blocks);
        let provisioning = match found.mapped {
            true => ProvisioningStatus::Mapped,
            false => ProvisioningStatus::Deallocated,
        };
        Some(LbaStatusDescriptor { lba, blocks, provisioning })
    }
}

/// Most descriptors of one GET LBA STATUS: each may be a look at the file system.
pub(super) const MAX: usize = 64;
