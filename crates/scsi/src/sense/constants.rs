//! The sense data that Outboard itself gives (all of them are in an annex of SPC-6).

use super::{Sense, SenseKey as Key};

/// NO SENSE, RECOVERED ERROR, NOT READY.
impl Sense {
    /// 0h/00h/00h: nothing to report.
    pub const NO_SENSE: Self = Self::new(Key::NoSense, 0x00, 0x00);
    /// 1h/18h/00h: the data was read with error correction.
    pub const RECOVERED_WITH_ERROR_CORRECTION: Self = Self::new(Key::RecoveredError, 0x18, 0x00);
    /// 2h/04h/00h: not ready, cause not reportable.
    pub const NOT_READY: Self = Self::new(Key::NotReady, 0x04, 0x00);
    /// 2h/04h/01h: becoming ready; the initiator should wait.
    pub const NOT_READY_BECOMING_READY: Self = Self::new(Key::NotReady, 0x04, 0x01);
    /// 2h/04h/02h: needs START STOP UNIT with START = 1.
    pub const NOT_READY_INITIALIZING_COMMAND_REQUIRED: Self = Self::new(Key::NotReady, 0x04, 0x02);
    /// 2h/04h/03h: somebody must act.
    pub const NOT_READY_MANUAL_INTERVENTION_REQUIRED: Self = Self::new(Key::NotReady, 0x04, 0x03);
    /// 2h/04h/04h.
    pub const NOT_READY_FORMAT_IN_PROGRESS: Self = Self::new(Key::NotReady, 0x04, 0x04);
    /// 2h/04h/05h.
    pub const NOT_READY_REBUILD_IN_PROGRESS: Self = Self::new(Key::NotReady, 0x04, 0x05);
    /// 2h/04h/07h.
    pub const NOT_READY_OPERATION_IN_PROGRESS: Self = Self::new(Key::NotReady, 0x04, 0x07);
    /// 2h/04h/0Ah: asymmetric access state transition.
    pub const NOT_READY_ACCESS_STATE_TRANSITION: Self = Self::new(Key::NotReady, 0x04, 0x0A);
    /// 2h/04h/0Bh: target port in standby state.
    pub const NOT_READY_PORT_STANDBY: Self = Self::new(Key::NotReady, 0x04, 0x0B);
    /// 2h/04h/0Ch: target port in unavailable state.
    pub const NOT_READY_PORT_UNAVAILABLE: Self = Self::new(Key::NotReady, 0x04, 0x0C);
    /// 2h/04h/1Bh.
    pub const NOT_READY_SANITIZE_IN_PROGRESS: Self = Self::new(Key::NotReady, 0x04, 0x1B);
    /// 2h/08h/00h: the logical unit does not answer.
    pub const LOGICAL_UNIT_COMMUNICATION_FAILURE: Self = Self::new(Key::NotReady, 0x08, 0x00);
    /// 2h/3Ah/00h.
    pub const MEDIUM_NOT_PRESENT: Self = Self::new(Key::NotReady, 0x3A, 0x00);
}

/// MEDIUM ERROR, HARDWARE ERROR.
impl Sense {
    /// 3h/0Ch/00h; see [`Sense::write_error`].
    pub const WRITE_ERROR: Self = Self::new(Key::MediumError, 0x0C, 0x00);
    /// 3h/11h/00h; see [`Sense::unrecovered_read_error`].
    pub const UNRECOVERED_READ_ERROR: Self = Self::new(Key::MediumError, 0x11, 0x00);
    /// 3h/10h/01h: check data does not fit; see [`Sense::guard_check_failed`].
    pub const LOGICAL_BLOCK_GUARD_CHECK_FAILED: Self = Self::new(Key::MediumError, 0x10, 0x01);
    /// 3h/31h/00h.
    pub const MEDIUM_FORMAT_CORRUPTED: Self = Self::new(Key::MediumError, 0x31, 0x00);
    /// 3h/31h/03h.
    pub const SANITIZE_COMMAND_FAILED: Self = Self::new(Key::MediumError, 0x31, 0x03);
    /// 4h/3Eh/01h.
    pub const LOGICAL_UNIT_FAILURE: Self = Self::new(Key::HardwareError, 0x3E, 0x01);
    /// 4h/3Eh/02h: the storage behind the logical unit does not answer.
    pub const TIMEOUT_ON_LOGICAL_UNIT: Self = Self::new(Key::HardwareError, 0x3E, 0x02);
    /// 4h/44h/00h.
    pub const INTERNAL_TARGET_FAILURE: Self = Self::new(Key::HardwareError, 0x44, 0x00);
}

/// ILLEGAL REQUEST, DATA PROTECT.
impl Sense {
    /// 5h/1Ah/00h: the parameter list ends in the middle of something.
    pub const PARAMETER_LIST_LENGTH_ERROR: Self = Self::new(Key::IllegalRequest, 0x1A, 0x00);
    /// 5h/20h/00h.
    pub const INVALID_OPCODE: Self = Self::new(Key::IllegalRequest, 0x20, 0x00);
    /// 5h/21h/00h; see [`Sense::lba_out_of_range`].
    pub const LBA_OUT_OF_RANGE: Self = Self::new(Key::IllegalRequest, 0x21, 0x00);
    /// 5h/24h/00h without a pointer; see [`Sense::invalid_field_in_cdb`].
    pub const INVALID_FIELD_IN_CDB: Self = Self::new(Key::IllegalRequest, 0x24, 0x00);
    /// 5h/25h/00h.
    pub const LOGICAL_UNIT_NOT_SUPPORTED: Self = Self::new(Key::IllegalRequest, 0x25, 0x00);
    /// 5h/26h/00h without a pointer; see [`Sense::invalid_field_in_parameter_list`].
    pub const INVALID_FIELD_IN_PARAMETER_LIST: Self = Self::new(Key::IllegalRequest, 0x26, 0x00);
    /// 5h/26h/04h: PERSISTENT RESERVE OUT RELEASE that does not fit the reservation.
    pub const INVALID_RELEASE_OF_RESERVATION: Self = Self::new(Key::IllegalRequest, 0x26, 0x04);
    /// 5h/2Ch/00h.
    pub const COMMAND_SEQUENCE_ERROR: Self = Self::new(Key::IllegalRequest, 0x2C, 0x00);
    /// 5h/39h/00h: MODE SENSE asked for saved values.
    pub const SAVING_PARAMETERS_NOT_SUPPORTED: Self = Self::new(Key::IllegalRequest, 0x39, 0x00);
    /// 5h/3Dh/00h.
    pub const INVALID_BITS_IN_IDENTIFY_MESSAGE: Self = Self::new(Key::IllegalRequest, 0x3D, 0x00);
    /// 5h/49h/00h: an ACA task attribute without an ACA condition (SAM-6 8).
    pub const INVALID_MESSAGE_ERROR: Self = Self::new(Key::IllegalRequest, 0x49, 0x00);
    /// 5h/53h/02h.
    pub const MEDIUM_REMOVAL_PREVENTED: Self = Self::new(Key::IllegalRequest, 0x53, 0x02);
    /// 5h/55h/04h: no room for a further registration.
    pub const INSUFFICIENT_REGISTRATION_RESOURCES: Self =
        Self::new(Key::IllegalRequest, 0x55, 0x04);
    /// 7h/27h/00h.
    pub const WRITE_PROTECTED: Self = Self::new(Key::DataProtect, 0x27, 0x00);
    /// 7h/27h/02h: write-protected by the SWP bit of the Control mode page.
    pub const SOFTWARE_WRITE_PROTECTED: Self = Self::new(Key::DataProtect, 0x27, 0x02);
    /// 7h/27h/07h: a thin-provisioned unit has no space left.
    pub const SPACE_ALLOCATION_FAILED: Self = Self::new(Key::DataProtect, 0x27, 0x07);
}

/// ILLEGAL REQUEST and COPY ABORTED of EXTENDED COPY.
impl Sense {
    /// 5h/00h/16h: a list identifier that is in use.
    pub const OPERATION_IN_PROGRESS: Self = Self::new(Key::IllegalRequest, 0x00, 0x16);
    /// 5h/26h/06h.
    pub const TOO_MANY_TARGET_DESCRIPTORS: Self = Self::new(Key::IllegalRequest, 0x26, 0x06);
    /// 5h/26h/07h.
    pub const UNSUPPORTED_TARGET_DESCRIPTOR_TYPE_CODE: Self =
        Self::new(Key::IllegalRequest, 0x26, 0x07);
    /// 5h/26h/08h.
    pub const TOO_MANY_SEGMENT_DESCRIPTORS: Self = Self::new(Key::IllegalRequest, 0x26, 0x08);
    /// 5h/26h/09h.
    pub const UNSUPPORTED_SEGMENT_DESCRIPTOR_TYPE_CODE: Self =
        Self::new(Key::IllegalRequest, 0x26, 0x09);
    /// 5h/26h/0Bh.
    pub const INLINE_DATA_LENGTH_EXCEEDED: Self = Self::new(Key::IllegalRequest, 0x26, 0x0B);
    /// Ah/00h/00h: what a copy source or destination refuses.
    pub const COPY_ABORTED: Self = Self::new(Key::CopyAborted, 0x00, 0x00);
    /// Ah/08h/04h: no such CSCD descriptor.
    pub const UNREACHABLE_COPY_TARGET: Self = Self::new(Key::CopyAborted, 0x08, 0x04);
    /// Ah/0Dh/01h: a command to a copy source or destination failed.
    pub const THIRD_PARTY_DEVICE_FAILURE: Self = Self::new(Key::CopyAborted, 0x0D, 0x01);
    /// Ah/0Dh/02h: a CSCD descriptor names no logical unit of this target.
    pub const COPY_TARGET_DEVICE_NOT_REACHABLE: Self = Self::new(Key::CopyAborted, 0x0D, 0x02);
    /// Ah/0Dh/03h.
    pub const INCORRECT_COPY_TARGET_DEVICE_TYPE: Self = Self::new(Key::CopyAborted, 0x0D, 0x03);
    /// Ah/26h/0Ah: the segment is no whole number of blocks of its destination.
    pub const UNEXPECTED_INEXACT_SEGMENT: Self = Self::new(Key::CopyAborted, 0x26, 0x0A);
}

/// UNIT ATTENTION (SAM-6 5.14).
impl Sense {
    /// 6h/28h/00h.
    pub const MEDIUM_MAY_HAVE_CHANGED: Self = Self::new(Key::UnitAttention, 0x28, 0x00);
    /// 6h/29h/00h: power on, reset or bus device reset occurred.
    pub const RESET_OCCURRED: Self = Self::new(Key::UnitAttention, 0x29, 0x00);
    /// 6h/29h/01h.
    pub const POWER_ON_OCCURRED: Self = Self::new(Key::UnitAttention, 0x29, 0x01);
    /// 6h/29h/02h: a hard reset of the target.
    pub const BUS_RESET_OCCURRED: Self = Self::new(Key::UnitAttention, 0x29, 0x02);
    /// 6h/29h/03h: a logical unit reset (bus device reset function occurred).
    pub const LOGICAL_UNIT_RESET_OCCURRED: Self = Self::new(Key::UnitAttention, 0x29, 0x03);
    /// 6h/29h/04h: the device reset itself.
    pub const DEVICE_INTERNAL_RESET: Self = Self::new(Key::UnitAttention, 0x29, 0x04);
    /// 6h/29h/07h.
    pub const I_T_NEXUS_LOSS_OCCURRED: Self = Self::new(Key::UnitAttention, 0x29, 0x07);
    /// 6h/2Ah/01h.
    pub const MODE_PARAMETERS_CHANGED: Self = Self::new(Key::UnitAttention, 0x2A, 0x01);
    /// 6h/2Ah/03h.
    pub const RESERVATIONS_PREEMPTED: Self = Self::new(Key::UnitAttention, 0x2A, 0x03);
    /// 6h/2Ah/04h.
    pub const RESERVATIONS_RELEASED: Self = Self::new(Key::UnitAttention, 0x2A, 0x04);
    /// 6h/2Ah/05h.
    pub const REGISTRATIONS_PREEMPTED: Self = Self::new(Key::UnitAttention, 0x2A, 0x05);
    /// 6h/2Ah/06h.
    pub const ASYMMETRIC_ACCESS_STATE_CHANGED: Self = Self::new(Key::UnitAttention, 0x2A, 0x06);
    /// 6h/2Ah/09h.
    pub const CAPACITY_DATA_CHANGED: Self = Self::new(Key::UnitAttention, 0x2A, 0x09);
    /// 6h/2Fh/00h.
    pub const COMMANDS_CLEARED_BY_ANOTHER_INITIATOR: Self =
        Self::new(Key::UnitAttention, 0x2F, 0x00);
    /// 6h/38h/07h.
    pub const THIN_PROVISIONING_SOFT_THRESHOLD_REACHED: Self =
        Self::new(Key::UnitAttention, 0x38, 0x07);
    /// 6h/3Fh/03h.
    pub const INQUIRY_DATA_CHANGED: Self = Self::new(Key::UnitAttention, 0x3F, 0x03);
    /// 6h/3Fh/0Eh.
    pub const REPORTED_LUNS_DATA_CHANGED: Self = Self::new(Key::UnitAttention, 0x3F, 0x0E);
}

/// ABORTED COMMAND, MISCOMPARE.
impl Sense {
    /// Bh/00h/00h.
    pub const ABORTED_COMMAND: Self = Self::new(Key::AbortedCommand, 0x00, 0x00);
    /// Bh/08h/00h: the driver does not answer.
    pub const ABORTED_LOGICAL_UNIT_COMMUNICATION_FAILURE: Self =
        Self::new(Key::AbortedCommand, 0x08, 0x00);
    /// Bh/08h/01h: the driver did not answer in time.
    pub const ABORTED_LOGICAL_UNIT_COMMUNICATION_TIMEOUT: Self =
        Self::new(Key::AbortedCommand, 0x08, 0x01);
    /// Bh/0Ch/0Ch: iSCSI (RFC 7143 11.4.7.2).
    pub const UNEXPECTED_UNSOLICITED_DATA: Self = Self::new(Key::AbortedCommand, 0x0C, 0x0C);
    /// Bh/0Ch/0Dh: iSCSI (RFC 7143 11.4.7.2).
    pub const NOT_ENOUGH_UNSOLICITED_DATA: Self = Self::new(Key::AbortedCommand, 0x0C, 0x0D);
    /// Bh/2Eh/02h: the command's time ran out while it was processed.
    pub const COMMAND_TIMEOUT_DURING_PROCESSING: Self = Self::new(Key::AbortedCommand, 0x2E, 0x02);
    /// Bh/47h/05h: iSCSI digest error (RFC 7143 11.4.7.2).
    pub const PROTOCOL_SERVICE_CRC_ERROR: Self = Self::new(Key::AbortedCommand, 0x47, 0x05);
    /// Bh/4Bh/00h.
    pub const DATA_PHASE_ERROR: Self = Self::new(Key::AbortedCommand, 0x4B, 0x00);
    /// Bh/4Eh/00h.
    pub const OVERLAPPED_COMMANDS_ATTEMPTED: Self = Self::new(Key::AbortedCommand, 0x4E, 0x00);
    /// Eh/1Dh/00h; see [`Sense::miscompare`].
    pub const MISCOMPARE: Self = Self::new(Key::Miscompare, 0x1D, 0x00);
}
