//! Serial number arithmetic with 32 bits (RFC 1982, RFC 7143 4.2.2.1).

/// Whether `a` comes before `b`.
#[inline]
#[must_use]
pub const fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Whether `a` comes after `b`.
#[inline]
#[must_use]
pub const fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps() {
        assert!(before(u32::MAX, 0) && after(0, u32::MAX));
        assert!(before(5, 6) && !before(6, 6) && !after(6, 6));
    }
}
