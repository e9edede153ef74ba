//! Fixed and descriptor format (SPC-6 4.4.2, 4.4.3).

use super::{FieldPointer, Sense, SenseKey, Specific};

/// Bytes of sense data in fixed format, without vendor bytes.
pub const FIXED_LEN: usize = 18;
/// Bytes of the longest sense data that [`Sense::encode_descriptor`] writes: header, information,
/// command-specific information and sense key specific descriptor.
pub const DESCRIPTOR_LEN_MAX: usize = 8 + 12 + 12 + 8;

impl Sense {
    /// The sense data in fixed format.
    #[must_use]
    pub fn encode_fixed(&self) -> [u8; FIXED_LEN] {
        let mut data = [0; FIXED_LEN];
        data[0] = if self.deferred { FIXED_DEFERRED } else { FIXED_CURRENT };
        data[2] = self.key as u8;
        if let Some(information) = self.information
            && let Ok(information) = u32::try_from(information)
        {
            data[0] |= VALID;
            [data[3], data[4], data[5], data[6]] = information.to_be_bytes();
        }
        data[7] = FIXED_LEN as u8 - 8;
        // Segments are numbered in the last two bytes of COMMAND-SPECIFIC INFORMATION.
        [data[10], data[11]] = self.segment.unwrap_or(0).to_be_bytes();
        data[12] = self.asc;
        data[13] = self.ascq;
        [data[15], data[16], data[17]] = self.specific.encode();
        data
    }

    /// Writes the sense data in descriptor format and returns its length, at most
    /// [`DESCRIPTOR_LEN_MAX`].
    pub fn encode_descriptor(&self, out: &mut [u8; DESCRIPTOR_LEN_MAX]) -> usize {
        *out = [0; DESCRIPTOR_LEN_MAX];
        out[0] = if self.deferred { DESCRIPTOR_DEFERRED } else { DESCRIPTOR_CURRENT };
        out[1] = self.key as u8;
        out[2] = self.asc;
        out[3] = self.ascq;
        let mut len = 8;
        if let Some(information) = self.information {
            let [a, b, c, d, e, f, g, h] = information.to_be_bytes();
            let descriptor = [DESCRIPTOR_INFORMATION, 10, VALID, 0, a, b, c, d, e, f, g, h];
            len = append(out, len, &descriptor);
        }
        if let Some(segment) = self.segment {
            let [high, low] = segment.to_be_bytes();
            let descriptor = [DESCRIPTOR_COMMAND_SPECIFIC, 10, 0, 0, 0, 0, 0, 0, 0, 0, high, low];
            len = append(out, len, &descriptor);
        }
        if self.specific != Specific::None {
            let [a, b, c] = self.specific.encode();
            len = append(out, len, &[DESCRIPTOR_SENSE_KEY_SPECIFIC, 6, 0, 0, a, b, c, 0]);
        }
        out[7] = len as u8 - 8;
        len
    }

    /// Writes the sense data in the format asked for, as much as `out` holds, and returns the
    /// number of bytes written.
    pub fn encode(&self, descriptor_format: bool, out: &mut [u8]) -> usize {
        let mut buffer = [0; DESCRIPTOR_LEN_MAX];
        let len = if descriptor_format {
            self.encode_descriptor(&mut buffer)
        } else {
            append(&mut buffer, 0, &self.encode_fixed())
        };
        let len = len.min(out.len());
        append(out, 0, buffer.get(..len).unwrap_or(&[]))
    }

    /// Reads sense data of either format.
    ///
    /// Returns `None` if `data` is not sense data: another response code, or fewer bytes than a
    /// sense key needs. Sense data that ends early is read as far as it goes; a descriptor that
    /// does not fit its length ends the list.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        match data.first()? & !VALID {
            FIXED_CURRENT => parse_fixed(data),
            FIXED_DEFERRED => parse_fixed(data).map(|sense| sense.deferred()),
            DESCRIPTOR_CURRENT => parse_descriptor(data),
            DESCRIPTOR_DEFERRED => parse_descriptor(data).map(|sense| sense.deferred()),
            _ => None,
        }
    }
}

impl Specific {
    /// The three bytes of the SENSE KEY SPECIFIC field, SKSV in the first.
    fn encode(self) -> [u8; 3] {
        match self {
            Self::None => [0; 3],
            Self::Field(FieldPointer { in_cdb, byte, bit }) => {
                let [high, low] = byte.to_be_bytes();
                let bit = bit.map_or(0, |bit| BPV | (bit & 0x07));
                [SKSV | if in_cdb { CDB } else { 0 } | bit, high, low]
            }
            Self::Segment(FieldPointer { in_cdb, byte, bit }) => {
                let [high, low] = byte.to_be_bytes();
                let bit = bit.map_or(0, |bit| BPV | (bit & 0x07));
                [SKSV | if in_cdb { SD } else { 0 } | bit, high, low]
            }
            Self::Progress(value) | Self::RetryCount(value) => {
                let [high, low] = value.to_be_bytes();
                [SKSV, high, low]
            }
        }
    }

    /// What the three bytes mean for `key`.
    fn decode(key: SenseKey, [flags, high, low]: [u8; 3]) -> Self {
        let value = u16::from_be_bytes([high, low]);
        if flags & SKSV == 0 {
            return Self::None;
        }
        match key {
            SenseKey::IllegalRequest => Self::Field(FieldPointer {
                in_cdb: flags & CDB != 0,
                byte: value,
                bit: (flags & BPV != 0).then_some(flags & 0x07),
            }),
            SenseKey::CopyAborted => Self::Segment(FieldPointer {
                in_cdb: flags & SD != 0,
                byte: value,
                bit: (flags & BPV != 0).then_some(flags & 0x07),
            }),
            SenseKey::NoSense | SenseKey::NotReady => Self::Progress(value),
            SenseKey::RecoveredError | SenseKey::MediumError | SenseKey::HardwareError => {
                Self::RetryCount(value)
            }
            _ => Self::None,
        }
    }
}

fn parse_fixed(data: &[u8]) -> Option<Sense> {
    let key = SenseKey::from_low_bits(*data.get(2)?);
    // ADDITIONAL SENSE LENGTH counts from byte 8; the bytes beyond it are not sense data.
    let end = data.get(7).map_or(data.len(), |&more| (8 + usize::from(more)).min(data.len()));
    let data = data.get(..end)?;
    let byte = |index: usize| data.get(index).copied().unwrap_or(0);

    let mut sense = Sense::new(key, byte(12), byte(13));
    if byte(0) & VALID != 0
        && let Some(&[a, b, c, d]) = data.get(3..7).and_then(|bytes| bytes.first_chunk())
    {
        sense.information = Some(u64::from(u32::from_be_bytes([a, b, c, d])));
    }
    if key == SenseKey::CopyAborted {
        sense.segment = Some(u16::from_be_bytes([byte(10), byte(11)]));
    }
    if data.len() >= FIXED_LEN {
        sense.specific = Specific::decode(key, [byte(15), byte(16), byte(17)]);
    }
    Some(sense)
}

fn parse_descriptor(data: &[u8]) -> Option<Sense> {
    let &[_, key, asc, ascq, ref rest @ ..] = data else { return None };
    let key = SenseKey::from_low_bits(key);
    let mut sense = Sense::new(key, asc, ascq);
    if key == SenseKey::CopyAborted {
        sense.segment = Some(0);
    }

    let mut descriptors = match rest {
        [_, _, _, more, descriptors @ ..] => {
            descriptors.get(..usize::from(*more)).unwrap_or(descriptors)
        }
        _ => &[],
    };
    while let &[kind, len, ref body @ ..] = descriptors {
        let Some((body, next)) = body.split_at_checked(usize::from(len)) else { break };
        match (kind, body) {
            (DESCRIPTOR_INFORMATION, &[flags, _, a, b, c, d, e, f, g, h, ..])
                if flags & VALID != 0 =>
            {
                sense.information = Some(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
            }
            (DESCRIPTOR_COMMAND_SPECIFIC, &[_, _, _, _, _, _, _, _, high, low, ..])
                if key == SenseKey::CopyAborted =>
            {
                sense.segment = Some(u16::from_be_bytes([high, low]));
            }
            (DESCRIPTOR_SENSE_KEY_SPECIFIC, &[_, _, a, b, c, ..]) => {
                sense.specific = Specific::decode(key, [a, b, c]);
            }
            _ => {}
        }
        descriptors = next;
    }
    Some(sense)
}

/// Copies `bytes` to `out` from `at` on, as far as it has room; returns the end.
fn append(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    for (to, from) in out.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
    at + bytes.len()
}

/// Response codes (SPC-6 4.4.1).
const FIXED_CURRENT: u8 = 0x70;
const FIXED_DEFERRED: u8 = 0x71;
const DESCRIPTOR_CURRENT: u8 = 0x72;
const DESCRIPTOR_DEFERRED: u8 = 0x73;
/// Sense data descriptor types (SPC-6 4.4.2.1).
const DESCRIPTOR_INFORMATION: u8 = 0x00;
const DESCRIPTOR_COMMAND_SPECIFIC: u8 = 0x01;
const DESCRIPTOR_SENSE_KEY_SPECIFIC: u8 = 0x02;
/// VALID: the INFORMATION field holds something.
const VALID: u8 = 0x80;
/// Bits of the first sense key specific byte: valid, in the CDB, in the segment descriptor, the bit
/// pointer is valid.
const SKSV: u8 = 0x80;
const CDB: u8 = 0x40;
const SD: u8 = 0x20;
const BPV: u8 = 0x08;

#[cfg(test)]
mod tests;
