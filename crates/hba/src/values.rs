//! Values of the DriverKit enums that stand in tasks and responses (SCSIDefinitions.h).

/// SAM-6 task attribute.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u32)]
pub enum TaskAttribute {
    /// SIMPLE
    #[default]
    Simple = 0,
    /// ORDERED
    Ordered = 1,
    /// HEAD OF QUEUE
    HeadOfQueue = 2,
    /// ACA
    Aca = 3,
}

/// Which way a task's data goes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Direction {
    /// no data
    #[default]
    None = 0,
    /// from initiator to target: a write
    ToTarget = 1,
    /// from target to initiator: a read
    FromTarget = 2,
}

impl Direction {
    /// From a slot's byte; anything unknown carries no data.
    pub const fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::ToTarget,
            2 => Self::FromTarget,
            _ => Self::None,
        }
    }
}

/// What became of a task as a service (`SCSIServiceResponse`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum ServiceResponse {
    /// accepted, still running
    RequestInProcess = 0,
    /// the target was never reached, or was lost
    DeliveryOrTargetFailure = 1,
    /// ended with a status of the device
    TaskComplete = 2,
    /// ended as part of a linked chain (obsolete in SAM)
    LinkCommandComplete = 3,
    /// a task management function was done
    FunctionComplete = 4,
    /// a task management function was refused
    FunctionRejected = 5,
}

impl ServiceResponse {
    /// From a slot's word.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        Some(match bits {
            0 => Self::RequestInProcess,
            1 => Self::DeliveryOrTargetFailure,
            2 => Self::TaskComplete,
            3 => Self::LinkCommandComplete,
            4 => Self::FunctionComplete,
            5 => Self::FunctionRejected,
            _ => return None,
        })
    }
}

/// `fCompletionStatus`: a device status or a kind of delivery failure. Two values mean both
/// (02h, 04h); the [`ServiceResponse`] beside it tells which family is meant.
pub type TaskStatus = u32;

/// Delivery failures, valid with [`ServiceResponse::DeliveryOrTargetFailure`].
pub mod delivery {
    use super::TaskStatus;

    /// the task's time ran out
    pub const TASK_TIMEOUT: TaskStatus = 0x01;
    /// the transport's time ran out
    pub const PROTOCOL_TIMEOUT: TaskStatus = 0x02;
    /// the device does not answer
    pub const DEVICE_NOT_RESPONDING: TaskStatus = 0x03;
    /// there is no such device
    pub const DEVICE_NOT_PRESENT: TaskStatus = 0x04;
    /// anything else
    pub const DELIVERY_FAILURE: TaskStatus = 0x05;
    /// no status at all
    pub const NO_STATUS: TaskStatus = 0xff;
}

/// Device statuses (SAM-6 5.3.1), valid with [`ServiceResponse::TaskComplete`].
pub mod status {
    use super::TaskStatus;

    /// GOOD
    pub const GOOD: TaskStatus = 0x00;
    /// CHECK CONDITION
    pub const CHECK_CONDITION: TaskStatus = 0x02;
    /// CONDITION MET
    pub const CONDITION_MET: TaskStatus = 0x04;
    /// BUSY
    pub const BUSY: TaskStatus = 0x08;
    /// RESERVATION CONFLICT
    pub const RESERVATION_CONFLICT: TaskStatus = 0x18;
    /// TASK SET FULL
    pub const TASK_SET_FULL: TaskStatus = 0x28;
    /// ACA ACTIVE
    pub const ACA_ACTIVE: TaskStatus = 0x30;
    /// TASK ABORTED
    pub const TASK_ABORTED: TaskStatus = 0x40;

    /// Whether SAM-6 knows `value` as a status.
    pub const fn is_known(value: TaskStatus) -> bool {
        matches!(
            value,
            GOOD | CHECK_CONDITION
                | CONDITION_MET
                | BUSY
                | RESERVATION_CONFLICT
                | TASK_SET_FULL
                | ACA_ACTIVE
                | TASK_ABORTED
        )
    }
}
