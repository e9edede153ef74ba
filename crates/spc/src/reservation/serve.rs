//! Reservations as the target serves them.

use outboard_scsi::command::{PersistentReserveInAction as InAction, PersistentReserveOut};
use outboard_scsi::persistent_reserve::{
    Capabilities, FullStatus, read_full_status, read_keys, read_reservation,
};
use outboard_scsi::transport_id::TransportId;
use outboard_scsi::{Command, Lun, Sense};

use super::{Context, Outcome, Reservations, StateChange, same};
use crate::error::SpcError;
use crate::nexus::{Nexus, NexusId};
use crate::target::Target;
use crate::verdict::{Effect, Response};

/// The answer to a command about reservations, with its parameter list `bytes` if it has one;
/// `None` if it is none.
pub(crate) fn answer(
    target: &mut Target,
    id: NexusId,
    lun: Lun,
    command: &Command,
    bytes: &[u8],
) -> Option<Response> {
    match command {
        Command::PersistentReserveIn { action, allocation_length } => {
            let unit = target.unit(lun)?;
            Some(unit.reservations.report(*action, *allocation_length))
        }
        Command::PersistentReserveOut(operands) => {
            Some(target.persistent_reserve_out(id, lun, operands, bytes))
        }
        Command::Reserve(_) | Command::Release(_) => {
            let nexus = target.nexuses.nexus(id)?.clone();
            let unit = target.unit_mut(lun).ok()?;
            let response = unit.reservations.reserve_or_release(id, &nexus, command);
            target.work_out_rights(lun);
            Some(response)
        }
        _ => None,
    }
}

impl Target {
    /// Takes over the persistent reservations of a unit from its state file, all of it, empty at
    /// the first time; from now on the unit accepts APTPL, and [`Self::take_state_changes`] has
    /// what must be written. Call it before the first nexus opens.
    ///
    /// # Errors
    /// [`SpcError::NoUnit`]; [`SpcError::DamagedState`]; [`SpcError::StateSequence`];
    /// [`SpcError::ForeignState`] if the state is that of another unit.
    pub fn restore(&mut self, lun: Lun, file: &[u8]) -> Result<(), SpcError> {
        let unit = self.unit_mut(lun)?;
        let serial = unit.config().identity.serial().to_owned();
        unit.reservations.restore(file, lun, &serial)?;
        self.work_out_rights(lun);
        Ok(())
    }

    /// The next record that must be on the medium before the command that caused it is answered.
    /// Ask until there is none, after every [`Self::parameters`]; write them in this order, each
    /// only once the one before is on its medium.
    pub fn take_state_changes(&mut self) -> Option<StateChange> {
        (0..).zip(&mut self.units).find_map(|(number, unit)| {
            let unit = unit.as_mut()?;
            let serial = unit.config().identity.serial().to_owned();
            unit.reservations.take_change(Lun::new(number)?, &serial)
        })
    }

    /// A record could not be written: [`Self::take_state_changes`] gives another to the same
    /// slot. End the command that caused it with [`Sense::INTERNAL_TARGET_FAILURE`].
    pub fn state_lost(&mut self, change: &StateChange) {
        if let Ok(unit) = self.unit_mut(change.lun) {
            unit.reservations.change_lost(change.slot);
        }
    }

    fn persistent_reserve_out(
        &mut self,
        id: NexusId,
        lun: Lun,
        operands: &PersistentReserveOut,
        list: &[u8],
    ) -> Response {
        let ports: Vec<u16> = self.ports().iter().map(|port| port.relative_id).collect();
        let initiators: Vec<&str> =
            self.nexuses.iter().map(|(_, nexus)| nexus.initiator_port.as_str()).collect();
        let unit = self.units.get_mut(usize::from(lun.number())).and_then(Option::as_mut);
        let (Some(nexus), Some(unit)) = (self.nexuses.nexus(id), unit) else {
            return Sense::ABORTED_COMMAND.into();
        };
        let context = Context { nexus, ports: &ports, initiators: &initiators };
        match unit.reservations.out(&context, operands, list) {
            Err(response) => response,
            Ok(outcome) => {
                self.carry_out(lun, &outcome);
                self.work_out_rights(lun);
                Response::good(Vec::new())
            }
        }
    }

    /// Tells the nexuses that are open, and has their tasks aborted. Those that are not learn by
    /// the reset condition of their next login.
    fn carry_out(&mut self, lun: Lun, outcome: &Outcome) {
        let Some(Some(unit)) = self.units.get_mut(usize::from(lun.number())) else { return };
        for (id, nexus) in self.nexuses.iter() {
            for (to, attention) in &outcome.notices {
                if same(to, nexus) {
                    unit.attentions.establish(id.index(), *attention);
                }
            }
            if outcome.aborts.iter().any(|of| same(of, nexus)) {
                self.effects.push(Effect::AbortTasks { nexus: id, lun });
            }
        }
    }

    /// RESERVATION CONFLICT if a reservation forbids the command to the nexus.
    pub(crate) fn reservation_conflict(
        &self,
        id: NexusId,
        lun: Lun,
        command: &Command,
    ) -> Option<Response> {
        self.unit(lun)?.reservations.conflict(id, self.nexuses.nexus(id)?, command)
    }

    /// Works out what each nexus may do on a unit, after anything that it depends on changed.
    pub(crate) fn work_out_rights(&mut self, lun: Lun) {
        let (groups, nexuses) = (&self.groups, &self.nexuses);
        let Some(Some(unit)) = self.units.get_mut(usize::from(lun.number())) else { return };
        unit.rights.work_out(
            &unit.reservations,
            nexuses.capacity(),
            nexuses.iter(),
            |port| unit.access.of_port(groups, port).is_active(),
            unit.access.all_active(),
        );
    }

    /// The same for all units.
    pub(crate) fn work_out_all_rights(&mut self) {
        for lun in self.luns().collect::<Vec<_>>() {
            self.work_out_rights(lun);
        }
    }
}

impl Reservations {
    /// PERSISTENT RESERVE IN.
    pub(super) fn report(&self, action: InAction, allocation_length: u16) -> Response {
        let mut out = vec![0; usize::from(allocation_length)];
        let len = match action {
            InAction::ReadKeys => {
                read_keys(self.generation, self.registrations.iter().map(|r| r.key), &mut out)
            }
            InAction::ReadReservation => {
                let reservation = self.reservation.as_ref().map(|reservation| {
                    let holder = reservation.holder.as_ref();
                    (holder.and_then(|nexus| self.key_of(nexus)).unwrap_or(0), reservation.kind)
                });
                read_reservation(self.generation, reservation, &mut out)
            }
            InAction::ReportCapabilities => {
                let capabilities = Capabilities {
                    persist_capable: self.journal.is_open(),
                    persist_active: self.persist,
                };
                let data = capabilities.encode();
                out.iter_mut().zip(data).for_each(|(to, from)| *to = from);
                data.len()
            }
            InAction::ReadFullStatus => {
                let registrations = self.registrations.iter().map(|registration| FullStatus {
                    key: registration.key,
                    all_ports: false,
                    holds: self.kind_held_by(&registration.nexus),
                    target_port: registration.nexus.target_port,
                    initiator: transport_id(&registration.nexus),
                });
                read_full_status(self.generation, registrations, &mut out)
            }
        };
        out.truncate(len);
        Response::good(out)
    }

    fn kind_held_by(
        &self,
        nexus: &Nexus,
    ) -> Option<outboard_scsi::persistent_reserve::ReservationType> {
        self.reservation.as_ref().filter(|_| self.holds(nexus)).map(|reservation| reservation.kind)
    }
}

/// Ports of other transports than iSCSI are told as devices of their whole name.
fn transport_id(nexus: &Nexus) -> TransportId<'_> {
    let name = nexus.initiator_port.as_str();
    TransportId::from_name(name).unwrap_or(TransportId::Device(name))
}
