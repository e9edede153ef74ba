//! TransportIDs (SPC-6 7.6.4): the names of initiator ports in persistent reservations.
//!
//! Only those of iSCSI are known here. The name is that of RFC 7143 4.2.7: `NODE` for a device,
//! `NODE,i,0xISID` with 12 hexadecimal digits for a port.

use crate::bytes::{Writer, be16};
use crate::vpd::ISCSI_PROTOCOL;

/// Bytes before the name.
pub const HEADER_LEN: usize = 4;
/// Longest iSCSI node name in bytes (RFC 7143 4.2.7.1).
pub const NODE_NAME_LEN_MAX: usize = 223;

/// One TransportID of protocol 5h, iSCSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportId<'a> {
    /// Format 00b: all initiator ports of the node of this name.
    Device(&'a str),
    /// Format 01b: one initiator port.
    Port {
        /// Name of the node.
        node: &'a str,
        /// Initiator session identifier, 48 bits.
        isid: u64,
    },
}

/// The bytes at an offset are no TransportID that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// First byte of the field in error, from the first byte of the list.
    pub at: usize,
}

/// The TransportIDs of a list, one after the other. Ends after the first that is malformed.
#[derive(Clone, Debug)]
pub struct TransportIds<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> TransportId<'a> {
    /// The TransportID of a port or node name; `None` for a name that has a wrong separator, a
    /// wrong ISID, control characters, or no or too long a node name.
    #[must_use]
    pub fn from_name(name: &'a str) -> Option<Self> {
        match name.split_once(',') {
            None => is_node_name(name).then_some(Self::Device(name)),
            Some((node, rest)) => {
                let digits = rest.strip_prefix("i,0x")?;
                let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                if !hexadecimal || digits.len() > ISID_DIGITS || !is_node_name(node) {
                    return None;
                }
                Some(Self::Port { node, isid: u64::from_str_radix(digits, 16).ok()? })
            }
        }
    }

    /// Name of the node.
    #[must_use]
    pub const fn node(&self) -> &'a str {
        match self {
            Self::Device(node) | Self::Port { node, .. } => node,
        }
    }

    /// Bytes on the wire, a multiple of 4.
    #[must_use]
    pub fn len(&self) -> usize {
        HEADER_LEN + self.name_field_len()
    }

    /// Never true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the TransportID and returns its whole length.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let mut writer = Writer::new(out);
        self.write(&mut writer);
        writer.len()
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        let format = match self {
            Self::Device(_) => FORMAT_DEVICE,
            Self::Port { .. } => FORMAT_PORT,
        };
        let field = self.name_field_len();
        writer.put(&[format | ISCSI_PROTOCOL, 0]).put(&be16(field));
        writer.put(self.node().as_bytes());
        if let Self::Port { isid, .. } = self {
            writer.put(SEPARATOR).put(&isid_digits(*isid));
        }
        writer.zeros(field - self.name_len());
    }

    fn name_len(&self) -> usize {
        match self {
            Self::Device(node) => node.len(),
            Self::Port { node, .. } => node.len() + SEPARATOR.len() + ISID_DIGITS,
        }
    }

    /// ADDITIONAL LENGTH: the name, at least one null, a multiple of 4, at least 20.
    fn name_field_len(&self) -> usize {
        (self.name_len() + 1).next_multiple_of(4).max(NAME_FIELD_LEN_MIN)
    }
}

impl<'a> TransportIds<'a> {
    /// The TransportIDs in `list`, which is as long as its length field says.
    #[must_use]
    pub const fn new(list: &'a [u8]) -> Self {
        Self { rest: list, at: 0 }
    }

    fn parse(&mut self) -> Result<TransportId<'a>, usize> {
        let Some((&[first, _, high, low], rest)) = self.rest.split_first_chunk::<HEADER_LEN>()
        else {
            return Err(0);
        };
        if first & 0x0F != ISCSI_PROTOCOL {
            return Err(0);
        }
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len < NAME_FIELD_LEN_MIN || !len.is_multiple_of(4) {
            return Err(2);
        }
        let (field, rest) = rest.split_at_checked(len).ok_or(2_usize)?;
        let end = field.iter().position(|&byte| byte == 0).ok_or(HEADER_LEN)?;
        let name = field.get(..end).and_then(|name| core::str::from_utf8(name).ok());
        let id = name.and_then(TransportId::from_name).ok_or(HEADER_LEN)?;
        let format = match id {
            TransportId::Device(_) => FORMAT_DEVICE,
            TransportId::Port { .. } => FORMAT_PORT,
        };
        if first & FORMAT_MASK != format {
            return Err(0);
        }
        self.at += HEADER_LEN + len;
        self.rest = rest;
        Ok(id)
    }
}

impl<'a> Iterator for TransportIds<'a> {
    type Item = Result<TransportId<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.at;
        Some(self.parse().map_err(|offset| {
            self.rest = &[];
            Malformed { at: at + offset }
        }))
    }
}

/// An iSCSI name is UTF-8 without control characters and commas, of at most 223 bytes.
fn is_node_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NODE_NAME_LEN_MAX
        && !name.chars().any(|c| c.is_control() || c == ',')
}

/// The low 48 bits as 12 lower-case hexadecimal digits.
fn isid_digits(isid: u64) -> [u8; ISID_DIGITS] {
    let mut digits = [0; ISID_DIGITS];
    for (index, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = (isid >> (4 * index)) as u8 & 0x0F;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    digits
}

const FORMAT_MASK: u8 = 0xC0;
const FORMAT_DEVICE: u8 = 0x00;
const FORMAT_PORT: u8 = 0x40;
const SEPARATOR: &[u8; 5] = b",i,0x";
const ISID_DIGITS: usize = 12;
const NAME_FIELD_LEN_MIN: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(id: TransportId<'_>) -> Vec<u8> {
        let mut out = [0xFF; 300];
        let len = id.encode(&mut out);
        assert_eq!(len, id.len());
        out[..len].to_vec()
    }

    fn parse(list: &[u8]) -> Vec<Result<TransportId<'_>, Malformed>> {
        TransportIds::new(list).collect()
    }

    #[test]
    fn a_device() {
        let id = TransportId::from_name("iqn.2026-01.a:b").unwrap();
        let data = bytes(id);
        assert_eq!(data, *b"\x05\x00\x00\x14iqn.2026-01.a:b\0\0\0\0\0");
        assert_eq!(parse(&data), [Ok(id)]);
    }

    #[test]
    fn a_port() {
        let id = TransportId::from_name("iqn.2026-01.a:b,i,0x00023D000001").unwrap();
        assert_eq!(id, TransportId::Port { node: "iqn.2026-01.a:b", isid: 0x0002_3D00_0001 });
        let data = bytes(id);
        assert_eq!(data, *b"\x45\x00\x00\x24iqn.2026-01.a:b,i,0x00023d000001\0\0\0\0");
        assert_eq!(parse(&data), [Ok(id)]);
    }

    #[test]
    fn wrong_names() {
        let long = "x".repeat(224);
        for name in ["", ",i,0x1", "a,t,0x1", "a,i,0x", "a,i,0x1234567890123", "a,i,0xg", "a\n"] {
            assert_eq!(TransportId::from_name(name), None, "{name:?}");
        }
        assert_eq!(TransportId::from_name(&long), None);
        assert!(TransportId::from_name(&long[1..]).is_some());
    }

    #[test]
    fn errors_point_at_the_field() {
        let good = bytes(TransportId::Device("iqn.a"));
        let at = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut list = good.clone();
            list.extend_from_slice(&good);
            change(&mut list);
            match parse(&list)[..] {
                [Ok(_), Err(Malformed { at })] => at,
                ref other => panic!("{other:?}"),
            }
        };
        assert_eq!(at(&|list| list[24] = 0x06), 24, "another protocol");
        assert_eq!(at(&|list| list[24] = 0x45), 24, "the other format");
        assert_eq!(at(&|list| list[27] = 19), 26, "too short a length");
        assert_eq!(at(&|list| list[27] = 24), 26, "longer than the list");
        assert_eq!(at(&|list| list[28..].fill(b'a')), 28, "no null");
        assert_eq!(at(&|list| list[28] = 0), 28, "no name");
        assert_eq!(at(&|list| list.truncate(26)), 24, "no length");
    }

    proptest! {
        #[test]
        fn round_trips(names in prop::collection::vec(("[a-z0-9.:-]{1,223}", any::<u64>()), 0..5)) {
            let ids: Vec<_> = names
                .iter()
                .map(|(node, isid)| match isid % 2 {
                    0 => TransportId::Device(node),
                    _ => TransportId::Port { node, isid: isid >> 16 },
                })
                .collect();
            let list: Vec<u8> = ids.iter().flat_map(|&id| bytes(id)).collect();
            prop_assert_eq!(list.len() % 4, 0);
            prop_assert_eq!(parse(&list), ids.into_iter().map(Ok).collect::<Vec<_>>());
        }

        #[test]
        fn takes_any_bytes(list: Vec<u8>) {
            for id in TransportIds::new(&list) {
                match id {
                    Ok(id) => prop_assert!(id.len() <= list.len() + 4),
                    Err(Malformed { at }) => prop_assert!(at <= list.len()),
                }
            }
        }
    }
}
