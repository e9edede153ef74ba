//! Vital product data pages (SPC-6 7.7, SBC-4 clause 6).
//!
//! Every writer takes the peripheral byte and the caller's buffer, writes as much as fits and
//! returns the length of the whole page.

mod block;
mod designator;
mod extended;

pub use block::{BlockLimits, Characteristics, Provisioning, ProvisioningType};
pub use designator::{
    Association, Designator, DesignatorValue, ISCSI_PROTOCOL, naa_ieee_registered_extended,
    naa_locally_assigned,
};
pub use extended::{
    ExtendedInquiry, Port, management_network_addresses, mode_page_policy, scsi_ports,
};

use crate::bytes::{Writer, be16};
use crate::inquiry::Peripheral;

/// Supported VPD Pages (00h).
pub const SUPPORTED_PAGES: u8 = 0x00;
/// Unit Serial Number (80h).
pub const UNIT_SERIAL_NUMBER: u8 = 0x80;
/// Device Identification (83h).
pub const DEVICE_IDENTIFICATION: u8 = 0x83;
/// Management Network Addresses (85h).
pub const MANAGEMENT_NETWORK_ADDRESSES: u8 = 0x85;
/// Extended INQUIRY Data (86h).
pub const EXTENDED_INQUIRY: u8 = 0x86;
/// Mode Page Policy (87h).
pub const MODE_PAGE_POLICY: u8 = 0x87;
/// SCSI Ports (88h).
pub const SCSI_PORTS: u8 = 0x88;
/// Block Limits (B0h).
pub const BLOCK_LIMITS: u8 = 0xB0;
/// Block Device Characteristics (B1h).
pub const BLOCK_DEVICE_CHARACTERISTICS: u8 = 0xB1;
/// Logical Block Provisioning (B2h).
pub const LOGICAL_BLOCK_PROVISIONING: u8 = 0xB2;

/// Writes page 00h. `pages` must be ascending and contain 00h itself.
pub fn supported_pages(peripheral: Peripheral, pages: &[u8], out: &mut [u8]) -> usize {
    page(SUPPORTED_PAGES, peripheral, out, |writer| {
        writer.put(pages);
    })
}

/// Writes page 80h. `serial` is ASCII; none at all is written as spaces, as the standard asks of
/// a unit without a serial number.
pub fn unit_serial_number(peripheral: Peripheral, serial: &str, out: &mut [u8]) -> usize {
    let serial = if serial.is_empty() { "    " } else { serial };
    page(UNIT_SERIAL_NUMBER, peripheral, out, |writer| {
        writer.put(serial.as_bytes());
    })
}

/// Writes page 83h. A designator whose value does not fit its 8-bit length field is left out.
pub fn device_identification<'d>(
    peripheral: Peripheral,
    designators: impl IntoIterator<Item = Designator<'d>>,
    out: &mut [u8],
) -> usize {
    page(DEVICE_IDENTIFICATION, peripheral, out, |writer| {
        for designator in designators {
            designator.write(writer);
        }
    })
}

/// The page code of a VPD page and its body, at most as long as the page length says; `None` if
/// not even the 4 bytes of the header are there.
#[must_use]
pub fn parse(data: &[u8]) -> Option<(u8, &[u8])> {
    let (&[_, code, high, low], body) = data.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([high, low]));
    Some((code, body.get(..len).unwrap_or(body)))
}

/// Writes the header of page `code`, the body, then the page length.
fn page(
    code: u8,
    peripheral: Peripheral,
    out: &mut [u8],
    body: impl FnOnce(&mut Writer<'_>),
) -> usize {
    let mut writer = Writer::new(out);
    writer.put(&[peripheral.byte(), code, 0, 0]);
    body(&mut writer);
    let len = writer.len();
    writer.patch(2, &be16(len - 4));
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_pages_bytes() {
        let mut out = [0; 16];
        let len = supported_pages(Peripheral::DISK, &[0x00, 0x80, 0x83], &mut out);
        assert_eq!(out[..len], [0, 0, 0, 3, 0x00, 0x80, 0x83]);
        assert_eq!(parse(&out[..len]), Some((0, &[0x00, 0x80, 0x83][..])));
    }

    #[test]
    fn serial_number_bytes() {
        let mut out = [0; 16];
        let len = unit_serial_number(Peripheral::DISK, "A1", &mut out);
        assert_eq!(out[..len], [0, 0x80, 0, 2, b'A', b'1']);
        let len = unit_serial_number(Peripheral::DISK, "", &mut out);
        assert_eq!(out[..len], [0, 0x80, 0, 4, b' ', b' ', b' ', b' ']);
    }

    #[test]
    fn truncation_keeps_the_page_length() {
        let mut out = [0; 5];
        assert_eq!(unit_serial_number(Peripheral::DISK, "12345678", &mut out), 12);
        assert_eq!(out, [0, 0x80, 0, 8, b'1']);
        assert_eq!(parse(&out), Some((0x80, &b"1"[..])));
        assert_eq!(parse(&out[..3]), None);
    }
}
