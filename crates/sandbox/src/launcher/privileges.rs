//! User and capabilities.

use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet};

use super::birth::NOBODY;
use crate::sys;

/// Capability numbers there may ever be.
const CAPABILITIES: u32 = 64;

/// Becomes nobody, in no other group.
pub(super) fn become_nobody() -> Result<(), String> {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[]).map_err(|e| format!("groups: {e}"))?;
    rustix::thread::set_thread_res_gid(group, group, group).map_err(|e| format!("group: {e}"))?;
    rustix::thread::set_thread_res_uid(user, user, user).map_err(|e| format!("user: {e}"))
}

/// Whether what this process locks is not counted.
pub(super) fn may_lock_memory() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}

/// Gives up every capability, for good: also what an execution or a change of user would bring.
pub(super) fn drop_all() -> Result<(), String> {
    // These need a capability. Without it there is nothing to lose but what no_new_privs holds off.
    let _ = rustix::thread::set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    );
    for capability in 0..CAPABILITIES {
        if !matches!(sys::drop_from_bounding_set(capability), Ok(true)) {
            break;
        }
    }
    // Kernels without ambient capabilities have none to clear.
    let _ = rustix::thread::clear_ambient_capability_set();
    sys::drop_capabilities().map_err(|e| format!("capset: {e}"))?;
    let left = rustix::thread::capabilities(None).map_err(|e| format!("capget: {e}"))?;
    let none = CapabilitySet::empty();
    if (left.effective, left.permitted, left.inheritable) != (none, none, none) {
        return Err("some are left".to_owned());
    }
    Ok(())
}
