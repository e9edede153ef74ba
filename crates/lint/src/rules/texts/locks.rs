//! What the rules of this group say. Locks held over a call into the kernel.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&HELD];

pub(in crate::rules) static HELD: Rule = Rule {
    id: "DK208",
    name: "lock-over-kernel-call",
    severity: Severity::Warning,
    summary: "A lock is held over a call into the kernel.",
    reason: "The call is a message to the kernel, which may take its own gate and call the dext back before it answers. \
             If the callback, or any thread it waits for, needs the lock, neither side goes on; there is no timeout.",
    source: "driverkit.md 4.3 (6), 4.4",
    mend: "take what is needed out under the lock, unlock, then call",
    wrong: include_str!("../../../fixtures/rules/DK208/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK208/right.cpp"),
    language: "cpp",
    fixable: false,
};
