//! Single edits of the clean example, each of which breaks one rule: the rule is found and nothing else is.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{example, ids, lint, shown};

/// What is broken, in which file, what is replaced by what, and the rule that must be found.
type Edit = (&'static str, &'static str, &'static str, &'static str, &'static str);

const IIG: &str = "StripeController.iig";
const MAIN: &str = "StripeController.cpp";
const TASKS: &str = "StripeTasks.cpp";
const HEADER: &str = "StripeAdapter.h";
const PLIST: &str = "Info.plist";
const RIGHTS: &str = "Stripe.entitlements";

const EDITS: &[Edit] = &[
    // Queues.
    (
        "single path on a queue",
        IIG,
        "uint32_t * response,\n                                                  OSAction * completion) override;",
        "uint32_t * response,\n                                                  OSAction * completion) override QUEUENAME(InterruptQueue);",
        "DK101",
    ),
    (
        "bundled path on a queue",
        IIG,
        "uint16_t parallelRequestSlotIndicesCount,\n        OSAction * completion) override;",
        "uint16_t parallelRequestSlotIndicesCount,\n        OSAction * completion) override QUEUENAME(AuxiliaryQueue);",
        "DK101",
    ),
    (
        "interrupt queue not registered",
        MAIN,
        "    ret = SetDispatchQueue(\"InterruptQueue\", ivars->interruptQueue);\n",
        "",
        "DK102",
    ),
    (
        "auxiliary queue not registered",
        MAIN,
        "    ret = SetDispatchQueue(\"AuxiliaryQueue\", ivars->auxiliaryQueue);\n",
        "",
        "DK102",
    ),
    (
        "method bound to a queue that nothing makes",
        IIG,
        "UserInitializeTargetForID(SCSITargetIdentifier targetID) override;",
        "UserInitializeTargetForID(SCSITargetIdentifier targetID) override QUEUENAME(SetupWork);",
        "DK103",
    ),
    (
        "bound name differs in case",
        IIG,
        "QUEUENAME(InterruptQueue)",
        "QUEUENAME(StripeIrq)",
        "DK103",
    ),
    (
        "registered name has a slip",
        MAIN,
        "SetDispatchQueue(\"InterruptQueue\"",
        "SetDispatchQueue(\"InteruptQueue\"",
        "DK104",
    ),
    (
        "auxiliary queue missing",
        MAIN,
        "    ret = SetDispatchQueue(\"AuxiliaryQueue\", ivars->auxiliaryQueue);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ret = IODispatchQueue::Create(\"InterruptQueue\"",
        "    ret = IODispatchQueue::Create(\"InterruptQueue\"",
        "DK102",
    ),
    (
        "auxiliary queue has another name",
        MAIN,
        "    kern_return_t ret = IODispatchQueue::Create(\"AuxiliaryQueue\", 0, 0, &ivars->auxiliaryQueue);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ret = SetDispatchQueue(\"AuxiliaryQueue\", ivars->auxiliaryQueue);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ret =",
        "    kern_return_t ret =",
        "DK105",
    ),
    (
        "interrupts on Default",
        MAIN,
        "IOInterruptDispatchSource::Create(ivars->pci, 0, ivars->interruptQueue, &ivars->interrupt)",
        "IOInterruptDispatchSource::Create(ivars->pci, 0, GetDispatchQueue(), &ivars->interrupt)",
        "DK107",
    ),
    (
        "registered under a name that nothing binds",
        MAIN,
        "    return IODispatchQueue::Create(\"StripeTargets\", 0, 0, &ivars->targetQueue);",
        "    ret = IODispatchQueue::Create(\"StripeTargets\", 0, 0, &ivars->targetQueue);\n    return ret == kIOReturnSuccess ? SetDispatchQueue(\"StripeTargets\", ivars->targetQueue) : ret;",
        "DK108",
    ),
    // Targets and waits.
    (
        "target created in UserStartController",
        MAIN,
        "    ivars->interrupt->SetEnable(true);\n",
        "    ivars->interrupt->SetEnable(true);\n    PublishTargets();\n",
        "DK201",
    ),
    (
        "target created on Default while it waits",
        MAIN,
        "ivars->targetQueue->DispatchAsync(^{\n        PublishTargets();",
        "ivars->targetQueue->DispatchSync(^{\n        PublishTargets();",
        "DK201",
    ),
    (
        "target created on AuxiliaryQueue",
        MAIN,
        "    ivars->interrupt->SetEnable(true);\n",
        "    ivars->interrupt->SetEnable(true);\n    ivars->auxiliaryQueue->DispatchAsync(^{ PublishTargets(); });\n",
        "DK202",
    ),
    (
        "Stop waits for the target queue",
        MAIN,
        "    ivars->stopping = true;\n",
        "    ivars->targetQueue->DispatchSync(^{\n        ivars->stopping = true;\n    });\n",
        "DK203",
    ),
    (
        "Stop polls",
        MAIN,
        "    ivars->stopping = true;\n",
        "    ivars->stopping = true;\n    while (ivars->doneIndex != 0) {\n        IOSleep(10);\n    }\n",
        "DK203",
    ),
    (
        "Stop destroys a target",
        MAIN,
        "    ivars->stopping = true;\n",
        "    ivars->stopping = true;\n    UserDestroyTargetForID(0);\n",
        "DK204",
    ),
    (
        "SetPowerState sleeps",
        MAIN,
        "        ivars->doneIndex = 0;\n",
        "        ivars->doneIndex = 0;\n        IOSleep(25000);\n",
        "DK205",
    ),
    (
        "SetPowerState waits for a queue",
        MAIN,
        "    StripeLog(\"power %u\", powerFlags);\n",
        "    ivars->targetQueue->DispatchSync(^{ ivars->doneIndex = 0; });\n",
        "DK205",
    ),
    (
        "power change not acknowledged",
        MAIN,
        "    return SetPowerState(powerFlags, SUPERDISPATCH);",
        "    return kIOReturnSuccess;",
        "DK206",
    ),
    (
        "task method sleeps",
        TASKS,
        "    command.tag = slot;\n",
        "    command.tag = slot;\n    IOSleep(1);\n",
        "DK207",
    ),
    (
        "completion under the lock",
        TASKS,
        "    IOLockUnlock(ivars->lock);\n\n    // The call into the kernel is made without the lock.\n    if (count > 0 && action != nullptr) {\n        BundledParallelTaskCompletion(action, finished, count);\n    }\n",
        "    if (count > 0 && action != nullptr) {\n        BundledParallelTaskCompletion(action, finished, count);\n    }\n    IOLockUnlock(ivars->lock);\n",
        "DK208",
    ),
    // The bundled path.
    (
        "bundled path declined",
        TASKS,
        "    kern_return_t ret = parallelCommandIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->commandMap);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ret = parallelResponseIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->responseMap);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ivars->commands = reinterpret_cast<SCSIUserParallelTask *>(ivars->commandMap->GetAddress());\n    ivars->responses = reinterpret_cast<SCSIUserParallelResponse *>(ivars->responseMap->GetAddress());\n    return kIOReturnSuccess;",
        "    return kIOReturnError;",
        "DK301",
    ),
    (
        "bundled method empty",
        TASKS,
        "    IOLockLock(ivars->lock);\n    if (ivars->bundleAction == nullptr) {\n        completion->retain();\n        ivars->bundleAction = completion;\n    }\n    for (uint16_t i = 0; i < parallelRequestSlotIndicesCount; i++) {\n        StartSlot(parallelRequestSlotIndices[i]);\n    }\n    IOLockUnlock(ivars->lock);\n",
        "    StripeLog(\"%u tasks\", parallelRequestSlotIndicesCount);\n",
        "DK302",
    ),
    (
        "response mapping not kept",
        TASKS,
        "    ret = parallelResponseIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->responseMap);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n",
        "",
        "DK303",
    ),
    (
        "response in another slot",
        TASKS,
        "&ivars->responses[slot];",
        "&ivars->responses[slot + 1];",
        "DK304",
    ),
    ("loop over 64 indices", TASKS, "i < parallelRequestSlotIndicesCount", "i < 64", "DK305"),
    (
        "index array too large",
        TASKS,
        "uint16_t finished[kMaxBundledParallelTasks] = {};",
        "uint16_t finished[kMaxTasks] = {};",
        "DK305",
    ),
    (
        "more than 32 completed",
        TASKS,
        "BundledParallelTaskCompletion(action, finished, count);",
        "BundledParallelTaskCompletion(action, finished, 33);",
        "DK305",
    ),
    (
        "slot read after completion",
        TASKS,
        "        BundledParallelTaskCompletion(action, finished, count);\n",
        "        BundledParallelTaskCompletion(action, finished, count);\n        ivars->doneIndex += ivars->commands[finished[0]].fCommandSize;\n",
        "DK306",
    ),
    (
        "slot put into the next bundle again",
        TASKS,
        "        finished[count++] = slot;\n",
        "        finished[count++] = static_cast<uint16_t>(slot + 1);\n",
        "DK304",
    ),
    (
        "single task completed twice",
        TASKS,
        "    return kIOReturnUnsupported;",
        "    SCSIUserParallelResponse answer = {\n        .version = kScsiUserParallelTaskResponseCurrentVersion1,\n        .fTargetID = parallelRequest.fTargetID,\n        .fControllerTaskIdentifier = parallelRequest.fControllerTaskIdentifier,\n        .fCompletionStatus = kSCSITaskStatus_BUSY,\n        .fServiceResponse = kSCSIServiceResponse_TASK_COMPLETE,\n    };\n    ParallelTaskCompletion(completion, answer);\n    ParallelTaskCompletion(completion, answer);\n    return kIOReturnSuccess;",
        "DK407",
    ),
    // Responses.
    (
        "version not set",
        TASKS,
        "    response->version = kScsiUserParallelTaskResponseCurrentVersion1;\n",
        "",
        "DK401",
    ),
    (
        "version set to 2",
        TASKS,
        "response->version = kScsiUserParallelTaskResponseCurrentVersion1;",
        "response->version = 2;",
        "DK401",
    ),
    (
        "identifier not copied",
        TASKS,
        "    response->fControllerTaskIdentifier = task->fControllerTaskIdentifier;\n",
        "",
        "DK402",
    ),
    (
        "identifier set to 0",
        TASKS,
        "response->fControllerTaskIdentifier = task->fControllerTaskIdentifier;",
        "response->fControllerTaskIdentifier = 0;",
        "DK402",
    ),
    ("target not copied", TASKS, "    response->fTargetID = task->fTargetID;\n", "", "DK403"),
    (
        "delivery failure as an answer",
        TASKS,
        "kSCSITaskStatus_BUSY",
        "kSCSITaskStatus_TaskTimeoutOccurred",
        "DK410",
    ),
    (
        "device status as a delivery failure",
        TASKS,
        "kSCSITaskStatus_DeliveryFailure",
        "kSCSITaskStatus_CHECK_CONDITION",
        "DK410",
    ),
    (
        "ambiguous number",
        TASKS,
        "kSCSITaskStatus_DeliveryFailure",
        "static_cast<SCSITaskStatus>(0x02)",
        "DK410",
    ),
    (
        "still in process",
        TASKS,
        "            response->fServiceResponse = kSCSIServiceResponse_SERVICE_DELIVERY_OR_TARGET_FAILURE;\n            response->fCompletionStatus",
        "            response->fServiceResponse = kSCSIServiceResponse_Request_In_Process;\n            response->fCompletionStatus",
        "DK410",
    ),
    // Tasks.
    ("first identifier is 0", TASKS, "++ivars->nextTaskID", "ivars->nextTaskID++", "DK404"),
    (
        "identifier is 0",
        TASKS,
        "*uniqueTaskID = ++ivars->nextTaskID;",
        "*uniqueTaskID = 0;",
        "DK404",
    ),
    (
        "identifier repeated",
        TASKS,
        "*uniqueTaskID = ++ivars->nextTaskID;",
        "*uniqueTaskID = 1;",
        "DK405",
    ),
    (
        "counter never grows",
        TASKS,
        "*uniqueTaskID = ++ivars->nextTaskID;",
        "*uniqueTaskID = ivars->nextTaskID;",
        "DK405",
    ),
    ("action not retained", TASKS, "        completion->retain();\n", "", "DK406"),
    (
        "action dropped",
        TASKS,
        "    if (ivars->bundleAction == nullptr) {\n        completion->retain();\n        ivars->bundleAction = completion;\n    }\n",
        "",
        "DK408",
    ),
    (
        "single task accepted and dropped",
        TASKS,
        "    *response = kSCSIServiceResponse_SERVICE_DELIVERY_OR_TARGET_FAILURE;\n    return kIOReturnUnsupported;",
        "    *response = kSCSIServiceResponse_Request_In_Process;\n    return kIOReturnSuccess;",
        "DK408",
    ),
    (
        "service response not set",
        TASKS,
        "    *response = kSCSIServiceResponse_SERVICE_DELIVERY_OR_TARGET_FAILURE;\n    return kIOReturnUnsupported;",
        "    return kIOReturnSuccess;",
        "DK409",
    ),
    (
        "data touched by the processor",
        TASKS,
        "    command.dataAddress = task.fBufferIOVMAddr;\n",
        "    command.dataAddress = task.fBufferIOVMAddr;\n    command.direction = *reinterpret_cast<const uint8_t *>(task.fBufferIOVMAddr);\n",
        "DK411",
    ),
    (
        "data copied by the processor",
        TASKS,
        "    command.tag = slot;\n",
        "    command.tag = slot;\n    memcpy(ivars->submission, (void *)(uintptr_t)task.fBufferIOVMAddr, 64);\n",
        "DK411",
    ),
    (
        "data buffer asked for elsewhere",
        MAIN,
        "    StripeLog(\"target %llu is set up\", targetID);\n",
        "    IOBufferMemoryDescriptor * data = nullptr;\n    UserGetDataBuffer(targetID, 1, &data);\n",
        "DK412",
    ),
    // Limits.
    (
        "constraints not reported",
        MAIN,
        "    return ReportConstraints();",
        "    return kIOReturnSuccess;",
        "DK501",
    ),
    (
        "mask missing",
        MAIN,
        "    set(kIOMinimumHBADataAlignmentMaskKey, 0xFFFFFFFFFFFFFFFCULL);\n",
        "",
        "DK502",
    ),
    (
        "segment count missing",
        MAIN,
        "    set(kIOMaximumSegmentCountWriteKey, kSegmentCount);\n",
        "",
        "DK502",
    ),
    (
        "largest transfer too small",
        HEADER,
        "kMaxTransfer = kSegmentCount * kSegmentBytes;",
        "kMaxTransfer = kSegmentBytes;",
        "DK503",
    ),
    (
        "address bits differ",
        MAIN,
        "*numAddressBits = kAddressBits;",
        "*numAddressBits = 32;",
        "DK503",
    ),
    ("alignment differs", MAIN, "*alignment = kAlignment;", "*alignment = 16;", "DK503"),
    (
        "mask narrower than the address",
        MAIN,
        "0xFFFFFFFFFFFFFFFCULL",
        "0x00000000FFFFFFFC",
        "DK503",
    ),
    (
        "no segments",
        MAIN,
        "set(kIOMaximumSegmentCountReadKey, kSegmentCount);",
        "set(kIOMaximumSegmentCountReadKey, 0);",
        "DK503",
    ),
    ("big-endian segments", MAIN, "kDMAOutputSegmentHost64", "kDMAOutputSegmentBig32", "DK504"),
    ("no tasks", HEADER, "kMaxTasks = 128;", "kMaxTasks = 0;", "DK505"),
    ("one task", MAIN, "*count = kMaxTasks;", "*count = 1;", "DK505"),
    (
        "target above the highest id",
        MAIN,
        "UserCreateTargetForID(0, properties)",
        "UserCreateTargetForID(64, properties)",
        "DK506",
    ),
    (
        "target has the initiator's id",
        MAIN,
        "UserCreateTargetForID(0, properties)",
        "UserCreateTargetForID(kInitiator, properties)",
        "DK506",
    ),
    ("only target 0", MAIN, "*id = kHighestTarget;", "*id = 0;", "DK506"),
    // Class and bundle.
    (
        "method not overridden",
        IIG,
        "    virtual kern_return_t UserDoesHBASupportMultiPathing(bool * result) override;\n",
        "",
        "DK601",
    ),
    (
        "bundled method not overridden",
        IIG,
        "    virtual void UserProcessBundledParallelTasks(\n        const uint16_t parallelRequestSlotIndices[kMaxBundledParallelTasks],\n        uint16_t parallelRequestSlotIndicesCount,\n        OSAction * completion) override;\n",
        "",
        "DK601",
    ),
    (
        "kernel bundle missing",
        PLIST,
        "\t\t\t<key>CFBundleIdentifierKernel</key>\n\t\t\t<string>com.apple.iokit.IOSCSIParallelFamily</string>\n",
        "",
        "DK701",
    ),
    (
        "provider missing",
        PLIST,
        "\t\t\t<key>IOProviderClass</key>\n\t\t\t<string>IOPCIDevice</string>\n",
        "",
        "DK701",
    ),
    (
        "another kernel class",
        PLIST,
        "<string>IOUserSCSIParallelInterfaceController</string>",
        "<string>IOSCSIParallelInterfaceController</string>",
        "DK702",
    ),
    (
        "another user class",
        PLIST,
        "<string>StripeController</string>",
        "<string>StripeDriver</string>",
        "DK702",
    ),
    (
        "family entitlement missing",
        RIGHTS,
        "\t<key>com.apple.developer.driverkit.family.scsicontroller</key>\n\t<true/>\n",
        "",
        "DK703",
    ),
    (
        "entitlement is false",
        RIGHTS,
        "<key>com.apple.developer.driverkit</key>\n\t<true/>",
        "<key>com.apple.developer.driverkit</key>\n\t<false/>",
        "DK703",
    ),
    (
        "transport entitlement missing",
        RIGHTS,
        "com.apple.developer.driverkit.transport.pci",
        "com.apple.developer.driverkit.transport.usb",
        "DK703",
    ),
];

#[test]
fn every_edit_is_found_and_nothing_else() {
    let mut failed = Vec::new();
    for (what, file, from, to, rule) in EDITS {
        let mut files = example();
        let text = files.iter_mut().find(|(name, _)| name == file).map(|(_, text)| text);
        let text = text.expect("the file is part of the example");
        assert_eq!(text.matches(from).count(), 1, "`{what}` does not name one place: {from}");
        *text = text.replace(from, to);
        let outcome = lint(&files);
        if ids(&outcome) != [*rule] {
            failed.push(format!(
                "{what}: wanted {rule}, got {:?}\n{}",
                ids(&outcome),
                shown(&outcome)
            ));
        }
    }
    println!("{} of {} edits found and nothing else", EDITS.len() - failed.len(), EDITS.len());
    assert!(EDITS.len() >= 40);
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn the_example_is_clean() {
    let outcome = lint(&example());
    assert!(outcome.findings.is_empty(), "{}", shown(&outcome));
    assert!(outcome.skipped.is_empty(), "{:?}", outcome.skipped);
}
