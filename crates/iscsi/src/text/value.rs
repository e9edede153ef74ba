//! Values of keys (RFC 7143 6.1).

use core::fmt::Write;

/// A number, decimal or hexadecimal (`0x`), of at most 64 bits.
pub fn number(value: &str) -> Option<u64> {
    let hex = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((value, 10), |digits| (digits, 16));
    // `from_str_radix` would take a sign.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// `Yes` or `No`.
pub fn boolean(value: &str) -> Option<bool> {
    match value {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

/// `Yes` or `No`.
pub const fn from_boolean(value: bool) -> &'static str {
    if value { "Yes" } else { "No" }
}

/// The items of a list, in the sender's order of preference.
pub fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',')
}

/// A binary value of at most `max` bytes, hexadecimal (`0x`) or base64 (`0b`).
pub fn binary(value: &str, max: usize) -> Option<Vec<u8>> {
    let mut characters = value.bytes();
    if characters.next() != Some(b'0') {
        return None;
    }
    let kind = characters.next()?;
    let digits = value.get(2..)?;
    if digits.is_empty() || digits.len() > max.saturating_mul(2) {
        return None;
    }
    let bytes = match kind {
        b'x' | b'X' => hex(digits),
        b'b' | b'B' => base64(digits),
        _ => None,
    }?;
    (bytes.len() <= max).then_some(bytes)
}

/// `bytes` as a hexadecimal value.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len().div_ceil(2));
    // An odd number of digits lacks the leading zero.
    let mut high = if digits.len() % 2 == 1 { Some(0) } else { None };
    for digit in digits.chars() {
        let digit = u8::try_from(digit.to_digit(16)?).ok()?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    Some(bytes)
}

fn base64(digits: &str) -> Option<Vec<u8>> {
    let unpadded = digits.trim_end_matches('=');
    if digits.len() - unpadded.len() > 2 || unpadded.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(unpadded.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in unpadded.bytes() {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("262144"), Some(262_144));
        assert_eq!(number("0x40000"), Some(262_144));
        assert_eq!(number("0Xff"), Some(255));
        for none in ["", "0x", "-1", "+1", " 1", "1 ", "1k", "99999999999999999999", "0x+1"] {
            assert_eq!(number(none), None, "{none:?}");
        }
    }

    #[test]
    fn binary_values() {
        assert_eq!(binary("0x00ff1a", 3), Some(vec![0, 0xff, 0x1a]));
        assert_eq!(binary("0Xfff", 2), Some(vec![0x0f, 0xff]), "odd");
        assert_eq!(binary("0bAP8a", 3), Some(vec![0, 0xff, 0x1a]));
        assert_eq!(binary("0bAA==", 3), Some(vec![0]));
        assert_eq!(binary("0BAAA=", 3), Some(vec![0, 0]));
        assert_eq!(binary("0x00112233", 3), None, "too long");
        for none in ["", "0", "0x", "0b", "00ff", "0xgg", "0bA", "0b====", "0b*aaa", "0xé"] {
            assert_eq!(binary(none, 64), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn hexadecimal_round_trips(bytes in prop::collection::vec(any::<u8>(), 1..64)) {
            prop_assert_eq!(binary(&to_hex(&bytes), 64), Some(bytes));
        }

        #[test]
        fn any_text_is_a_value_or_none(text: String, max in 0_usize..64) {
            let _ = number(&text);
            prop_assert!(binary(&text, max).is_none_or(|bytes| bytes.len() <= max));
        }
    }
}
