//! Standard INQUIRY data (SPC-6, INQUIRY).

/// Bytes of standard INQUIRY data, eight version descriptors included.
pub const STANDARD_LEN: usize = 96;

/// What standard INQUIRY data says about a logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandardInquiry {
    /// What is at the LUN.
    pub peripheral: Peripheral,
    /// T10 VENDOR IDENTIFICATION, padded with spaces; see [`padded`].
    pub vendor: [u8; 8],
    /// PRODUCT IDENTIFICATION, padded with spaces.
    pub product: [u8; 16],
    /// PRODUCT REVISION LEVEL, padded with spaces.
    pub revision: [u8; 4],
    /// TPGS, 2 bits: bit 0 implicit, bit 1 explicit asymmetric access.
    pub target_port_groups: u8,
    /// 3PC: third-party copy commands are supported.
    pub third_party_copy: bool,
    /// MULTIP: more than one target port.
    pub multi_port: bool,
    /// RMB: the medium can be removed.
    pub removable: bool,
}

/// PERIPHERAL QUALIFIER and PERIPHERAL DEVICE TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peripheral(u8);

impl Peripheral {
    /// A direct access block device that is accessible (qualifier 000b, type 00h).
    pub const DISK: Self = Self(0x00);
    /// A direct access block device that is supported but not connected (qualifier 001b).
    pub const DISK_NOT_CONNECTED: Self = Self(0x20);
    /// Nothing is or can be at this LUN (qualifier 011b, type 1Fh).
    pub const NOT_SUPPORTED: Self = Self(0x7F);

    /// The byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// PERIPHERAL QUALIFIER, 0 to 7; 0 is an accessible device.
    #[must_use]
    pub const fn qualifier(self) -> u8 {
        self.0 >> 5
    }

    /// PERIPHERAL DEVICE TYPE, 00h to 1Fh.
    #[must_use]
    pub const fn device_type(self) -> u8 {
        self.0 & 0x1F
    }
}

impl StandardInquiry {
    /// The data, with VERSION and version descriptors of SAM-6, SPC-4 and SBC-3: the newest that
    /// initiators know by these fields. Later features show in their own bits and pages.
    ///
    /// NORMACA = 0, HISUP = 1, CMDQUE = 1, PROTECT = 0.
    #[must_use]
    pub fn encode(&self) -> [u8; STANDARD_LEN] {
        let mut data = [0; STANDARD_LEN];
        data[0] = self.peripheral.byte();
        data[1] = if self.removable { RMB } else { 0 };
        data[2] = VERSION_SPC_4;
        data[3] = HISUP | RESPONSE_DATA_FORMAT;
        data[4] = STANDARD_LEN as u8 - 5;
        data[5] = (self.target_port_groups & 0x03) << 4
            | if self.third_party_copy { THREE_PC } else { 0 };
        data[6] = if self.multi_port { MULTIP } else { 0 };
        data[7] = CMDQUE;
        let [_, _, _, _, _, _, _, _, texts @ ..] = &mut data;
        let text = self.vendor.iter().chain(&self.product).chain(&self.revision);
        for (to, from) in texts.iter_mut().zip(text) {
            *to = *from;
        }
        let versions = VERSION_DESCRIPTORS.iter().flat_map(|code| code.to_be_bytes());
        for (to, from) in data.iter_mut().skip(58).zip(versions) {
            *to = from;
        }
        data
    }

    /// Reads standard INQUIRY data; `None` without the mandatory 36 bytes.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (&[peripheral, removable, _, _, _, tpgs, flags, _], rest) =
            data.split_first_chunk::<8>()?;
        let (&vendor, rest) = rest.split_first_chunk()?;
        let (&product, rest) = rest.split_first_chunk()?;
        Some(Self {
            peripheral: Peripheral(peripheral),
            vendor,
            product,
            revision: *rest.first_chunk()?,
            target_port_groups: (tpgs >> 4) & 0x03,
            third_party_copy: tpgs & THREE_PC != 0,
            multi_port: flags & MULTIP != 0,
            removable: removable & RMB != 0,
        })
    }
}

/// `text` left-aligned in `N` bytes, padded with spaces; `None` if it is longer, or holds anything
/// but printable ASCII (SPC-6 4.3.1).
#[must_use]
pub fn padded<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() > N || !is_printable_ascii(text) {
        return None;
    }
    let mut field = [b' '; N];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    Some(field)
}

/// Whether `text` is ASCII of 20h to 7Eh, as SPC-6 4.3.1 asks of ASCII fields.
#[must_use]
pub fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
}

/// VERSION: complies with SPC-4 (INCITS 513). Conformance suites refuse values they do not know,
/// 07h (SPC-5) among them.
const VERSION_SPC_4: u8 = 0x06;
const RMB: u8 = 0x80;
const HISUP: u8 = 0x10;
const RESPONSE_DATA_FORMAT: u8 = 0x02;
const THREE_PC: u8 = 0x08;
const MULTIP: u8 = 0x10;
const CMDQUE: u8 = 0x02;
/// SAM-6, SPC-4 and SBC-3, no version claimed.
const VERSION_DESCRIPTORS: [u16; 3] = [0x00C0, 0x0460, 0x04C0];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inquiry() -> StandardInquiry {
        StandardInquiry {
            peripheral: Peripheral::DISK,
            vendor: padded("OUTBOARD").unwrap(),
            product: padded("Array").unwrap(),
            revision: padded("0.1").unwrap(),
            target_port_groups: 0,
            third_party_copy: false,
            multi_port: false,
            removable: false,
        }
    }

    #[test]
    fn bytes() {
        let data = inquiry().encode();
        assert_eq!(data[..8], [0, 0, 6, 0x12, 91, 0, 0, 2]);
        assert_eq!(&data[8..36], b"OUTBOARDArray           0.1 ");
        assert_eq!(data[36..58], [0; 22]);
        assert_eq!(data[58..66], [0x00, 0xC0, 0x04, 0x60, 0x04, 0xC0, 0, 0]);
    }

    #[test]
    fn peripheral_fields() {
        assert_eq!(Peripheral::NOT_SUPPORTED.qualifier(), 0b011);
        assert_eq!(Peripheral::NOT_SUPPORTED.device_type(), 0x1F);
        assert_eq!(Peripheral::DISK_NOT_CONNECTED.qualifier(), 0b001);
        assert_eq!(Peripheral::DISK.byte(), 0);
    }

    #[test]
    fn padding() {
        assert_eq!(padded("ab"), Some(*b"ab  "));
        assert_eq!(padded::<4>("abcde"), None);
        assert_eq!(padded::<4>("a\n"), None);
        assert_eq!(padded::<4>("ä"), None);
    }

    proptest! {
        #[test]
        fn round_trips(
            vendor: [u8; 8], product: [u8; 16], revision: [u8; 4],
            target_port_groups in 0_u8..4, third_party_copy: bool, multi_port: bool,
            removable: bool,
        ) {
            let peripheral = Peripheral::DISK;
            let inquiry = StandardInquiry {
                peripheral, vendor, product, revision,
                target_port_groups, third_party_copy, multi_port, removable,
            };
            prop_assert_eq!(StandardInquiry::parse(&inquiry.encode()), Some(inquiry));
        }

        #[test]
        fn takes_any_bytes(data: Vec<u8>) {
            prop_assert_eq!(StandardInquiry::parse(&data).is_some(), data.len() >= 36);
        }
    }
}
