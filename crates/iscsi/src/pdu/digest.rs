//! Header and data digests: CRC32C, sent with the least significant byte first (RFC 7143 13.1).

use super::bhs::DIGEST_LEN;

/// Continues the CRC32C `crc` (0 at the beginning) over `bytes`.
#[inline]
#[must_use]
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

/// Continues `crc` over the padding of a segment of `len` bytes.
#[inline]
#[must_use]
pub fn pad(crc: u32, len: usize) -> u32 {
    let padding = len.wrapping_neg() & 3;
    crc32c(crc, [0; 3].get(..padding).unwrap_or_default())
}

/// A digest as it is on the wire.
#[inline]
#[must_use]
pub const fn to_wire(crc: u32) -> [u8; DIGEST_LEN] {
    crc.to_le_bytes()
}

/// What a digest on the wire says.
#[inline]
#[must_use]
pub const fn from_wire(bytes: [u8; DIGEST_LEN]) -> u32 {
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7143 appendix A.4.
    #[test]
    fn the_examples_of_the_standard() {
        let wire = |bytes: &[u8]| to_wire(crc32c(0, bytes));
        assert_eq!(wire(&[0; 32]), [0xAA, 0x36, 0x91, 0x8A]);
        assert_eq!(wire(&[0xFF; 32]), [0x43, 0xAB, 0xA8, 0x62]);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(wire(&rising), [0x4E, 0x79, 0xDD, 0x46]);
    }

    #[test]
    fn padding_counts() {
        assert_eq!(pad(crc32c(0, &[1, 2, 3, 4, 5]), 5), crc32c(0, &[1, 2, 3, 4, 5, 0, 0, 0]));
        assert_eq!(pad(7, 8), 7);
    }
}
