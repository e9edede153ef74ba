//! Asymmetric logical unit access (SPC-6, target port group access states): through which target
//! ports a unit is reached, and how well.
//!
//! The groups are the target's, their states each unit's. Implicit and explicit management are
//! supported (TPGS = 11b); a transition takes no time. By default all ports are one group, and it
//! is active/optimized.

mod serve;

use outboard_scsi::alua::{AccessState, GroupDescriptor, StatusCode};
use outboard_scsi::{Command, Sense};

pub(crate) use serve::{answer, refusal};

/// TPGS of INQUIRY: implicit and explicit.
pub(crate) const TPGS: u8 = 0b11;

/// A target port group: ports that are always in the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortGroup {
    /// TARGET PORT GROUP, the identifier.
    pub id: u16,
    /// Relative identifiers of its target ports.
    pub ports: Vec<u16>,
    /// PREF: initiators should use it if they can.
    pub preferred: bool,
}

/// The states of the groups of one unit, in the order of the target's groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnitAccess {
    /// Missing ones are active/optimized.
    states: Vec<(AccessState, StatusCode)>,
}

impl UnitAccess {
    /// The state of a group by its index.
    fn state(&self, index: usize) -> (AccessState, StatusCode) {
        self.states.get(index).copied().unwrap_or_default()
    }

    /// The state of the group that a target port belongs to.
    pub(crate) fn of_port(&self, groups: &[PortGroup], port: u16) -> AccessState {
        let index = groups.iter().position(|group| group.ports.contains(&port));
        index.map_or_else(AccessState::default, |index| self.state(index).0)
    }

    /// Every port accepts every command.
    pub(crate) fn all_active(&self) -> bool {
        self.states.iter().all(|(state, _)| state.is_active())
    }

    /// Puts a group into a state and returns whether that changed anything.
    fn set(&mut self, index: usize, state: AccessState, status: StatusCode) -> bool {
        if self.states.len() <= index {
            self.states.resize(index + 1, <(AccessState, StatusCode)>::default());
        }
        match self.states.get_mut(index) {
            Some(entry) => std::mem::replace(entry, (state, status)).0 != state,
            None => false,
        }
    }

    /// REPORT TARGET PORT GROUPS descriptors.
    fn descriptors<'a>(
        &'a self,
        groups: &'a [PortGroup],
    ) -> impl Iterator<Item = GroupDescriptor<'a>> {
        groups.iter().enumerate().map(|(index, group)| {
            let (state, status) = self.state(index);
            let PortGroup { id, ref ports, preferred } = *group;
            GroupDescriptor { group: id, preferred, state, status, ports }
        })
    }
}

/// Why a port in `state` does not execute `command`; `None` if it does (SPC-6, standby and
/// unavailable states: the lists of commands that are supported there).
fn refused_in(state: AccessState, command: &Command) -> Option<Sense> {
    let always = matches!(
        command,
        Command::Inquiry { .. }
            | Command::ReportLuns { .. }
            | Command::RequestSense { .. }
            | Command::ReportTargetPortGroups { .. }
            | Command::SetTargetPortGroups { .. }
    );
    let in_standby = matches!(
        command,
        Command::LogSense(_)
            | Command::ModeSense(_)
            | Command::ModeSelect(_)
            | Command::ReportSupportedOpcodes(_)
            | Command::ReportSupportedTaskManagementFunctions { .. }
            | Command::PersistentReserveIn { .. }
            | Command::PersistentReserveOut(_)
    );
    match state {
        _ if always => None,
        AccessState::Standby if in_standby => None,
        AccessState::Standby => Some(Sense::NOT_READY_PORT_STANDBY),
        AccessState::Unavailable => Some(Sense::NOT_READY_PORT_UNAVAILABLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
