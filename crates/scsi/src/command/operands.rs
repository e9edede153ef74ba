//! The operands of commands: those about blocks, and what every command has.

mod host;

pub use host::{
    LogSense, ModeSelect, PersistentReserveInAction, PersistentReserveOut,
    PersistentReserveOutAction, ReadDefectData, ReceiveCopyAction, ReportSupportedOpcodes,
    ReportingOptions, Reserve, Sanitize, SanitizeAction,
};

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

/// Operands of GET LBA STATUS(16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LbaStatus {
    /// The first block asked about.
    pub lba: u64,
    /// Bytes of parameter data the initiator has room for.
    pub allocation_length: u32,
    /// REPORT TYPE; 0 asks for every block.
    pub report_type: u8,
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

/// BYTCHK of VERIFY and WRITE AND VERIFY (SBC-4). 10b is reserved and never parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteCheck {
    /// 00b: the medium is read, nothing is compared; no data is transferred by VERIFY.
    Medium,
    /// 01b: every block is compared with its block of the data-out buffer.
    Compare,
    /// 11b: every block is compared with the one block of the data-out buffer. VERIFY only.
    CompareOneBlock,
}

/// PC of MODE SENSE (SPC-6).
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
    /// SYNCHRONIZE CACHE, PRE-FETCH and WRITE SAME; in both cases only `lba` itself can be out of
    /// range.
    pub blocks: u64,
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
    /// if the range lies within it. An empty range at `lba == capacity` lies within (SBC-4:
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
