//! Designators of the Device Identification VPD page (SPC-6 7.7.6).

use crate::bytes::Writer;

/// PROTOCOL IDENTIFIER of iSCSI.
pub const ISCSI_PROTOCOL: u8 = 0x5;

/// One name of a logical unit, a target port or a target device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Designator<'a> {
    /// What is named.
    pub association: Association,
    /// PROTOCOL IDENTIFIER, 0h to Fh; only for target ports and target devices.
    pub protocol: Option<u8>,
    /// The name.
    pub value: DesignatorValue<'a>,
}

/// ASSOCIATION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Association {
    /// The logical unit.
    LogicalUnit = 0,
    /// The target port that received the command.
    TargetPort = 1,
    /// The target device that contains the logical unit.
    TargetDevice = 2,
}

/// DESIGNATOR TYPE with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DesignatorValue<'a> {
    /// 1h: T10 vendor identification and a vendor-specific ASCII identifier, at most 247 bytes.
    T10Vendor {
        /// T10 VENDOR IDENTIFICATION, padded with spaces.
        vendor: [u8; 8],
        /// Unique among the vendor's products.
        id: &'a str,
    },
    /// 2h: EUI-64.
    Eui64([u8; 8]),
    /// 3h: an NAA name of 8 bytes (NAA 2h, 3h or 5h).
    Naa64([u8; 8]),
    /// 3h: an NAA name of 16 bytes (NAA 6h).
    Naa128([u8; 16]),
    /// 4h: RELATIVE TARGET PORT IDENTIFIER, from 1.
    RelativeTargetPort(u16),
    /// 5h: TARGET PORT GROUP.
    TargetPortGroup(u16),
    /// 8h: SCSI name string, UTF-8 of at most 251 bytes, such as an iSCSI name.
    ScsiName(&'a str),
    /// Ah: UUID (RFC 4122).
    Uuid([u8; 16]),
}

impl Designator<'_> {
    /// Whether a designation descriptor with these fields is this designator: ASSOCIATION, CODE
    /// SET, DESIGNATOR TYPE and DESIGNATOR.
    #[must_use]
    pub fn is(&self, association: u8, code_set: u8, designator_type: u8, value: &[u8]) -> bool {
        let mut own = [0; 256];
        let mut writer = Writer::new(&mut own);
        self.value.write(&mut writer);
        let len = writer.len();
        self.association as u8 == association
            && self.value.code_set() == code_set
            && self.value.designator_type() == designator_type
            && own.get(..len) == Some(value)
    }

    /// Appends the designator, or nothing if its value is too long.
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        let Ok(len) = u8::try_from(self.value.len()) else { return };
        let (piv, protocol) = match self.protocol {
            Some(protocol) => (PIV, protocol << 4),
            None => (0, 0),
        };
        let association = (self.association as u8) << 4;
        writer.put(&[
            protocol | self.value.code_set(),
            piv | association | self.value.designator_type(),
            0,
            len,
        ]);
        self.value.write(writer);
    }
}

impl DesignatorValue<'_> {
    /// Bytes of the value.
    fn len(&self) -> usize {
        match self {
            Self::T10Vendor { id, .. } => 8 + id.len(),
            Self::Eui64(_) | Self::Naa64(_) => 8,
            Self::Naa128(_) => 16,
            Self::RelativeTargetPort(_) | Self::TargetPortGroup(_) => 4,
            Self::ScsiName(name) => scsi_name_len(name),
            Self::Uuid(_) => 18,
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::T10Vendor { vendor, id } => writer.put(vendor).put(id.as_bytes()),
            Self::Eui64(name) | Self::Naa64(name) => writer.put(name),
            Self::Naa128(name) => writer.put(name),
            Self::RelativeTargetPort(id) | Self::TargetPortGroup(id) => {
                writer.zeros(2).put(&id.to_be_bytes())
            }
            Self::ScsiName(name) => {
                writer.put(name.as_bytes()).zeros(scsi_name_len(name) - name.len())
            }
            Self::Uuid(uuid) => writer.put(&[0x10, 0]).put(uuid),
        };
    }

    fn code_set(&self) -> u8 {
        match self {
            Self::T10Vendor { .. } => CODE_SET_ASCII,
            Self::ScsiName(_) => CODE_SET_UTF_8,
            _ => CODE_SET_BINARY,
        }
    }

    fn designator_type(&self) -> u8 {
        match self {
            Self::T10Vendor { .. } => 0x1,
            Self::Eui64(_) => 0x2,
            Self::Naa64(_) | Self::Naa128(_) => 0x3,
            Self::RelativeTargetPort(_) => 0x4,
            Self::TargetPortGroup(_) => 0x5,
            Self::ScsiName(_) => 0x8,
            Self::Uuid(_) => 0xA,
        }
    }
}

/// The NAA 3h (locally assigned) name with the low 60 bits of `id`.
#[must_use]
pub const fn naa_locally_assigned(id: u64) -> [u8; 8] {
    (0x3 << 60 | id & 0x0FFF_FFFF_FFFF_FFFF).to_be_bytes()
}

/// The NAA 6h (IEEE registered extended) name of a 24-bit company id, the low 36 bits of
/// `vendor` and a 64-bit extension.
#[must_use]
pub fn naa_ieee_registered_extended(company: u32, vendor: u64, extension: u64) -> [u8; 16] {
    let head = 0x6_u64 << 60 | (u64::from(company) & 0x00FF_FFFF) << 36 | vendor & 0x000F_FFFF_FFFF;
    (u128::from(head) << 64 | u128::from(extension)).to_be_bytes()
}

/// A SCSI name string ends in at least one null and is a multiple of 4 bytes long.
fn scsi_name_len(name: &str) -> usize {
    (name.len() + 1).next_multiple_of(4)
}

const PIV: u8 = 0x80;
const CODE_SET_BINARY: u8 = 0x1;
const CODE_SET_ASCII: u8 = 0x2;
const CODE_SET_UTF_8: u8 = 0x3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{device_identification, parse};
    use super::*;
    use crate::inquiry::Peripheral;

    fn unit(value: DesignatorValue<'_>) -> Designator<'_> {
        Designator { association: Association::LogicalUnit, protocol: None, value }
    }

    fn bytes(designator: Designator<'_>) -> Vec<u8> {
        let mut out = [0xFF; 300];
        let len = device_identification(Peripheral::DISK, [designator], &mut out);
        out[4..len].to_vec()
    }

    #[test]
    fn logical_unit_names() {
        let name = naa_locally_assigned(0xFEDC_BA98_7654_3210);
        assert_eq!(
            bytes(unit(DesignatorValue::Naa64(name))),
            [0x01, 0x03, 0, 8, 0x3E, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10]
        );
        let t10 = DesignatorValue::T10Vendor { vendor: *b"OUTBOARD", id: "s1" };
        assert_eq!(bytes(unit(t10)), *b"\x02\x01\x00\x0AOUTBOARDs1");
        let uuid = bytes(unit(DesignatorValue::Uuid([7; 16])));
        assert_eq!(uuid[..6], [0x01, 0x0A, 0, 18, 0x10, 0]);
    }

    #[test]
    fn is_told_from_others() {
        let name = naa_locally_assigned(7);
        let naa = unit(DesignatorValue::Naa64(name));
        assert!(naa.is(0, 1, 3, &name));
        assert!(!naa.is(1, 1, 3, &name) && !naa.is(0, 2, 3, &name) && !naa.is(0, 1, 2, &name));
        assert!(!naa.is(0, 1, 3, &name[..7]) && !naa.is(0, 1, 3, &[]));
    }

    #[test]
    fn naa_fields() {
        let name = naa_ieee_registered_extended(0x12_3456, 0x7_89AB_CDEF, 0x1122_3344_5566_7788);
        assert_eq!(
            name,
            [
                0x61, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
                0x77, 0x88
            ]
        );
    }

    #[test]
    fn target_port_names() {
        let port = |value| Designator {
            association: Association::TargetPort,
            protocol: Some(ISCSI_PROTOCOL),
            value,
        };
        assert_eq!(
            bytes(port(DesignatorValue::RelativeTargetPort(1))),
            [0x51, 0x94, 0, 4, 0, 0, 0, 1]
        );
        assert_eq!(bytes(port(DesignatorValue::ScsiName("iqn"))), *b"\x53\x98\x00\x04iqn\x00");
        assert_eq!(
            bytes(port(DesignatorValue::ScsiName("iqn.")))[..],
            *b"\x53\x98\x00\x08iqn.\x00\x00\x00\x00"
        );
    }

    #[test]
    fn too_long_a_name_is_left_out() {
        assert_eq!(bytes(unit(DesignatorValue::ScsiName(&"x".repeat(252)))), []);
        assert_eq!(bytes(unit(DesignatorValue::ScsiName(&"x".repeat(251)))).len(), 256);
    }

    proptest! {
        #[test]
        fn lengths_add_up(names in prop::collection::vec("[a-z]{0,300}", 0..4)) {
            let mut out = [0; 2048];
            let designators =
                names.iter().map(|name: &String| unit(DesignatorValue::ScsiName(name)));
            let len = device_identification(Peripheral::DISK, designators, &mut out);
            let (code, mut body) = parse(&out[..len]).unwrap();
            prop_assert_eq!((code, body.len()), (0x83, len - 4));
            let mut count = 0;
            while let [_, _, _, len, rest @ ..] = body {
                body = &rest[usize::from(*len)..];
                count += 1;
            }
            prop_assert_eq!(count, names.iter().filter(|name| name.len() <= 251).count());
        }
    }
}
