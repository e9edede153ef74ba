//! What each nexus may do on a unit, worked out when something changes, so that a READ or WRITE
//! looks at one flag, and under a reservation at one byte.

use outboard_scsi::Command;

use super::Reservations;
use crate::nexus::{Nexus, NexusId};

/// The rights of all nexuses on one unit, by entry of the nexus table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    /// False: every nexus may do everything.
    restricted: bool,
    /// Counts what may have changed them, on the unit as a whole too.
    generation: u32,
    of_nexus: Box<[u8]>,
}

impl Rights {
    /// Works the rights out: under `reservations`, for the nexuses of the table, with `active`
    /// telling whether a target port accepts media commands.
    pub(crate) fn work_out<'n>(
        &mut self,
        reservations: &Reservations,
        capacity: u16,
        nexuses: impl Iterator<Item = (NexusId, &'n Nexus)>,
        active: impl Fn(u16) -> bool,
        all_active: bool,
    ) {
        self.note_change();
        self.restricted =
            !all_active || reservations.legacy.is_some() || reservations.reservation.is_some();
        if !self.restricted {
            return;
        }
        if self.of_nexus.len() != usize::from(capacity) {
            self.of_nexus = vec![0; usize::from(capacity)].into();
        }
        for (id, nexus) in nexuses {
            let rights = match active(nexus.target_port) {
                true => reservations.rights(id, nexus),
                false => 0,
            };
            if let Some(entry) = self.of_nexus.get_mut(usize::from(id.index())) {
                *entry = rights;
            }
        }
    }

    /// Something else changed that a command's check depends on: readiness, protection, capacity.
    pub(crate) fn note_change(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether a READ or WRITE of nexus entry `index` passes; false for any other command says
    /// nothing.
    #[inline]
    pub(crate) fn admit(&self, index: u16, command: &Command) -> bool {
        !self.restricted || self.admit_restricted(index, command)
    }

    fn admit_restricted(&self, index: u16, command: &Command) -> bool {
        let needed = match command {
            Command::Read(_) => READ,
            Command::Write(_) => WRITE,
            _ => return false,
        };
        self.of_nexus.get(usize::from(index)).is_some_and(|rights| rights & needed != 0)
    }
}

impl Reservations {
    fn rights(&self, id: NexusId, nexus: &Nexus) -> u8 {
        if let Some(holder) = self.legacy {
            return if holder == id { READ | WRITE } else { 0 };
        }
        match &self.reservation {
            None => READ | WRITE,
            Some(_) if self.admitted(nexus) => READ | WRITE,
            Some(reservation) if reservation.kind.admits_readers() => READ,
            Some(_) => 0,
        }
    }
}

const READ: u8 = 0x01;
const WRITE: u8 = 0x02;
