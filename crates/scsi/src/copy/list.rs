//! The parameter list of EXTENDED COPY(LID1) (SPC-4 6.4.2 to 6.4.6).

use super::{CSCD_IDENTIFICATION, CSCD_LEN, HEADER_LEN, SEGMENT_BLOCK_TO_BLOCK, SEGMENT_LEN};
use crate::bytes::{Writer, be16};
use crate::sense::Sense;

/// A parameter list whose lengths and descriptor types are in order.
#[derive(Clone, Copy, Debug)]
pub struct CopyList<'a> {
    /// LIST IDENTIFIER; `None` if the list has none (LIST ID USAGE 11b).
    pub list_identifier: Option<u8>,
    /// LIST ID USAGE.
    pub usage: ListIdUsage,
    /// PRIORITY, 0 to 7.
    pub priority: u8,
    cscds: &'a [u8],
    segments: &'a [u8],
}

/// LIST ID USAGE (SPC-4 table "LIST ID USAGE field").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListIdUsage {
    /// 00b: results are held for RECEIVE COPY RESULTS.
    Hold,
    /// 10b: results need not be held.
    Discard,
    /// 11b: there is no list identifier.
    Disabled,
}

/// What a copy manager takes in one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyLimits {
    /// MAXIMUM CSCD DESCRIPTOR COUNT.
    pub cscds: u16,
    /// MAXIMUM SEGMENT DESCRIPTOR COUNT.
    pub segments: u16,
    /// MAXIMUM DESCRIPTOR LIST LENGTH: bytes of all descriptors together.
    pub descriptors_len: u32,
}

/// An identification descriptor CSCD descriptor (E4h): a logical unit by one of its names. LU ID
/// TYPE and NUL are not looked at (SPC-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cscd<'a> {
    /// Its first byte in the parameter list.
    pub at: u16,
    /// PERIPHERAL DEVICE TYPE, 0 to 1Fh.
    pub device_type: u8,
    /// CODE SET, 0 to Fh.
    pub code_set: u8,
    /// ASSOCIATION, 0 to 3.
    pub association: u8,
    /// DESIGNATOR TYPE, 0 to Fh.
    pub designator_type: u8,
    /// DESIGNATOR, at most 20 bytes.
    pub designator: &'a [u8],
    /// PAD: residual data fills up a block.
    pub pad: bool,
    /// DISK BLOCK LENGTH in bytes.
    pub block_length: u32,
}

/// A segment descriptor "copy from block device to block device" (02h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first byte in the parameter list.
    pub at: u16,
    /// DC: the number of blocks counts blocks of the destination, else of the source.
    pub destination_count: bool,
    /// CAT: residual data is kept for the next segment.
    pub concatenate: bool,
    /// SOURCE CSCD DESCRIPTOR ID.
    pub source: u16,
    /// DESTINATION CSCD DESCRIPTOR ID.
    pub destination: u16,
    /// BLOCK DEVICE NUMBER OF BLOCKS; 0 copies nothing.
    pub blocks: u16,
    /// SOURCE BLOCK DEVICE LOGICAL BLOCK ADDRESS.
    pub source_lba: u64,
    /// DESTINATION BLOCK DEVICE LOGICAL BLOCK ADDRESS.
    pub destination_lba: u64,
}

impl<'a> CopyList<'a> {
    /// Parses a parameter list of as many bytes as the CDB's PARAMETER LIST LENGTH, more than 0.
    ///
    /// # Errors
    /// - PARAMETER LIST LENGTH ERROR: the list ends within header or descriptors, or all
    ///   descriptors are longer than allowed.
    /// - TOO MANY TARGET DESCRIPTORS, TOO MANY SEGMENT DESCRIPTORS, and UNSUPPORTED ... TYPE CODE.
    /// - INLINE DATA LENGTH EXCEEDED: there is inline data.
    /// - INVALID FIELD IN PARAMETER LIST: a length or another field that cannot be.
    pub fn parse(list: &'a [u8], limits: &CopyLimits) -> Result<Self, Sense> {
        let Some((header, rest)) = list.split_first_chunk::<HEADER_LEN>() else {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        };
        let &[identifier, flags, cscd_high, cscd_low, _, _, _, _, a, b, c, d, e, f, g, h] = header;
        let usage = match flags >> 3 & 0x03 {
            0b00 => ListIdUsage::Hold,
            0b10 => ListIdUsage::Discard,
            0b11 => ListIdUsage::Disabled,
            _ => return Err(Sense::invalid_field_in_parameter_list(1, Some(4))),
        };
        if usage == ListIdUsage::Disabled && identifier != 0 {
            return Err(Sense::invalid_field_in_parameter_list(0, Some(7)));
        }
        let cscds_len = u32::from(u16::from_be_bytes([cscd_high, cscd_low]));
        let segments_len = u32::from_be_bytes([a, b, c, d]);
        if u64::from(cscds_len) + u64::from(segments_len) > u64::from(limits.descriptors_len) {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        }
        let descriptors = rest
            .split_at_checked(cscds_len as usize)
            .and_then(|(cscds, rest)| Some((cscds, rest.get(..segments_len as usize)?)));
        let Some((cscds, segments)) = descriptors else {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        };
        check_cscds(cscds, limits)?;
        check_segments(segments, cscds.len(), limits)?;
        if u32::from_be_bytes([e, f, g, h]) != 0 {
            return Err(Sense::INLINE_DATA_LENGTH_EXCEEDED);
        }
        Ok(Self {
            list_identifier: (usage != ListIdUsage::Disabled).then_some(identifier),
            usage,
            priority: flags & 0x07,
            cscds,
            segments,
        })
    }

    /// The CSCD descriptors, by their identifiers from 0.
    pub fn cscds(&self) -> impl ExactSizeIterator<Item = Cscd<'a>> + Clone + use<'a> {
        let (descriptors, _) = self.cscds.as_chunks::<CSCD_LEN>();
        descriptors.iter().enumerate().map(|(index, bytes)| Cscd::parse(index, bytes))
    }

    /// The segment descriptors, in the order in which they are to be processed.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment> + Clone + use<'a> {
        let first = HEADER_LEN + self.cscds.len();
        let (descriptors, _) = self.segments.as_chunks::<SEGMENT_LEN>();
        descriptors
            .iter()
            .enumerate()
            .map(move |(index, bytes)| Segment::parse(first, index, bytes))
    }
}

/// All CSCD descriptors are of the one type.
fn check_cscds(cscds: &[u8], limits: &CopyLimits) -> Result<(), Sense> {
    let (descriptors, rest) = cscds.as_chunks::<CSCD_LEN>();
    if descriptors.len() + usize::from(!rest.is_empty()) > usize::from(limits.cscds) {
        return Err(Sense::TOO_MANY_TARGET_DESCRIPTORS);
    }
    if descriptors.iter().any(|bytes| bytes[0] != CSCD_IDENTIFICATION) {
        return Err(Sense::UNSUPPORTED_TARGET_DESCRIPTOR_TYPE_CODE);
    }
    for (index, bytes) in descriptors.iter().enumerate() {
        if usize::from(bytes[7]) > DESIGNATOR_LEN_MAX {
            let byte = HEADER_LEN + index * CSCD_LEN + 7;
            return Err(Sense::invalid_field_in_parameter_list(byte as u16, None));
        }
    }
    match rest {
        [] => Ok(()),
        _ => Err(Sense::invalid_field_in_parameter_list(2, None)),
    }
}

/// All segment descriptors are of the one type. Their type is looked at first: one of another
/// type has another length.
fn check_segments(segments: &[u8], cscds: usize, limits: &CopyLimits) -> Result<(), Sense> {
    let mut rest = segments;
    let mut count = 0_u32;
    while let [kind, ..] = rest {
        let at = (HEADER_LEN + cscds + segments.len() - rest.len()) as u16;
        count += 1;
        if count > u32::from(limits.segments) {
            return Err(Sense::TOO_MANY_SEGMENT_DESCRIPTORS);
        }
        if *kind != SEGMENT_BLOCK_TO_BLOCK {
            return Err(Sense::UNSUPPORTED_SEGMENT_DESCRIPTOR_TYPE_CODE);
        }
        let Some((bytes, next)) = rest.split_first_chunk::<SEGMENT_LEN>() else {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        };
        // DESCRIPTOR LENGTH counts what follows it.
        if usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) != SEGMENT_LEN - 4 {
            return Err(Sense::invalid_field_in_parameter_list(at.saturating_add(2), None));
        }
        rest = next;
    }
    Ok(())
}

impl<'a> Cscd<'a> {
    fn parse(index: usize, bytes: &'a [u8; CSCD_LEN]) -> Self {
        let len = usize::from(bytes[7]).min(DESIGNATOR_LEN_MAX);
        Self {
            at: (HEADER_LEN + index * CSCD_LEN) as u16,
            device_type: bytes[1] & 0x1F,
            code_set: bytes[4] & 0x0F,
            association: bytes[5] >> 4 & 0x03,
            designator_type: bytes[5] & 0x0F,
            designator: bytes.get(8..8 + len).unwrap_or(&[]),
            pad: bytes[28] & PAD != 0,
            block_length: u32::from_be_bytes([0, bytes[29], bytes[30], bytes[31]]),
        }
    }

    /// The descriptor's bytes; a designator beyond 20 bytes is cut.
    #[must_use]
    pub fn encode(&self) -> [u8; CSCD_LEN] {
        let mut out = [0; CSCD_LEN];
        let designator = self.designator.get(..DESIGNATOR_LEN_MAX).unwrap_or(self.designator);
        let mut writer = Writer::new(&mut out);
        writer
            .put(&[CSCD_IDENTIFICATION, self.device_type & 0x1F, 0, 0, self.code_set & 0x0F])
            .put(&[(self.association & 0x03) << 4 | self.designator_type & 0x0F, 0])
            .put(&[designator.len() as u8])
            .put(designator)
            .zeros(DESIGNATOR_LEN_MAX - designator.len())
            .put(&self.block_length.to_be_bytes());
        out[28] = if self.pad { PAD } else { 0 };
        out
    }
}

impl Segment {
    fn parse(first: usize, index: usize, bytes: &[u8; SEGMENT_LEN]) -> Self {
        let &[_, flags, _, _, source_high, source_low, to_high, to_low, _, _, high, low, ..] =
            bytes;
        let lba = |at: usize| match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(&lba) => u64::from_be_bytes(lba),
            None => 0,
        };
        Self {
            at: (first + index * SEGMENT_LEN) as u16,
            destination_count: flags & DC != 0,
            concatenate: flags & CAT != 0,
            source: u16::from_be_bytes([source_high, source_low]),
            destination: u16::from_be_bytes([to_high, to_low]),
            blocks: u16::from_be_bytes([high, low]),
            source_lba: lba(12),
            destination_lba: lba(20),
        }
    }

    /// The descriptor's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_LEN] {
        let mut out = [0; SEGMENT_LEN];
        let flags =
            if self.destination_count { DC } else { 0 } | if self.concatenate { CAT } else { 0 };
        Writer::new(&mut out)
            .put(&[SEGMENT_BLOCK_TO_BLOCK, flags])
            .put(&be16(SEGMENT_LEN - 4))
            .put(&self.source.to_be_bytes())
            .put(&self.destination.to_be_bytes())
            .zeros(2)
            .put(&self.blocks.to_be_bytes())
            .put(&self.source_lba.to_be_bytes())
            .put(&self.destination_lba.to_be_bytes());
        out
    }
}

/// Writes a parameter list, for initiators and tests; returns its whole length.
pub fn encode<'d>(
    list_identifier: u8,
    usage: ListIdUsage,
    cscds: impl IntoIterator<Item = Cscd<'d>>,
    segments: impl IntoIterator<Item = Segment>,
    out: &mut [u8],
) -> usize {
    let usage = match usage {
        ListIdUsage::Hold => 0b00,
        ListIdUsage::Discard => 0b10,
        ListIdUsage::Disabled => 0b11,
    };
    let mut writer = Writer::new(out);
    writer.put(&[list_identifier, usage << 3]).zeros(HEADER_LEN - 2);
    cscds.into_iter().for_each(|cscd| {
        writer.put(&cscd.encode());
    });
    let cscds_len = writer.len() - HEADER_LEN;
    segments.into_iter().for_each(|segment| {
        writer.put(&segment.encode());
    });
    let segments_len = writer.len() - HEADER_LEN - cscds_len;
    let segments_len = u32::try_from(segments_len).unwrap_or(u32::MAX);
    writer.patch(2, &be16(cscds_len)).patch(8, &segments_len.to_be_bytes());
    writer.len()
}

/// Bytes of the longest designator.
const DESIGNATOR_LEN_MAX: usize = 20;
const PAD: u8 = 0x04;
const DC: u8 = 0x02;
const CAT: u8 = 0x01;

#[cfg(test)]
mod tests;
