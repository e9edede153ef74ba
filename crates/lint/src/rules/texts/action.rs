//! What the rules of this group say. Actions: kept with a reference, completed once, on every path.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&NOT_RETAINED, &TWICE, &NEVER, &NO_RESPONSE];

pub(in crate::rules) static NOT_RETAINED: Rule = Rule {
    id: "DK406",
    name: "action-not-retained",
    severity: Severity::Error,
    summary: "The completion action of a task is kept without a reference of its own.",
    reason: "The framework's reference ends with the call. An action that is stored for later must be retained, or the \
             completion is called on freed memory.",
    source: "OSAction documentation; driverkit.md 1, 4.2",
    mend: "call completion->retain() before it is stored, and release it after the completion",
    wrong: include_str!("../../../fixtures/rules/DK406/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK406/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static TWICE: Rule = Rule {
    id: "DK407",
    name: "task-completed-twice",
    severity: Severity::Error,
    summary: "One path completes the same action twice.",
    reason: "The first completion ends the task, and the framework reuses its identifier and action for the next \
             command. The second completion ends that one.",
    source: "SCSIParallelTask.cpp; driverkit.md 3.1, 3.4",
    mend: "return after the completion, or complete in one place at the end",
    wrong: include_str!("../../../fixtures/rules/DK407/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK407/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static NEVER: Rule = Rule {
    id: "DK408",
    name: "task-never-completed",
    severity: Severity::Error,
    summary: "A task is accepted, and its action is neither kept nor completed.",
    reason: "An accepted task ends only through its completion. If nothing can complete it, the client waits for ever; \
             in the probe of a target that is the 60 s busy timeout and a panic.",
    source: "driverkit.md 1.1, 3.1, 5.2 (3)",
    mend: "retain and keep the action until the command ends, then complete it; or refuse the task",
    wrong: include_str!("../../../fixtures/rules/DK408/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK408/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static NO_RESPONSE: Rule = Rule {
    id: "DK409",
    name: "service-response-not-set",
    severity: Severity::Warning,
    summary: "UserProcessParallelTask returns success without setting *response.",
    reason: "The framework reads *response to learn whether the task was accepted. Anything but Request_In_Process ends \
             the task as a failed delivery, and a value that was never set is anything.",
    source: "IOSCSIParallelInterfaceDevice.cpp; driverkit.md 1, 1.1",
    mend: "set *response = kSCSIServiceResponse_Request_In_Process when the task was accepted",
    wrong: include_str!("../../../fixtures/rules/DK409/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK409/right.cpp"),
    language: "cpp",
    fixable: false,
};
