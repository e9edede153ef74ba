//! What the slots are in, for who watches a stack from outside.

use super::Stack;
use crate::ledger::SlotState;

impl Stack {
    /// The state of each slot.
    pub fn slot_states(&self) -> impl Iterator<Item = SlotState> {
        self.ledger.iter().map(|(_, record)| record.state)
    }
}
