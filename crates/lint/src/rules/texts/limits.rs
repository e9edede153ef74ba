//! What the rules of this group say. What the controller reports of itself: constraints, DMA, task count, target ids.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] =
    &[&NOT_REPORTED, &KEY_MISSING, &CONTRADICT, &ENDIAN, &TASK_COUNT, &HIGHEST_ID];

pub(in crate::rules) static NOT_REPORTED: Rule = Rule {
    id: "DK501",
    name: "constraints-not-reported",
    severity: Severity::Error,
    summary: "UserInitializeController returns without calling UserReportHBAConstraints.",
    reason: "The constraints must be known before the method returns. Without them the start of the controller fails, or \
             only tiny transfers work: a 32 KB write fails at once and nothing says why.",
    source: "UserReportHBAConstraints documentation; driverkit.md 1, 2.7, 5.2 (19)",
    mend: "fill an OSDictionary with the seven keys and call UserReportHBAConstraints in UserInitializeController",
    wrong: include_str!("../../../fixtures/rules/DK501/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK501/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static KEY_MISSING: Rule = Rule {
    id: "DK502",
    name: "constraint-key-missing",
    severity: Severity::Error,
    summary: "The constraints lack a mandatory key.",
    reason: "All seven keys are mandatory. The kernel reads them without a test for null: a missing data alignment mask \
             panics the machine while the tasks are allocated.",
    source: "IOSCSIParallelInterfaceController.cpp; driverkit.md 2.7",
    mend: "set all seven keys",
    wrong: include_str!("../../../fixtures/rules/DK502/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK502/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static CONTRADICT: Rule = Rule {
    id: "DK503",
    name: "limits-contradict",
    severity: Severity::Warning,
    summary: "Reported limits contradict each other.",
    reason: "The DMA specification sets up the command of each task, the constraints cut requests into tasks. A \
             maxTransferSize below segments x bytes per segment lets requests through that no task can carry; other \
             widths or alignments in the two places are refused in the kernel before the dext sees the task.",
    source: "driverkit.md 2.6, 2.7, 5.2 (12, 13)",
    mend: "report the same numbers in both places, with maxTransferSize >= segment count x segment byte count",
    wrong: include_str!("../../../fixtures/rules/DK503/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK503/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static ENDIAN: Rule = Rule {
    id: "DK504",
    name: "dma-segments-big-endian",
    severity: Severity::Warning,
    summary: "UserGetDMASpecification asks for big-endian segments.",
    reason: "The segment type describes how the kernel lays out addresses in memory. On a little-endian machine a big \
             type makes the first data command fail in the kernel's DMA preparation; it never reaches the dext.",
    source: "SCSIDefinitions.h; driverkit.md 2.3, 3.6",
    mend: "use kDMAOutputSegmentHost64 or Host32, and swap in the driver if the hardware wants it",
    wrong: include_str!("../../../fixtures/rules/DK504/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK504/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static TASK_COUNT: Rule = Rule {
    id: "DK505",
    name: "task-count",
    severity: Severity::Error,
    summary: "UserReportMaximumTaskCount reports 0 or 1.",
    reason: "0 fails matching. With 1 a single lost completion stops the controller for good, and nothing ever runs in \
             parallel; the count is also the number of slots of the bundled path, whose indices are 16 bits wide.",
    source: "driverkit.md 1, 3.1, 3.3, 3.5",
    mend: "report what the hardware can queue; 32 or more fills a bundle",
    wrong: include_str!("../../../fixtures/rules/DK505/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK505/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static HIGHEST_ID: Rule = Rule {
    id: "DK506",
    name: "highest-target-id-too-low",
    severity: Severity::Error,
    summary: "The highest target id is below, or at, an id that is used.",
    reason: "The id is inclusive: a target above it is never found. The kernel's stop loop ends one below it, so the \
             target at the highest id itself is not flushed; a generous value avoids that. A target may never have the \
             initiator's id.",
    source: "IOSCSIParallelInterfaceController.cpp; driverkit.md 1, 1.1, 5.2 (7)",
    mend: "report a highest id above every target that is created, and another id for the initiator",
    wrong: include_str!("../../../fixtures/rules/DK506/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK506/right.cpp"),
    language: "cpp",
    fixable: false,
};
