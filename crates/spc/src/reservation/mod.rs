//! Reservations of a logical unit (SPC-6, reservations; SPC-2 for RESERVE and RELEASE).
//!
//! `Reservations` is the whole state of one unit. A registration belongs to a pair of initiator
//! port and target port by name, not to an open nexus: it outlives logouts, and with APTPL the
//! host. An SPC-2 reservation belongs to an open nexus and ends with it, or with a reset.
//!
//! | module | what |
//! |---|---|
//! | `register` | REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE |
//! | `table` | registrations by name, and their bounds |
//! | `out` | RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT AND ABORT |
//! | `legacy` | RESERVE and RELEASE of SPC-2 |
//! | `conflict` | which command is allowed under which reservation: one table |
//! | `rights` | the same, worked out for each nexus, for the read and write path |
//! | [`store`] | what persists through power loss, as bytes |
//! | `serve` | the commands, as [`Target`](crate::Target) answers them |

mod conflict;
mod legacy;
mod out;
mod register;
mod rights;
mod serve;
pub mod store;
mod table;

use outboard_scsi::persistent_reserve::ReservationType;

use crate::attention::UnitAttention;
use crate::nexus::{Nexus, NexusId};
use crate::verdict::Response;

pub(crate) use rights::Rights;
pub(crate) use serve::answer;
pub use store::{Image, SLOT_LEN, StateChange};

/// Most registrations of one unit.
pub const REGISTRATIONS_MAX: usize = 1024;
/// Most of them for the ports of one initiator node: no node crowds out the others.
pub const NODE_REGISTRATIONS_MAX: usize = 256;
/// Most TransportIDs of one parameter list.
pub const TRANSPORT_IDS_MAX: usize = 64;
/// Longest name of an initiator port that can be registered, in bytes.
pub const PORT_NAME_LEN_MAX: usize = 255;

/// Registrations and reservation of one unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reservations {
    /// PRGENERATION.
    generation: u32,
    registrations: Vec<Registration>,
    reservation: Option<Reservation>,
    /// Who holds an SPC-2 reservation. Never together with `reservation`.
    legacy: Option<NexusId>,
    /// APTPL of the last registration.
    persist: bool,
    journal: store::Journal,
}

/// The reservation key of one I_T nexus, open or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    nexus: Nexus,
    key: u64,
}

/// A persistent reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    kind: ReservationType,
    /// `None` for the types of all registrants.
    holder: Option<Nexus>,
}

/// What a PERSISTENT RESERVE OUT changed for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whom to tell what.
    notices: Vec<(Nexus, UnitAttention)>,
    /// Whose tasks to abort.
    aborts: Vec<Nexus>,
}

/// Where a PERSISTENT RESERVE OUT came from, and what is known of other ports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The nexus that sent it.
    nexus: &'a Nexus,
    /// Relative identifiers of all target ports.
    ports: &'a [u16],
    /// Names of the initiator ports with an open nexus.
    initiators: &'a [&'a str],
}

impl Reservations {
    /// The registered key of a nexus.
    fn key_of(&self, nexus: &Nexus) -> Option<u64> {
        self.registrations.iter().find(|r| same(&r.nexus, nexus)).map(|r| r.key)
    }

    /// The nexus is registered with `key`.
    fn registered_as(&self, nexus: &Nexus, key: u64) -> bool {
        self.key_of(nexus) == Some(key)
    }

    /// The nexus holds the persistent reservation.
    fn holds(&self, nexus: &Nexus) -> bool {
        match &self.reservation {
            None => false,
            Some(Reservation { holder: Some(holder), .. }) => same(holder, nexus),
            Some(Reservation { holder: None, .. }) => self.key_of(nexus).is_some(),
        }
    }

    /// The nexus may do all that the holder may.
    fn admitted(&self, nexus: &Nexus) -> bool {
        let Some(reservation) = &self.reservation else { return true };
        self.holds(nexus) || reservation.kind.admits_registrants() && self.key_of(nexus).is_some()
    }

    /// The nexuses that are registered, but `nexus`.
    fn others<'a>(&'a self, nexus: &'a Nexus) -> impl Iterator<Item = &'a Nexus> {
        self.registrations.iter().map(|r| &r.nexus).filter(move |other| !same(other, nexus))
    }

    /// Tells all registered nexuses but `nexus`.
    fn notify_others(&self, nexus: &Nexus, attention: UnitAttention, outcome: &mut Outcome) {
        outcome.notices.extend(self.others(nexus).map(|other| (other.clone(), attention)));
    }

    /// Ends the reservation. Registrants whom its type gave rights are told that they need no
    /// longer share them (SPC-6, releasing).
    fn release(&mut self, by: &Nexus, outcome: &mut Outcome) {
        if let Some(reservation) = self.reservation.take()
            && reservation.kind.admits_registrants()
        {
            self.notify_others(by, UnitAttention::ReservationsReleased, outcome);
        }
    }

    /// Removes one registration, and with it the reservation if it is the holder's, or the last
    /// of all registrants' (SPC-6, unregistering).
    fn unregister(&mut self, nexus: &Nexus, by: &Nexus, outcome: &mut Outcome) {
        let Some(at) = self.registrations.iter().position(|r| same(&r.nexus, nexus)) else {
            return;
        };
        let holds = self.holds(nexus);
        self.registrations.remove(at);
        let shared = self.reservation.as_ref().is_some_and(|r| r.holder.is_none());
        if holds && (!shared || self.registrations.is_empty()) {
            self.release(by, outcome);
        }
    }
}

impl Registration {
    fn new(nexus: Nexus, key: u64) -> Self {
        Self { nexus, key }
    }
}

/// Whether two nexuses are the same: names of initiator ports are compared without case, for
/// iSCSI names have none and the digits of an ISID are written in either.
fn same(a: &Nexus, b: &Nexus) -> bool {
    a.target_port == b.target_port && a.initiator_port.eq_ignore_ascii_case(&b.initiator_port)
}

const CONFLICT: Response = Response::of_status(outboard_scsi::Status::ReservationConflict);

#[cfg(test)]
mod tests;
