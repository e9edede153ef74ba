//! What a configuration must not be.

use thiserror::Error;

use super::{Config, Offer};
use crate::name::{self, NameError};

/// A configuration that cannot be served.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Portal group tag 0.
    #[error("portal group tag 0: it is the relative target port too, which begins at 1")]
    TagZero,
    /// A portal group tag twice.
    #[error("portal group {0} is given twice")]
    TagTwice(u16),
    /// A portal group without a portal.
    #[error("portal group {0} has no portal")]
    NoPortal(u16),
    /// No iSCSI name.
    #[error("target name: {0}")]
    Name(#[from] NameError),
    /// A name that is not in normal form.
    #[error("target name {0:?} must be in lower case, as initiators compare it")]
    NotNormal(String),
    /// A target's name twice.
    #[error("target {0} is given twice")]
    NameTwice(String),
    /// A target in a portal group that there is not.
    #[error("target {name} is in portal group {tag}, which is not given")]
    NoGroup {
        /// The target.
        name: String,
        /// The tag.
        tag: u16,
    },
    /// An offer outside of its key's bounds.
    #[error("target {name}: {key} must be {low} to {high}, not {value}")]
    Offer {
        /// The target.
        name: String,
        /// The key.
        key: &'static str,
        /// What it is.
        value: u64,
        /// Its least value.
        low: u64,
        /// Its greatest value.
        high: u64,
    },
}

impl Config {
    /// Checks everything that logins rely on.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first thing that cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (at, group) in self.portal_groups.iter().enumerate() {
            if group.tag == 0 {
                return Err(ConfigError::TagZero);
            }
            if group.portals.is_empty() {
                return Err(ConfigError::NoPortal(group.tag));
            }
            if self.portal_groups.iter().skip(at + 1).any(|other| other.tag == group.tag) {
                return Err(ConfigError::TagTwice(group.tag));
            }
        }
        for (at, target) in self.targets.iter().enumerate() {
            if name::normalise(&target.name)? != target.name {
                return Err(ConfigError::NotNormal(target.name.clone()));
            }
            if self.targets.iter().skip(at + 1).any(|other| other.name == target.name) {
                return Err(ConfigError::NameTwice(target.name.clone()));
            }
            let tag = target.portal_group_tag;
            if self.group(tag).is_none() {
                return Err(ConfigError::NoGroup { name: target.name.clone(), tag });
            }
            if let Some((key, value, low, high)) = target.offer.outside() {
                let name = target.name.clone();
                return Err(ConfigError::Offer { name, key, value, low, high });
            }
        }
        Ok(())
    }
}

impl Offer {
    /// A key outside of its bounds: name, value, least and greatest value.
    fn outside(&self) -> Option<(&'static str, u64, u64, u64)> {
        const LENGTH_MAX: u64 = (1 << 24) - 1;
        let burst = u64::from(self.max_burst_length);
        let receive = self.max_recv_data_segment_length;
        [
            ("MaxRecvDataSegmentLength", receive.into(), 512, LENGTH_MAX),
            ("MaxBurstLength", burst, 512, LENGTH_MAX),
            ("FirstBurstLength", self.first_burst_length.into(), 512, burst),
            ("MaxOutstandingR2T", self.max_outstanding_r2t.into(), 1, 65_535),
            ("MaxConnections", self.max_connections.into(), 1, 65_535),
            ("DefaultTime2Wait", self.default_time2wait.into(), 0, 3600),
            ("DefaultTime2Retain", self.default_time2retain.into(), 0, 3600),
        ]
        .into_iter()
        .find(|(_, value, low, high)| !(low..=high).contains(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Auth, PortalGroup, Target};
    use super::*;
    use crate::access::Initiators;

    fn sound() -> Config {
        let portals = vec![([0, 0, 0, 0], 3260).into()];
        let target = Target {
            name: "iqn.2026-11.org.example:disk".to_owned(),
            alias: None,
            portal_group_tag: 1,
            auth: Auth::None,
            initiators: Initiators::All,
            redirect: None,
            available: true,
            offer: Offer::default(),
        };
        Config {
            portal_groups: vec![PortalGroup { tag: 1, portals }],
            targets: vec![target],
            ..Config::default()
        }
    }

    fn error(change: impl FnOnce(&mut Config)) -> ConfigError {
        let mut config = sound();
        change(&mut config);
        config.check().unwrap_err()
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert_eq!(sound().check(), Ok(()));
        assert_eq!(error(|c| c.portal_groups[0].tag = 0), ConfigError::TagZero);
        assert_eq!(error(|c| c.portal_groups[0].portals.clear()), ConfigError::NoPortal(1));
        let twice = error(|c| c.portal_groups.push(c.portal_groups[0].clone()));
        assert_eq!(twice, ConfigError::TagTwice(1));
        assert!(matches!(error(|c| c.targets[0].name.clear()), ConfigError::Name(_)));
        let upper = error(|c| c.targets[0].name.make_ascii_uppercase());
        assert!(matches!(upper, ConfigError::NotNormal(_)));
        let twice = error(|c| c.targets.push(c.targets[0].clone()));
        assert!(matches!(twice, ConfigError::NameTwice(_)));
        let group = error(|c| c.targets[0].portal_group_tag = 2);
        assert!(matches!(group, ConfigError::NoGroup { tag: 2, .. }));
        let burst = error(|c| c.targets[0].offer.max_burst_length = 4096);
        assert_eq!(
            burst.to_string(),
            "target iqn.2026-11.org.example:disk: FirstBurstLength must be 512 to 4096, not 262144"
        );
        let none = error(|c| c.targets[0].offer.max_outstanding_r2t = 0);
        assert!(matches!(none, ConfigError::Offer { key: "MaxOutstandingR2T", .. }));
    }
}
