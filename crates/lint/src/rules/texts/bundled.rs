//! What the rules of this group say. The bundled path: declined, accepted without work, mapping not kept, batches too long.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&DECLINED, &EMPTY, &MAPPING_LOST, &TOO_MANY];

pub(in crate::rules) static DECLINED: Rule = Rule {
    id: "DK301",
    name: "bundled-path-declined",
    severity: Severity::Advice,
    summary: "The bundled path is declined; every task costs a synchronous call of its own.",
    reason: "When UserMapBundledParallelTaskCommandAndResponseBuffers fails, the framework uses UserProcessParallelTask: \
             one message and one reply for each task with 128 bytes in, one message with 384 bytes back, and memory \
             prepared for each. On a RAID 0 of two disks that was measured as 565 instead of 645 MB/s. The bundled path \
             carries up to 32 tasks in one one-way message of 66 bytes, over memory that is mapped once.",
    source: "IOUserSCSIParallelInterfaceController.iig; Apple developer forum, thread 806670; driverkit.md 3.1-3.3",
    mend: "keep mappings of both buffers, return kIOReturnSuccess, and implement UserProcessBundledParallelTasks",
    wrong: include_str!("../../../fixtures/rules/DK301/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK301/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static EMPTY: Rule = Rule {
    id: "DK302",
    name: "bundled-path-empty",
    severity: Severity::Error,
    summary: "The bundled path is accepted, but UserProcessBundledParallelTasks does nothing with the tasks.",
    reason: "After the map call has succeeded the framework sends every task through UserProcessBundledParallelTasks and \
             none through UserProcessParallelTask. A method that does nothing swallows the first probe command, and the \
             start of the controller never ends.",
    source: "IOUserSCSIParallelInterfaceController.iig; driverkit.md 3.1",
    mend: "start each command of the bundle, or return kIOReturnError from the map call to keep the single path",
    wrong: include_str!("../../../fixtures/rules/DK302/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK302/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static MAPPING_LOST: Rule = Rule {
    id: "DK303",
    name: "bundled-mapping-not-kept",
    severity: Severity::Error,
    summary: "The map call succeeds without keeping a mapping of the command or the response buffer.",
    reason: "The call is made once, before the controller starts. The tasks of every later bundle are only in these \
             buffers; without a mapping there is nothing to read a command from or to put a response into.",
    source: "UserMapBundledParallelTaskCommandAndResponseBuffers documentation; driverkit.md 1, 3.1",
    mend: "call CreateMapping on both descriptors and keep the IOMemoryMap objects until free()",
    wrong: include_str!("../../../fixtures/rules/DK303/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK303/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static TOO_MANY: Rule = Rule {
    id: "DK305",
    name: "bundle-too-long",
    severity: Severity::Error,
    summary: "More than 32 slot indices are read from, or put into, one bundle.",
    reason: "A bundle is a fixed array of kMaxBundledParallelTasks = 32 indices in both directions. Entries after the \
             count are not valid, and there is no room for a 33rd.",
    source: "IOUserSCSIParallelInterfaceController.iig; driverkit.md 2.4, 3.1",
    mend: "complete at most kMaxBundledParallelTasks slots in one call; start another batch for the rest",
    wrong: include_str!("../../../fixtures/rules/DK305/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK305/right.cpp"),
    language: "cpp",
    fixable: false,
};
