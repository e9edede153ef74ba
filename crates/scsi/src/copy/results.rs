//! What a copy manager tells about itself and about its copies (SPC-4 6.16 to 6.20, 7.8.17).

use super::{CSCD_IDENTIFICATION, CopyLimits, SEGMENT_BLOCK_TO_BLOCK};
use crate::bytes::{Writer, be16};
use crate::command::opcode as op;
use crate::inquiry::Peripheral;

/// Third-Party Copy VPD page (8Fh).
pub const THIRD_PARTY_COPY: u8 = 0x8F;

/// RECEIVE COPY OPERATING PARAMETERS data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatingParameters {
    /// Descriptors in one list.
    pub limits: CopyLimits,
    /// MAXIMUM SEGMENT LENGTH in bytes; 0 is no limit.
    pub max_segment_len: u32,
    /// TOTAL CONCURRENT COPIES, and those of one I_T nexus.
    pub concurrent_copies: u8,
    /// DATA SEGMENT GRANULARITY: log2 of bytes.
    pub granularity: u8,
}

/// COPY MANAGER STATUS of RECEIVE COPY STATUS(LID1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ManagerStatus {
    /// 00h
    InProgress = 0x00,
    /// 01h
    Completed = 0x01,
    /// 02h
    CompletedWithErrors = 0x02,
}

/// RECEIVE COPY STATUS(LID1) data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyStatus {
    /// COPY MANAGER STATUS.
    pub status: ManagerStatus,
    /// SEGMENTS PROCESSED, the one in process included.
    pub segments: u16,
    /// Bytes written so far.
    pub bytes: u64,
}

impl OperatingParameters {
    /// Length of the data.
    pub const LEN: usize = 46;

    /// Writes the data and returns its whole length.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        const SNLID: u8 = 0x01;

        let descriptors = [SEGMENT_BLOCK_TO_BLOCK, CSCD_IDENTIFICATION];
        let mut writer = Writer::new(out);
        writer
            .put(&(Self::LEN as u32 - 4).to_be_bytes())
            .put(&[SNLID, 0, 0, 0])
            .put(&self.limits.cscds.to_be_bytes())
            .put(&self.limits.segments.to_be_bytes())
            .put(&self.limits.descriptors_len.to_be_bytes())
            .put(&self.max_segment_len.to_be_bytes())
            // No inline data, no held data, no stream devices.
            .zeros(12 + 2)
            .put(&u16::from(self.concurrent_copies).to_be_bytes())
            .put(&[self.concurrent_copies, self.granularity, 0, 0, 0, 0, 0])
            .put(&[descriptors.len() as u8])
            .put(&descriptors);
        writer.len()
    }
}

impl CopyStatus {
    /// Length of the data.
    pub const LEN: usize = 12;

    /// The data.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        // TRANSFER COUNT UNITS: bytes, or as many times 1024 as are needed for 32 bits.
        let (mut unit, mut count) = (0, self.bytes);
        while count > u64::from(u32::MAX) {
            count >>= 10;
            unit += 1;
        }
        let [s, t] = self.segments.to_be_bytes();
        let [a, b, c, d] = (count as u32).to_be_bytes();
        [0, 0, 0, Self::LEN as u8 - 4, self.status as u8, s, t, unit, a, b, c, d]
    }
}

/// Writes RECEIVE COPY FAILURE DETAILS(LID1) data: status and sense data of a copy that failed;
/// `None` if there is nothing to tell. Returns its whole length.
pub fn failed_segment_details(failure: Option<(u8, &[u8])>, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out);
    writer.zeros(4);
    let Some((status, sense)) = failure else { return writer.len() };
    writer.zeros(52).put(&[status, 0]).put(&be16(sense.len())).put(sense);
    let available = u32::try_from(writer.len() - 4).unwrap_or(u32::MAX);
    writer.patch(0, &available.to_be_bytes());
    writer.len()
}

/// Writes VPD page 8Fh of a copy manager that takes [`super::CopyList`]s, and returns its whole
/// length.
pub fn third_party_copy(
    peripheral: Peripheral,
    parameters: &OperatingParameters,
    out: &mut [u8],
) -> usize {
    const SUPPORTED_COMMANDS: u16 = 0x0001;
    const PARAMETER_DATA: u16 = 0x0004;
    const SUPPORTED_DESCRIPTORS: u16 = 0x0008;
    const GENERAL_COPY_OPERATIONS: u16 = 0x8001;
    // EXTENDED COPY(LID1); COPY STATUS, OPERATING PARAMETERS, FAILED SEGMENT DETAILS.
    const COMMANDS: [u8; 8] =
        [op::THIRD_PARTY_COPY_OUT, 1, 0x00, op::THIRD_PARTY_COPY_IN, 3, 0x00, 0x03, 0x04];

    let mut writer = Writer::new(out);
    writer.put(&[peripheral.byte(), THIRD_PARTY_COPY, 0, 0]);
    // COMMANDS SUPPORTED LIST LENGTH, the list, and padding to a multiple of four.
    writer.put(&SUPPORTED_COMMANDS.to_be_bytes()).put(&be16(12)).put(&[COMMANDS.len() as u8]);
    writer.put(&COMMANDS).zeros(3);
    let OperatingParameters { limits, max_segment_len, concurrent_copies, .. } = *parameters;
    writer
        .put(&PARAMETER_DATA.to_be_bytes())
        .put(&be16(28))
        .zeros(4)
        .put(&limits.cscds.to_be_bytes())
        .put(&limits.segments.to_be_bytes())
        .put(&limits.descriptors_len.to_be_bytes())
        // Inline data: none.
        .zeros(4 + 12);
    let descriptors = [SEGMENT_BLOCK_TO_BLOCK, CSCD_IDENTIFICATION];
    writer.put(&SUPPORTED_DESCRIPTORS.to_be_bytes()).put(&be16(4));
    writer.put(&[descriptors.len() as u8]).put(&descriptors).zeros(1);
    writer
        .put(&GENERAL_COPY_OPERATIONS.to_be_bytes())
        .put(&be16(32))
        // TOTAL CONCURRENT COPIES, MAXIMUM IDENTIFIED CONCURRENT COPIES, MAXIMUM SEGMENT LENGTH.
        .put(&u32::from(concurrent_copies).to_be_bytes())
        .put(&u32::from(concurrent_copies).to_be_bytes())
        .put(&max_segment_len.to_be_bytes())
        .put(&[parameters.granularity, 0])
        .zeros(18);
    let len = writer.len();
    writer.patch(2, &be16(len - 4));
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: OperatingParameters = OperatingParameters {
        limits: CopyLimits { cscds: 16, segments: 64, descriptors_len: 2304 },
        max_segment_len: 0x0102_0304,
        concurrent_copies: 4,
        granularity: 9,
    };

    #[test]
    fn operating_parameters_bytes() {
        let mut out = [0xFF; OperatingParameters::LEN];
        assert_eq!(PARAMETERS.encode(&mut out), OperatingParameters::LEN);
        assert_eq!(out[..12], [0, 0, 0, 42, 1, 0, 0, 0, 0, 16, 0, 64]);
        assert_eq!(out[12..20], [0, 0, 9, 0, 1, 2, 3, 4]);
        assert_eq!(out[20..34], [0; 14]);
        assert_eq!(out[34..], [0, 4, 4, 9, 0, 0, 0, 0, 0, 2, 0x02, 0xE4]);
    }

    #[test]
    fn status_bytes() {
        let status = CopyStatus { status: ManagerStatus::Completed, segments: 3, bytes: 0x10203 };
        assert_eq!(status.encode(), [0, 0, 0, 8, 1, 0, 3, 0, 0, 1, 2, 3]);
        let large = CopyStatus { bytes: 5 << 32, ..status };
        assert_eq!(large.encode()[7..], [1, 0x01, 0x40, 0, 0]);
    }

    #[test]
    fn failure_details_bytes() {
        let mut out = [0xFF; 64];
        assert_eq!(failed_segment_details(None, &mut out), 4);
        assert_eq!(out[..4], [0; 4]);
        assert_eq!(failed_segment_details(Some((2, &[0x70, 0, 0x0A])), &mut out), 63);
        assert_eq!(out[..4], [0, 0, 0, 59]);
        assert_eq!(out[56..63], [2, 0, 0, 3, 0x70, 0, 0x0A]);
    }

    #[test]
    fn the_page_is_whole_descriptors() {
        let mut out = [0xFF; 256];
        let len = third_party_copy(Peripheral::DISK, &PARAMETERS, &mut out);
        let (code, mut body) = crate::vpd::parse(&out[..len]).unwrap();
        assert_eq!((code, body.len()), (THIRD_PARTY_COPY, len - 4));
        let mut kinds = Vec::new();
        while let [a, b, c, d, rest @ ..] = body {
            let len = usize::from(u16::from_be_bytes([*c, *d]));
            assert_eq!(len % 4, 0);
            kinds.push(u16::from_be_bytes([*a, *b]));
            body = &rest[len..];
        }
        assert_eq!(kinds, [1, 4, 8, 0x8001]);
        assert!(body.is_empty());
    }
}
