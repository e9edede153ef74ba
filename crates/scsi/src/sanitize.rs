//! The parameter list of SANITIZE, service action OVERWRITE (SBC-4, SANITIZE).

use crate::bytes::Writer;
use crate::sense::Sense;

/// Bytes before the initialization pattern.
pub const HEADER_LEN: usize = 4;

/// OVERWRITE parameter list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwrite<'a> {
    /// INVERT: each pass writes the inversion of the pass before.
    pub invert: bool,
    /// OVERWRITE COUNT: the number of passes, 1 to 31.
    pub count: u8,
    /// INITIALIZATION PATTERN, 1 to a block of bytes: repeated within each block.
    pub pattern: &'a [u8],
}

impl<'a> Overwrite<'a> {
    /// Parses a parameter list for blocks of `block_size` bytes.
    ///
    /// # Errors
    /// INVALID FIELD IN PARAMETER LIST for a TEST field that is not 0, a count of 0, a pattern of
    /// 0 bytes or longer than a block; PARAMETER LIST LENGTH ERROR for one that the list cuts off.
    pub fn parse(list: &'a [u8], block_size: u32) -> Result<Self, Sense> {
        let Some((&[flags, _, high, low], rest)) = list.split_first_chunk::<HEADER_LEN>() else {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        };
        let len = u16::from_be_bytes([high, low]);
        if flags & TEST != 0 {
            return Err(Sense::invalid_field_in_parameter_list(0, Some(6)));
        }
        if flags & COUNT == 0 {
            return Err(Sense::invalid_field_in_parameter_list(0, Some(4)));
        }
        if len == 0 || u32::from(len) > block_size {
            return Err(Sense::invalid_field_in_parameter_list(2, None));
        }
        let pattern = rest.get(..usize::from(len)).ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)?;
        Ok(Self { invert: flags & INVERT != 0, count: flags & COUNT, pattern })
    }

    /// Writes the parameter list, for initiators and tests; returns its whole length.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let invert = if self.invert { INVERT } else { 0 };
        let mut writer = Writer::new(out);
        writer.put(&[invert | self.count & COUNT, 0]);
        writer.put(&crate::bytes::be16(self.pattern.len())).put(self.pattern);
        writer.len()
    }

    /// Whether pass `pass`, from 0, writes the inverted pattern: the last one never does.
    #[must_use]
    pub const fn is_inverted(invert: bool, count: u8, pass: u8) -> bool {
        invert && count.wrapping_sub(pass).is_multiple_of(2)
    }
}

const INVERT: u8 = 0x80;
const TEST: u8 = 0x60;
const COUNT: u8 = 0x1F;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes() {
        let overwrite = Overwrite { invert: true, count: 3, pattern: &[0xAA, 0x55] };
        let mut out = [0; 6];
        assert_eq!(overwrite.encode(&mut out), 6);
        assert_eq!(out, [0x83, 0, 0, 2, 0xAA, 0x55]);
        assert_eq!(Overwrite::parse(&out, 512), Ok(overwrite));
    }

    #[test]
    fn what_cannot_be_is_pointed_at() {
        let field = |byte, bit| Err(Sense::invalid_field_in_parameter_list(byte, bit));
        assert_eq!(Overwrite::parse(&[0x21, 0, 0, 1, 0], 512), field(0, Some(6)));
        assert_eq!(Overwrite::parse(&[0x00, 0, 0, 1, 0], 512), field(0, Some(4)));
        assert_eq!(Overwrite::parse(&[0x01, 0, 0, 0, 0], 512), field(2, None));
        assert_eq!(Overwrite::parse(&[0x01, 0, 2, 1, 0], 512), field(2, None));
        let short = Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        assert_eq!(Overwrite::parse(&[0x01, 0, 0, 2, 0], 512), short);
        assert_eq!(Overwrite::parse(&[0x01, 0, 0], 512), short);
    }

    #[test]
    fn the_last_pass_writes_the_pattern_itself() {
        let passes = |count| -> Vec<bool> {
            (0..count).map(|pass| Overwrite::is_inverted(true, count, pass)).collect()
        };
        assert_eq!(passes(3), [false, true, false]);
        assert_eq!(passes(2), [true, false]);
        assert!(!Overwrite::is_inverted(false, 2, 0));
    }

    proptest! {
        #[test]
        fn takes_any_bytes(list: Vec<u8>) {
            if let Ok(overwrite) = Overwrite::parse(&list, 512) {
                prop_assert!((1..=31).contains(&overwrite.count) && !overwrite.pattern.is_empty());
            }
        }
    }
}
