//! The key of an encrypted disk: nobody sees it in a log, a message or freed memory.

use std::fmt;

use zeroize::Zeroize;

/// A key of AES-256-XTS: the data's half, then the tweak's.
#[derive(Clone, Eq, PartialEq)]
pub struct Key(Box<[u8; Self::BYTES]>);

/// Bytes that are no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the two halves of an AES-256-XTS key differ (FIPS 140, IG C.I), and these are equal")]
pub struct EqualHalves;

impl Key {
    /// Length of a key.
    pub const BYTES: usize = 64;

    /// The key of these bytes, which are moved out of `bytes`: zeroes are left there.
    ///
    /// # Errors
    /// [`EqualHalves`].
    pub fn take(bytes: &mut [u8; Self::BYTES]) -> Result<Self, EqualHalves> {
        let key = Self(Box::new(*bytes));
        bytes.zeroize();
        let (data, tweak) = key.halves();
        if data == tweak { Err(EqualHalves) } else { Ok(key) }
    }

    /// Its bytes, for the one who keeps them or hands them over.
    pub fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The data's half and the tweak's.
    pub(super) fn halves(&self) -> (&[u8; 32], &[u8; 32]) {
        let (data, rest) = self.0.split_first_chunk().unwrap_or((&[0; 32], &[]));
        (data, rest.first_chunk().unwrap_or(&[0; 32]))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_and_not_shown() {
        let mut bytes = [7; 64];
        bytes[63] = 8;
        let key = Key::take(&mut bytes).unwrap();
        assert_eq!((bytes, key.bytes()[63]), ([0; 64], 8));
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert_eq!(Key::take(&mut [7; 64]), Err(EqualHalves));
    }
}
