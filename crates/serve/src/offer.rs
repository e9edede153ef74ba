//! The configuration in the terms of the iSCSI login: portal groups, targets, secrets, offers.

use std::net::SocketAddr;

use outboard_iscsi::access::Initiators;
use outboard_iscsi::chap::{Algorithm, Credentials, Secret, SecretError};
use outboard_iscsi::config as iscsi;
use outboard_iscsi::server::ServerConfig;

use crate::config::{Chap, ChapAlgorithm, Config, Credential, Digest, Parameters, Target};

/// Why a secret cannot be used; the configuration's own rules come before.
#[derive(Debug, thiserror::Error)]
#[error("CHAP of {whom}: {source}")]
pub struct OfferError {
    whom: String,
    source: SecretError,
}

/// What logins need to know.
///
/// # Errors
/// A secret breaks a rule.
pub fn login_config(config: &Config) -> Result<iscsi::Config, OfferError> {
    let groups = portal_groups(config);
    let mut targets = Vec::new();
    for target in &config.targets {
        targets.push(iscsi::Target {
            name: target.name.clone(),
            alias: target.alias.clone(),
            portal_group_tag: tag_of(&groups, &target.portals),
            auth: auth(&target.name, target.chap.as_ref())?,
            initiators: match target.initiators.is_empty() {
                true => Initiators::All,
                false => Initiators::of(&target.initiators),
            },
            redirect: target
                .redirect
                .map(|address| iscsi::Redirect { address: address.to_string(), permanent: false }),
            available: true,
            offer: offer(&target.parameters),
        });
    }
    Ok(iscsi::Config {
        portal_groups: groups,
        targets,
        discovery: iscsi::Discovery { auth: auth("discovery", config.iscsi.discovery.as_ref())? },
        limits: iscsi::Limits {
            login_time: config.iscsi.limits.login_timeout,
            ..iscsi::Limits::default()
        },
    })
}

/// What the sessions of a target need to know.
pub fn server_config(config: &Config, target: &Target) -> ServerConfig {
    let tag = tag_of(&portal_groups(config), &target.portals);
    let limits = &config.iscsi.limits;
    ServerConfig {
        target_name: target.name.clone(),
        addresses: target.portals.iter().map(|portal| format!("{portal},{tag}")).collect(),
        max_sessions: target.max_sessions as usize,
        queue_depth: limits.commands_per_session,
        nop_interval: limits.ping_interval,
        nop_timeout: limits.ping_timeout,
        ..ServerConfig::default()
    }
}

/// The portal group tag of a target, which is its relative target port identifier too.
pub fn portal_group_tag(config: &Config, target: &Target) -> u16 {
    tag_of(&portal_groups(config), &target.portals)
}

/// A group for each set of portals that a target is offered on.
fn portal_groups(config: &Config) -> Vec<iscsi::PortalGroup> {
    let mut sets: Vec<&[SocketAddr]> = Vec::new();
    for target in &config.targets {
        if !sets.contains(&target.portals.as_slice()) {
            sets.push(&target.portals);
        }
    }
    (1..)
        .zip(sets)
        .map(|(tag, portals)| iscsi::PortalGroup { tag, portals: portals.to_vec() })
        .collect()
}

fn tag_of(groups: &[iscsi::PortalGroup], portals: &[SocketAddr]) -> u16 {
    groups.iter().find(|group| group.portals == portals).map_or(1, |group| group.tag)
}

fn auth(whom: &str, chap: Option<&Chap>) -> Result<iscsi::Auth, OfferError> {
    let Some(chap) = chap else { return Ok(iscsi::Auth::None) };
    let fail = |source| OfferError { whom: whom.to_owned(), source };
    let pair = |credential: &Credential| {
        Secret::new(credential.secret.bytes())
            .map(|secret| (credential.name.clone(), secret))
            .map_err(fail)
    };
    let users = chap.users.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
    let mutual = chap.mutual.as_ref().map(pair).transpose()?;
    let algorithms: Vec<Algorithm> = chap
        .algorithms
        .iter()
        .map(|algorithm| match algorithm {
            ChapAlgorithm::Sha3_256 => Algorithm::Sha3_256,
            ChapAlgorithm::Sha256 => Algorithm::Sha256,
            ChapAlgorithm::Sha1 => Algorithm::Sha1,
            ChapAlgorithm::Md5 => Algorithm::Md5,
        })
        .collect();
    Credentials::new(users, mutual, &algorithms).map(iscsi::Auth::Chap).map_err(fail)
}

fn offer(parameters: &Parameters) -> iscsi::Offer {
    iscsi::Offer {
        max_recv_data_segment_length: parameters.max_recv_data_segment_length,
        max_burst_length: parameters.max_burst_length,
        first_burst_length: parameters.first_burst_length,
        initial_r2t: parameters.initial_r2t,
        immediate_data: parameters.immediate_data,
        max_outstanding_r2t: parameters.max_outstanding_r2t,
        max_connections: parameters.max_connections,
        header_digest: digests(&parameters.header_digest),
        data_digest: digests(&parameters.data_digest),
        ..iscsi::Offer::default()
    }
}

fn digests(allowed: &[Digest]) -> iscsi::Digests {
    match (allowed.contains(&Digest::Crc32c), allowed.contains(&Digest::None)) {
        (true, true) => iscsi::Digests::Any,
        (true, false) => iscsi::Digests::Required,
        (false, _) => iscsi::Digests::None,
    }
}
