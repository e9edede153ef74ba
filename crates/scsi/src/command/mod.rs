//! Commands: what a CDB asks for, parsed once.
//!
//! [`parse`] turns a CDB into a [`Command`] or into the [`Sense`](crate::Sense) with which to
//! refuse it. Fields that every target must judge by its own state (protection, ranges, page
//! codes) are handed on as they are. New commands are further variants of [`Command`].

pub mod build;
pub mod opcode;
mod operands;
mod parse;

use core::fmt;

pub use operands::{
    ByteCheck, CdbSize, Direction, LbaRange, ModeSense, PageControl, StartStopUnit, Transfer,
    WriteSame,
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
            | Self::RequestSense { .. } => Direction::FromDevice,
            Self::Write(_) | Self::WriteAndVerify { .. } | Self::Unmap { .. } => {
                Direction::ToDevice
            }
            Self::Verify { byte_check: ByteCheck::Medium, .. } => Direction::None,
            Self::Verify { .. } => Direction::ToDevice,
            Self::WriteSame(same) if same.no_data_out => Direction::None,
            Self::WriteSame(_) => Direction::ToDevice,
            Self::TestUnitReady | Self::SynchronizeCache { .. } | Self::StartStopUnit(_) => {
                Direction::None
            }
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
            Self::Read(t) | Self::Write(t) | Self::WriteAndVerify { transfer: t, .. } => {
                t.blocks as u64 * block
            }
            Self::Verify { transfer, byte_check } => match byte_check {
                ByteCheck::Medium => 0,
                ByteCheck::Compare => transfer.blocks as u64 * block,
                ByteCheck::CompareOneBlock if transfer.blocks == 0 => 0,
                ByteCheck::CompareOneBlock => block,
            },
            Self::WriteSame(same) if same.no_data_out => 0,
            Self::WriteSame(_) => block,
            Self::Unmap { parameter_list_length, .. } => *parameter_list_length as u64,
            Self::ReadCapacity10 => 8,
            Self::Inquiry { allocation_length, .. }
            | Self::ReadCapacity16 { allocation_length }
            | Self::ReportLuns { allocation_length, .. }
            | Self::RequestSense { allocation_length, .. } => *allocation_length as u64,
            Self::ModeSense(sense) => sense.allocation_length as u64,
            Self::TestUnitReady | Self::SynchronizeCache { .. } | Self::StartStopUnit(_) => 0,
        }
    }

    /// The blocks named in the CDB, for the check against the capacity. `None` for commands that
    /// name no blocks there; UNMAP names its own in the parameter list.
    #[inline]
    #[must_use]
    pub const fn lba_range(&self) -> Option<LbaRange> {
        match self {
            Self::Read(t)
            | Self::Write(t)
            | Self::Verify { transfer: t, .. }
            | Self::WriteAndVerify { transfer: t, .. } => {
                Some(LbaRange { lba: t.lba, blocks: t.blocks as u64 })
            }
            Self::WriteSame(same) => Some(LbaRange { lba: same.lba, blocks: same.blocks as u64 }),
            Self::SynchronizeCache { lba, blocks, .. } => {
                Some(LbaRange { lba: *lba, blocks: *blocks as u64 })
            }
            _ => None,
        }
    }

    /// The operands of a command that moves blocks: READ, WRITE, VERIFY, WRITE AND VERIFY.
    #[inline]
    #[must_use]
    pub const fn transfer(&self) -> Option<&Transfer> {
        match self {
            Self::Read(transfer)
            | Self::Write(transfer)
            | Self::Verify { transfer, .. }
            | Self::WriteAndVerify { transfer, .. } => Some(transfer),
            _ => None,
        }
    }

    /// Whether this command may change what a later READ returns; such a command is refused on a
    /// write-protected logical unit (SBC-4, write protection).
    #[inline]
    #[must_use]
    pub const fn changes_medium(&self) -> bool {
        matches!(
            self,
            Self::Write(_) | Self::WriteAndVerify { .. } | Self::WriteSame(_) | Self::Unmap { .. }
        )
    }

    /// The command's name as the standard writes it, without the CDB length.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TestUnitReady => "TEST UNIT READY",
            Self::RequestSense { .. } => "REQUEST SENSE",
            Self::Inquiry { .. } => "INQUIRY",
            Self::ReportLuns { .. } => "REPORT LUNS",
            Self::ReadCapacity10 | Self::ReadCapacity16 { .. } => "READ CAPACITY",
            Self::ModeSense(_) => "MODE SENSE",
            Self::Read(_) => "READ",
            Self::Write(_) => "WRITE",
            Self::Verify { .. } => "VERIFY",
            Self::WriteAndVerify { .. } => "WRITE AND VERIFY",
            Self::SynchronizeCache { .. } => "SYNCHRONIZE CACHE",
            Self::Unmap { .. } => "UNMAP",
            Self::WriteSame(_) => "WRITE SAME",
            Self::StartStopUnit(_) => "START STOP UNIT",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.lba_range() {
            Some(range) => write!(f, " lba {} blocks {}", range.lba, range.blocks),
            None => Ok(()),
        }
    }
}
