//
// StripeTasks.cpp
// The way of a task: mapped once, submitted in bundles, completed in bundles.
//

#include "StripeAdapter.h"
#include "StripeController.h"

// Called once for every task of the pool. Identifiers start at 1: 0 would mean the head of the kernel's list.
kern_return_t
IMPL(StripeController, UserMapHBAData)
{
    *uniqueTaskID = ++ivars->nextTaskID;
    return kIOReturnSuccess;
}

// Success here means the bundled path, for good. The mappings are kept until free().
kern_return_t
IMPL(StripeController, UserMapBundledParallelTaskCommandAndResponseBuffers)
{
    kern_return_t ret = parallelCommandIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->commandMap);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ret = parallelResponseIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->responseMap);
    if (ret != kIOReturnSuccess) {
        return ret;
    }
    ivars->commands = reinterpret_cast<SCSIUserParallelTask *>(ivars->commandMap->GetAddress());
    ivars->responses = reinterpret_cast<SCSIUserParallelResponse *>(ivars->responseMap->GetAddress());
    return kIOReturnSuccess;
}

// Up to 32 slots in one call, in any order. The action stays good for every later completion of this controller.
void
IMPL(StripeController, UserProcessBundledParallelTasks)
{
    IOLockLock(ivars->lock);
    if (ivars->bundleAction == nullptr) {
        completion->retain();
        ivars->bundleAction = completion;
    }
    for (uint16_t i = 0; i < parallelRequestSlotIndicesCount; i++) {
        StartSlot(parallelRequestSlotIndices[i]);
    }
    IOLockUnlock(ivars->lock);
}

// Hands one command to the adapter. Its data is addressed by DMA; nothing here looks at it.
void
StripeController::StartSlot(uint16_t slot)
{
    const SCSIUserParallelTask & task = ivars->commands[slot];
    StripeCommand & command = ivars->submission[slot];
    command.dataAddress = task.fBufferIOVMAddr;
    command.dataLength = task.fRequestedTransferCount;
    command.direction = task.fTransferDirection;
    command.target = static_cast<uint8_t>(task.fTargetID);
    command.cdbLength = task.fCommandSize;
    memcpy(command.cdb, task.fCommandDescriptorBlock, sizeof(command.cdb));
    command.tag = slot;
}

// The single path is never taken once the buffers are mapped, but the method is pure virtual.
kern_return_t
IMPL(StripeController, UserProcessParallelTask)
{
    StripeLog("unexpected task %llu", parallelRequest.fControllerTaskIdentifier);
    *response = kSCSIServiceResponse_SERVICE_DELIVERY_OR_TARGET_FAILURE;
    return kIOReturnUnsupported;
}

void
IMPL(StripeController, InterruptOccurred)
{
    CompleteFinished();
}

// Writes the answer of one command into the response slot of the same index.
void
StripeController::FillResponse(uint16_t slot, uint32_t adapterStatus, uint64_t bytes)
{
    const SCSIUserParallelTask * task = &ivars->commands[slot];
    SCSIUserParallelResponse * response = &ivars->responses[slot];

    response->version = kScsiUserParallelTaskResponseCurrentVersion1;
    response->fTargetID = task->fTargetID;
    response->fControllerTaskIdentifier = task->fControllerTaskIdentifier;
    response->fBytesTransferred = bytes;
    response->fSenseLength = 0;
    switch (adapterStatus) {
        case kStripeDone:
            response->fServiceResponse = kSCSIServiceResponse_TASK_COMPLETE;
            response->fCompletionStatus = kSCSITaskStatus_GOOD;
            break;
        case kStripeCheckCondition:
            response->fServiceResponse = kSCSIServiceResponse_TASK_COMPLETE;
            response->fCompletionStatus = kSCSITaskStatus_CHECK_CONDITION;
            break;
        case kStripeBusy:
            response->fServiceResponse = kSCSIServiceResponse_TASK_COMPLETE;
            response->fCompletionStatus = kSCSITaskStatus_BUSY;
            break;
        default:
            response->fServiceResponse = kSCSIServiceResponse_SERVICE_DELIVERY_OR_TARGET_FAILURE;
            response->fCompletionStatus = kSCSITaskStatus_DeliveryFailure;
            break;
    }
}

// Collects what the adapter has finished and gives it back, 32 slots at a time. Runs on InterruptQueue.
void
StripeController::CompleteFinished()
{
    uint16_t finished[kMaxBundledParallelTasks] = {};
    uint16_t count = 0;

    IOLockLock(ivars->lock);
    OSAction * action = ivars->bundleAction;
    while (ivars->done[ivars->doneIndex].valid && count < kMaxBundledParallelTasks) {
        volatile StripeDone & done = ivars->done[ivars->doneIndex];
        const uint16_t slot = done.tag;
        FillResponse(slot, done.status, done.bytes);
        if (done.status == kStripeCheckCondition) {
            SCSIUserParallelResponse & response = ivars->responses[slot];
            response.fSenseLength = done.senseLength;
            for (uint8_t i = 0; i < done.senseLength; i++) {
                response.fSenseBuffer[i] = done.sense[i];
            }
        }
        done.valid = 0;
        ivars->doneIndex = (ivars->doneIndex + 1) % kMaxTasks;
        finished[count++] = slot;
    }
    IOLockUnlock(ivars->lock);

    // The call into the kernel is made without the lock.
    if (count > 0 && action != nullptr) {
        BundledParallelTaskCompletion(action, finished, count);
    }
}
