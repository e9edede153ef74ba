//! REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE (SPC-6, registering and
//! registering and moving the reservation).

use outboard_scsi::Sense;
use outboard_scsi::persistent_reserve::{MoveList, ParameterList};
use outboard_scsi::transport_id::TransportId;

use super::{
    CONFLICT, Context, Outcome, PORT_NAME_LEN_MAX, REGISTRATIONS_MAX, Registration, Reservation,
    Reservations, same,
};
use crate::nexus::Nexus;
use crate::verdict::Response;

impl Reservations {
    /// REGISTER, and with `ignore_key` REGISTER AND IGNORE EXISTING KEY.
    ///
    /// ALL_TG_PT does for every target port what is done for the one that received the command,
    /// whose registration alone is compared with the key. SPEC_I_PT registers further initiator
    /// ports, unless they are registered already.
    pub(super) fn register(
        &mut self,
        context: &Context<'_>,
        list: &ParameterList<'_>,
        ignore_key: bool,
    ) -> Result<Outcome, Response> {
        let nexus = context.nexus;
        let current = self.key_of(nexus);
        if !ignore_key && current.unwrap_or(0) != list.key {
            return Err(CONFLICT);
        }
        if list.transport_ids.is_some() && (ignore_key || current.is_some()) {
            return Err(Sense::invalid_field_in_parameter_list(20, Some(3)).into());
        }
        self.check_persist(list.persist, 20)?;
        if current.is_none() && list.action_key == 0 {
            return Ok(Outcome::default());
        }
        let received = [nexus.target_port];
        let ports = if list.all_ports { context.ports } else { &received[..] };
        let mut outcome = Outcome::default();
        if list.action_key == 0 {
            for &target_port in ports {
                self.unregister(&Nexus { target_port, ..nexus.clone() }, nexus, &mut outcome);
            }
        } else {
            self.registrations = self.with_registrations(context, list, ports)?;
        }
        self.persist = list.persist;
        self.generation = self.generation.wrapping_add(1);
        Ok(outcome)
    }

    /// The registrations together with those that `list` asks for: all of them or none.
    fn with_registrations(
        &self,
        context: &Context<'_>,
        list: &ParameterList<'_>,
        ports: &[u16],
    ) -> Result<Vec<Registration>, Response> {
        let mut registrations = self.registrations.clone();
        let own = context.nexus.initiator_port.as_str();
        for &port in ports {
            put(&mut registrations, own, port, list.action_key, true)?;
        }
        for id in list.transport_ids() {
            let id = id.map_err(|malformed| ParameterList::invalid_transport_id(malformed.at))?;
            let named = self.initiator_ports(context, id)?;
            for (name, &port) in named.iter().flat_map(|name| ports.iter().map(move |p| (name, p)))
            {
                put(&mut registrations, name, port, list.action_key, false)?;
            }
        }
        Ok(registrations)
    }

    /// The names of the ports that a TransportID stands for: that of a device stands for all of
    /// its ports that are known, by an open nexus or a registration.
    fn initiator_ports(
        &self,
        context: &Context<'_>,
        id: TransportId<'_>,
    ) -> Result<Vec<String>, Response> {
        if let TransportId::Port { .. } = id {
            return Ok(vec![port_name(&id)]);
        }
        let registered = self.registrations.iter().map(|r| r.nexus.initiator_port.as_str());
        let mut names: Vec<String> = Vec::new();
        for name in context.initiators.iter().copied().chain(registered) {
            let node = TransportId::from_name(name).map_or(name, |known| known.node());
            let is_new = !names.iter().any(|other| other.eq_ignore_ascii_case(name));
            if node.eq_ignore_ascii_case(id.node()) && is_new {
                names.push(name.to_owned());
            }
        }
        if names.is_empty() {
            return Err(ParameterList::invalid_transport_id(0).into());
        }
        Ok(names)
    }

    /// REGISTER AND MOVE: makes another nexus the holder, registering it if needed.
    ///
    /// The TransportID must name one port: that of a device is refused, as the standard asks.
    pub(super) fn register_and_move(
        &mut self,
        context: &Context<'_>,
        list: &MoveList<'_>,
    ) -> Result<Outcome, Response> {
        let nexus = context.nexus;
        if !self.registered_as(nexus, list.key) {
            return Err(CONFLICT);
        }
        let Some(Reservation { kind, holder: Some(holder) }) = &self.reservation else {
            return Err(CONFLICT);
        };
        if !same(holder, nexus) {
            return Err(CONFLICT);
        }
        let kind = *kind;
        if list.action_key == 0 {
            return Err(Sense::invalid_field_in_parameter_list(8, None).into());
        }
        self.check_persist(list.persist, 17)?;
        if !context.ports.contains(&list.target_port) {
            return Err(Sense::invalid_field_in_parameter_list(18, None).into());
        }
        let TransportId::Port { .. } = list.initiator else {
            return Err(Sense::invalid_field_in_parameter_list(24, None).into());
        };
        let target =
            Nexus { initiator_port: port_name(&list.initiator), target_port: list.target_port };
        if same(&target, nexus) {
            return Err(Sense::invalid_field_in_parameter_list(24, None).into());
        }
        let mut registrations = self.registrations.clone();
        if list.unregister {
            registrations.retain(|r| !same(&r.nexus, nexus));
        }
        put(&mut registrations, &target.initiator_port, target.target_port, list.action_key, true)?;
        self.registrations = registrations;
        self.reservation = Some(Reservation { kind, holder: Some(target) });
        self.persist = list.persist;
        self.generation = self.generation.wrapping_add(1);
        Ok(Outcome::default())
    }

    /// APTPL can be set only where there is a place to keep the state.
    fn check_persist(&self, persist: bool, byte: u16) -> Result<(), Response> {
        if persist && !self.journal.is_open() {
            return Err(Sense::invalid_field_in_parameter_list(byte, Some(0)).into());
        }
        Ok(())
    }
}

/// Registers a nexus. One that is registered keeps its key unless `replace` is set.
fn put(
    registrations: &mut Vec<Registration>,
    initiator_port: &str,
    target_port: u16,
    key: u64,
    replace: bool,
) -> Result<(), Response> {
    let known = registrations.iter_mut().find(|r| {
        r.nexus.target_port == target_port
            && r.nexus.initiator_port.eq_ignore_ascii_case(initiator_port)
    });
    if let Some(registration) = known {
        if replace {
            registration.key = key;
        }
        return Ok(());
    }
    if registrations.len() >= REGISTRATIONS_MAX || initiator_port.len() > PORT_NAME_LEN_MAX {
        return Err(Sense::INSUFFICIENT_REGISTRATION_RESOURCES.into());
    }
    let nexus = Nexus { initiator_port: initiator_port.to_owned(), target_port };
    registrations.push(Registration::new(nexus, key));
    Ok(())
}

/// The name of a port as front ends write it (RFC 7143 4.2.7).
fn port_name(id: &TransportId<'_>) -> String {
    match id {
        TransportId::Device(node) => (*node).to_owned(),
        TransportId::Port { node, isid } => format!("{node},i,0x{isid:012x}"),
    }
}
