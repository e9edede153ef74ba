//! Who may log in to what, over which portal.

use core::net::{IpAddr, SocketAddr};

use crate::config::{Config, PortalGroup, Target};

/// The initiators that may use a target.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Initiators {
    /// Any.
    #[default]
    All,
    /// Those with these names, in normal form. A last `*` stands for any ending.
    Named(Vec<String>),
}

impl Initiators {
    /// The list as an administrator writes it: names, or `*` for all of them. Names are brought
    /// into lower case, as those of initiators are.
    pub fn of<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        let names: Vec<_> = names.into_iter().map(|n| n.as_ref().to_lowercase()).collect();
        if names.iter().any(|name| name == "*") { Self::All } else { Self::Named(names) }
    }

    /// Whether `initiator`, in normal form, is one of them.
    pub fn allow(&self, initiator: &str) -> bool {
        let Self::Named(names) = self else { return true };
        names.iter().any(|name| {
            name.strip_suffix('*')
                .map_or(name == initiator, |beginning| initiator.starts_with(beginning))
        })
    }
}

impl Config {
    /// The target `name` (normal form), if it is reached over `local`.
    pub fn target(&self, name: &str, local: SocketAddr) -> Option<&Target> {
        let target = self.targets.iter().find(|target| target.name == name)?;
        let group = self.group(target.portal_group_tag)?;
        group.has(local).then_some(target)
    }

    /// The targets that `initiator` (normal form) may see.
    pub fn visible<'c>(&'c self, initiator: &'c str) -> impl Iterator<Item = &'c Target> {
        self.targets.iter().filter(move |target| target.initiators.allow(initiator))
    }

    /// The portal group with `tag`.
    pub fn group(&self, tag: u16) -> Option<&PortalGroup> {
        self.portal_groups.iter().find(|group| group.tag == tag)
    }
}

impl PortalGroup {
    /// Whether a connection that came to `local` came to this group.
    pub fn has(&self, local: SocketAddr) -> bool {
        self.portals.iter().any(|&portal| stands_for(portal, local))
    }

    /// The addresses to report to an initiator that came to `local`, without repetition: those
    /// that are given, and for an unspecified one `local` with its port.
    pub fn addresses(&self, local: SocketAddr) -> Vec<SocketAddr> {
        let mut addresses = Vec::with_capacity(self.portals.len());
        for &portal in &self.portals {
            let address = match (portal.ip().is_unspecified(), plain(local.ip())) {
                (false, _) => portal,
                // IPv4 is not heard on [::] alone, unless the socket takes both.
                (true, ip) if portal.is_ipv6() || ip.is_ipv4() => {
                    SocketAddr::new(ip, portal.port())
                }
                (true, _) => continue,
            };
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

fn stands_for(portal: SocketAddr, local: SocketAddr) -> bool {
    let (given, came) = (plain(portal.ip()), plain(local.ip()));
    portal.port() == local.port()
        && (given == came || given.is_unspecified() && (given.is_ipv6() || came.is_ipv4()))
}

/// `::ffff:a.b.c.d`, as a socket for both protocols reports it, is `a.b.c.d`.
const fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// `address` as `TargetAddress` has it: `a.b.c.d:port` or `[v6]:port`, without a scope.
pub fn target_address(address: SocketAddr, tag: u16) -> String {
    match plain(address.ip()) {
        IpAddr::V4(ip) => format!("{ip}:{},{tag}", address.port()),
        IpAddr::V6(ip) => format!("[{ip}]:{},{tag}", address.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn group(portals: &[&str]) -> PortalGroup {
        PortalGroup { tag: 1, portals: portals.iter().map(|portal| at(portal)).collect() }
    }

    #[test]
    fn initiators_are_allowed_by_name() {
        let list = Initiators::of(["iqn.2026-11.org.Example:a", "iqn.2026-11.org.example:lab-*"]);
        assert!(list.allow("iqn.2026-11.org.example:a"));
        assert!(list.allow("iqn.2026-11.org.example:lab-7"));
        assert!(!list.allow("iqn.2026-11.org.example:ab"));
        assert!(!list.allow("iqn.2026-11.org.example"));
        assert!(Initiators::of(["x", "*"]).allow("anyone"));
        assert!(!Initiators::of([""; 0]).allow("anyone"), "an empty list allows nobody");
    }

    #[test]
    fn portals_are_given_or_stand_for_all() {
        let given = group(&["192.0.2.1:3260", "[2001:db8::1]:3260"]);
        assert!(given.has(at("192.0.2.1:3260")));
        assert!(given.has(at("[::ffff:192.0.2.1]:3260")), "mapped");
        assert!(given.has(at("[2001:db8::1]:3260")));
        assert!(!given.has(at("192.0.2.1:3261")));
        assert!(!given.has(at("192.0.2.2:3260")));

        let all = group(&["0.0.0.0:3260"]);
        assert!(all.has(at("192.0.2.1:3260")));
        assert!(!all.has(at("[2001:db8::1]:3260")));
        assert!(group(&["[::]:3260"]).has(at("192.0.2.1:3260")));
    }

    #[test]
    fn addresses_are_those_an_initiator_can_use() {
        let group = group(&["0.0.0.0:3260", "[::]:3260", "192.0.2.7:860"]);
        assert_eq!(
            group.addresses(at("[::ffff:192.0.2.1]:3260")),
            [at("192.0.2.1:3260"), at("192.0.2.7:860")]
        );
        assert_eq!(
            group.addresses(at("[2001:db8::1]:3260")),
            [at("[2001:db8::1]:3260"), at("192.0.2.7:860")]
        );
        assert_eq!(target_address(at("[2001:db8::1]:3260"), 2), "[2001:db8::1]:3260,2");
        assert_eq!(target_address(at("192.0.2.1:3260"), 1), "192.0.2.1:3260,1");
    }
}
