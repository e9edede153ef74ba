//! EXTENDED COPY(LID1) and RECEIVE COPY RESULTS (SPC-4 6.4 and 6.16 to 6.20): parameter list and
//! parameter data of a copy manager for block devices.
//!
//! Of the many descriptors those are read that block devices use: the identification descriptor
//! CSCD descriptor (E4h) and the segment descriptor "block device to block device" (02h). CSCD is
//! "copy source and copy destination"; older texts say "target descriptor".

mod list;
mod results;

pub use list::{CopyLimits, CopyList, Cscd, ListIdUsage, Segment, encode};
pub use results::{
    CopyStatus, ManagerStatus, OperatingParameters, THIRD_PARTY_COPY, failed_segment_details,
    third_party_copy,
};

/// DESCRIPTOR TYPE CODE of the identification descriptor CSCD descriptor.
pub const CSCD_IDENTIFICATION: u8 = 0xE4;
/// DESCRIPTOR TYPE CODE of the segment descriptor "copy from block device to block device".
pub const SEGMENT_BLOCK_TO_BLOCK: u8 = 0x02;
/// Bytes of the parameter list before the first descriptor.
pub const HEADER_LEN: usize = 16;
/// Bytes of a CSCD descriptor, type code E4h.
pub const CSCD_LEN: usize = 32;
/// Bytes of a segment descriptor, type code 02h.
pub const SEGMENT_LEN: usize = 28;
