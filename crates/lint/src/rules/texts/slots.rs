//! What the rules of this group say. Slots of the bundled path: the right one is answered, once, and not touched afterwards.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&OTHER_SLOT, &TOUCHED];

pub(in crate::rules) static OTHER_SLOT: Rule = Rule {
    id: "DK304",
    name: "answer-in-other-slot",
    severity: Severity::Error,
    summary: "A command is answered in another slot than its own.",
    reason: "Entry N of the response buffer belongs to entry N of the command buffer, and the index in a completion names \
             both. The position of an index in the bundle is not the slot: slots arrive in any order. An answer in \
             another slot ends some other task with this one's data, and this task never.",
    source: "IOUserSCSIParallelInterfaceController.iig; driverkit.md 3.1",
    mend: "use the slot index taken from parallelRequestSlotIndices for command, response and completion alike",
    wrong: include_str!("../../../fixtures/rules/DK304/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK304/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static TOUCHED: Rule = Rule {
    id: "DK306",
    name: "slot-touched-after-completion",
    severity: Severity::Error,
    summary: "A slot is read, written or completed again after its completion.",
    reason: "BundledParallelTaskCompletion gives the slot back. The framework may reuse it at once for the next command, \
             so a later read sees that command and a later write or completion spoils it.",
    source: "IOUserSCSIParallelInterfaceController.iig; driverkit.md 3.1",
    mend: "copy what is needed before the completion, and make the completion the last use of the slot",
    wrong: include_str!("../../../fixtures/rules/DK306/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK306/right.cpp"),
    language: "cpp",
    fixable: false,
};
