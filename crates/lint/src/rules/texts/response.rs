//! What the rules of this group say. Responses: version, identifier, target, and statuses that fit together.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&VERSION, &IDENTIFIER, &TARGET, &MISFIT];

pub(in crate::rules) static VERSION: Rule = Rule {
    id: "DK401",
    name: "response-version-not-set",
    severity: Severity::Error,
    summary: "A response is completed without its version.",
    reason: "The kernel drops a completion whose version is not kScsiUserParallelTaskResponseCurrentVersion1, without a \
             word. The task never ends and nothing is logged anywhere.",
    source: "IOUserSCSIParallelInterfaceController.iig; driverkit.md 2.2, 5.2 (21)",
    mend: "set response.version = kScsiUserParallelTaskResponseCurrentVersion1 before the completion",
    wrong: include_str!("../../../fixtures/rules/DK401/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK401/right.cpp"),
    language: "cpp",
    fixable: true,
};

pub(in crate::rules) static IDENTIFIER: Rule = Rule {
    id: "DK402",
    name: "response-identifier-not-copied",
    severity: Severity::Error,
    summary: "A response is completed without the controller task identifier of its task.",
    reason: "fControllerTaskIdentifier is the key by which the kernel finds the task. Left at 0 it means the head of the \
             target's list: some other task is ended with this one's answer.",
    source: "IOSCSIParallelInterfaceController.h; driverkit.md 2.2, 2.4, 3.5",
    mend: "copy it from the task: response.fControllerTaskIdentifier = task.fControllerTaskIdentifier",
    wrong: include_str!("../../../fixtures/rules/DK402/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK402/right.cpp"),
    language: "cpp",
    fixable: true,
};

pub(in crate::rules) static TARGET: Rule = Rule {
    id: "DK403",
    name: "response-target-not-copied",
    severity: Severity::Error,
    summary: "A response is completed without the target identifier of its task.",
    reason: "The kernel looks for the task in the list of the target that the response names. Left at 0 it looks at \
             target 0, whatever the task was for.",
    source: "IOSCSIParallelInterfaceDevice.cpp; driverkit.md 2.2, 3.5",
    mend: "copy it from the task: response.fTargetID = task.fTargetID",
    wrong: include_str!("../../../fixtures/rules/DK403/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK403/right.cpp"),
    language: "cpp",
    fixable: true,
};

pub(in crate::rules) static MISFIT: Rule = Rule {
    id: "DK410",
    name: "status-and-service-response-misfit",
    severity: Severity::Error,
    summary: "Completion status and service response of a response do not fit together.",
    reason: "Two families of status share one field: what a device answered goes with TASK_COMPLETE, a failed delivery \
             with SERVICE_DELIVERY_OR_TARGET_FAILURE. The values 0x02 (CHECK_CONDITION or ProtocolTimeoutOccurred) and \
             0x04 (CONDITION_MET or DeviceNotPresent) are in both; only the service response tells them apart. Service \
             response 0 means that the task is still in process.",
    source: "SCSIDefinitions.h; driverkit.md 2.3",
    mend: "pair device statuses with kSCSIServiceResponse_TASK_COMPLETE and delivery statuses with \
           kSCSIServiceResponse_SERVICE_DELIVERY_OR_TARGET_FAILURE, by name",
    wrong: include_str!("../../../fixtures/rules/DK410/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK410/right.cpp"),
    language: "cpp",
    fixable: false,
};
