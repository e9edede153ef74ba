//! `[iscsi]`: what all targets share.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::config::machine::Machine;
use crate::config::shown;
use crate::config::target::Chap;
use outboard_settings::{Fault, Section};

/// The port of iSCSI targets.
pub const ISCSI_PORT: u16 = 3260;
/// Most portals.
pub const MAX_PORTALS: usize = 64;

/// `[iscsi]`: what all targets share.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Iscsi {
    /// addresses to accept on, at least one
    pub portals: Vec<SocketAddr>,
    /// what controls congestion on connections
    pub congestion_control: Congestion,
    /// who may ask for the list of targets; none: everybody
    pub discovery: Option<Chap>,
    /// bounds
    pub limits: Limits,
}

/// What controls congestion on the connections of initiators, tcp(7) TCP_CONGESTION.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// as the system says, but no pacing on connections that never leave the machine
    #[default]
    Auto,
    /// as the system says: `net.ipv4.tcp_congestion_control`
    System,
    /// this algorithm
    #[serde(untagged)]
    Named(String),
}

/// `[iscsi.limits]`: bounds on what initiators can make the server hold.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Limits {
    /// most connections, log-ins under way included
    pub connections: u32,
    /// most log-ins under way
    pub logins: u32,
    /// most log-ins under way from one address
    pub logins_per_address: u32,
    /// a log-in that takes longer is ended
    #[serde(serialize_with = "shown::duration")]
    pub login_timeout: Duration,
    /// a connection without traffic for so long is pinged
    #[serde(serialize_with = "shown::duration")]
    pub ping_interval: Duration,
    /// a connection that does not answer a ping for so long is closed
    #[serde(serialize_with = "shown::duration")]
    pub ping_timeout: Duration,
    /// commands that one session may have outstanding
    pub commands_per_session: u32,
}

impl Default for Iscsi {
    fn default() -> Self {
        let portals = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ISCSI_PORT)];
        Self {
            portals,
            congestion_control: Congestion::Auto,
            discovery: None,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            logins: 256,
            logins_per_address: 128,
            login_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(30),
            // An initiator of one thread may be busy elsewhere for a minute (libiscsi's own tests
            // sleep so long); a connection that is gone costs nobody anything meanwhile.
            ping_timeout: Duration::from_secs(60),
            commands_per_session: 128,
        }
    }
}

impl Iscsi {
    pub(in crate::config) fn read(
        &mut self,
        mut section: Section<'_, '_>,
        folder: &Path,
        machine: &Machine,
    ) {
        section.set(&mut self.portals, "portals", |value| {
            let portals = value.list(|value| value.parse(portal))?;
            match portals.len() {
                1..=MAX_PORTALS => Ok(portals),
                _ => Err(Fault::new(
                    format!("a server has 1 to {MAX_PORTALS} portals"),
                    "write for example [\"192.0.2.1:3260\"]",
                )),
            }
        });
        section.set(&mut self.congestion_control, "congestion_control", |value| {
            value.parse(|text| congestion(text, machine))
        });
        let mut discovery = section.section("discovery");
        self.discovery = Chap::read_optional(&mut discovery, folder, machine);
        discovery.finish();
        self.limits.read(section.section("limits"));
        section.finish();
    }
}

fn congestion(text: &str, machine: &Machine) -> Result<Congestion, Fault> {
    match text {
        "auto" => Ok(Congestion::Auto),
        "system" => Ok(Congestion::System),
        _ if machine.congestion.iter().any(|name| name == text) => {
            Ok(Congestion::Named(text.to_owned()))
        }
        _ => {
            let rule = format!("{text:?} is no congestion control that this process may have");
            let names = machine.congestion.join(", ");
            Err(Fault::new(rule, format!("write auto, system or one of: {names}")))
        }
    }
}

impl Limits {
    fn read(&mut self, mut section: Section<'_, '_>) {
        let seconds = |least, most| Duration::from_secs(least)..=Duration::from_secs(most);
        section.set(&mut self.connections, "connections", |v| v.count(1..=65_535));
        section.set(&mut self.logins, "logins", |v| v.count(1..=65_535));
        section.set(&mut self.logins_per_address, "logins_per_address", |v| v.count(1..=65_535));
        section.set(&mut self.login_timeout, "login_timeout", |v| v.duration(seconds(1, 600)));
        section.set(&mut self.ping_interval, "ping_interval", |v| v.duration(seconds(1, 3600)));
        section.set(&mut self.ping_timeout, "ping_timeout", |v| v.duration(seconds(1, 600)));
        section
            .set(&mut self.commands_per_session, "commands_per_session", |v| v.count(1..=65_535));
        section.finish();
    }
}

/// An address as `192.0.2.1:3260`, `[2001:db8::1]:3260`, or without the port. Port 0 is any free one.
pub(in crate::config) fn portal(text: &str) -> Result<SocketAddr, Fault> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, ISCSI_PORT)).map_err(|_| {
        Fault::new(
            format!("{text:?} is no IP address with a port"),
            "write for example \"192.0.2.1:3260\" or \"[2001:db8::1]:3260\"; \"0.0.0.0:3260\" is \
             every IPv4 address",
        )
    })
}
