//! What the rules of this group say. Waiting where nothing may wait: Stop, SetPowerState, the task methods.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&IN_STOP, &IN_POWER, &POWER_NOT_FORWARDED, &IN_TASK];

pub(in crate::rules) static IN_STOP: Rule = Rule {
    id: "DK203",
    name: "wait-in-stop",
    severity: Severity::Error,
    summary: "Stop waits for another queue or thread.",
    reason: "Stop runs on the Default queue. If the queue it waits for is inside UserCreateTargetForID, that call waits \
             for the kernel, and the kernel for a callback on Default: a cycle of three, ended by the 60 s busy timeout \
             and a panic.",
    source: "reports of public dexts; driverkit.md 4.3 (4)",
    mend: "set a flag that queued work looks at, release in free(), and let work retain the controller",
    wrong: include_str!("../../../fixtures/rules/DK203/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK203/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static IN_POWER: Rule = Rule {
    id: "DK205",
    name: "wait-in-power-change",
    severity: Severity::Warning,
    summary: "SetPowerState blocks.",
    reason: "The kernel gives a power change 20 s. If super::SetPowerState has not acknowledged it by then, the machine \
             panics. Default also serves every other call meanwhile.",
    source: "xnu iokit/Kernel/IOServicePM.cpp; Apple developer forum, thread 817993; driverkit.md 1.1, 4.5",
    mend: "start the work on a private queue and acknowledge from there with SetPowerState(flags, SUPERDISPATCH)",
    wrong: include_str!("../../../fixtures/rules/DK205/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK205/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static POWER_NOT_FORWARDED: Rule = Rule {
    id: "DK206",
    name: "power-change-not-acknowledged",
    severity: Severity::Error,
    summary: "An override of SetPowerState never calls the one of its super class.",
    reason: "Only the super class acknowledges the change to the kernel. Without it the 20 s run out and the machine \
             panics.",
    source: "SCSIControllerDriverKit documentation; xnu iokit/Kernel/IOServicePM.cpp; driverkit.md 1.1, 4.5",
    mend: "end with: return SetPowerState(powerFlags, SUPERDISPATCH);",
    wrong: include_str!("../../../fixtures/rules/DK206/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK206/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static IN_TASK: Rule = Rule {
    id: "DK207",
    name: "wait-in-task-method",
    severity: Severity::Error,
    summary: "A task method blocks.",
    reason: "The task methods run on the serial Default queue, and a kernel thread waits for UserProcessParallelTask \
             without a timeout. While one waits, no other task, no completion and no management call is served; a stop \
             waits uninterruptibly until the call returns.",
    source: "driverkit.md 1.1, 3.2, 4.4",
    mend: "start the command, keep the action, return; complete it from the interrupt or a private queue",
    wrong: include_str!("../../../fixtures/rules/DK207/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK207/right.cpp"),
    language: "cpp",
    fixable: false,
};
