//! Identifiers as md writes them: four groups of eight hexadecimal digits.

use core::fmt;
use core::str::FromStr;

use serde::{Serialize, Serializer};

/// The 16 bytes that tell one array, or one member, from another.
///
/// ```
/// use outboard_md::Uuid;
/// let uuid: Uuid = "0eff8276:3a3c6dfb:865ea90a:29104c3c".parse().unwrap();
/// assert_eq!("0eff8276-3a3c-6dfb-865e-a90a29104c3c".parse(), Ok(uuid));
/// assert_eq!(uuid.to_string(), "0eff8276:3a3c6dfb:865ea90a:29104c3c");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Uuid(pub [u8; 16]);

/// A text that is no identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is no array identifier: it has 32 hexadecimal digits, with `:` or `-` between them \
     as you like; copy it from `outboard array examine`"
)]
pub struct UuidError {
    /// what was said
    pub text: String,
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 && index % 4 == 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let error = || UuidError { text: text.to_owned() };
        let mut bytes = [0_u8; 16];
        let mut digits = 0;
        for c in text.chars().filter(|c| !matches!(c, ':' | '-')) {
            let digit = c.to_digit(16).ok_or_else(error)? as u8;
            let byte = bytes.get_mut(digits / 2).ok_or_else(error)?;
            *byte = *byte << 4 | digit;
            digits += 1;
        }
        if digits == 32 { Ok(Self(bytes)) } else { Err(error()) }
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "0eff8276", "0eff8276:3a3c6dfb:865ea90a:29104c3g", &"0".repeat(33)] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }
}
