//! Tasks that may be the cause of a driver's deaths: each has a driver for itself, so that its next
//! death tells which one it was.

use super::Stack;
use crate::channel::{Channel, ChannelError};
use crate::ledger::{Record, SlotState};
use outboard_slots::Time;

/// A task in flight at this many deaths in a row has the next driver for itself.
pub(super) const DEATHS_ALONE: u8 = 2;

impl Record {
    /// Whether it goes to a driver alone.
    pub(super) const fn is_suspect(&self) -> bool {
        self.deaths >= DEATHS_ALONE
    }
}

impl Stack {
    /// [`Stack::hand_over`] while there are suspects. The order of the outbox stays: what is before
    /// the first suspect goes; the suspect goes once the driver is empty; what is behind it waits
    /// for its end.
    #[cold]
    pub(super) fn hand_over_alone(
        &mut self,
        now: Time,
        channel: &mut dyn Channel,
    ) -> Result<(), ChannelError> {
        let mut around = false;
        for (_, record) in self.ledger.iter().filter(|(_, r)| r.is_suspect()) {
            match record.state {
                SlotState::InDriver => return Ok(()),
                SlotState::Waiting => around = true,
                _ => {}
            }
        }
        self.suspects = around;
        let is_suspect = |slot: &u16| self.ledger.record(*slot).is_some_and(Record::is_suspect);
        match self.outbox.iter().position(is_suspect) {
            None => self.hand_over_all(now, channel),
            Some(0) if self.in_driver == 0 => {
                let slot = self.outbox.remove(0);
                self.push(slot, channel)?;
                channel.publish(now)
            }
            Some(0) => Ok(()),
            Some(at) => {
                let mut behind = self.outbox.split_off(at);
                let result = self.hand_over_all(now, channel);
                self.outbox.append(&mut behind);
                result
            }
        }
    }
}
