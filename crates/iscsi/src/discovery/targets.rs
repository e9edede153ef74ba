//! The answer to SendTargets (RFC 7143 appendix C).

use core::net::SocketAddr;

use crate::access::target_address;
use crate::config::{Config, Target};
use crate::name;
use crate::text::{self, REJECT};

/// Appends the targets that `initiator`, whose connection came to `local`, may see: all for the
/// value `All`, one for its name.
///
/// A name that is unknown or not to be seen gives nothing, so that no one learns of a target that
/// is not theirs.
pub fn send(
    config: &Config,
    local: SocketAddr,
    initiator: &str,
    value: &str,
    answer: &mut Vec<u8>,
) {
    if value == "All" {
        for target in config.visible(initiator) {
            one(config, local, target, answer);
        }
    } else if let Ok(name) = name::lenient(value) {
        if let Some(target) = config.visible(initiator).find(|target| target.name == name) {
            one(config, local, target, answer);
        }
    } else {
        // The empty value asks for the session's own target, and here there is none.
        text::push(answer, "SendTargets", REJECT);
    }
}

fn one(config: &Config, local: SocketAddr, target: &Target, answer: &mut Vec<u8>) {
    let tag = target.portal_group_tag;
    let addresses = config.group(tag).map(|group| group.addresses(local)).unwrap_or_default();
    if addresses.is_empty() {
        return;
    }
    text::push(answer, "TargetName", &target.name);
    for address in addresses {
        text::push(answer, "TargetAddress", &target_address(address, tag));
    }
}
