//
// StripeController.cpp
// Start, stop, power, limits and targets.
//

#include <DriverKit/IOInterruptDispatchSource.h>
#include <DriverKit/OSCollections.h>
#include <SCSIControllerDriverKit/IOSCSIParallelControllerCharacteristics.h>

#include "StripeAdapter.h"
#include "StripeController.h"

// ---------------------------------------------------------------- life

bool StripeController::init()
{
    if (!super::init()) {
        return false;
    }
    ivars = IONewZero(StripeController_IVars, 1);
    if (ivars == nullptr) {
        return false;
    }
    ivars->lock = IOLockAlloc();
    return ivars->lock != nullptr;
}

void StripeController::free()
{
    if (ivars != nullptr) {
        OSSafeReleaseNULL(ivars->bundleAction);
        OSSafeReleaseNULL(ivars->commandMap);
        OSSafeReleaseNULL(ivars->responseMap);
        OSSafeReleaseNULL(ivars->interruptAction);
        OSSafeReleaseNULL(ivars->interrupt);
        OSSafeReleaseNULL(ivars->targetQueue);
        OSSafeReleaseNULL(ivars->interruptQueue);
        OSSafeReleaseNULL(ivars->auxiliaryQueue);
        OSSafeReleaseNULL(ivars->registersMap);
        OSSafeReleaseNULL(ivars->pci);
        if (ivars->lock != nullptr) {
            IOLockFree(ivars->lock);
        }
    }
    IOSafeDeleteNULL(ivars, StripeController_IVars, 1);
    super::free();
}

kern_return_t
IMPL(StripeController, Start)
{
    ivars->pci = OSDynamicCast(IOPCIDevice, provider);
    if (ivars->pci == nullptr) {
        return kIOReturnNoDevice;
    }
    ivars->pci->retain();

    kern_return_t ret = MakeQueues();
    if (ret != kIOReturnSuccess) {
        StripeLog("queues: 0x%x", ret);
        return ret;
    }
    return Start(provider, SUPERDISPATCH);
}

kern_return_t
IMPL(StripeController, Stop)
{
    // Queued work looks at this flag. Nothing waits here: the queue that creates targets may need Default to go on.
    ivars->stopping = true;
    if (ivars->interrupt != nullptr) {
        ivars->interrupt->SetEnable(false);
        ivars->interrupt->Cancel(nullptr);
    }
    ivars->pci->Close(this, 0);
    return Stop(provider, SUPERDISPATCH);
}

kern_return_t
IMPL(StripeController, SetPowerState)
{
    StripeLog("power %u", powerFlags);
    if (powerFlags == kIOServicePowerCapabilityOn) {
        ivars->doneIndex = 0;
    }
    return SetPowerState(powerFlags, SUPERDISPATCH);
}

// The framework sends UserCreateTargetForID through AuxiliaryQueue, interrupts belong on InterruptQueue, and targets are
// created from a queue that is neither.
kern_return_t
StripeController::MakeQueues()
{
    kern_return_t ret = IODispatchQueue::Create("AuxiliaryQueue", 0, 0, &ivars->auxiliaryQueue);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ret = SetDispatchQueue("AuxiliaryQueue", ivars->auxiliaryQueue);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ret = IODispatchQueue::Create("InterruptQueue", 0, 0, &ivars->interruptQueue);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ret = SetDispatchQueue("InterruptQueue", ivars->interruptQueue);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    return IODispatchQueue::Create("StripeTargets", 0, 0, &ivars->targetQueue);
}

// ---------------------------------------------------------------- start-up

kern_return_t
IMPL(StripeController, UserInitializeController)
{
    kern_return_t ret = ivars->pci->Open(this, 0);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ret = IOInterruptDispatchSource::Create(ivars->pci, 0, ivars->interruptQueue, &ivars->interrupt);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ret = CreateActionInterruptOccurred(0, &ivars->interruptAction);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ivars->interrupt->SetHandler(ivars->interruptAction);
    return ReportConstraints();
}

kern_return_t
StripeController::ReportConstraints()
{
    OSDictionary * constraints = OSDictionary::withCapacity(7);
    if (constraints == nullptr) {
        return kIOReturnNoMemory;
    }
    bool ok = true;
    auto set = [&](const char * key, uint64_t value) {
        OSNumber * number = OSNumber::withNumber(value, 64);
        ok = ok && number != nullptr && constraints->setObject(key, number);
        OSSafeReleaseNULL(number);
    };
    set(kIOMaximumSegmentCountReadKey, kSegmentCount);
    set(kIOMaximumSegmentCountWriteKey, kSegmentCount);
    set(kIOMaximumSegmentByteCountReadKey, kSegmentBytes);
    set(kIOMaximumSegmentByteCountWriteKey, kSegmentBytes);
    set(kIOMinimumSegmentAlignmentByteCountKey, kAlignment);
    set(kIOMaximumSegmentAddressableBitCountKey, kAddressBits);
    set(kIOMinimumHBADataAlignmentMaskKey, 0xFFFFFFFFFFFFFFFCULL);

    kern_return_t ret = ok ? UserReportHBAConstraints(constraints) : kIOReturnNoMemory;
    OSSafeReleaseNULL(constraints);
    return ret;
}

kern_return_t
IMPL(StripeController, UserStartController)
{
    ivars->interrupt->SetEnable(true);
    // The targets are created once the start has returned; the block keeps the controller.
    retain();
    ivars->targetQueue->DispatchAsync(^{
        PublishTargets();
        release();
    });
    return kIOReturnSuccess;
}

void
StripeController::PublishTargets()
{
    if (ivars->stopping) {
        return;
    }
    OSDictionary * properties = OSDictionary::withCapacity(1);
    if (properties == nullptr) {
        return;
    }
    kern_return_t ret = UserCreateTargetForID(0, properties);
    OSSafeReleaseNULL(properties);
    StripeLog("target 0: 0x%x", ret);
}

// ---------------------------------------------------------------- what the controller is

kern_return_t
IMPL(StripeController, UserReportInitiatorIdentifier)
{
    *id = kInitiator;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserReportHighestSupportedDeviceID)
{
    *id = kHighestTarget;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserReportMaximumTaskCount)
{
    *count = kMaxTasks;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserReportHBAHighestLogicalUnitNumber)
{
    *value = 0;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserDoesHBASupportSCSIParallelFeature)
{
    (void)theValue;
    *result = false;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserDoesHBAPerformAutoSense)
{
    *result = true;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserDoesHBASupportMultiPathing)
{
    *result = false;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserDoesHBAPerformDeviceManagement)
{
    *result = true;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserGetDMASpecification)
{
    *maxTransferSize = kMaxTransfer;
    *alignment = kAlignment;
    *numAddressBits = kAddressBits;
    *segmentType = kDMAOutputSegmentHost64;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserInitializeTargetForID)
{
    StripeLog("target %llu is set up", targetID);
    return kIOReturnSuccess;
}

// ---------------------------------------------------------------- task management

kern_return_t
IMPL(StripeController, UserAbortTaskRequest)
{
    *response = kSCSIServiceResponse_FUNCTION_REJECTED;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserAbortTaskSetRequest)
{
    *response = kSCSIServiceResponse_FUNCTION_REJECTED;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserClearACARequest)
{
    *response = kSCSIServiceResponse_FUNCTION_REJECTED;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserClearTaskSetRequest)
{
    *response = kSCSIServiceResponse_FUNCTION_REJECTED;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserLogicalUnitResetRequest)
{
    *response = kSCSIServiceResponse_FUNCTION_COMPLETE;
    return kIOReturnSuccess;
}

kern_return_t
IMPL(StripeController, UserTargetResetRequest)
{
    *response = kSCSIServiceResponse_FUNCTION_COMPLETE;
    return kIOReturnSuccess;
}
