//! REPORT LUNS parameter data (SPC-6, REPORT LUNS).

use crate::bytes::Writer;
use crate::lun::{Lun, LunError};

/// Bytes before the first LUN.
pub const HEADER_LEN: usize = 8;

/// Writes the parameter data for `luns`, in their order (the standard asks for ascending), and
/// returns its whole length.
pub fn encode(luns: impl IntoIterator<Item = Lun>, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out);
    writer.zeros(HEADER_LEN);
    for lun in luns {
        writer.put(&lun.encode());
    }
    let len = writer.len();
    let list = u32::try_from(len - HEADER_LEN).unwrap_or(u32::MAX);
    writer.patch(0, &list.to_be_bytes());
    len
}

/// The LUNs of parameter data, as many as are there; `None` if not even the header is.
#[must_use]
pub fn parse(data: &[u8]) -> Option<impl Iterator<Item = Result<Lun, LunError>>> {
    let (&[a, b, c, d, ..], rest) = data.split_first_chunk::<HEADER_LEN>()?;
    let list = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let (luns, _) = rest.get(..list).unwrap_or(rest).as_chunks::<8>();
    Some(luns.iter().copied().map(Lun::decode))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes() {
        let mut out = [0xFF; 32];
        assert_eq!(encode([Lun::ZERO, Lun::from(3)], &mut out), 24);
        assert_eq!(out[..8], [0, 0, 0, 16, 0, 0, 0, 0]);
        assert_eq!(out[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn truncation_keeps_the_length() {
        let mut out = [0; 16];
        assert_eq!(encode((0..9).map(Lun::from), &mut out), 80);
        assert_eq!(out[..4], [0, 0, 0, 72]);
        assert_eq!(parse(&out).unwrap().count(), 1);
        assert!(parse(&out[..7]).is_none());
    }

    proptest! {
        #[test]
        fn round_trips(numbers in prop::collection::vec(0_u16..0x4000, 0..30)) {
            let luns: Vec<_> = numbers.into_iter().filter_map(Lun::new).collect();
            let mut out = [0; 256];
            let len = encode(luns.iter().copied(), &mut out);
            let parsed: Result<Vec<_>, _> = parse(&out[..len]).unwrap().collect();
            prop_assert_eq!(parsed, Ok(luns));
        }

        #[test]
        fn takes_any_bytes(data: Vec<u8>) {
            if let Some(luns) = parse(&data) {
                prop_assert!(luns.count() * 8 <= data.len());
            }
        }
    }
}
