//! What the rules of this group say. Creating and destroying targets: which queue may do it.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&FROM_DEFAULT, &FROM_AUXILIARY, &DESTROY_IN_STOP];

pub(in crate::rules) static FROM_DEFAULT: Rule = Rule {
    id: "DK201",
    name: "create-target-from-default",
    severity: Severity::Error,
    summary: "UserCreateTargetForID is reached from a method that runs on the Default queue.",
    reason: "The call returns only after the kernel has called UserInitializeTargetForID and probed the target through \
             the task methods, all on the Default queue. Called from Default it waits for itself; the start of the \
             controller hangs until the 60 s busy timeout panics the machine.",
    source: "UserCreateTargetForID documentation; driverkit.md 4.3 (1)",
    mend: "call it from a private queue: queue->DispatchAsync(^{ UserCreateTargetForID(id, properties); })",
    wrong: include_str!("../../../fixtures/rules/DK201/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK201/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static FROM_AUXILIARY: Rule = Rule {
    id: "DK202",
    name: "create-target-from-auxiliary",
    severity: Severity::Warning,
    summary: "UserCreateTargetForID is reached from the queue AuxiliaryQueue.",
    reason: "The framework sends the call through AuxiliaryQueue, a serial queue. A caller that occupies that queue waits \
             for itself. One published sample calls it from there, others saw it hang; a third, private queue is safe in \
             both readings.",
    source: "reports of public dexts; driverkit.md 4.3 (2)",
    mend: "call it from a third, private queue",
    wrong: include_str!("../../../fixtures/rules/DK202/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK202/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static DESTROY_IN_STOP: Rule = Rule {
    id: "DK204",
    name: "destroy-target-in-stop",
    severity: Severity::Warning,
    summary: "UserDestroyTargetForID is called while the controller stops.",
    reason: "On stop the framework terminates the targets itself as children of the controller. An explicit destroy \
             re-enters that termination, the target never becomes quiet, and the 60 s busy timeout panics the machine.",
    source: "reports of public dexts; driverkit.md 5.2 (5)",
    mend: "leave the targets to the framework in Stop; destroy them only on hot-unplug, from a private queue",
    wrong: include_str!("../../../fixtures/rules/DK204/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK204/right.cpp"),
    language: "cpp",
    fixable: false,
};
