//! The host process: what begins anew with every life of it.

use outboard_hba::HbaReport;
use outboard_host::channel::Bundled;
use outboard_host::stack::Stack;
use outboard_scsi::Lun;
use outboard_slots::{Queue, Region, Time};

use crate::audit::Audit;
use crate::make::text;

/// The host process, as far as it dies with it.
pub(super) struct World {
    pub(super) region: Region,
    pub(super) stack: Stack,
    pub(super) channel: Bundled,
    pub(super) audit: Audit,
    pub(super) next_round: Time,
    /// in its wait
    pub(super) asleep: bool,
}

impl World {
    pub(super) fn new(
        region: Region,
        report: &HbaReport,
        identifiers: &[u32],
    ) -> Result<Self, String> {
        let mut stack = Stack::new(report, 0, identifiers, &region, 0).map_err(text)?;
        stack.target_mut().restore(Lun::ZERO, &[]).map_err(text)?;
        let channel = Bundled::new(region.clone(), 0, false).ok_or("no queue")?;
        let audit = Audit::new(Queue::new(region.clone(), 0).ok_or("no queue")?);
        Ok(Self { region, stack, channel, audit, next_round: Time::ZERO, asleep: false })
    }

    pub(super) fn queue(&self) -> Result<Queue, String> {
        Queue::new(self.region.clone(), 0).ok_or_else(|| "no queue".to_owned())
    }

    /// Fresh rings for a successor.
    pub(super) fn renew(&mut self, mistaken: bool) -> Result<(), String> {
        if !mistaken {
            self.region.renew().map_err(text)?;
        }
        self.channel = Bundled::new(self.region.clone(), 0, false).ok_or("no queue")?;
        self.audit = Audit::new(self.queue()?);
        self.asleep = false;
        Ok(())
    }
}
