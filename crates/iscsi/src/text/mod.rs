//! Text of Login and Text PDUs: `key=value` pairs, each ended by a NUL (RFC 7143 clause 6).
//!
//! | module | what | RFC 7143 |
//! |---|---|---|
//! | this | pairs read from text, and written | 6.1 |
//! | [`stream`] | text over several PDUs, both ways (C bit) | 6.2 |
//! | [`value`] | numbers, booleans, lists, binary values | 6.1 |

pub mod stream;
pub mod value;

pub use stream::{Gather, Outgoing};

use thiserror::Error;

/// The longest name of a key (RFC 7143 6.1), bytes.
pub const KEY_LEN_MAX: usize = 63;

/// What an answer says of a key that the responder does not know.
pub const NOT_UNDERSTOOD: &str = "NotUnderstood";
/// What an answer says of a value that cannot be.
pub const REJECT: &str = "Reject";
/// What an answer says of a key that has no meaning in this negotiation.
pub const IRRELEVANT: &str = "Irrelevant";
/// No digest, no authentication.
pub const NONE: &str = "None";

/// Text that is no list of `key=value` pairs.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TextError {
    /// A pair without `=`.
    #[error("text without \"=\" where a key=value pair must be")]
    NoEquals,
    /// A key's name is empty, longer than [`KEY_LEN_MAX`], or holds other characters than letters,
    /// digits and `.-+@_#`.
    #[error("the name of a key must be 1 to 63 letters, digits or one of .-+@_#")]
    BadKey,
    /// A value is not UTF-8.
    #[error("a value is not UTF-8")]
    NotUtf8,
    /// More text than [`Gather`] may hold.
    #[error("text of more than {0} bytes")]
    TooLong(usize),
    /// A PDU of the text was answered out of turn.
    #[error("the text is continued, but the PDU that asks for the rest carries text of its own")]
    OutOfTurn,
}

/// The pairs of `text`, in order. The last may lack its NUL; empty ones are skipped, as padding.
pub fn pairs(text: &[u8]) -> impl Iterator<Item = Result<(&str, &str), TextError>> {
    text.split(|&byte| byte == 0).filter(|pair| !pair.is_empty()).map(pair)
}

fn pair(bytes: &[u8]) -> Result<(&str, &str), TextError> {
    let pair = str::from_utf8(bytes).map_err(|_| TextError::NotUtf8)?;
    let (key, value) = pair.split_once('=').ok_or(TextError::NoEquals)?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b".-+@_#".contains(&byte);
    if key.is_empty() || key.len() > KEY_LEN_MAX || !key.bytes().all(sound) {
        return Err(TextError::BadKey);
    }
    Ok((key, value))
}

/// Appends `key=value` and its NUL to `text`.
pub fn push(text: &mut Vec<u8>, key: &str, value: &str) {
    text.extend_from_slice(key.as_bytes());
    text.push(b'=');
    text.extend_from_slice(value.as_bytes());
    text.push(0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Result<Vec<(&str, &str)>, TextError> {
        pairs(text).collect()
    }

    #[test]
    fn pairs_are_read_in_order() {
        assert_eq!(read(b"A=1\0B=\0C=x=y\0"), Ok(vec![("A", "1"), ("B", ""), ("C", "x=y")]));
        assert_eq!(read(b"A=1\0\0\0"), Ok(vec![("A", "1")]), "padding");
        assert_eq!(read(b"A=1"), Ok(vec![("A", "1")]), "without its NUL");
        assert_eq!(read(b""), Ok(vec![]));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert_eq!(read(b"A\0"), Err(TextError::NoEquals));
        assert_eq!(read(b"=1\0"), Err(TextError::BadKey));
        assert_eq!(read(b"A B=1\0"), Err(TextError::BadKey));
        assert_eq!(read(&[b"K".repeat(64), b"=".to_vec()].concat()), Err(TextError::BadKey));
        assert_eq!(read(b"A=\xff\0"), Err(TextError::NotUtf8));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            list in prop::collection::vec(("[A-Za-z#.+@_-]{1,63}", "[^\\x00]{0,80}"), 0..20)
        ) {
            let mut text = Vec::new();
            for (key, value) in &list {
                push(&mut text, key, value);
            }
            let back: Vec<_> = pairs(&text).map(Result::unwrap).collect();
            let expected: Vec<_> = list.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            prop_assert_eq!(back, expected);
        }

        #[test]
        fn any_bytes_are_pairs_or_an_error(text: Vec<u8>) {
            let _ = read(&text);
        }
    }
}
