//
// StripeAdapter.h
// What the imaginary adapter looks like, and what the controller keeps.
//

#ifndef StripeAdapter_h
#define StripeAdapter_h

#include <DriverKit/IOLib.h>
#include <PCIDriverKit/IOPCIDevice.h>
#include <SCSIControllerDriverKit/IOUserSCSIParallelInterfaceController.h>
#include <os/log.h>

#define StripeLog(fmt, ...) os_log(OS_LOG_DEFAULT, "Stripe: " fmt, ##__VA_ARGS__)

// Limits, used for the constraints and for the DMA specification alike.
static constexpr uint32_t kMaxTasks = 128;
static constexpr uint64_t kSegmentCount = 32;
static constexpr uint64_t kSegmentBytes = 64 * 1024;
static constexpr uint64_t kMaxTransfer = kSegmentCount * kSegmentBytes;
static constexpr uint64_t kAlignment = 4;
static constexpr uint64_t kAddressBits = 64;

// Identifiers on the bus.
static constexpr uint64_t kHighestTarget = 63;
static constexpr uint64_t kInitiator = 60;

enum StripeStatus : uint32_t {
    kStripeDone = 0,
    kStripeCheckCondition = 1,
    kStripeBusy = 2,
    kStripeLost = 3,
};

// A command as the adapter reads it.
struct StripeCommand {
    uint64_t dataAddress;
    uint64_t dataLength;
    uint16_t tag;
    uint8_t target;
    uint8_t cdbLength;
    uint8_t cdb[16];
    uint8_t direction;
    uint8_t reserved[3];
};

// A finished command as the adapter writes it.
struct StripeDone {
    uint64_t bytes;
    uint32_t status;
    uint16_t tag;
    uint8_t senseLength;
    uint8_t valid;
    uint8_t sense[96];
};

struct StripeController_IVars {
    IOPCIDevice * pci;
    IOMemoryMap * registersMap;
    IOInterruptDispatchSource * interrupt;
    OSAction * interruptAction;

    IODispatchQueue * auxiliaryQueue;
    IODispatchQueue * interruptQueue;
    IODispatchQueue * targetQueue;

    IOMemoryMap * commandMap;
    IOMemoryMap * responseMap;
    SCSIUserParallelTask * commands;
    SCSIUserParallelResponse * responses;

    IOLock * lock;
    OSAction * bundleAction;
    StripeCommand * submission;
    volatile StripeDone * done;
    uint32_t doneIndex;
    uint32_t nextTaskID;
    bool stopping;
};

#endif /* StripeAdapter_h */
