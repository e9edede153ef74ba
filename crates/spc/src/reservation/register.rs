//! REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE (SPC-6, registering and
//! registering and moving the reservation).

use std::collections::{HashMap, HashSet};

use outboard_scsi::Sense;
use outboard_scsi::persistent_reserve::{MoveList, ParameterList};
use outboard_scsi::transport_id::TransportId;

use super::table::{Table, node_of};
use super::{
    CONFLICT, Context, Outcome, Registration, Reservation, Reservations, TRANSPORT_IDS_MAX, same,
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
    ///
    /// A TransportID that is named twice is refused, for it says that the list is not what its
    /// sender meant.
    fn with_registrations(
        &self,
        context: &Context<'_>,
        list: &ParameterList<'_>,
        ports: &[u16],
    ) -> Result<Vec<Registration>, Response> {
        let mut table = Table::new(self.registrations.clone());
        table.put(&context.nexus.initiator_port, ports, list.action_key, true)?;
        let mut named = HashSet::new();
        let mut known = None;
        for (count, id) in list.transport_ids().enumerate() {
            let id = id.map_err(|malformed| ParameterList::invalid_transport_id(malformed.at))?;
            if count >= TRANSPORT_IDS_MAX {
                return Err(Sense::INSUFFICIENT_REGISTRATION_RESOURCES.into());
            }
            let name = port_name(&id);
            if !named.insert(name.to_ascii_lowercase()) {
                return Err(ParameterList::invalid_transport_id(0).into());
            }
            if let TransportId::Port { .. } = id {
                table.put(&name, ports, list.action_key, false)?;
                continue;
            }
            // A device stands for all of its ports that are known.
            let known = known.get_or_insert_with(|| self.known_ports(context));
            let Some(names) = known.get(&name.to_ascii_lowercase()) else {
                return Err(ParameterList::invalid_transport_id(0).into());
            };
            for name in names {
                table.put(name, ports, list.action_key, false)?;
            }
        }
        Ok(table.into_registrations())
    }

    /// The names of all ports that are known by an open nexus or a registration, by their node's
    /// name in lower case.
    fn known_ports<'a>(&'a self, context: &Context<'a>) -> HashMap<String, Vec<&'a str>> {
        let registered = self.registrations.iter().map(|r| r.nexus.initiator_port.as_str());
        let mut of_node: HashMap<String, Vec<&str>> = HashMap::new();
        let mut seen = HashSet::new();
        for name in context.initiators.iter().copied().chain(registered) {
            if seen.insert(name.to_ascii_lowercase()) {
                of_node.entry(node_of(name).to_ascii_lowercase()).or_default().push(name);
            }
        }
        of_node
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
        let mut table = Table::new(registrations);
        table.put(&target.initiator_port, &[target.target_port], list.action_key, true)?;
        self.registrations = table.into_registrations();
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

/// The name of a port as front ends write it (RFC 7143 4.2.7).
fn port_name(id: &TransportId<'_>) -> String {
    match id {
        TransportId::Device(node) => (*node).to_owned(),
        TransportId::Port { node, isid } => format!("{node},i,0x{isid:012x}"),
    }
}
