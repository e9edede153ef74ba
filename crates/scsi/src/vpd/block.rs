//! VPD pages of block devices (SBC-4 clause 6).

use super::{BLOCK_DEVICE_CHARACTERISTICS, BLOCK_LIMITS, LOGICAL_BLOCK_PROVISIONING, page, parse};
use crate::inquiry::Peripheral;

/// Block Limits (B0h). Counts are logical blocks; 0 is "not reported" unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockLimits {
    /// WSNZ: WRITE SAME with 0 blocks is refused.
    pub write_same_non_zero: bool,
    /// MAXIMUM COMPARE AND WRITE LENGTH; 0 is "not supported".
    pub max_compare_and_write: u8,
    /// OPTIMAL TRANSFER LENGTH GRANULARITY.
    pub optimal_granularity: u16,
    /// MAXIMUM TRANSFER LENGTH.
    pub max_transfer: u32,
    /// OPTIMAL TRANSFER LENGTH.
    pub optimal_transfer: u32,
    /// MAXIMUM PREFETCH LENGTH.
    pub max_prefetch: u32,
    /// MAXIMUM UNMAP LBA COUNT; 0 is "UNMAP is not supported", FFFF_FFFFh is no limit.
    pub max_unmap: u32,
    /// MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT; as above.
    pub max_unmap_descriptors: u32,
    /// OPTIMAL UNMAP GRANULARITY.
    pub unmap_granularity: u32,
    /// UNMAP GRANULARITY ALIGNMENT, 31 bits; `None` clears UGAVALID.
    pub unmap_alignment: Option<u32>,
    /// MAXIMUM WRITE SAME LENGTH.
    pub max_write_same: u64,
    /// MAXIMUM ATOMIC TRANSFER LENGTH; 0 is "not supported".
    pub max_atomic: u32,
    /// ATOMIC ALIGNMENT.
    pub atomic_alignment: u32,
    /// ATOMIC TRANSFER LENGTH GRANULARITY.
    pub atomic_granularity: u32,
    /// MAXIMUM ATOMIC TRANSFER LENGTH WITH ATOMIC BOUNDARY.
    pub max_atomic_with_boundary: u32,
    /// MAXIMUM ATOMIC BOUNDARY SIZE.
    pub max_atomic_boundary: u32,
}

/// Block Device Characteristics (B1h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Characteristics {
    /// MEDIUM ROTATION RATE: 0 not reported, 1 no rotating medium, else revolutions a minute.
    pub rotation_rate: u16,
    /// NOMINAL FORM FACTOR, 0h to Fh; 0 is not reported.
    pub form_factor: u8,
    /// WABEREQ, 0 to 3: how reads end after SANITIZE BLOCK ERASE. 0 is not told, 1 "without
    /// error".
    pub after_block_erase: u8,
    /// WACEREQ, 0 to 3: the same after SANITIZE CRYPTOGRAPHIC ERASE.
    pub after_cryptographic_erase: u8,
}

/// Logical Block Provisioning (B2h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provisioning {
    /// THRESHOLD EXPONENT; 0 is "no thresholds".
    pub threshold_exponent: u8,
    /// LBPU: UNMAP is supported.
    pub unmap: bool,
    /// LBPWS: WRITE SAME(16) with UNMAP is supported.
    pub write_same_16: bool,
    /// LBPWS10: WRITE SAME(10) with UNMAP is supported.
    pub write_same_10: bool,
    /// LBPRZ = 001b: an unmapped block reads as zeros.
    pub reads_zeros: bool,
    /// ANC_SUP: anchored blocks are supported.
    pub anchor: bool,
    /// PROVISIONING TYPE.
    pub kind: ProvisioningType,
}

/// PROVISIONING TYPE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ProvisioningType {
    /// 0h: fully provisioned, or not reported.
    #[default]
    Full = 0,
    /// 1h: resource provisioned.
    Resource = 1,
    /// 2h: thin provisioned.
    Thin = 2,
}

impl BlockLimits {
    /// Length of the page.
    pub const LEN: usize = 64;

    /// Writes the page and returns its whole length.
    pub fn encode(&self, peripheral: Peripheral, out: &mut [u8]) -> usize {
        let alignment = self.unmap_alignment.map_or(0, |alignment| UGAVALID | alignment);
        page(BLOCK_LIMITS, peripheral, out, |writer| {
            writer
                .put(&[u8::from(self.write_same_non_zero), self.max_compare_and_write])
                .put(&self.optimal_granularity.to_be_bytes());
            for value in [
                self.max_transfer,
                self.optimal_transfer,
                self.max_prefetch,
                self.max_unmap,
                self.max_unmap_descriptors,
                self.unmap_granularity,
                alignment,
            ] {
                writer.put(&value.to_be_bytes());
            }
            writer.put(&self.max_write_same.to_be_bytes());
            for value in [
                self.max_atomic,
                self.atomic_alignment,
                self.atomic_granularity,
                self.max_atomic_with_boundary,
                self.max_atomic_boundary,
            ] {
                writer.put(&value.to_be_bytes());
            }
        })
    }

    /// Reads the page; `None` if it is another page or ends early. The fields that SBC-2 did not
    /// have yet are 0 if the page ends before them.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (BLOCK_LIMITS, body) = parse(data)? else { return None };
        let mut fields = [0; Self::LEN - 4];
        if body.len() < 12 {
            return None;
        }
        for (to, from) in fields.iter_mut().zip(body) {
            *to = *from;
        }
        let word = |index: usize| match fields.get(index..).and_then(|rest| rest.first_chunk()) {
            Some(&bytes) => u32::from_be_bytes(bytes),
            None => 0,
        };
        let alignment = word(28);
        Some(Self {
            write_same_non_zero: fields[0] & 0x01 != 0,
            max_compare_and_write: fields[1],
            optimal_granularity: u16::from_be_bytes([fields[2], fields[3]]),
            max_transfer: word(4),
            optimal_transfer: word(8),
            max_prefetch: word(12),
            max_unmap: word(16),
            max_unmap_descriptors: word(20),
            unmap_granularity: word(24),
            unmap_alignment: (alignment & UGAVALID != 0).then_some(alignment & !UGAVALID),
            max_write_same: u64::from(word(32)) << 32 | u64::from(word(36)),
            max_atomic: word(40),
            atomic_alignment: word(44),
            atomic_granularity: word(48),
            max_atomic_with_boundary: word(52),
            max_atomic_boundary: word(56),
        })
    }
}

impl Characteristics {
    /// Length of the page.
    pub const LEN: usize = 64;

    /// Writes the page and returns its whole length.
    pub fn encode(&self, peripheral: Peripheral, out: &mut [u8]) -> usize {
        page(BLOCK_DEVICE_CHARACTERISTICS, peripheral, out, |writer| {
            writer
                .put(&self.rotation_rate.to_be_bytes())
                .put(&[0, self.after_sanitize() | self.form_factor & 0x0F])
                .zeros(Self::LEN - 8);
        })
    }

    fn after_sanitize(&self) -> u8 {
        (self.after_block_erase & 0x03) << 6 | (self.after_cryptographic_erase & 0x03) << 4
    }
}

impl Provisioning {
    /// Length of the page, without a provisioning group descriptor.
    pub const LEN: usize = 8;

    /// Writes the page and returns its whole length.
    pub fn encode(&self, peripheral: Peripheral, out: &mut [u8]) -> usize {
        let flags = flag(self.unmap, 0x80)
            | flag(self.write_same_16, 0x40)
            | flag(self.write_same_10, 0x20)
            | flag(self.reads_zeros, 0x04)
            | flag(self.anchor, 0x02);
        page(LOGICAL_BLOCK_PROVISIONING, peripheral, out, |writer| {
            writer.put(&[self.threshold_exponent, flags, self.kind as u8, 0]);
        })
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// UGAVALID: the UNMAP GRANULARITY ALIGNMENT field holds something.
const UGAVALID: u32 = 0x8000_0000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn block_limits_bytes() {
        let limits = BlockLimits {
            write_same_non_zero: true,
            max_compare_and_write: 1,
            optimal_granularity: 0x0203,
            max_transfer: 0x0405_0607,
            unmap_alignment: Some(1),
            max_write_same: 0x08,
            max_atomic_boundary: 0x09,
            ..BlockLimits::default()
        };
        let mut out = [0xFF; 80];
        assert_eq!(limits.encode(Peripheral::DISK, &mut out), BlockLimits::LEN);
        assert_eq!(out[..12], [0, 0xB0, 0, 60, 1, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(out[32..44], [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8]);
        assert_eq!(out[60..65], [0, 0, 0, 9, 0xFF]);
    }

    #[test]
    fn block_limits_of_an_old_device() {
        let mut page = [0; 16];
        page[1] = 0xB0;
        page[3] = 12;
        page[11] = 8;
        let limits = BlockLimits { max_transfer: 8, ..BlockLimits::default() };
        assert_eq!(BlockLimits::parse(&page), Some(limits));
        assert_eq!(BlockLimits::parse(&page[..15]), None);
        page[1] = 0xB1;
        assert_eq!(BlockLimits::parse(&page), None);
    }

    #[test]
    fn characteristics_bytes() {
        let mut out = [0xFF; 64];
        let characteristics =
            Characteristics { rotation_rate: 7200, form_factor: 2, ..Characteristics::default() };
        assert_eq!(characteristics.encode(Peripheral::DISK, &mut out), Characteristics::LEN);
        assert_eq!(out[..8], [0, 0xB1, 0, 60, 0x1C, 0x20, 0, 2]);
        assert_eq!(out[8..], [0; 56]);
        let erased = Characteristics {
            after_block_erase: 1,
            after_cryptographic_erase: 2,
            ..Characteristics::default()
        };
        erased.encode(Peripheral::DISK, &mut out);
        assert_eq!(out[4..8], [0, 0, 0, 0x60]);
    }

    #[test]
    fn provisioning_bytes() {
        let mut out = [0xFF; 8];
        let provisioning = Provisioning {
            unmap: true,
            write_same_16: true,
            reads_zeros: true,
            kind: ProvisioningType::Thin,
            ..Provisioning::default()
        };
        assert_eq!(provisioning.encode(Peripheral::DISK, &mut out), Provisioning::LEN);
        assert_eq!(out, [0, 0xB2, 0, 4, 0, 0xC4, 2, 0]);
    }

    proptest! {
        #[test]
        fn block_limits_round_trip(body: [u8; 60]) {
            let mut page = [0; 64];
            page[1] = 0xB0;
            page[3] = 60;
            page[4..].copy_from_slice(&body);
            let limits = BlockLimits::parse(&page).unwrap();
            let mut out = [0; 64];
            limits.encode(Peripheral::DISK, &mut out);
            prop_assert_eq!(BlockLimits::parse(&out), Some(limits));
        }

        #[test]
        fn takes_any_bytes(data: Vec<u8>) {
            let _ = (parse(&data), BlockLimits::parse(&data));
        }
    }
}
