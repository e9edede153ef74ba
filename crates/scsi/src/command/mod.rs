//! Commands: what a CDB asks for, parsed once.
//!
//! [`parse`] turns a CDB into a [`Command`] or into the [`Sense`] with which to refuse it. Fields
//! that every target must judge by its own state (protection, ranges, allocation lengths, page
//! codes) are handed on as they are. New commands are further variants of [`Command`].

pub mod build;
pub mod opcode;
mod parse;

use core::fmt;

pub use parse::parse;

/// A parsed command.
///
/// Block counts and LBAs are in logical blocks, lengths in bytes, as the CDB gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// TEST UNIT READY (SPC-6 6.48).
    TestUnitReady,
    /// REQUEST SENSE (SPC-6 6.40).
    RequestSense {
        /// DESC: answer in descriptor format.
        descriptor: bool,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// INQUIRY (SPC-6 6.7).
    Inquiry {
        /// The VPD page asked for; `None` is standard INQUIRY data.
        vpd: Option<u8>,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// REPORT LUNS (SPC-6 6.34).
    ReportLuns {
        /// SELECT REPORT field.
        select_report: u8,
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// READ CAPACITY(10) (SBC-4 5.20). The obsolete LBA and PMI fields are ignored.
    ReadCapacity10,
    /// READ CAPACITY(16) (SBC-4 5.21). The obsolete LBA and PMI fields are ignored.
    ReadCapacity16 {
        /// Bytes of parameter data the initiator has room for.
        allocation_length: u32,
    },
    /// MODE SENSE(6) and (10) (SPC-6 6.14, 6.15).
    ModeSense(ModeSense),
    /// READ(6), (10), (12), (16) (SBC-4 5.16 to 5.18).
    Read(Transfer),
    /// WRITE(6), (10), (12), (16) (SBC-4 5.40 to 5.42).
    Write(Transfer),
    /// VERIFY(10), (12), (16) (SBC-4 5.36 to 5.38). FUA is never set.
    Verify {
        /// The blocks to verify.
        transfer: Transfer,
        /// What they are compared with.
        byte_check: ByteCheck,
    },
    /// WRITE AND VERIFY(10), (12), (16) (SBC-4 5.44 to 5.46). FUA is never set.
    WriteAndVerify {
        /// The blocks to write.
        transfer: Transfer,
        /// Whether to compare the medium with the data afterwards.
        byte_check: ByteCheck,
    },
    /// SYNCHRONIZE CACHE(10), (16) (SBC-4 5.33, 5.34).
    SynchronizeCache {
        /// First block.
        lba: u64,
        /// Number of blocks; 0 is "to the end of the medium".
        blocks: u32,
        /// IMMED: answer before the work is done.
        immediate: bool,
    },
    /// UNMAP (SBC-4 5.35). The ranges are in the parameter list: see [`crate::unmap`].
    Unmap {
        /// ANCHOR: leave the blocks anchored instead of deallocated.
        anchor: bool,
        /// Bytes of parameter list that follow as data-out; 0 is a command without effect.
        parameter_list_length: u16,
    },
    /// WRITE SAME(10), (16) (SBC-4 5.52, 5.53).
    WriteSame(WriteSame),
    /// START STOP UNIT (SBC-4 5.31).
    StartStopUnit(StartStopUnit),
}

/// Where a command reads or writes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// First logical block.
    pub lba: u64,
    /// Number of logical blocks. The 0 of READ(6) and WRITE(6), which means 256, is resolved.
    pub blocks: u32,
    /// Force unit access: the medium, not a volatile cache (SBC-4 4.15).
    pub fua: bool,
    /// Disable page out: low retention priority in the cache.
    pub dpo: bool,
    /// RDPROTECT, WRPROTECT or VRPROTECT, 0 to 7. 0 transfers no protection information.
    pub protect: u8,
    /// Which CDB it came in.
    pub size: CdbSize,
}

/// Operands of MODE SENSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeSense {
    /// DBD: no block descriptor in the answer.
    pub dbd: bool,
    /// LLBAA: a long block descriptor is allowed. Only MODE SENSE(10) has the bit.
    pub llbaa: bool,
    /// Which values of the pages are asked for.
    pub page_control: PageControl,
    /// Page code, 0 to 3Fh; 3Fh is "all pages".
    pub page: u8,
    /// Subpage code; FFh is "all subpages".
    pub subpage: u8,
    /// Bytes of parameter data the initiator has room for.
    pub allocation_length: u32,
    /// True for MODE SENSE(10), which has the longer header.
    pub ten: bool,
}

/// Operands of WRITE SAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteSame {
    /// First logical block.
    pub lba: u64,
    /// Number of logical blocks; 0 is "to the end of the medium" where the target allows it.
    pub blocks: u32,
    /// UNMAP: the blocks may be deallocated if they then read as the pattern.
    pub unmap: bool,
    /// ANCHOR: as `unmap`, but anchored. Never set without `unmap`.
    pub anchor: bool,
    /// NDOB: no data-out buffer, the pattern is zeros. Only WRITE SAME(16) has the bit.
    pub no_data_out: bool,
    /// WRPROTECT, 0 to 7.
    pub protect: u8,
    /// Which CDB it came in.
    pub size: CdbSize,
}

/// Operands of START STOP UNIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartStopUnit {
    /// IMMED: answer before the work is done.
    pub immediate: bool,
    /// POWER CONDITION, 0 to Fh; 0 means that `start` and `load_eject` count.
    pub power_condition: u8,
    /// POWER CONDITION MODIFIER, 0 to Fh.
    pub power_condition_modifier: u8,
    /// LOEJ: load or eject the medium.
    pub load_eject: bool,
    /// START: true starts, false stops.
    pub start: bool,
    /// NO_FLUSH: do not write the cache to the medium first.
    pub no_flush: bool,
}

/// BYTCHK of VERIFY and WRITE AND VERIFY (SBC-4 5.36). 10b is reserved and never parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteCheck {
    /// 00b: the medium is read, nothing is compared; no data is transferred by VERIFY.
    Medium,
    /// 01b: every block is compared with its block of the data-out buffer.
    Compare,
    /// 11b: every block is compared with the one block of the data-out buffer. VERIFY only.
    CompareOneBlock,
}

/// PC of MODE SENSE (SPC-6 6.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageControl {
    /// 00b: current values.
    Current,
    /// 01b: a mask, all ones where a field can be changed.
    Changeable,
    /// 10b: default values.
    Default,
    /// 11b: saved values.
    Saved,
}

/// The way of a command's data, as the initiator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// No data.
    None,
    /// Data-out: from the initiator to the target (a write).
    ToDevice,
    /// Data-in: from the target to the initiator (a read).
    FromDevice,
}

/// The length of a fixed-length CDB (SPC-6 4.2.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CdbSize {
    /// 6 bytes.
    Six = 6,
    /// 10 bytes.
    Ten = 10,
    /// 12 bytes.
    Twelve = 12,
    /// 16 bytes.
    Sixteen = 16,
}

/// Blocks that a command reads or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LbaRange {
    /// First logical block.
    pub lba: u64,
    /// Number of logical blocks. 0 is an empty range, or "to the end of the medium" for
    /// SYNCHRONIZE CACHE and WRITE SAME; in both cases only `lba` itself can be out of range.
    pub blocks: u64,
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
    /// write-protected logical unit (SBC-4 4.14).
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

impl CdbSize {
    /// Length in bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> usize {
        self as usize
    }

    /// First byte of the TRANSFER LENGTH (or VERIFICATION LENGTH, NUMBER OF LOGICAL BLOCKS) field
    /// of a block command of this size, for field pointers.
    #[inline]
    #[must_use]
    pub const fn length_field(self) -> u16 {
        match self {
            Self::Six => 4,
            Self::Ten => 7,
            Self::Twelve => 6,
            Self::Sixteen => 10,
        }
    }
}

impl LbaRange {
    /// The first block of this range that a medium of `capacity` blocks does not have, or `None`
    /// if the range lies within it. An empty range at `lba == capacity` lies within (SBC-4 5.16:
    /// only a sum that exceeds the capacity is refused).
    #[inline]
    #[must_use]
    pub const fn first_beyond(&self, capacity: u64) -> Option<u64> {
        if self.lba > capacity {
            Some(self.lba)
        } else if self.blocks > capacity - self.lba {
            Some(capacity)
        } else {
            None
        }
    }
}
