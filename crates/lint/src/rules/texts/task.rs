//! What the rules of this group say. Tasks: their identifiers and their data buffers.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&ID_ZERO, &ID_REPEATED, &IOVM, &DATA_BUFFER];

pub(in crate::rules) static ID_ZERO: Rule = Rule {
    id: "DK404",
    name: "task-identifier-zero",
    severity: Severity::Error,
    summary: "UserMapHBAData hands out the identifier 0, or none.",
    reason: "The kernel looks a task up by its identifier, and 0 means the head of the outstanding list. A response with \
             identifier 0 ends whichever task is first.",
    source: "IOSCSIParallelInterfaceController.h; driverkit.md 2.4, 3.5",
    mend: "start the counter at 1: *uniqueTaskID = ++ivars->nextTaskID",
    wrong: include_str!("../../../fixtures/rules/DK404/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK404/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static ID_REPEATED: Rule = Rule {
    id: "DK405",
    name: "task-identifier-repeated",
    severity: Severity::Error,
    summary: "UserMapHBAData hands out the same identifier again.",
    reason: "It is called once for every task of the pool. Two tasks with one identifier are answered for each other; \
             the data of one command ends in the buffer of another.",
    source: "driverkit.md 1, 3.5",
    mend: "count: *uniqueTaskID = ++ivars->nextTaskID",
    wrong: include_str!("../../../fixtures/rules/DK405/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK405/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static IOVM: Rule = Rule {
    id: "DK411",
    name: "iovm-address-dereferenced",
    severity: Severity::Error,
    summary: "fBufferIOVMAddr is used as a pointer.",
    reason: "It is the address of the data for the DMA engine of the device. Nothing is mapped there in the dext; the \
             first access ends the process.",
    source: "driverkit.md 2.1, 3.6, 5.2 (18)",
    mend: "give the address to the hardware, or ask for a mapping with UserGetDataBuffer in UserProcessParallelTask",
    wrong: include_str!("../../../fixtures/rules/DK411/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK411/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static DATA_BUFFER: Rule = Rule {
    id: "DK412",
    name: "data-buffer-outside-task",
    severity: Severity::Error,
    summary: "UserGetDataBuffer is called outside UserProcessParallelTask.",
    reason: "The framework knows the buffer of a task only while UserProcessParallelTask runs for it. Later, or from \
             another method, the call fails or finds the buffer of another task. Its use in the bundled path is not \
             documented.",
    source: "UserGetDataBuffer documentation; driverkit.md 1, 3.6",
    mend: "call it in UserProcessParallelTask and keep the descriptor with the task",
    wrong: include_str!("../../../fixtures/rules/DK412/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK412/right.cpp"),
    language: "cpp",
    fixable: false,
};
