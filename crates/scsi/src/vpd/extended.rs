//! VPD pages about the device as a whole (SPC-6 7.7): management addresses, extended INQUIRY data,
//! mode page policy, SCSI ports.

use super::{
    Designator, EXTENDED_INQUIRY, MANAGEMENT_NETWORK_ADDRESSES, MODE_PAGE_POLICY, SCSI_PORTS, page,
};
use crate::bytes::be16;
use crate::inquiry::Peripheral;

/// Extended INQUIRY Data (86h). HEAD OF QUEUE, ORDERED and SIMPLE task attributes are supported;
/// "reported LUNs data has changed" is ended on all logical units at once (LUICLR).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtendedInquiry {
    /// V_SUP: there is a volatile cache.
    pub volatile_cache: bool,
    /// RTD_SUP: MODE SELECT can revert to the defaults.
    pub revert_to_defaults: bool,
    /// MAXIMUM SUPPORTED SENSE DATA LENGTH in bytes, at most 252.
    pub max_sense_len: u8,
}

/// A target port in the SCSI Ports VPD page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port<'a> {
    /// RELATIVE PORT IDENTIFIER.
    pub relative_id: u16,
    /// TARGET PORT DESCRIPTORS: its names.
    pub names: &'a [Designator<'a>],
}

impl ExtendedInquiry {
    /// Length of the page.
    pub const LEN: usize = 64;

    /// Writes the page and returns its whole length.
    pub fn encode(&self, peripheral: Peripheral, out: &mut [u8]) -> usize {
        const HEADSUP: u8 = 0x04;
        const ORDSUP: u8 = 0x02;
        const SIMPSUP: u8 = 0x01;
        const LUICLR: u8 = 0x01;

        page(EXTENDED_INQUIRY, peripheral, out, |writer| {
            writer
                .put(&[0, HEADSUP | ORDSUP | SIMPSUP])
                .put(&[u8::from(self.volatile_cache), LUICLR])
                .put(&[u8::from(self.revert_to_defaults) << 3, 0, 0, 0, 0])
                .put(&[self.max_sense_len])
                .zeros(Self::LEN - 14);
        })
    }
}

/// Writes page 85h: there are no management addresses.
pub fn management_network_addresses(peripheral: Peripheral, out: &mut [u8]) -> usize {
    page(MANAGEMENT_NETWORK_ADDRESSES, peripheral, out, |_| {})
}

/// Writes page 87h: all mode pages and subpages are shared by all I_T nexuses.
pub fn mode_page_policy(peripheral: Peripheral, out: &mut [u8]) -> usize {
    const ALL_PAGES: u8 = 0x3F;
    const ALL_SUBPAGES: u8 = 0xFF;
    const SHARED: u8 = 0;

    page(MODE_PAGE_POLICY, peripheral, out, |writer| {
        writer.put(&[ALL_PAGES, ALL_SUBPAGES, SHARED, 0]);
    })
}

/// Writes page 88h; no port is an initiator port.
pub fn scsi_ports<'a>(
    peripheral: Peripheral,
    ports: impl IntoIterator<Item = Port<'a>>,
    out: &mut [u8],
) -> usize {
    page(SCSI_PORTS, peripheral, out, |writer| {
        for port in ports {
            let at = writer.len();
            writer.zeros(2).put(&port.relative_id.to_be_bytes()).zeros(8);
            let names = writer.len();
            for name in port.names {
                name.write(writer);
            }
            writer.patch(at + 10, &be16(writer.len() - names));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vpd::{Association, DesignatorValue, ISCSI_PROTOCOL};

    #[test]
    fn extended_inquiry_bytes() {
        let mut out = [0xFF; 80];
        let extended =
            ExtendedInquiry { volatile_cache: true, revert_to_defaults: true, max_sense_len: 252 };
        assert_eq!(extended.encode(Peripheral::DISK, &mut out), ExtendedInquiry::LEN);
        assert_eq!(out[..14], [0, 0x86, 0, 60, 0, 7, 1, 1, 8, 0, 0, 0, 0, 252]);
        assert_eq!(out[14..64], [0; 50]);
        assert_eq!(out[64], 0xFF);
    }

    #[test]
    fn constant_pages() {
        let mut out = [0xFF; 16];
        assert_eq!(management_network_addresses(Peripheral::DISK, &mut out), 4);
        assert_eq!(out[..4], [0, 0x85, 0, 0]);
        assert_eq!(mode_page_policy(Peripheral::DISK, &mut out), 8);
        assert_eq!(out[..8], [0, 0x87, 0, 4, 0x3F, 0xFF, 0, 0]);
    }

    #[test]
    fn ports_with_their_names() {
        let name = |value| Designator {
            association: Association::TargetPort,
            protocol: Some(ISCSI_PROTOCOL),
            value,
        };
        let names = [name(DesignatorValue::ScsiName("iqn"))];
        let ports = [Port { relative_id: 1, names: &names }, Port { relative_id: 2, names: &[] }];
        let mut out = [0xFF; 64];
        let len = scsi_ports(Peripheral::DISK, ports, &mut out);
        assert_eq!(len, 4 + 12 + 8 + 12);
        assert_eq!(out[..4], [0, 0x88, 0, 32]);
        assert_eq!(out[4..16], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8]);
        assert_eq!(out[16..24], *b"\x53\x98\x00\x04iqn\x00");
        assert_eq!(out[24..36], [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
