//! iSCSI names (RFC 7143 4.2.7): `iqn.`, `eui.` and `naa.`.

use thiserror::Error;

/// The longest name, bytes.
pub const NAME_LEN_MAX: usize = 223;

/// A name that is none.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NameError {
    /// Empty, or longer than [`NAME_LEN_MAX`].
    #[error("an iSCSI name has 1 to 223 bytes, this one has {0}")]
    Length(usize),
    /// Neither `iqn.` nor `eui.` nor `naa.`.
    #[error("{0:?} is no iSCSI name: it must begin with iqn., eui. or naa.")]
    Type(String),
    /// A character that no name has.
    #[error("{1:?} in the iSCSI name {0:?}: only letters, digits and - . : are allowed")]
    Character(String, char),
    /// `iqn.` without a date and a domain.
    #[error("{0:?} is not of the form iqn.YYYY-MM.reversed.domain[:anything]")]
    Iqn(String),
    /// `eui.` or `naa.` with other than so many hexadecimal digits.
    #[error("{0:?} must be eui. and 16, or naa. and 16 or 32 hexadecimal digits")]
    Digits(String),
}

/// `name` in its normal form (lower case), if it is an iSCSI name in every respect.
///
/// # Errors
///
/// [`NameError`]: the rule that it breaks.
pub fn normalise(name: &str) -> Result<String, NameError> {
    let name = lenient(name)?;
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | ':');
    if let Some(character) = name.chars().find(|&c| !allowed(c)) {
        return Err(NameError::Character(name, character));
    }
    let hex = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let sound = match name.split_at_checked(4) {
        Some(("iqn.", rest)) => {
            return if is_dated(rest) { Ok(name) } else { Err(NameError::Iqn(name)) };
        }
        Some(("eui.", digits)) => digits.len() == 16 && hex(digits),
        Some((_, digits)) => matches!(digits.len(), 16 | 32) && hex(digits),
        None => false,
    };
    if sound { Ok(name) } else { Err(NameError::Digits(name)) }
}

/// `name` in lower case, if it can be the name of an initiator: some of those in the field use
/// characters and forms that the RFC does not give.
///
/// # Errors
///
/// [`NameError`]: the rule that it breaks.
pub fn lenient(name: &str) -> Result<String, NameError> {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(NameError::Length(name.len()));
    }
    let name = name.to_lowercase();
    if let Some(character) = name.chars().find(|c| c.is_control() || c.is_whitespace() || *c == ',')
    {
        return Err(NameError::Character(name, character));
    }
    if !["iqn.", "eui.", "naa."].iter().any(|kind| name.starts_with(kind)) {
        return Err(NameError::Type(name));
    }
    Ok(name)
}

/// `YYYY-MM.domain...`
fn is_dated(rest: &str) -> bool {
    let Some((date, domain)) = rest.split_once('.') else { return false };
    let Some((year, month)) = date.split_once('-') else { return false };
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let month_is_one = month.len() == 2 && matches!(month.parse(), Ok(1_u8..=12));
    let authority = domain.split(':').next().unwrap_or_default();
    year.len() == 4 && digits(year) && digits(month) && month_is_one && !authority.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_normalised() {
        for sound in [
            "iqn.2026-11.org.example:disk0",
            "iqn.2001-04.com.example",
            "iqn.2001-04.com.example:storage:a.b-c",
            "eui.02004567a425678d",
            "naa.52004567ba64678d",
            "naa.62004567ba64678d0123456789abcdef",
        ] {
            assert_eq!(normalise(sound), Ok(sound.to_owned()));
            assert_eq!(normalise(&sound.to_uppercase()), Ok(sound.to_owned()));
            assert_eq!(lenient(sound), Ok(sound.to_owned()));
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        let error = |name: &str| normalise(name).unwrap_err();
        assert_eq!(error(""), NameError::Length(0));
        assert_eq!(error(&format!("iqn.2026-11.a:{}", "x".repeat(220))), NameError::Length(234));
        assert!(matches!(error("disk0"), NameError::Type(_)));
        assert!(matches!(error("iqn.2026-11.org.example:a_b"), NameError::Character(_, '_')));
        assert!(matches!(error("iqn.2026-11.org.example:a b"), NameError::Character(_, ' ')));
        for iqn in [
            "iqn.",
            "iqn.2026.org",
            "iqn.26-11.org",
            "iqn.2026-13.org",
            "iqn.2026-11",
            "iqn.2026-11.",
            "iqn.2026-11.:x",
            "iqn.2026-1.org",
            "iqn.2026-+1.org",
        ] {
            assert!(normalise(iqn).is_err(), "{iqn}");
        }
        for id in ["eui.0123", "naa.0123", "eui.02004567a425678g", "naa.02004567a425678d00"] {
            assert!(matches!(error(id), NameError::Digits(_)), "{id}");
        }
        assert_eq!(lenient("iqn.host_1"), Ok("iqn.host_1".to_owned()), "as some initiators do");
    }
}
