//! Who wants what: the names in the first text of a login (RFC 7143 6.3, 13.4 to 13.9).

use super::error::LoginError;
use super::phase::Edge;
use crate::config::Target;
use crate::name;

/// The keys that say who wants what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names<'t> {
    pub(super) initiator: Option<&'t str>,
    pub(super) alias: Option<&'t str>,
    pub(super) target: Option<&'t str>,
    pub(super) session_type: Option<&'t str>,
}

impl<'t> Names<'t> {
    /// Takes `value` if `key` is one of these.
    pub(super) fn take(&mut self, key: &str, value: &'t str) -> Result<bool, LoginError> {
        let (place, name) = match key {
            "InitiatorName" => (&mut self.initiator, "InitiatorName"),
            "InitiatorAlias" => (&mut self.alias, "InitiatorAlias"),
            "TargetName" => (&mut self.target, "TargetName"),
            "SessionType" => (&mut self.session_type, "SessionType"),
            _ => return Ok(false),
        };
        if place.replace(value).is_some_and(|before| before != value) {
            return Err(LoginError::Redeclared(name));
        }
        Ok(true)
    }
}

/// Who wants what.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) initiator: String,
    pub(super) alias: Option<String>,
    /// As it was sent, to compare with what is sent again.
    pub(super) session_type: String,
    pub(super) target_name: Option<String>,
    /// Index in [`Config::targets`]; `None` in a discovery session.
    pub(super) target: Option<usize>,
}

impl Identity {
    /// Whether `names` says nothing else than before.
    pub(super) fn repeats(&self, names: Names<'_>) -> Result<(), LoginError> {
        let other = |new: Option<&str>, old: &str| new.is_some_and(|new| new != old);
        if names.initiator.is_some_and(|name| name.to_lowercase() != self.initiator) {
            return Err(LoginError::Redeclared("InitiatorName"));
        }
        if other(names.session_type, &self.session_type) {
            return Err(LoginError::Redeclared("SessionType"));
        }
        if names.target.is_some() && names.target != self.target_name.as_deref() {
            return Err(LoginError::Redeclared("TargetName"));
        }
        Ok(())
    }
}

/// The index of the target that `initiator` wants, if it may have it.
pub(super) fn find(edge: &Edge<'_>, initiator: &str, wanted: &str) -> Result<usize, LoginError> {
    let name = name::lenient(wanted).map_err(|e| LoginError::Name("TargetName", e))?;
    let Some(target) = edge.config.target(&name, edge.local) else {
        return Err(LoginError::NotFound(name));
    };
    if !target.initiators.allow(initiator) {
        return Err(LoginError::NotAllowed { initiator: initiator.to_owned(), target: name });
    }
    if let Some(redirect) = &target.redirect {
        return Err(LoginError::Moved {
            address: redirect.address.clone(),
            permanent: redirect.permanent,
        });
    }
    if !target.available {
        return Err(LoginError::Unavailable);
    }
    let is_it = |other: &Target| other.name == target.name;
    edge.config.targets.iter().position(is_it).ok_or(LoginError::NotFound(name))
}
