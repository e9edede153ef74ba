//! The kernel's controller class beside the dext's.

/// A method of the kernel's class or of its tasks.
pub(super) struct Entry {
    pub(super) kext: &'static str,
    /// The dext's methods; empty if there is no counterpart.
    pub(super) dext: &'static str,
    pub(super) advice: &'static str,
    /// A service that drivers call, worth reporting where it is called.
    pub(super) called: bool,
}

const fn over(kext: &'static str, dext: &'static str, advice: &'static str) -> Entry {
    Entry { kext, dext, advice, called: false }
}

const fn call(kext: &'static str, dext: &'static str, advice: &'static str) -> Entry {
    Entry { kext, dext, advice, called: true }
}

/// What is known of the kernel's class.
pub(super) const KEXT: &[Entry] = &[
    over("init", "init", "Allocate ivars; nothing else is up yet."),
    over("free", "free", "Release queues, maps and ivars here, not in Stop."),
    over(
        "probe",
        "",
        "Matching is the personality's alone; put the test of the device into its match keys.",
    ),
    over("start", "Start", "Make and register AuxiliaryQueue, then call super with SUPERDISPATCH."),
    over(
        "stop",
        "Stop",
        "Never wait here for another queue; the framework ends the targets itself.",
    ),
    over("willTerminate", "Stop", "No counterpart before Stop; refuse new work with a flag."),
    over(
        "message",
        "",
        "No messages reach a dext; what mattered comes as power changes, Stop, or a user client call.",
    ),
    over(
        "setPowerState",
        "SetPowerState",
        "Make the hardware safe and acknowledge with SUPERDISPATCH within 20 s.",
    ),
    over(
        "powerStateWillChangeTo",
        "SetPowerState",
        "One call carries the change; see setPowerState.",
    ),
    over(
        "powerStateDidChangeTo",
        "SetPowerState",
        "One call carries the change; see setPowerState.",
    ),
    over(
        "InitializeController",
        "UserInitializeController",
        "Open the PCI provider, make queues, and report the constraints before it returns.",
    ),
    over("TerminateController", "Stop", "Its work moves to Stop and free()."),
    over(
        "StartController",
        "UserStartController",
        "Enable interrupts; on success tasks may arrive.",
    ),
    over("StopController", "Stop", "Disable interrupts and the hardware in Stop."),
    over(
        "SuspendServices",
        "SetPowerState",
        "Refuse or answer BUSY by yourself while the hardware sleeps.",
    ),
    over("ResumeServices", "SetPowerState", "See SuspendServices."),
    over(
        "ReportInitiatorIdentifier",
        "UserReportInitiatorIdentifier",
        "A target may never have this id.",
    ),
    over(
        "ReportHighestSupportedDeviceID",
        "UserReportHighestSupportedDeviceID",
        "Inclusive; choose it above every target that is created.",
    ),
    over(
        "ReportMaximumTaskCount",
        "UserReportMaximumTaskCount",
        "Also the number of slots of the bundled path.",
    ),
    over(
        "ReportHBASpecificTaskDataSize",
        "UserMapHBAData",
        "No size is reported: the dext allocates its own area for each task and hands out a unique id above 0.",
    ),
    over(
        "ReportHBASpecificDeviceDataSize",
        "UserInitializeTargetForID",
        "Keep data of a target in the dext, by its id.",
    ),
    over("ReportHBAHighestLogicalUnitNumber", "UserReportHBAHighestLogicalUnitNumber", ""),
    over(
        "ReportHBAConstraints",
        "UserReportHBAConstraints",
        "Now the dext calls it, in UserInitializeController, with all seven keys as OSNumber.",
    ),
    over("DoesHBAPerformDeviceManagement", "UserDoesHBAPerformDeviceManagement", ""),
    over(
        "DoesHBAPerformAutoSense",
        "UserDoesHBAPerformAutoSense",
        "Return true and fill fSenseBuffer on CHECK CONDITION.",
    ),
    over("DoesHBASupportSCSIParallelFeature", "UserDoesHBASupportSCSIParallelFeature", ""),
    over("DoesHBASupportMultiPathing", "UserDoesHBASupportMultiPathing", ""),
    over(
        "InitializeDMASpecification",
        "UserGetDMASpecification",
        "Four numbers instead of an IODMACommand; they must fit the constraints.",
    ),
    over(
        "InitializeTargetForID",
        "UserInitializeTargetForID",
        "Runs on Default while UserCreateTargetForID waits elsewhere.",
    ),
    over(
        "ProcessParallelTask",
        "UserProcessBundledParallelTasks, UserProcessParallelTask, UserMapBundledParallelTaskCommandAndResponseBuffers",
        "Take the bundled path; the single one costs a synchronous call for each task.",
    ),
    over(
        "HandleInterruptRequest",
        "IOInterruptDispatchSource",
        "A handler of the dext's own with TYPE(IOInterruptDispatchSource::InterruptOccurred) on InterruptQueue.",
    ),
    over(
        "FilterInterruptRequest",
        "",
        "No code runs at interrupt level; use MSI or MSI-X so that a source is not shared.",
    ),
    over(
        "HandleTimeout",
        "",
        "Run timers of your own on a private queue; every task carries fTimeoutInMilliSec.",
    ),
    over(
        "AbortTaskRequest",
        "UserAbortTaskRequest",
        "The answer is synchronous; still complete the task itself once.",
    ),
    over("AbortTaskSetRequest", "UserAbortTaskSetRequest", "The answer is synchronous."),
    over("ClearACARequest", "UserClearACARequest", "The answer is synchronous."),
    over("ClearTaskSetRequest", "UserClearTaskSetRequest", "The answer is synchronous."),
    over("LogicalUnitResetRequest", "UserLogicalUnitResetRequest", "The answer is synchronous."),
    over("TargetResetRequest", "UserTargetResetRequest", "The answer is synchronous."),
    call(
        "CompleteParallelTask",
        "BundledParallelTaskCompletion, ParallelTaskCompletion",
        "Fill a response with version, target, identifier, status and service response, then complete its action.",
    ),
    call(
        "CompleteAbortTask",
        "",
        "The task management methods answer through their response parameter.",
    ),
    call(
        "CompleteAbortTaskSet",
        "",
        "The task management methods answer through their response parameter.",
    ),
    call(
        "CompleteClearACA",
        "",
        "The task management methods answer through their response parameter.",
    ),
    call(
        "CompleteClearTaskSet",
        "",
        "The task management methods answer through their response parameter.",
    ),
    call(
        "CompleteLogicalUnitReset",
        "",
        "The task management methods answer through their response parameter.",
    ),
    call(
        "CompleteTargetReset",
        "",
        "The task management methods answer through their response parameter.",
    ),
    call(
        "CreateTargetForID",
        "UserCreateTargetForID",
        "From a private queue, never from Default or AuxiliaryQueue.",
    ),
    call(
        "DestroyTargetForID",
        "UserDestroyTargetForID",
        "From the same private queue, never in Stop.",
    ),
    call(
        "GetTargetForID",
        "UserTargetPresentForID",
        "Only presence can be asked; keep your own table of targets.",
    ),
    call("SetHBAProperty", "UserSetHBAProperties", "A dictionary instead of key and value."),
    call("RemoveHBAProperty", "UserRemoveHBAProperties", "An array of keys."),
    call("SetTargetProperty", "UserSetTargetProperties", "A dictionary instead of key and value."),
    call("RemoveTargetProperty", "UserRemoveTargetProperties", "An array of keys."),
    call("GetCommandDescriptorBlock", "", "Field fCommandDescriptorBlock of the task."),
    call("GetCommandDescriptorBlockSize", "", "Field fCommandSize of the task."),
    call("GetRequestedDataTransferCount", "", "Field fRequestedTransferCount of the task."),
    call("GetDataTransferDirection", "", "Field fTransferDirection of the task."),
    call("GetTargetIdentifier", "", "Field fTargetID of the task."),
    call(
        "GetLogicalUnitNumber",
        "",
        "Field fLogicalUnitBytes of the task: eight bytes, not a number.",
    ),
    call("GetLogicalUnitBytes", "", "Field fLogicalUnitBytes of the task."),
    call("GetTaggedTaskIdentifier", "", "Field fTaskTagIdentifier of the task."),
    call("GetTaskAttribute", "", "Field fTaskAttribute of the task."),
    call("GetTimeoutDuration", "", "Field fTimeoutInMilliSec of the task; the dext enforces it."),
    call("SetTimeoutForTask", "", "Run timers of your own on a private queue."),
    call(
        "GetControllerTaskIdentifier",
        "",
        "Field fControllerTaskIdentifier of the task; copy it into the response.",
    ),
    call(
        "SetControllerTaskIdentifier",
        "UserMapHBAData",
        "Identifiers are handed out once for each task, in UserMapHBAData.",
    ),
    call("FindTaskForControllerIdentifier", "", "Keep your own table by identifier or slot."),
    call("FindTaskForAddress", "", "Keep your own table by target, unit and tag."),
    call("SetRealizedDataTransferCount", "", "Field fBytesTransferred of the response."),
    call("SetAutoSenseData", "", "Fields fSenseBuffer and fSenseLength of the response."),
    call(
        "GetDataBuffer",
        "UserGetDataBuffer",
        "Only in UserProcessParallelTask, and costly; give fBufferIOVMAddr to the hardware instead.",
    ),
    call("GetDataBufferOffset", "", "fBufferIOVMAddr is the start of the data."),
    call(
        "GetDMACommand",
        "",
        "fBufferIOVMAddr is the start of one contiguous segment for the whole transfer.",
    ),
    call("GetHBADataPointer", "", "Keep your own area by identifier or slot."),
    call("GetHBADataSize", "", "Keep your own area by identifier or slot."),
    call(
        "GetHBADataDescriptor",
        "",
        "Make an IOBufferMemoryDescriptor for each task in UserMapHBAData.",
    ),
    call("GetHBATargetDataPointer", "", "Keep your own table of targets."),
    call("GetCommandGate", "", "The Default queue is serial and takes the gate's place."),
    call(
        "GetWorkLoop",
        "",
        "The Default queue takes its place; other work goes on named or private queues.",
    ),
    call("GetProvider", "Start", "The provider comes in Start; keep it with a reference."),
    call("EnableInterrupt", "IOInterruptDispatchSource", "SetEnable(true) on the source."),
    call("DisableInterrupt", "IOInterruptDispatchSource", "SetEnable(false) on the source."),
    call(
        "NotifyClientsOfBusReset",
        "",
        "Answer outstanding tasks with a unit attention or a delivery failure.",
    ),
    call(
        "NotifyClientsOfPortStatusChange",
        "UserSetHBAProperties",
        "Only properties can be published.",
    ),
    call("SetNegotiatedParallelFeature", "", "Field fSCSIParallelFeatureResult of the response."),
];

/// What to do about a method of the dext that the kext had nothing for.
pub(super) fn added(method: &str) -> &'static str {
    match method {
        "UserMapBundledParallelTaskCommandAndResponseBuffers" => {
            "Keep mappings of both buffers and return success to take the bundled path."
        }
        "UserProcessBundledParallelTasks" => {
            "Up to 32 slot indices in a call; keep the action with a reference."
        }
        "UserProcessParallelTask" => {
            "Pure virtual even on the bundled path; answer a delivery failure there."
        }
        "UserMapHBAData" => "Once for each task: hand out a unique identifier above 0.",
        "UserDoesHBASupportMultiPathing" => "Usually false.",
        "UserDoesHBAPerformAutoSense" => "Return true and deliver sense data with the response.",
        "UserGetDMASpecification" => "Must fit the constraints of UserReportHBAConstraints.",
        _ => "Pure virtual: must be overridden.",
    }
}
