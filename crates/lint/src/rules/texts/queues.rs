//! What the rules of this group say. Dispatch queues: bound by `QUEUENAME`, made by `Create`, registered by `SetDispatchQueue`.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[
    &ON_ACTION_METHOD,
    &NOT_REGISTERED,
    &NEVER_MADE,
    &NAMES_DIFFER,
    &AUXILIARY_MISSING,
    &NOT_USED,
    &INTERRUPT_MISSING,
    &NOT_BOUND,
];

pub(in crate::rules) static ON_ACTION_METHOD: Rule = Rule {
    id: "DK101",
    name: "queue-on-action-method",
    severity: Severity::Error,
    summary: "QUEUENAME moves a method that takes part in OSAction completion to another queue.",
    reason: "The framework calls the task methods on the Default queue and resolves the queue of an OSAction's target \
             when the action is handed over. A task method that is moved to a queue of its own splits submission and \
             completion over two serial queues, and the dext aborts at the first call if the queue is not registered: \
             the machine panics at load. Parallel work comes from the bundled path, not from another queue.",
    source: "Apple developer forum, thread 806670; OSAction and IODispatchQueue documentation; driverkit.md 4.1-4.3, 5.1",
    mend: "drop QUEUENAME from this method; to take tasks in parallel implement UserProcessBundledParallelTasks",
    wrong: include_str!("../../../fixtures/rules/DK101/wrong.iig"),
    right: include_str!("../../../fixtures/rules/DK101/right.iig"),
    language: "iig",
    fixable: true,
};

pub(in crate::rules) static NOT_REGISTERED: Rule = Rule {
    id: "DK102",
    name: "queue-not-registered",
    severity: Severity::Error,
    summary: "A queue is made by IODispatchQueue::Create and never given to SetDispatchQueue.",
    reason: "Create only makes a queue object; its name is a label. A method is served by a queue only after \
             SetDispatchQueue(name, queue). QUEUENAME with a name that was never registered sends the call to no queue: \
             the dext aborts at the first call.",
    source: "IOService::SetDispatchQueue documentation; xnu iokit/Kernel/IOUserServer.cpp; driverkit.md 4.1, 5.1",
    mend: "call SetDispatchQueue with the same name and the queue, right after Create succeeded",
    wrong: include_str!("../../../fixtures/rules/DK102/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK102/right.cpp"),
    language: "cpp",
    fixable: true,
};

pub(in crate::rules) static NEVER_MADE: Rule = Rule {
    id: "DK103",
    name: "queue-never-made",
    severity: Severity::Error,
    summary: "QUEUENAME binds a method to a queue that nothing makes.",
    reason: "QUEUENAME only records a name in the class description. The system makes no queue for it; the first call \
             of the method finds no queue and the dext aborts.",
    source: "DriverKit documentation of QUEUENAME; driverkit.md 4.1, 5.2 (24)",
    mend: "make the queue with IODispatchQueue::Create and register it with SetDispatchQueue, or drop QUEUENAME",
    wrong: include_str!("../../../fixtures/rules/DK103/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK103/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static NAMES_DIFFER: Rule = Rule {
    id: "DK104",
    name: "queue-names-differ",
    severity: Severity::Error,
    summary: "The name bound by QUEUENAME and the name given to SetDispatchQueue differ.",
    reason: "The name is the only link between the method and the queue. SetDispatchQueue with a name that no method \
             binds returns kIOReturnBadArgument, and the bound name stays without a queue.",
    source: "xnu iokit/Kernel/IOUserServer.cpp; driverkit.md 4.1",
    mend: "use one name in QUEUENAME and SetDispatchQueue",
    wrong: include_str!("../../../fixtures/rules/DK104/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK104/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static AUXILIARY_MISSING: Rule = Rule {
    id: "DK105",
    name: "auxiliary-queue-missing",
    severity: Severity::Error,
    summary: "The dext never makes and registers the queue AuxiliaryQueue.",
    reason: "UserCreateTargetForID is sent through a queue named AuxiliaryQueue that the dext has to make. Without it \
             the call is never delivered: the target appears in the registry, the caller never returns, and the start of \
             the controller hangs until the 60 s busy timeout panics the machine.",
    source: "IOUserSCSIParallelInterfaceController documentation; driverkit.md 1.1, 4.3 (3)",
    mend: "in Start or UserInitializeController: IODispatchQueue::Create(\"AuxiliaryQueue\", 0, 0, &queue), then \
           SetDispatchQueue(\"AuxiliaryQueue\", queue)",
    wrong: include_str!("../../../fixtures/rules/DK105/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK105/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static NOT_USED: Rule = Rule {
    id: "DK106",
    name: "queue-not-used",
    severity: Severity::Advice,
    summary: "A queue is made, but nothing is registered for it or dispatched to it.",
    reason: "A queue that is neither registered under a bound name nor given a block does nothing. Often it is what is \
             left of an attempt to move a method to another queue.",
    source: "DriverKit documentation of IODispatchQueue; driverkit.md 4.1",
    mend: "remove the queue, or dispatch work to it",
    wrong: include_str!("../../../fixtures/rules/DK106/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK106/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static INTERRUPT_MISSING: Rule = Rule {
    id: "DK107",
    name: "interrupt-queue-missing",
    severity: Severity::Warning,
    summary: "An interrupt source is served by the Default queue instead of the queue InterruptQueue.",
    reason: "Every method that the framework calls runs on the serial Default queue. Interrupts served there wait behind \
             submissions and management calls, and a method that waits for an interrupt waits for ever. The system expects \
             the dext to make a queue named InterruptQueue for them.",
    source: "IOUserSCSIParallelInterfaceController documentation; driverkit.md 1.1",
    mend: "make a queue with IODispatchQueue::Create(\"InterruptQueue\", 0, 0, &queue) and pass it to \
           IOInterruptDispatchSource::Create",
    wrong: include_str!("../../../fixtures/rules/DK107/wrong.cpp"),
    right: include_str!("../../../fixtures/rules/DK107/right.cpp"),
    language: "cpp",
    fixable: false,
};

pub(in crate::rules) static NOT_BOUND: Rule = Rule {
    id: "DK108",
    name: "queue-not-bound",
    severity: Severity::Warning,
    summary: "SetDispatchQueue is given a name that no method of the class binds.",
    reason: "The runtime knows only the names in the class description: Default and those of QUEUENAME. Any other name is \
             refused with kIOReturnBadArgument, and a start that checks the result fails.",
    source: "xnu iokit/Kernel/IOUserServer.cpp; driverkit.md 4.1",
    mend: "bind the name with QUEUENAME in the .iig, or use the queue without registering it",
    wrong: include_str!("../../../fixtures/rules/DK108/wrong.iig"),
    right: include_str!("../../../fixtures/rules/DK108/right.iig"),
    language: "iig",
    fixable: false,
};
