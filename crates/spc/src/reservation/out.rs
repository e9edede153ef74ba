//! PERSISTENT RESERVE OUT: the service actions that change the reservation.

use outboard_scsi::Sense;
use outboard_scsi::command::{PersistentReserveOut, PersistentReserveOutAction as Action};
use outboard_scsi::persistent_reserve::{MoveList, ParameterList, ReservationType};

use super::{CONFLICT, Context, Outcome, Reservation, Reservations, same};
use crate::attention::UnitAttention;
use crate::nexus::Nexus;
use crate::verdict::Response;

impl Reservations {
    /// Executes a PERSISTENT RESERVE OUT with its parameter list. Nothing has changed after an
    /// error, which is the answer.
    pub(super) fn out(
        &mut self,
        context: &Context<'_>,
        operands: &PersistentReserveOut,
        list: &[u8],
    ) -> Result<Outcome, Response> {
        let was_persistent = self.persist;
        let outcome = self.change(context, operands, list)?;
        if was_persistent || self.persist {
            self.journal.note_change();
        }
        Ok(outcome)
    }

    fn change(
        &mut self,
        context: &Context<'_>,
        operands: &PersistentReserveOut,
        list: &[u8],
    ) -> Result<Outcome, Response> {
        let nexus = context.nexus;
        if operands.action == Action::RegisterAndMove {
            return self.register_and_move(context, &MoveList::parse(list)?);
        }
        let list = ParameterList::parse(list)?;
        match operands.action {
            Action::Register => return self.register(context, &list, false),
            Action::RegisterAndIgnoreExistingKey => return self.register(context, &list, true),
            _ => {}
        }
        if list.transport_ids.is_some() {
            return Err(Sense::invalid_field_in_parameter_list(20, Some(3)).into());
        }
        if !self.registered_as(nexus, list.key) {
            return Err(CONFLICT);
        }
        match operands.action {
            Action::Reserve => self.reserve(nexus, kind_of(operands)?),
            Action::Release => self.release_by(nexus, operands),
            Action::Clear => Ok(self.clear(nexus)),
            Action::Preempt => self.preempt(nexus, operands, list.action_key, false),
            _ => self.preempt(nexus, operands, list.action_key, true),
        }
    }

    fn reserve(&mut self, nexus: &Nexus, kind: ReservationType) -> Result<Outcome, Response> {
        match &self.reservation {
            Some(reservation) if reservation.kind != kind || !self.holds(nexus) => Err(CONFLICT),
            Some(_) => Ok(Outcome::default()),
            None => {
                self.establish(nexus, kind);
                Ok(Outcome::default())
            }
        }
    }

    /// RELEASE by one that holds nothing has no effect and no error.
    fn release_by(
        &mut self,
        nexus: &Nexus,
        operands: &PersistentReserveOut,
    ) -> Result<Outcome, Response> {
        let mut outcome = Outcome::default();
        if let Some(reservation) = &self.reservation
            && self.holds(nexus)
        {
            if operands.scope != LOGICAL_UNIT_SCOPE || operands.kind != reservation.kind.code() {
                return Err(Sense::INVALID_RELEASE_OF_RESERVATION.into());
            }
            self.release(nexus, &mut outcome);
        }
        Ok(outcome)
    }

    fn clear(&mut self, nexus: &Nexus) -> Outcome {
        let mut outcome = Outcome::default();
        self.notify_others(nexus, UnitAttention::ReservationsPreempted, &mut outcome);
        self.registrations.clear();
        self.reservation = None;
        self.generation = self.generation.wrapping_add(1);
        outcome
    }

    /// PREEMPT, and with `abort` PREEMPT AND ABORT (SPC-6, preempting).
    ///
    /// `key` that of the holder, or 0 under all registrants: the reservation changes hands. Any
    /// other: registrations are removed, the own one too if it has this key.
    fn preempt(
        &mut self,
        nexus: &Nexus,
        operands: &PersistentReserveOut,
        key: u64,
        abort: bool,
    ) -> Result<Outcome, Response> {
        let shared = self.reservation.as_ref().is_some_and(|r| r.holder.is_none());
        if key == 0 && !shared {
            return Err(Sense::invalid_field_in_parameter_list(8, None).into());
        }
        let holder = self.reservation.as_ref().and_then(|r| r.holder.as_ref());
        let of_holder = holder.is_some_and(|holder| self.registered_as(holder, key));
        let mut outcome = Outcome::default();
        if of_holder || key == 0 {
            self.take_over(nexus, kind_of(operands)?, key, &mut outcome);
        } else {
            if !self.registrations.iter().any(|r| r.key == key) {
                return Err(CONFLICT);
            }
            self.remove(nexus, key, &mut outcome);
        }
        if abort {
            outcome.aborts = outcome
                .notices
                .iter()
                .filter(|(_, attention)| *attention == UnitAttention::RegistrationsPreempted)
                .map(|(removed, _)| removed.clone())
                .collect();
        }
        self.generation = self.generation.wrapping_add(1);
        Ok(outcome)
    }

    /// Preempts the reservation: the registrations with `key` (all others for 0) are removed, but
    /// not the own one, which holds the new reservation.
    fn take_over(&mut self, nexus: &Nexus, kind: ReservationType, key: u64, outcome: &mut Outcome) {
        let old = self.reservation.take().map(|reservation| reservation.kind);
        let removed = |other: &Nexus, its: u64| !same(other, nexus) && (key == 0 || its == key);
        self.registrations.retain(|r| {
            let goes = removed(&r.nexus, r.key);
            if goes {
                outcome.notices.push((r.nexus.clone(), UnitAttention::RegistrationsPreempted));
            }
            !goes
        });
        if old != Some(kind) {
            self.notify_others(nexus, UnitAttention::ReservationsReleased, outcome);
        }
        self.establish(nexus, kind);
    }

    /// Removes all registrations with `key`, which is not the holder's.
    fn remove(&mut self, nexus: &Nexus, key: u64, outcome: &mut Outcome) {
        self.registrations.retain(|r| {
            if r.key == key && !same(&r.nexus, nexus) {
                outcome.notices.push((r.nexus.clone(), UnitAttention::RegistrationsPreempted));
            }
            r.key != key
        });
        if self.registrations.is_empty() {
            self.reservation = None;
        }
    }

    fn establish(&mut self, nexus: &Nexus, kind: ReservationType) {
        let holder = (!kind.all_registrants()).then(|| nexus.clone());
        self.reservation = Some(Reservation { kind, holder });
    }
}

/// The type asked for, of the one scope that there is.
fn kind_of(operands: &PersistentReserveOut) -> Result<ReservationType, Response> {
    if operands.scope != LOGICAL_UNIT_SCOPE {
        return Err(Sense::invalid_field_in_cdb(2, Some(7)).into());
    }
    let kind = ReservationType::from_code(operands.kind);
    kind.ok_or_else(|| Sense::invalid_field_in_cdb(2, Some(3)).into())
}

/// LU_SCOPE.
const LOGICAL_UNIT_SCOPE: u8 = 0;
