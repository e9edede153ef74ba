//! Whether there is a medium, whether it turns, and who keeps it in (SBC-4, START STOP UNIT and
//! PREVENT ALLOW MEDIUM REMOVAL).

use std::collections::BTreeSet;

use outboard_scsi::Sense;

/// State of the medium.
#[derive(Clone, Debug, Default)]
pub(super) struct Medium {
    ejected: bool,
    stopped: bool,
    /// Entries of the nexuses that prevent its removal.
    preventing: BTreeSet<u16>,
}

impl Medium {
    /// Why commands that need the medium are refused.
    pub(super) fn not_ready(&self) -> Option<Sense> {
        if self.ejected {
            Some(Sense::MEDIUM_NOT_PRESENT)
        } else if self.stopped {
            Some(Sense::NOT_READY_INITIALIZING_COMMAND_REQUIRED)
        } else {
            None
        }
    }

    /// START: whether a medium came in by it.
    ///
    /// # Errors
    /// MEDIUM REMOVAL PREVENTED: the mechanism is locked, so that nothing can be put in either.
    pub(super) fn start(&mut self, load: bool) -> Result<bool, Sense> {
        if load && self.ejected && !self.preventing.is_empty() {
            return Err(Sense::MEDIUM_REMOVAL_PREVENTED);
        }
        self.stopped = false;
        Ok(load && std::mem::take(&mut self.ejected))
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Takes the medium out.
    ///
    /// # Errors
    /// MEDIUM REMOVAL PREVENTED.
    pub(super) fn eject(&mut self) -> Result<(), Sense> {
        if !self.preventing.is_empty() && !self.ejected {
            return Err(Sense::MEDIUM_REMOVAL_PREVENTED);
        }
        self.ejected = true;
        Ok(())
    }

    pub(super) fn set_prevented(&mut self, nexus: u16, prevented: bool) {
        if prevented {
            self.preventing.insert(nexus);
        } else {
            self.preventing.remove(&nexus);
        }
    }

    /// Logical unit reset: nobody prevents anything, and the medium turns. What is out stays out.
    pub(super) fn reset(&mut self) {
        self.preventing.clear();
        self.stopped = false;
    }
}
