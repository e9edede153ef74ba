//! What stands in a slot: the DriverKit-compatible command and response, field by field, and
//! Outboard's own extension of a command.
//!
//! Layouts are those of `SCSIUserParallelTask` (128 bytes) and `SCSIUserParallelResponse` (384
//! bytes) in SCSIControllerDriverKit, little-endian, natural alignment.

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The only value of the `version` fields.
pub const VERSION: u64 = 1;
/// Bytes of a response's sense buffer.
pub const SENSE_BYTES: usize = 256;
/// Longest command descriptor block.
pub const CDB_BYTES: usize = 16;

/// A command slot: one SCSI command for the driver.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct ParallelTask {
    /// [`VERSION`]
    pub version: u64,
    /// target identifier
    pub target_id: u64,
    /// SPI negotiation requests; unused by Outboard
    pub feature_request: [u32; 5],
    /// padding
    pub pad0: u32,
    /// number of SPI negotiation requests
    pub feature_request_count: u64,
    /// the identifier that the driver handed out for this task object; never 0
    pub controller_task_identifier: u64,
    /// bytes to transfer
    pub requested_transfer_count: u64,
    /// where the data buffer begins: an offset in the region (IOVM), never a pointer
    pub buffer_iovm_addr: u64,
    /// task attribute: SIMPLE 0, ORDERED 1, HEAD OF QUEUE 2, ACA 3
    pub task_attribute: u32,
    /// padding
    pub pad1: u32,
    /// the initiator's task tag; 0 = untagged
    pub task_tag_identifier: u64,
    /// the LUN as in SAM-6 4.7
    pub logical_unit_bytes: [u8; 8],
    /// the CDB, zero-filled
    pub command_descriptor_block: [u8; CDB_BYTES],
    /// length of the CDB: 6, 10, 12 or 16
    pub command_size: u8,
    /// none 0, from initiator to target (write) 1, from target to initiator (read) 2
    pub transfer_direction: u8,
    /// padding
    pub pad2: [u8; 2],
    /// milliseconds until the host gives the task up; 0 = never
    pub timeout_ms: u32,
    /// reserved
    pub reserved: [u8; 6],
    /// padding
    pub pad3: [u8; 2],
}

const _: () = {
    assert!(size_of::<ParallelTask>() == 128 && align_of::<ParallelTask>() == 8);
    assert!(offset_of!(ParallelTask, version) == 0);
    assert!(offset_of!(ParallelTask, target_id) == 8);
    assert!(offset_of!(ParallelTask, feature_request) == 16);
    assert!(offset_of!(ParallelTask, pad0) == 36);
    assert!(offset_of!(ParallelTask, feature_request_count) == 40);
    assert!(offset_of!(ParallelTask, controller_task_identifier) == 48);
    assert!(offset_of!(ParallelTask, requested_transfer_count) == 56);
    assert!(offset_of!(ParallelTask, buffer_iovm_addr) == 64);
    assert!(offset_of!(ParallelTask, task_attribute) == 72);
    assert!(offset_of!(ParallelTask, pad1) == 76);
    assert!(offset_of!(ParallelTask, task_tag_identifier) == 80);
    assert!(offset_of!(ParallelTask, logical_unit_bytes) == 88);
    assert!(offset_of!(ParallelTask, command_descriptor_block) == 96);
    assert!(offset_of!(ParallelTask, command_size) == 112);
    assert!(offset_of!(ParallelTask, transfer_direction) == 113);
    assert!(offset_of!(ParallelTask, pad2) == 114);
    assert!(offset_of!(ParallelTask, timeout_ms) == 116);
    assert!(offset_of!(ParallelTask, reserved) == 120);
    assert!(offset_of!(ParallelTask, pad3) == 126);
};

impl ParallelTask {
    /// A command slot with nothing in it but the version.
    pub const EMPTY: Self = Self {
        version: VERSION,
        target_id: 0,
        feature_request: [0; 5],
        pad0: 0,
        feature_request_count: 0,
        controller_task_identifier: 0,
        requested_transfer_count: 0,
        buffer_iovm_addr: 0,
        task_attribute: 0,
        pad1: 0,
        task_tag_identifier: 0,
        logical_unit_bytes: [0; 8],
        command_descriptor_block: [0; CDB_BYTES],
        command_size: 0,
        transfer_direction: 0,
        pad2: [0; 2],
        timeout_ms: 0,
        reserved: [0; 6],
        pad3: [0; 2],
    };

    /// What may differ in the first half between two tasks of Outboard's host: target, identifier
    /// and byte count. (It negotiates no parallel SCSI features, so those fields stay zero.)
    #[inline]
    pub fn first_half(&self) -> [u64; 3] {
        [self.target_id, self.controller_task_identifier, self.requested_transfer_count]
    }

    /// The CDB's bytes; empty if `command_size` is none of 6, 10, 12, 16.
    #[inline]
    pub fn cdb(&self) -> &[u8] {
        match self.command_size {
            6 | 10 | 12 | 16 => &self.command_descriptor_block[..self.command_size as usize],
            _ => &[],
        }
    }
}

/// The first 80 bytes of a response slot: all of it that a GOOD status needs.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ResponseHead {
    /// [`VERSION`]; any other value is a violation
    pub version: u64,
    /// as in the command
    pub target_id: u64,
    /// SPI negotiation results; unused by Outboard
    pub feature_result: [u32; 5],
    /// padding
    pub pad0: u32,
    /// number of SPI negotiation results
    pub feature_result_count: u64,
    /// as in the command
    pub controller_task_identifier: u64,
    /// SCSI task status, or the kind of delivery failure: `service_response` tells which
    pub completion_status: u32,
    /// service response
    pub service_response: u32,
    /// bytes transferred
    pub bytes_transferred: u64,
    /// valid bytes in the sense buffer
    pub sense_length: u8,
    /// the first bytes of the sense buffer
    pub sense_start: [u8; 7],
}

impl ResponseHead {
    /// A response head with nothing in it but the version.
    pub const EMPTY: Self = Self {
        version: VERSION,
        target_id: 0,
        feature_result: [0; 5],
        pad0: 0,
        feature_result_count: 0,
        controller_task_identifier: 0,
        completion_status: 0,
        service_response: 0,
        bytes_transferred: 0,
        sense_length: 0,
        sense_start: [0; 7],
    };
}

/// A response slot: the answer to the command of the same index.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct ParallelResponse {
    /// everything up to the first sense bytes
    pub head: ResponseHead,
    /// the other sense bytes (the buffer begins in `head.sense_start`)
    pub sense_rest: [u8; SENSE_BYTES - 7],
    /// reserved
    pub reserved: [u8; 51],
    /// padding
    pub pad1: [u8; 4],
}

const _: () = {
    assert!(size_of::<ParallelResponse>() == 384 && align_of::<ParallelResponse>() == 8);
    assert!(size_of::<ResponseHead>() == 80);
    assert!(offset_of!(ResponseHead, version) == 0);
    assert!(offset_of!(ResponseHead, target_id) == 8);
    assert!(offset_of!(ResponseHead, feature_result) == 16);
    assert!(offset_of!(ResponseHead, pad0) == 36);
    assert!(offset_of!(ResponseHead, feature_result_count) == 40);
    assert!(offset_of!(ResponseHead, controller_task_identifier) == 48);
    assert!(offset_of!(ResponseHead, completion_status) == 56);
    assert!(offset_of!(ResponseHead, service_response) == 60);
    assert!(offset_of!(ResponseHead, bytes_transferred) == 64);
    assert!(offset_of!(ResponseHead, sense_length) == 72);
    assert!(offset_of!(ResponseHead, sense_start) == 73);
    assert!(offset_of!(ParallelResponse, head) == 0);
    assert!(offset_of!(ParallelResponse, sense_rest) == 80);
    assert!(offset_of!(ParallelResponse, reserved) == 329);
    assert!(offset_of!(ParallelResponse, pad1) == 380);
};

/// Outboard's own fields of a command, in an array parallel to the command slots.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct TaskExtension {
    /// the I_T nexus the command came by
    pub nexus: u64,
    /// generation of the submission, as in the ring entry
    pub generation: u64,
    /// number of extra buffer segments; 0 = one contiguous buffer, the only value so far
    pub segments: u64,
    /// while tasks are traced: when the driver took it, ns of `CLOCK_MONOTONIC`, by its own word
    pub taken: u64,
    /// the same of when it ended it
    pub completed: u64,
    /// reserved
    pub reserved: [u64; 3],
}

const _: () = {
    assert!(size_of::<TaskExtension>() == 64);
    assert!(offset_of!(TaskExtension, taken) == 24);
    assert!(offset_of!(TaskExtension, completed) == 32);
};

impl TaskExtension {
    /// An extension with nothing in it.
    pub const EMPTY: Self =
        Self { nexus: 0, generation: 0, segments: 0, taken: 0, completed: 0, reserved: [0; 3] };
}
