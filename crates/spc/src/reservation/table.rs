//! Registrations that grow within their bounds, found by name without a look at each: one command
//! names many ports, and the thread that serves it serves others.

use std::collections::HashMap;

use outboard_scsi::Sense;
use outboard_scsi::transport_id::TransportId;

use super::{NODE_REGISTRATIONS_MAX, PORT_NAME_LEN_MAX, REGISTRATIONS_MAX, Registration};
use crate::nexus::Nexus;
use crate::verdict::Response;

/// The registrations of one unit while a command adds to them.
pub(super) struct Table {
    registrations: Vec<Registration>,
    /// Target port and registration of each, by the initiator port's name in lower case.
    places: HashMap<String, Vec<(u16, usize)>>,
    /// How many there are of each node, by its name in lower case.
    of_node: HashMap<String, usize>,
}

impl Table {
    pub(super) fn new(registrations: Vec<Registration>) -> Self {
        let mut places: HashMap<String, Vec<(u16, usize)>> = HashMap::new();
        let mut of_node: HashMap<String, usize> = HashMap::new();
        for (at, registration) in registrations.iter().enumerate() {
            let Nexus { initiator_port, target_port } = &registration.nexus;
            let name = initiator_port.to_ascii_lowercase();
            *of_node.entry(node_of(&name).to_owned()).or_default() += 1;
            places.entry(name).or_default().push((*target_port, at));
        }
        Self { registrations, places, of_node }
    }

    /// Registers an initiator port with each of `target_ports`. What is registered keeps its key
    /// unless `replace` is set.
    ///
    /// # Errors
    /// INSUFFICIENT REGISTRATION RESOURCES; some of the ports may be registered by then.
    pub(super) fn put(
        &mut self,
        initiator_port: &str,
        target_ports: &[u16],
        key: u64,
        replace: bool,
    ) -> Result<(), Response> {
        let name = initiator_port.to_ascii_lowercase();
        let of_node = self.of_node.entry(node_of(&name).to_owned()).or_default();
        let places = self.places.entry(name).or_default();
        for &target_port in target_ports {
            if let Some(&(_, at)) = places.iter().find(|(port, _)| *port == target_port) {
                if let Some(registration) = self.registrations.get_mut(at).filter(|_| replace) {
                    registration.key = key;
                }
                continue;
            }
            if self.registrations.len() >= REGISTRATIONS_MAX
                || *of_node >= NODE_REGISTRATIONS_MAX
                || initiator_port.len() > PORT_NAME_LEN_MAX
            {
                return Err(Sense::INSUFFICIENT_REGISTRATION_RESOURCES.into());
            }
            let nexus = Nexus { initiator_port: initiator_port.to_owned(), target_port };
            places.push((target_port, self.registrations.len()));
            *of_node += 1;
            self.registrations.push(Registration::new(nexus, key));
        }
        Ok(())
    }

    pub(super) fn into_registrations(self) -> Vec<Registration> {
        self.registrations
    }
}

/// Name of the node that a port belongs to; ports of other transports than iSCSI are their own.
pub(super) fn node_of(port: &str) -> &str {
    TransportId::from_name(port).map_or(port, |known| known.node())
}
