//! Target port groups as the target serves them.

use outboard_scsi::alua::{AccessState, StatusCode, parse_set, report};
use outboard_scsi::{Command, Lun, Sense};

use super::{PortGroup, refused_in};
use crate::attention::UnitAttention;
use crate::error::SpcError;
use crate::nexus::NexusId;
use crate::target::{Scope, Target, TargetPort};
use crate::verdict::Response;

/// The answer to a command about target port groups, with its parameter list `bytes` if it has
/// one; `None` if it is none.
pub(crate) fn answer(
    target: &mut Target,
    id: NexusId,
    lun: Lun,
    command: &Command,
    bytes: &[u8],
) -> Option<Response> {
    match command {
        Command::ReportTargetPortGroups { extended_header, allocation_length } => {
            Some(report_groups(target, lun, *extended_header, *allocation_length))
        }
        Command::SetTargetPortGroups { .. } => Some(set_groups(target, id, lun, bytes).into()),
        _ => None,
    }
}

/// Why the target port of a nexus does not execute a command in its present state.
pub(crate) fn refusal(target: &Target, port: u16, lun: Lun, command: &Command) -> Option<Sense> {
    let access = &target.unit(lun)?.access;
    if access.all_active() {
        return None;
    }
    refused_in(access.of_port(&target.groups, port), command)
}

impl Target {
    /// Sets the target port groups; all are active/optimized then, on every unit. Without a call
    /// all ports are in group 1.
    ///
    /// # Errors
    /// [`SpcError::InvalidPortGroups`] unless every port is in exactly one group, groups hold
    /// none but ports of the target, and no two have the same identifier.
    pub fn set_port_groups(&mut self, groups: Vec<PortGroup>) -> Result<(), SpcError> {
        let mut ids: Vec<u16> = groups.iter().map(|group| group.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut members: Vec<u16> = groups.iter().flat_map(|group| &group.ports).copied().collect();
        members.sort_unstable();
        let mut ports: Vec<u16> = self.ports().iter().map(|port| port.relative_id).collect();
        ports.sort_unstable();
        if ids.len() != groups.len() || members != ports {
            return Err(SpcError::InvalidPortGroups);
        }
        self.groups = groups;
        for unit in self.units.iter_mut().flatten() {
            unit.access = super::UnitAccess::default();
            unit.attentions.establish_all(UnitAttention::AccessStateChanged, None);
        }
        self.work_out_all_rights();
        Ok(())
    }

    /// Puts a target port group of a unit into a state, of the target's own accord, and tells
    /// every nexus if that changes anything.
    ///
    /// # Errors
    /// [`SpcError::NoUnit`]; [`SpcError::NoPortGroup`].
    pub fn set_access_state(
        &mut self,
        lun: Lun,
        group: u16,
        state: AccessState,
    ) -> Result<(), SpcError> {
        let index = self.group_index(group).ok_or(SpcError::NoPortGroup(group))?;
        if self.unit_mut(lun)?.access.set(index, state, StatusCode::Implicit) {
            self.establish(lun, Scope::All, UnitAttention::AccessStateChanged)?;
            self.work_out_rights(lun);
        }
        Ok(())
    }

    /// The target port groups.
    #[must_use]
    pub fn port_groups(&self) -> &[PortGroup] {
        &self.groups
    }

    /// The one group of a target that has been told of none.
    pub(crate) fn default_group(ports: &[TargetPort]) -> PortGroup {
        const GROUP: u16 = 1;
        let ports = ports.iter().map(|port| port.relative_id).collect();
        PortGroup { id: GROUP, ports, preferred: false }
    }

    /// The identifier of the group that a target port belongs to.
    pub(crate) fn group_of(&self, port: u16) -> Option<u16> {
        self.groups.iter().find(|group| group.ports.contains(&port)).map(|group| group.id)
    }

    fn group_index(&self, id: u16) -> Option<usize> {
        self.groups.iter().position(|group| group.id == id)
    }
}

fn report_groups(target: &Target, lun: Lun, extended: bool, allocation_length: u32) -> Response {
    let Some(unit) = target.unit(lun) else { return Sense::LOGICAL_UNIT_NOT_SUPPORTED.into() };
    let whole: usize = target.groups.iter().map(|group| 8 + 4 * group.ports.len()).sum();
    let room = usize::try_from(allocation_length).unwrap_or(usize::MAX);
    let mut out = vec![0; room.min(8 + whole)];
    let len = report(extended, unit.access.descriptors(&target.groups), &mut out);
    out.truncate(len);
    Response::good(out)
}

/// SET TARGET PORT GROUPS: all that the list asks for or nothing.
fn set_groups(target: &mut Target, id: NexusId, lun: Lun, list: &[u8]) -> Result<(), Sense> {
    let sets = parse_set(list)?;
    for set in sets.clone() {
        let set = set?;
        if target.group_index(set.group).is_none() {
            return Err(Sense::invalid_field_in_parameter_list(set.at + 2, None));
        }
    }
    let mut changed = false;
    for set in sets.flatten() {
        let Some(index) = target.group_index(set.group) else { continue };
        let Ok(unit) = target.unit_mut(lun) else { continue };
        changed |= unit.access.set(index, set.state, StatusCode::Explicit);
    }
    if changed {
        // The unit is there: the command was for it.
        let _ = target.establish(lun, Scope::AllBut(id), UnitAttention::AccessStateChanged);
        target.work_out_rights(lun);
    }
    Ok(())
}
