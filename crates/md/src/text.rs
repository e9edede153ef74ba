//! Times and sizes as people read them.

/// `2026-11-22 11:36:15 UTC` of seconds since 1970.
pub fn time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar: eras of 400 years, and
/// years that begin in March, so that the leap day is the last.
const fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// `38912 sectors (19.00 MiB 19.92 MB)`
pub(crate) fn sectors(sectors: u64) -> String {
    let bytes = sectors as f64 * 512.0;
    let binary = scaled(bytes, 1024.0, &["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]);
    let decimal = scaled(bytes, 1000.0, &["kB", "MB", "GB", "TB", "PB", "EB"]);
    format!("{sectors} sectors ({binary} {decimal})")
}

fn scaled(bytes: f64, step: f64, units: &[&str]) -> String {
    let mut value = bytes / step;
    let mut unit = units.first().copied().unwrap_or_default();
    for next in units.iter().skip(1) {
        if value < step {
            break;
        }
        (value, unit) = (value / step, next);
    }
    format!("{value:.2} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_827_696), "2000-02-29 12:34:56 UTC");
        assert_eq!(time(0x6b02_d3af), "2026-11-22 11:36:15 UTC");
        assert_eq!(time(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert!(time(u64::MAX >> 24).ends_with("UTC"));
        assert_eq!(sectors(38_912), "38912 sectors (19.00 MiB 19.92 MB)");
        assert_eq!(sectors(0), "0 sectors (0.00 KiB 0.00 kB)");
    }
}
