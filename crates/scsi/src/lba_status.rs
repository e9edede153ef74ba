//! GET LBA STATUS parameter data (SBC-4, GET LBA STATUS).

use crate::bytes::Writer;

/// Bytes before the first descriptor.
pub const HEADER_LEN: usize = 8;
/// Bytes of a descriptor.
pub const DESCRIPTOR_LEN: usize = 16;

/// Blocks that are in one state: an LBA status descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LbaStatusDescriptor {
    /// First logical block.
    pub lba: u64,
    /// Number of logical blocks, at least 1.
    pub blocks: u32,
    /// PROVISIONING STATUS.
    pub provisioning: ProvisioningStatus,
}

/// PROVISIONING STATUS; SBC-4 adds states of mapping unknown to the device, never given here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ProvisioningStatus {
    /// 0h: mapped, or the state is not known
    Mapped = 0,
    /// 1h: deallocated
    Deallocated = 1,
    /// 2h: anchored
    Anchored = 2,
}

/// Writes parameter data and returns its whole length.
pub fn encode(descriptors: impl IntoIterator<Item = LbaStatusDescriptor>, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out);
    writer.zeros(HEADER_LEN);
    for LbaStatusDescriptor { lba, blocks, provisioning } in descriptors {
        writer.put(&lba.to_be_bytes()).put(&blocks.to_be_bytes());
        writer.put(&[provisioning as u8, 0, 0, 0]);
    }
    let len = writer.len();
    // PARAMETER DATA LENGTH counts from byte 4 on.
    let following = u32::try_from(len - 4).unwrap_or(u32::MAX);
    writer.patch(0, &following.to_be_bytes());
    len
}

/// Reads parameter data as far as whole descriptors go: those that the length field or the end of
/// the data cut off are left out, and so are those of a reserved PROVISIONING STATUS.
pub fn parse(data: &[u8]) -> impl Iterator<Item = LbaStatusDescriptor> + Clone + use<'_> {
    let (length, rest) = match data.split_first_chunk::<HEADER_LEN>() {
        Some((&[a, b, c, d, ..], rest)) => (u32::from_be_bytes([a, b, c, d]), rest),
        None => (0, [].as_slice()),
    };
    let length = usize::try_from(length.saturating_sub(4)).unwrap_or(usize::MAX);
    let (descriptors, _) = rest.get(..length).unwrap_or(rest).as_chunks::<DESCRIPTOR_LEN>();
    descriptors.iter().filter_map(|&[a, b, c, d, e, f, g, h, i, j, k, l, status, ..]| {
        let provisioning = match status & 0x0F {
            0 => ProvisioningStatus::Mapped,
            1 => ProvisioningStatus::Deallocated,
            2 => ProvisioningStatus::Anchored,
            _ => return None,
        };
        Some(LbaStatusDescriptor {
            lba: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            blocks: u32::from_be_bytes([i, j, k, l]),
            provisioning,
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes() {
        let mut out = [0xFF; 40];
        let mapped = LbaStatusDescriptor {
            lba: 0x0102,
            blocks: 3,
            provisioning: ProvisioningStatus::Mapped,
        };
        let hole = LbaStatusDescriptor {
            lba: 0x0105,
            blocks: 0x0A0B_0C0D,
            provisioning: ProvisioningStatus::Deallocated,
        };
        assert_eq!(encode([mapped, hole], &mut out), 40);
        assert_eq!(out[..8], [0, 0, 0, 36, 0, 0, 0, 0]);
        assert_eq!(out[8..24], [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0]);
        assert_eq!(out[24..], [0, 0, 0, 0, 0, 0, 1, 5, 0x0A, 0x0B, 0x0C, 0x0D, 1, 0, 0, 0]);
        assert_eq!(parse(&out[..39]).collect::<Vec<_>>(), [mapped], "the data ends early");
        out[3] = 35;
        assert_eq!(parse(&out).count(), 1, "the length ends early");
        assert_eq!(encode([], &mut out), HEADER_LEN);
        assert_eq!(out[..4], [0, 0, 0, 4]);
    }

    fn descriptor() -> impl Strategy<Value = LbaStatusDescriptor> {
        let states = prop_oneof![
            Just(ProvisioningStatus::Mapped),
            Just(ProvisioningStatus::Deallocated),
            Just(ProvisioningStatus::Anchored),
        ];
        (any::<u64>(), any::<u32>(), states).prop_map(|(lba, blocks, provisioning)| {
            LbaStatusDescriptor { lba, blocks, provisioning }
        })
    }

    proptest! {
        #[test]
        fn round_trips(descriptors in prop::collection::vec(descriptor(), 0..12)) {
            let mut out = [0; 256];
            let len = encode(descriptors.iter().copied(), &mut out);
            prop_assert_eq!(parse(&out[..len]).collect::<Vec<_>>(), descriptors);
        }

        #[test]
        fn takes_any_bytes(data: Vec<u8>) {
            prop_assert!(parse(&data).count() * DESCRIPTOR_LEN <= data.len());
        }
    }
}
