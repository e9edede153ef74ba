//! What is known of `IOUserSCSIParallelInterfaceController`: its methods, constants and constraint keys.

/// The class that a SCSI controller dext derives from.
pub(crate) const CONTROLLER: &str = "IOUserSCSIParallelInterfaceController";
/// The class that a SCSI controller kext derives from.
pub(crate) const KEXT_CONTROLLER: &str = "IOSCSIParallelInterfaceController";
/// Most slots that one bundled call carries.
pub(crate) const MAX_BUNDLE: u64 = 32;

/// Fields of a response that say which task it answers.
pub(crate) const IDENTITY: &[&str] = &["fControllerTaskIdentifier", "fTargetID"];

/// The queue that methods run on unless told otherwise.
pub(crate) const DEFAULT_QUEUE: &str = "Default";
/// The queue that target creation is sent through.
pub(crate) const AUXILIARY_QUEUE: &str = "AuxiliaryQueue";
/// The queue for hardware interrupts.
pub(crate) const INTERRUPT_QUEUE: &str = "InterruptQueue";

/// A method of the framework's class.
pub(crate) struct FrameworkMethod {
    pub(crate) name: &'static str,
    /// The framework calls it on the driver.
    pub(crate) called_by_framework: bool,
    /// Must be overridden.
    pub(crate) pure: bool,
    pub(crate) params: &'static [&'static str],
}

const fn up(name: &'static str, params: &'static [&'static str]) -> FrameworkMethod {
    FrameworkMethod { name, called_by_framework: true, pure: true, params }
}

const fn down(name: &'static str, params: &'static [&'static str]) -> FrameworkMethod {
    FrameworkMethod { name, called_by_framework: false, pure: false, params }
}

/// The methods of the class, in the order of its interface file.
pub(crate) const METHODS: &[FrameworkMethod] = &[
    up("UserInitializeController", &[]),
    up("UserStartController", &[]),
    up("UserReportInitiatorIdentifier", &["id"]),
    up("UserReportHighestSupportedDeviceID", &["id"]),
    up("UserReportMaximumTaskCount", &["count"]),
    up("UserReportHBAHighestLogicalUnitNumber", &["value"]),
    up("UserDoesHBASupportSCSIParallelFeature", &["theValue", "result"]),
    up("UserDoesHBAPerformAutoSense", &["result"]),
    up("UserDoesHBASupportMultiPathing", &["result"]),
    up("UserDoesHBAPerformDeviceManagement", &["result"]),
    up(
        "UserGetDMASpecification",
        &["maxTransferSize", "alignment", "numAddressBits", "segmentType"],
    ),
    up("UserMapHBAData", &["uniqueTaskID"]),
    up(
        "UserMapBundledParallelTaskCommandAndResponseBuffers",
        &["parallelCommandIOMemoryDescriptor", "parallelResponseIOMemoryDescriptor"],
    ),
    up("UserInitializeTargetForID", &["targetID"]),
    up("UserProcessParallelTask", &["parallelRequest", "response", "completion"]),
    up(
        "UserProcessBundledParallelTasks",
        &["parallelRequestSlotIndices", "parallelRequestSlotIndicesCount", "completion"],
    ),
    up("UserAbortTaskRequest", &["theT", "theL", "theQ", "response"]),
    up("UserAbortTaskSetRequest", &["theT", "theL", "response"]),
    up("UserClearACARequest", &["theT", "theL", "response"]),
    up("UserClearTaskSetRequest", &["theT", "theL", "response"]),
    up("UserLogicalUnitResetRequest", &["theT", "theL", "response"]),
    up("UserTargetResetRequest", &["theT", "response"]),
    down("ParallelTaskCompletion", &["action", "response"]),
    down(
        "BundledParallelTaskCompletion",
        &["action", "parallelResponseSlotIndices", "parallelResponseSlotIndicesCount"],
    ),
    down("UserTargetPresentForID", &["targetID", "result"]),
    down("UserCreateTargetForID", &["targetID", "targetDict"]),
    down("UserDestroyTargetForID", &["targetID"]),
    down("UserGetDataBuffer", &["targetID", "controllerTaskID", "buffer"]),
    down("UserSetHBAProperties", &["properties"]),
    down("UserRemoveHBAProperties", &["properties"]),
    down("UserSetTargetProperties", &["targetID", "properties"]),
    down("UserRemoveTargetProperties", &["targetID", "properties"]),
    down("UserReportHBAConstraints", &["constraints"]),
    down("UserCallMediaParametersHaveChanged", &[]),
];

/// Methods of `IOService` that the kernel calls on the Default queue.
pub(crate) const SERVICE_METHODS: &[(&str, &[&str])] = &[
    ("Start", &["provider"]),
    ("Stop", &["provider"]),
    ("SetPowerState", &["powerFlags"]),
    ("NewUserClient", &["type", "userClient"]),
];

/// Methods whose call carries an `OSAction`, or that are the type of one.
pub(crate) const ACTION_METHODS: &[&str] = &[
    "UserProcessParallelTask",
    "UserProcessBundledParallelTasks",
    "ParallelTaskCompletion",
    "BundledParallelTaskCompletion",
];

/// Calls that leave the process and come back, so that no lock may be held over them.
pub(crate) const KERNEL_CALLS: &[&str] = &[
    "ParallelTaskCompletion",
    "BundledParallelTaskCompletion",
    "UserCreateTargetForID",
    "UserDestroyTargetForID",
    "UserTargetPresentForID",
    "UserGetDataBuffer",
    "UserSetHBAProperties",
    "UserRemoveHBAProperties",
    "UserSetTargetProperties",
    "UserRemoveTargetProperties",
    "UserReportHBAConstraints",
    "UserCallMediaParametersHaveChanged",
    "RegisterService",
    "SetProperties",
    "CopyProperties",
];

/// A constraint that `UserReportHBAConstraints` must carry: macro and string.
pub(crate) const CONSTRAINT_KEYS: &[(&str, &str)] = &[
    ("kIOMaximumSegmentCountReadKey", "IOMaximumSegmentCountRead"),
    ("kIOMaximumSegmentCountWriteKey", "IOMaximumSegmentCountWrite"),
    ("kIOMaximumSegmentByteCountReadKey", "IOMaximumSegmentByteCountRead"),
    ("kIOMaximumSegmentByteCountWriteKey", "IOMaximumSegmentByteCountWrite"),
    ("kIOMinimumSegmentAlignmentByteCountKey", "IOMinimumSegmentAlignmentByteCount"),
    ("kIOMaximumSegmentAddressableBitCountKey", "IOMaximumSegmentAddressableBitCount"),
    ("kIOMinimumHBADataAlignmentMaskKey", "HBA Data Alignment"),
];

/// Constants of the framework's headers that rules reason about.
pub(crate) fn constant(name: &str) -> Option<u64> {
    Some(match name {
        "kMaxBundledParallelTasks" => MAX_BUNDLE,
        "kMaxSenseBufferSize" => 256,
        "kScsiUserParallelTaskCurrentVersion1" | "kScsiUserParallelTaskResponseCurrentVersion1" => {
            1
        }
        "kSCSIServiceResponse_Request_In_Process" => 0,
        "kSCSIServiceResponse_SERVICE_DELIVERY_OR_TARGET_FAILURE" => 1,
        "kSCSIServiceResponse_TASK_COMPLETE" => 2,
        "kSCSIServiceResponse_LINK_COMMAND_COMPLETE" => 3,
        "kSCSIServiceResponse_FUNCTION_COMPLETE" => 4,
        "kSCSIServiceResponse_FUNCTION_REJECTED" => 5,
        "kSCSITaskStatus_GOOD" => 0,
        "kSCSITaskStatus_CHECK_CONDITION" | "kSCSITaskStatus_ProtocolTimeoutOccurred" => 2,
        "kSCSITaskStatus_CONDITION_MET" | "kSCSITaskStatus_DeviceNotPresent" => 4,
        "kSCSITaskStatus_BUSY" => 8,
        "kSCSITaskStatus_INTERMEDIATE" => 0x10,
        "kSCSITaskStatus_INTERMEDIATE_CONDITION_MET" => 0x14,
        "kSCSITaskStatus_RESERVATION_CONFLICT" => 0x18,
        "kSCSITaskStatus_TASK_SET_FULL" => 0x28,
        "kSCSITaskStatus_ACA_ACTIVE" => 0x30,
        "kSCSITaskStatus_TaskTimeoutOccurred" => 1,
        "kSCSITaskStatus_DeviceNotResponding" => 3,
        "kSCSITaskStatus_DeliveryFailure" => 5,
        "kSCSITaskStatus_No_Status" => 0xff,
        "kIOReturnSuccess" | "KERN_SUCCESS" => 0,
        "kIOReturnError" | "kIOReturnFailure" => 0xe000_02bc,
        "kIOReturnUnsupported" => 0xe000_02c7,
        "kIOReturnNoMemory" => 0xe000_02bd,
        "kIOReturnNotReady" => 0xe000_02d8,
        "kIOReturnBusy" => 0xe000_02d5,
        "kIOReturnNoResources" => 0xe000_02be,
        "kIOReturnBadArgument" => 0xe000_02c2,
        "kIOReturnOffline" => 0xe000_02d7,
        "UINT8_MAX" => 0xff,
        "UINT16_MAX" => 0xffff,
        "UINT32_MAX" => 0xffff_ffff,
        "UINT64_MAX" => u64::MAX,
        "PAGE_SIZE" => 4096,
        _ => return None,
    })
}

/// Status names that belong to a failed delivery, not to a device that answered.
pub(crate) const DELIVERY_STATUS: &[&str] = &[
    "kSCSITaskStatus_TaskTimeoutOccurred",
    "kSCSITaskStatus_ProtocolTimeoutOccurred",
    "kSCSITaskStatus_DeviceNotResponding",
    "kSCSITaskStatus_DeviceNotPresent",
    "kSCSITaskStatus_DeliveryFailure",
    "kSCSITaskStatus_No_Status",
];

/// The framework's method of a name.
pub(crate) fn method(name: &str) -> Option<&'static FrameworkMethod> {
    METHODS.iter().find(|m| m.name == name)
}
