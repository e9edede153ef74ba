//! Secrets.

use core::fmt;

use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// The shortest secret, bytes: 96 bits, which RFC 7143 9.2.1 demands where no IPsec protects the
/// connection.
pub const SECRET_LEN_MIN: usize = 12;
/// The longest secret, bytes.
pub const SECRET_LEN_MAX: usize = 255;

/// A secret that cannot be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SecretError {
    /// Shorter than [`SECRET_LEN_MIN`], so that it could be guessed from one recorded login.
    #[error(
        "a CHAP secret must have at least 12 bytes (RFC 7143 9.2.1), this one has {0}: choose a longer, random one"
    )]
    TooShort(usize),
    /// Longer than [`SECRET_LEN_MAX`].
    #[error("a CHAP secret must have at most 255 bytes, this one has {0}")]
    TooLong(usize),
    /// Both directions have the same secret, so that either side could answer for the other.
    #[error(
        "both directions of mutual CHAP have the same secret (RFC 7143 9.2.1): give the target one of its own"
    )]
    SameBothWays,
}

/// A CHAP secret. It is wiped when dropped, and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// # Errors
    ///
    /// [`SecretError`] if `bytes` is too short or too long.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes.into());
        match bytes.len() {
            len if len < SECRET_LEN_MIN => Err(SecretError::TooShort(len)),
            len if len > SECRET_LEN_MAX => Err(SecretError::TooLong(len)),
            _ => Ok(Self(bytes)),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_enough_and_never_printed() {
        assert_eq!(Secret::new("elevenbytes"), Err(SecretError::TooShort(11)));
        assert_eq!(Secret::new(vec![1; 256]), Err(SecretError::TooLong(256)));
        let secret = Secret::new("twelve bytes").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret, secret.clone());
        assert_ne!(secret, Secret::new("other secret").unwrap());
    }
}
