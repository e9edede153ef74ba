//! Who the target is, and who reaches it: names, ports, nexuses.

use outboard_scsi::vpd::ISCSI_PROTOCOL;
use outboard_spc::{Nexus, NexusId, SpcError, TargetPort};

use super::manage::Then;
use super::{Function, Stack};
use crate::ledger::SlotState;

/// The names of a target and its ports, as its front ends make them known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetNames {
    /// SCSI name of the target device, such as its iSCSI name; empty if it has none
    pub name: String,
    /// its ports, each with an identifier of its own
    pub ports: Vec<TargetPort>,
}

impl TargetNames {
    /// An iSCSI target of `name` with a port for each of the target portal group tags, which are
    /// the relative target port identifiers too (RFC 7143 4.4.1).
    pub fn iscsi(name: &str, portal_groups: &[u16]) -> Self {
        let port = |&tag: &u16| TargetPort {
            relative_id: tag,
            name: format!("{name},t,0x{tag:04x}"),
            protocol: ISCSI_PROTOCOL,
        };
        Self { name: name.to_owned(), ports: portal_groups.iter().map(port).collect() }
    }
}

impl Default for TargetNames {
    /// No names, one port of identifier 1.
    fn default() -> Self {
        let port = TargetPort { relative_id: 1, name: String::new(), protocol: ISCSI_PROTOCOL };
        Self { name: String::new(), ports: vec![port] }
    }
}

impl Stack {
    /// Opens a nexus for a front end's session, through the port `relative_target_port`.
    ///
    /// # Errors
    /// [`SpcError::NoPort`] or [`SpcError::TooManyNexuses`].
    pub fn open_nexus(
        &mut self,
        initiator_port: &str,
        relative_target_port: u16,
    ) -> Result<NexusId, SpcError> {
        let initiator_port = initiator_port.to_owned();
        self.target.open_nexus(Nexus { initiator_port, target_port: relative_target_port })
    }

    /// Closes a nexus: its tasks are aborted, and its entry is free for another one when they have
    /// ended ([`Self::is_closing`]). Tasks whose data is still collected are the front end's to
    /// [`cancel`](Self::cancel) or to call [`ready`](Self::ready), and it submits no further ones.
    pub fn close_nexus(&mut self, nexus: NexusId) {
        if !self.target.nexuses().is_open(nexus) || self.is_closing(nexus) {
            return;
        }
        self.closing.push(nexus);
        let luns: Vec<u16> = self.target.luns().map(|lun| lun.number()).collect();
        for lun in luns {
            let index = u32::from(nexus.index());
            if self.ledger.iter().any(|(_, r)| r.nexus == index && r.lun == lun && r.is_live()) {
                self.begin(Function::AbortTaskSet { nexus, lun }, Then::Nobody);
            }
        }
        self.settle();
        self.close_ended();
    }

    /// Whether tasks of a closed nexus have not ended yet.
    pub fn is_closing(&self, nexus: NexusId) -> bool {
        self.closing.contains(&nexus)
    }

    /// Frees the entries of closed nexuses that have no task left.
    pub(super) fn close_ended(&mut self) {
        let (ledger, target) = (&self.ledger, &mut self.target);
        self.closing.retain(|&nexus| {
            let index = u32::from(nexus.index());
            let has_tasks = ledger.iter().any(|(_, r)| r.nexus == index && r.is_live());
            if !has_tasks {
                target.close_nexus(nexus);
            }
            has_tasks
        });
    }
}

impl crate::ledger::Record {
    /// Whether the task is there and its end is not.
    fn is_live(&self) -> bool {
        match self.state {
            SlotState::Filling | SlotState::Waiting | SlotState::InDriver | SlotState::InHost => {
                true
            }
            SlotState::Free | SlotState::Sending | SlotState::Quarantined => false,
        }
    }
}
