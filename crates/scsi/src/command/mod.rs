//! Commands: what a CDB asks for, parsed once.
//!
//! [`parse`] turns a CDB into a [`Command`] or into the [`Sense`](crate::Sense) with which to
//! refuse it. Fields that every target must judge by its own state (protection, ranges, page
//! codes) are handed on as they are. New commands are further variants of [`Command`].

pub mod build;
mod name;
pub mod opcode;
mod operands;
mod parse;

pub use operands::{
    ByteCheck, CdbSize, Direction, LbaRange, LbaStatus, LogSense, ModeSelect, ModeSense,
    PageControl, PersistentReserveInAction, PersistentReserveOut, PersistentReserveOutAction,
    ReadDefectData, ReceiveCopyAction, ReportSupportedOpcodes, ReportingOptions, Reserve, Sanitize,
    SanitizeAction, StartStopUnit, Transfer, WriteSame,
};
pub use parse::{parse, parse_hot};

/// A parsed command.
///
/// Block counts and LBAs are in logical blocks, lengths in bytes, as the CDB gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// TEST UNIT READY (SPC-6).
    TestUnitReady,
    /// REQUEST SENSE (SPC-6).
    RequestSense {
        /// DESC: answer in descriptor format.
        descriptor: bool,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// INQUIRY (SPC-6).
    Inquiry {
        /// The VPD page asked for; `None` is standard INQUIRY data.
        vpd: Option<u8>,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// REPORT LUNS (SPC-6).
    ReportLuns {
        /// SELECT REPORT field.
        select_report: u8,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// READ CAPACITY(10) (SBC-4). The obsolete LBA and PMI fields are ignored.
    ReadCapacity10,
    /// READ CAPACITY(16) (SBC-4). The obsolete LBA and PMI fields are ignored.
    ReadCapacity16 {
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// MODE SENSE(6) and (10) (SPC-6).
    ModeSense(ModeSense),
    /// READ(6), (10), (12), (16) (SBC-4).
    Read(Transfer),
    /// WRITE(6), (10), (12), (16) (SBC-4).
    Write(Transfer),
    /// VERIFY(10), (12), (16) (SBC-4). FUA is never set.
    Verify {
        /// The blocks to verify.
        transfer: Transfer,
        /// What they are compared with.
        byte_check: ByteCheck,
    },
    /// WRITE AND VERIFY(10), (12), (16) (SBC-4). FUA is never set.
    WriteAndVerify {
        /// The blocks to write.
        transfer: Transfer,
        /// Whether to compare the medium with the data afterwards.
        byte_check: ByteCheck,
    },
    /// SYNCHRONIZE CACHE(10), (16) (SBC-4).
    SynchronizeCache {
        /// First block.
        lba: u64,
        /// Number of blocks; 0 is "to the end of the medium".
        blocks: u32,
        /// IMMED: answer before the work is done.
        immediate: bool,
    },
    /// UNMAP (SBC-4). The ranges are in the parameter list: see [`crate::unmap`].
    Unmap {
        /// ANCHOR: leave the blocks anchored instead of deallocated.
        anchor: bool,
        /// Bytes of parameter list that follow as data-out; 0 is a command without effect.
        parameter_list_length: u16,
    },
    /// WRITE SAME(10), (16) (SBC-4).
    WriteSame(WriteSame),
    /// START STOP UNIT (SBC-4).
    StartStopUnit(StartStopUnit),
    /// COMPARE AND WRITE (SBC-4). The data-out is twice as long as the blocks: what to compare
    /// with, then what to write.
    CompareAndWrite(Transfer),
    /// ORWRITE(16) (SBC-4).
    OrWrite(Transfer),
    /// WRITE ATOMIC(16) (SBC-4).
    WriteAtomic {
        /// The blocks to write, all or none.
        transfer: Transfer,
        /// ATOMIC BOUNDARY in blocks: each stretch of so many is atomic for itself; 0 is "all of
        /// them together".
        boundary: u16,
    },
    /// PRE-FETCH(10), (16) (SBC-4).
    PreFetch {
        /// First block.
        lba: u64,
        /// Number of blocks; 0 is "to the end of the medium".
        blocks: u32,
        /// IMMED: answer before the blocks are in the cache.
        immediate: bool,
    },
    /// GET LBA STATUS(16) (SBC-4).
    GetLbaStatus(LbaStatus),
    /// READ DEFECT DATA(10), (12) (SBC-4).
    ReadDefectData(ReadDefectData),
    /// SANITIZE (SBC-4).
    Sanitize(Sanitize),
    /// PREVENT ALLOW MEDIUM REMOVAL (SBC-4).
    PreventAllowMediumRemoval {
        /// PREVENT: the medium must stay.
        prevent: bool,
    },
    /// MODE SELECT(6) and (10) (SPC-6).
    ModeSelect(ModeSelect),
    /// LOG SENSE (SPC-6).
    LogSense(LogSense),
    /// REPORT SUPPORTED OPERATION CODES (SPC-6).
    ReportSupportedOpcodes(ReportSupportedOpcodes),
    /// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-6).
    ReportSupportedTaskManagementFunctions {
        /// REPD: the longer answer of 16 bytes.
        extended: bool,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// EXTENDED COPY(LID1) (SPC-6).
    ExtendedCopy {
        /// Bytes of parameter list that follow as data-out; 0 copies nothing.
        parameter_list_length: u32,
    },
    /// RECEIVE COPY RESULTS, now RECEIVE COPY STATUS, DATA, OPERATING PARAMETERS and FAILURE
    /// DETAILS (LID1) (SPC-6).
    ReceiveCopyResults {
        /// SERVICE ACTION.
        action: ReceiveCopyAction,
        /// LIST IDENTIFIER of the copy asked about.
        list_identifier: u8,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// RESERVE(6) and (10) (SPC-2).
    Reserve(Reserve),
    /// RELEASE(6) and (10) (SPC-2).
    Release(Reserve),
    /// PERSISTENT RESERVE IN (SPC-6).
    PersistentReserveIn {
        /// SERVICE ACTION.
        action: PersistentReserveInAction,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u16,
    },
    /// PERSISTENT RESERVE OUT (SPC-6).
    PersistentReserveOut(PersistentReserveOut),
    /// REPORT TARGET PORT GROUPS (SPC-6).
    ReportTargetPortGroups {
        /// PARAMETER DATA FORMAT 001b: the answer begins with an extended header.
        extended_header: bool,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// SET TARGET PORT GROUPS (SPC-6).
    SetTargetPortGroups {
        /// Bytes of parameter list that follow as data-out; 0 changes nothing.
        parameter_list_length: u32,
    },
}

impl Command {
    /// Which way the data of this command goes. Depends on the operation, not on the length: a
    /// READ of 0 blocks is [`Direction::FromDevice`].
    #[inline]
    #[must_use]
    pub const fn direction(&self) -> Direction {
        match self {
            Self::Read(_)
            | Self::Inquiry { .. }
            | Self::ModeSense(_)
            | Self::ReadCapacity10
            | Self::ReadCapacity16 { .. }
            | Self::ReportLuns { .. }
            | Self::RequestSense { .. }
            | Self::GetLbaStatus(_)
            | Self::ReadDefectData(_)
            | Self::LogSense(_)
            | Self::ReportSupportedOpcodes(_)
            | Self::ReportSupportedTaskManagementFunctions { .. }
            | Self::ReceiveCopyResults { .. }
            | Self::PersistentReserveIn { .. }
            | Self::ReportTargetPortGroups { .. } => Direction::FromDevice,
            Self::Write(_)
            | Self::WriteAndVerify { .. }
            | Self::Unmap { .. }
            | Self::CompareAndWrite(_)
            | Self::OrWrite(_)
            | Self::WriteAtomic { .. }
            | Self::Sanitize(_)
            | Self::ModeSelect(_)
            | Self::ExtendedCopy { .. }
            | Self::Reserve(_)
            | Self::PersistentReserveOut(_)
            | Self::SetTargetPortGroups { .. } => Direction::ToDevice,
            Self::Release(reserve) if reserve.ten => Direction::ToDevice,
            Self::Verify { byte_check: ByteCheck::Medium, .. } => Direction::None,
            Self::Verify { .. } => Direction::ToDevice,
            Self::WriteSame(same) if same.no_data_out => Direction::None,
            Self::WriteSame(_) => Direction::ToDevice,
            Self::TestUnitReady
            | Self::SynchronizeCache { .. }
            | Self::StartStopUnit(_)
            | Self::PreFetch { .. }
            | Self::PreventAllowMediumRemoval { .. }
            | Self::Release(_) => Direction::None,
        }
    }

    /// Bytes that this command would transfer if nothing goes wrong: of data-out, or of data-in
    /// at most (an answer may be shorter than its allocation length).
    ///
    /// `block_size` is the logical block length in bytes. Protection information is not counted.
    #[inline]
    #[must_use]
    pub const fn transfer_length(&self, block_size: u32) -> u64 {
        let block = block_size as u64;
        match self {
            Self::Read(t)
            | Self::Write(t)
            | Self::WriteAndVerify { transfer: t, .. }
            | Self::OrWrite(t)
            | Self::WriteAtomic { transfer: t, .. } => t.blocks as u64 * block,
            Self::CompareAndWrite(t) => 2 * t.blocks as u64 * block,
            Self::Verify { transfer, byte_check } => match byte_check {
                ByteCheck::Medium => 0,
                ByteCheck::Compare => transfer.blocks as u64 * block,
                ByteCheck::CompareOneBlock if transfer.blocks == 0 => 0,
                ByteCheck::CompareOneBlock => block,
            },
            Self::WriteSame(same) if same.no_data_out => 0,
            Self::WriteSame(_) => block,
            Self::ReadCapacity10 => 8,
            Self::Inquiry { allocation_length, .. }
            | Self::ReadCapacity16 { allocation_length }
            | Self::ReportLuns { allocation_length, .. }
            | Self::RequestSense { allocation_length, .. }
            | Self::GetLbaStatus(LbaStatus { allocation_length, .. })
            | Self::ReadDefectData(ReadDefectData { allocation_length, .. })
            | Self::ReportSupportedOpcodes(ReportSupportedOpcodes { allocation_length, .. })
            | Self::ReportSupportedTaskManagementFunctions { allocation_length, .. }
            | Self::ReceiveCopyResults { allocation_length, .. }
            | Self::ReportTargetPortGroups { allocation_length, .. } => *allocation_length as u64,
            Self::ModeSense(sense) => sense.allocation_length as u64,
            Self::LogSense(sense) => sense.allocation_length as u64,
            Self::PersistentReserveIn { allocation_length, .. } => *allocation_length as u64,
            _ => self.parameter_list_length() as u64,
        }
    }

    /// Bytes of the parameter list that follows as data-out; 0 for commands without one. The data
    /// that a command writes to the medium or compares with it is none.
    #[inline]
    #[must_use]
    pub const fn parameter_list_length(&self) -> u32 {
        match self {
            Self::Unmap { parameter_list_length: length, .. } => *length as u32,
            Self::Sanitize(sanitize) => sanitize.parameter_list_length as u32,
            Self::ModeSelect(select) => select.parameter_list_length as u32,
            Self::Reserve(reserve) | Self::Release(reserve) => reserve.parameter_list_length as u32,
            Self::PersistentReserveOut(out) => out.parameter_list_length,
            Self::ExtendedCopy { parameter_list_length: length }
            | Self::SetTargetPortGroups { parameter_list_length: length } => *length,
            _ => 0,
        }
    }

    /// The blocks named in the CDB, for the check against the capacity. `None` for commands that
    /// name no blocks there; UNMAP names its own in the parameter list. GET LBA STATUS names one,
    /// which must exist.
    #[inline]
    #[must_use]
    pub const fn lba_range(&self) -> Option<LbaRange> {
        if let Some(t) = self.transfer() {
            return Some(LbaRange { lba: t.lba, blocks: t.blocks as u64 });
        }
        match self {
            Self::WriteSame(same) => Some(LbaRange { lba: same.lba, blocks: same.blocks as u64 }),
            Self::SynchronizeCache { lba, blocks, .. } | Self::PreFetch { lba, blocks, .. } => {
                Some(LbaRange { lba: *lba, blocks: *blocks as u64 })
            }
            Self::GetLbaStatus(status) => Some(LbaRange { lba: status.lba, blocks: 1 }),
            _ => None,
        }
    }

    /// The operands of a command that moves blocks: READ, WRITE, VERIFY, WRITE AND VERIFY,
    /// COMPARE AND WRITE, ORWRITE, WRITE ATOMIC.
    #[inline]
    #[must_use]
    pub const fn transfer(&self) -> Option<&Transfer> {
        match self {
            Self::Read(transfer)
            | Self::Write(transfer)
            | Self::Verify { transfer, .. }
            | Self::WriteAndVerify { transfer, .. }
            | Self::CompareAndWrite(transfer)
            | Self::OrWrite(transfer)
            | Self::WriteAtomic { transfer, .. } => Some(transfer),
            _ => None,
        }
    }

    /// First byte of the CDB's field that says how many blocks, for field pointers. `None` for
    /// commands without one.
    #[must_use]
    pub const fn length_field(&self) -> Option<u16> {
        match self {
            Self::CompareAndWrite(_) => Some(13),
            Self::WriteAtomic { .. } => Some(12),
            Self::WriteSame(same) => Some(same.size.length_field()),
            _ => match self.transfer() {
                Some(transfer) => Some(transfer.size.length_field()),
                None => None,
            },
        }
    }

    /// Whether this command may change what a later READ returns; such a command is refused on a
    /// write-protected logical unit (SBC-4, write protection). What EXTENDED COPY changes is named
    /// in its parameter list.
    #[inline]
    #[must_use]
    pub const fn changes_medium(&self) -> bool {
        match self {
            Self::Write(_)
            | Self::WriteAndVerify { .. }
            | Self::WriteSame(_)
            | Self::Unmap { .. }
            | Self::CompareAndWrite(_)
            | Self::OrWrite(_)
            | Self::WriteAtomic { .. } => true,
            Self::Sanitize(sanitize) => !matches!(sanitize.action, SanitizeAction::ExitFailureMode),
            _ => false,
        }
    }

    /// Whether this command must not overlap any other task on its blocks: it reads what it then
    /// writes, or writes all or nothing (SBC-4, COMPARE AND WRITE, ORWRITE, WRITE ATOMIC).
    #[inline]
    #[must_use]
    pub const fn is_exclusive(&self) -> bool {
        matches!(self, Self::CompareAndWrite(_) | Self::OrWrite(_) | Self::WriteAtomic { .. })
    }
}
