//! Sizes, rates and durations as people write them: `64Gi`, `322.5MB`, `0.5ms`.
//!
//! `k`, `M`, `G`, `T` are powers of 1000 and `Ki`, `Mi`, `Gi`, `Ti` powers of 1024; a closing `B` is
//! allowed. Fractions are exact or refused.

/// Bytes from `64Gi`, `322.5MB`, `4096`. `None` if it is not a whole number of bytes that fits.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.strip_suffix(['B', 'b']).unwrap_or(text);
    parse_scaled(text, &SIZES)
}

/// Bytes per second from `322.5MB`, `3.5GB/s`. `None` as for [`parse_size`], and for zero.
pub fn parse_rate(text: &str) -> Option<u64> {
    parse_size(text.strip_suffix("/s").unwrap_or(text)).filter(|&rate| rate > 0)
}

/// Nanoseconds from `50us`, `0.5ms`, `2s`; the unit is required, except for `0`.
pub fn parse_duration(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    text.ends_with('s').then(|| parse_scaled(text, &DURATIONS)).flatten()
}

/// Blocks or other plain counts: digits only.
pub(crate) fn parse_count(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The shortest text that [`parse_size`] reads back as `bytes`.
pub fn format_size(bytes: u64) -> String {
    shortest(bytes, &SIZES)
}

/// The shortest text that [`parse_rate`] reads back as `rate` bytes per second: `322.5MB`.
pub fn format_rate(rate: u64) -> String {
    for (suffix, scale) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)] {
        // one decimal place is enough to write most rates as people do
        if rate >= scale && rate.is_multiple_of(scale / 10) {
            let tenths = rate / (scale / 10);
            return match tenths % 10 {
                0 => format!("{}{suffix}", tenths / 10),
                tenth => format!("{}.{tenth}{suffix}", tenths / 10),
            };
        }
    }
    format!("{rate}")
}

/// The shortest text that [`parse_duration`] reads back as `nanos`.
pub fn format_duration(nanos: u64) -> String {
    shortest(nanos, &DURATIONS)
}

fn parse_scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits =
        text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, unit) = text.split_at(digits);
    let scale = units.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let has_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !has_digits(whole) || (number.contains('.') && !has_digits(fraction)) || fraction.len() > 12
    {
        return None;
    }
    let ten = 10_u128.pow(fraction.len() as u32);
    let all: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = all.checked_mul(u128::from(scale))?;
    (scaled % ten == 0).then(|| u64::try_from(scaled / ten).ok()).flatten()
}

fn shortest(value: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .filter(|(_, scale)| value != 0 && value.is_multiple_of(*scale))
        .map(|(unit, scale)| format!("{}{unit}", value / scale))
        .min_by_key(String::len)
        .unwrap_or_else(|| format!("{value}{}", units.first().map_or("", |u| u.0)))
}

const SIZES: [(&str, u64); 10] = [
    ("", 1),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
    ("K", 1_000),
];
const DURATIONS: [(&str, u64); 4] =
    [("ns", 1), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1k", 1000),
            ("1KiB", 1024),
            ("64Gi", 64 << 30),
            ("322.5MB", 322_500_000),
            ("1T", 1_000_000_000_000),
            ("0.5Ki", 512),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "x", "1.5", "1.", ".5k", "-1", "1kk", "1 k", "99999999999T", "1e3", "MB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_and_rates() {
        assert_eq!(parse_duration("0.5ms"), Some(500_000));
        assert_eq!(parse_duration("8.333333ms"), Some(8_333_333));
        assert_eq!(parse_duration("2s"), Some(2_000_000_000));
        assert_eq!(parse_duration("5"), None, "a unit is needed");
        assert_eq!(parse_rate("3.5GB/s"), Some(3_500_000_000));
        assert_eq!(parse_rate("0"), None);
        assert_eq!(format_rate(322_500_000), "322.5MB");
        assert_eq!(format_rate(3_000_000_000), "3GB");
        assert_eq!(format_rate(7), "7");
    }

    proptest::proptest! {
        #[test]
        fn what_is_formatted_is_read_back(v in proptest::prelude::any::<u64>(), shift in 0..63_u32) {
            let v = v >> shift;
            proptest::prop_assert_eq!(parse_size(&format_size(v)), Some(v));
            proptest::prop_assert_eq!(parse_duration(&format_duration(v)), Some(v));
            proptest::prop_assert_eq!(parse_rate(&format_rate(v.max(1))), Some(v.max(1)));
        }
    }
}
