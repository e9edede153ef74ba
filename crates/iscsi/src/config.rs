//! What a login needs to know: portals, targets, who may use them. Plain data, made once and shared
//! by all logins.

mod check;

use core::net::SocketAddr;
use core::time::Duration;

use crate::access::Initiators;
use crate::chap::Credentials;

pub use check::ConfigError;

/// Portals, targets and rules of a whole iSCSI node.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Portal groups; a tag occurs once.
    pub portal_groups: Vec<PortalGroup>,
    /// Targets; a name occurs once.
    pub targets: Vec<Target>,
    /// Who may hold a discovery session.
    pub discovery: Discovery,
    /// Bounds of a login.
    pub limits: Limits,
}

/// Portals over which the connections of one session may run (RFC 7143 4.2.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortalGroup {
    /// Portal group tag; never 0, since it is also the relative target port (SPC-6 7.7.6).
    pub tag: u16,
    /// Its portals. An unspecified address (`0.0.0.0`, `[::]`) stands for each address of the
    /// machine: discovery reports the one that the connection came to.
    pub portals: Vec<SocketAddr>,
}

/// One target.
#[derive(Clone, Debug)]
pub struct Target {
    /// iSCSI name, as [`crate::name::normalise`] returns it.
    pub name: String,
    /// `TargetAlias`.
    pub alias: Option<String>,
    /// The portal group over which it is reached.
    pub portal_group_tag: u16,
    /// How an initiator proves who it is.
    pub auth: Auth,
    /// Which initiators may log in.
    pub initiators: Initiators,
    /// Where every login is sent instead.
    pub redirect: Option<Redirect>,
    /// False: logins end with "service unavailable" (0301h), for a retry later.
    pub available: bool,
    /// What is offered in the negotiation.
    pub offer: Offer,
}

/// How an initiator proves who it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// By CHAP.
    Chap(Credentials),
}

/// Another address of a target (RFC 7143 11.13.5, status class 1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// `TargetAddress`: `host:port`, an IPv6 address in brackets.
    pub address: String,
    /// Moved for good (0102h), else for a time (0101h).
    pub permanent: bool,
}

/// Rules of discovery sessions.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// How an initiator proves who it is.
    pub auth: Auth,
}

/// The values that a target would like, and the most that it can (RFC 7143 clause 13).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// The longest data segment of a PDU from the initiator, bytes: 512 to 2^24 - 1.
    pub max_recv_data_segment_length: u32,
    /// `MaxBurstLength`, bytes: 512 to 2^24 - 1.
    pub max_burst_length: u32,
    /// `FirstBurstLength`, bytes: 512 to `max_burst_length`.
    pub first_burst_length: u32,
    /// `InitialR2T`; with `false`, unsolicited Data-Out is welcome.
    pub initial_r2t: bool,
    /// `ImmediateData`.
    pub immediate_data: bool,
    /// `MaxOutstandingR2T`: 1 to 65535.
    pub max_outstanding_r2t: u16,
    /// `MaxConnections`: 1 to 65535.
    pub max_connections: u16,
    /// `DefaultTime2Wait`, s: 0 to 3600.
    pub default_time2wait: u16,
    /// `DefaultTime2Retain`, s: 0 to 3600.
    pub default_time2retain: u16,
    /// What `HeaderDigest` may become.
    pub header_digest: Digests,
    /// What `DataDigest` may become.
    pub data_digest: Digests,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            max_recv_data_segment_length: 256 * 1024,
            max_burst_length: 1024 * 1024,
            first_burst_length: 256 * 1024,
            initial_r2t: false,
            immediate_data: true,
            max_outstanding_r2t: 4,
            max_connections: 8,
            default_time2wait: 0,
            default_time2retain: 0,
            header_digest: Digests::Any,
            data_digest: Digests::Any,
        }
    }
}

/// Which digests a target allows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Digests {
    /// Never one.
    None,
    /// As the initiator prefers.
    #[default]
    Any,
    /// Always CRC32C.
    Required,
}

/// Bounds of a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// From the connection to the full feature phase.
    pub login_time: Duration,
    /// Requests of one login.
    pub exchanges: u32,
    /// How long a discovery session may say nothing.
    pub discovery_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_time: Duration::from_secs(15),
            exchanges: 64,
            discovery_idle: Duration::from_secs(60),
        }
    }
}
