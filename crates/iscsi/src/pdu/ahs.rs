//! Additional header segments (RFC 7143 11.2.2).

/// Longest CDB: 16 bytes in the header, 244 in an extended CDB segment.
pub const MAX_CDB_LEN: usize = 260;

const EXTENDED_CDB: u8 = 1;
const BIDIRECTIONAL: u8 = 2;
const HEAD: usize = 4;

/// What the additional header segments of a SCSI Command say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahs<'a> {
    /// CDB bytes from the 17th on
    pub extended_cdb: &'a [u8],
    /// Bidirectional Read Expected Data Transfer Length
    pub bidirectional_read: Option<u32>,
}

impl<'a> Ahs<'a> {
    /// Reads all segments; `None` if one is malformed, of unknown type or there twice.
    #[must_use]
    pub fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let mut ahs = Self::default();
        while !bytes.is_empty() {
            let (length, kind) = match bytes {
                [a, b, kind, _, ..] => (usize::from(u16::from_be_bytes([*a, *b])), *kind),
                _ => return None,
            };
            // AHSLength counts what follows length and type; the first such byte is reserved.
            let payload = length.checked_sub(1)?;
            let content = bytes.get(HEAD..HEAD + payload)?;
            match kind {
                EXTENDED_CDB if ahs.extended_cdb.is_empty() && payload != 0 => {
                    if payload > MAX_CDB_LEN - 16 {
                        return None;
                    }
                    ahs.extended_cdb = content;
                }
                BIDIRECTIONAL if ahs.bidirectional_read.is_none() => {
                    ahs.bidirectional_read = Some(u32::from_be_bytes(content.try_into().ok()?));
                }
                _ => return None,
            }
            bytes = bytes.get(super::padded(HEAD + payload)..)?;
        }
        Some(ahs)
    }

    /// The wire form of an extended CDB segment, padded.
    #[must_use]
    pub fn extended_cdb(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len() + 1).unwrap_or(u16::MAX);
        let mut out = length.to_be_bytes().to_vec();
        out.extend([EXTENDED_CDB, 0]);
        out.extend_from_slice(bytes);
        out.resize(super::padded(out.len()), 0);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_extended_cdb_round_trips() {
        let cdb = [7; 17];
        let wire = Ahs::extended_cdb(&cdb);
        assert_eq!(wire.len() % 4, 0);
        assert_eq!(Ahs::parse(&wire).unwrap().extended_cdb, cdb);
        assert_eq!(Ahs::parse(&[0, 5, 2, 0, 0, 0, 1, 0]).unwrap().bidirectional_read, Some(256));
        assert_eq!(Ahs::parse(&[wire.clone(), wire].concat()), None);
    }

    proptest! {
        #[test]
        fn takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Ahs::parse(&bytes);
        }
    }
}
