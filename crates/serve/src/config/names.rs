//! Names: of arrays, of iSCSI nodes, of CHAP users, of machines.

use outboard_settings::Fault;

/// Most bytes of an iSCSI name (RFC 7143, 4.2.7.1).
pub(super) const MAX_ISCSI_NAME_BYTES: usize = 223;
/// Most bytes of a unit serial number.
pub(super) const MAX_SERIAL_BYTES: usize = 36;

/// The name of an array.
pub(super) fn array(text: &str) -> Result<String, Fault> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match !text.is_empty() && text.len() <= 64 && text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => Err(Fault::new(
            "a name has 1 to 64 letters, digits, dots, dashes and underscores",
            "write for example \"data\"",
        )),
    }
}

/// A unit serial number.
pub(super) fn serial(text: &str) -> Result<String, Fault> {
    let good = |b: u8| b.is_ascii_graphic();
    match !text.is_empty() && text.len() <= MAX_SERIAL_BYTES && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err(Fault::new(
            format!("a serial number has 1 to {MAX_SERIAL_BYTES} printable ASCII characters"),
            "write for example \"0A1B2C3D\", or leave it out",
        )),
    }
}

/// The name of an iSCSI node, in lower case (RFC 7143, 4.2.7).
pub(super) fn iscsi(text: &str) -> Result<String, Fault> {
    let fault = |rule: &str, mend: &str| Err(Fault::new(format!("{text:?}: {rule}"), mend));
    let example = "write for example \"iqn.2026-01.com.example:data\"";
    if text.len() > MAX_ISCSI_NAME_BYTES || text.to_lowercase().len() > MAX_ISCSI_NAME_BYTES {
        let rule = format!("an iSCSI name has at most {MAX_ISCSI_NAME_BYTES} bytes");
        return Err(Fault::new(rule, "write a shorter one"));
    }
    let name = text.to_lowercase();
    if let Some(bad) = name.chars().find(|&c| !name_character(c)) {
        let rule = format!("{bad:?} cannot be in an iSCSI name");
        return fault(&rule, "use letters, digits, dots, dashes and colons");
    }
    let (kind, rest) = name.split_once('.').unwrap_or((&name, ""));
    let hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    match kind {
        "iqn" => match iqn_rule(rest) {
            None => Ok(name),
            Some(rule) => fault(rule, example),
        },
        "eui" if rest.len() == 16 && hex(rest) => Ok(name),
        "eui" => fault("after eui. come 16 hexadecimal digits", example),
        "naa" if matches!(rest.len(), 16 | 32) && hex(rest) => Ok(name),
        "naa" => fault("after naa. come 16 or 32 hexadecimal digits", example),
        _ => fault("an iSCSI name begins with iqn., eui. or naa.", example),
    }
}

/// What an iSCSI name may hold: RFC 3722 as far as ASCII goes, and letters of all scripts.
fn name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-:".contains(c) || (!c.is_ascii() && c.is_alphanumeric())
}

/// The rule that what follows `iqn.` breaks.
fn iqn_rule(rest: &str) -> Option<&'static str> {
    let (date, domain) = rest.split_once('.').unwrap_or((rest, ""));
    let date_ok = match date.split_once('-') {
        Some((year, month)) => {
            let digits = |s: &str, n| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
            let months = month.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month));
            digits(year, 4) && digits(month, 2) && months
        }
        None => false,
    };
    let domain = domain.split(':').next().unwrap_or("");
    if !date_ok {
        Some("after iqn. comes a year and month as 2026-01, at which the domain was yours")
    } else if domain.is_empty() || domain.split('.').any(str::is_empty) {
        Some("after the date comes your domain, backwards: com.example")
    } else {
        None
    }
}

/// An initiator of an access list: a name, or `*` for all.
pub(super) fn initiator(text: &str) -> Result<String, Fault> {
    match text {
        "*" => Ok(text.to_owned()),
        _ => iscsi(text),
    }
}

/// The name of a CHAP user.
pub(super) fn user(text: &str) -> Result<String, Fault> {
    match !text.is_empty() && text.len() <= 255 && !text.contains('\0') {
        true => Ok(text.to_owned()),
        false => Err(Fault::new("a user's name has 1 to 255 bytes", "write for example \"ann\"")),
    }
}

/// A target's alias.
pub(super) fn alias(text: &str) -> Result<String, Fault> {
    match text.len() <= 255 && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(Fault::new(
            "an alias has at most 255 bytes and no control characters",
            "write a shorter one",
        )),
    }
}

/// The name of a machine's only target: its host name backwards, or below `local`.
pub(super) fn target_of(host_name: &str) -> String {
    let lower = host_name.to_ascii_lowercase();
    let labels: Vec<String> = lower
        .split('.')
        .map(|label| {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
            label.chars().map(plain).take(63).collect::<String>().trim_matches('-').to_owned()
        })
        .filter(|label| !label.is_empty())
        .collect();
    let domain = match labels.as_slice() {
        [] => "local.localhost".to_owned(),
        [alone] => format!("local.{alone}"),
        several => several.iter().rev().map(String::as_str).collect::<Vec<_>>().join("."),
    };
    let short: String = domain.chars().take(180).collect();
    format!("iqn.2026-01.{}:outboard", short.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn iscsi_names() {
        for good in [
            "iqn.2026-01.com.example:data",
            "iqn.1993-08.org.debian:01:abcdef",
            "iqn.2026-12.com.example",
            "eui.02004567a425678d",
            "naa.52004567ba64678d",
            "naa.62004567ba64678d0123456789abcdef",
        ] {
            assert!(matches!(iscsi(good), Ok(name) if name == good), "{good}");
        }
        assert!(
            matches!(iscsi("IQN.2026-01.COM.Example:A"), Ok(n) if n == "iqn.2026-01.com.example:a")
        );
        for bad in [
            "",
            "iqn",
            "iqn.",
            "disk",
            "iqn.2026.com.example",
            "iqn.2026-13.com.example",
            "iqn.2026-01",
            "iqn.2026-01.",
            "iqn.2026-01.com..example",
            "iqn.2026-01.com.example:a b",
            "iqn.2026-01.com.example:a_b",
            "eui.0200",
            "eui.02004567a425678g",
            "naa.1",
        ] {
            assert!(iscsi(bad).is_err(), "{bad}");
        }
        assert!(iscsi(&format!("iqn.2026-01.com.example:{}", "a".repeat(223))).is_err());
    }

    #[test]
    fn machines_have_targets() {
        assert_eq!(target_of("box"), "iqn.2026-01.local.box:outboard");
        assert_eq!(target_of("Box_1.example.com"), "iqn.2026-01.com.example.box-1:outboard");
        assert_eq!(target_of(""), "iqn.2026-01.local.localhost:outboard");
    }

    proptest! {
        #[test]
        fn every_host_name_gives_a_name(host in any::<String>()) {
            prop_assert!(iscsi(&target_of(&host)).is_ok());
        }

        #[test]
        fn names_are_stable(text in any::<String>()) {
            if let Ok(name) = iscsi(&text) {
                prop_assert!(matches!(iscsi(&name), Ok(again) if again == name));
            }
        }
    }
}
