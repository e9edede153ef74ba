//! Logical unit numbers (SAM-6 4.7): 8 bytes on the wire, one level here.

use core::fmt;

/// A single-level logical unit number, 0 to 16383.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lun(u16);

/// Why 8 bytes are no LUN of a single-level target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LunError {
    /// Addresses something below the first level, or a bus of the first level.
    Hierarchical,
    /// Extended or another unknown addressing method.
    UnsupportedMethod,
    /// The well-known logical unit with this W-LUN (SAM-6 4.7): 01h is REPORT LUNS.
    WellKnown(u8),
}

impl Lun {
    /// LUN 0, which every target has an answer for.
    pub const ZERO: Self = Self(0);
    /// The largest LUN of flat space addressing.
    pub const MAX: Self = Self(0x3FFF);

    /// The LUN with this number, or `None` above [`Self::MAX`].
    #[inline]
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// Reads the 8 bytes of a LUN.
    ///
    /// Peripheral device addressing on bus 0 (00b) and flat space addressing (01b) name the same
    /// logical unit for the same number.
    ///
    /// # Errors
    /// The bytes name no single-level LUN; see [`LunError`].
    #[inline]
    pub const fn decode(bytes: [u8; 8]) -> Result<Self, LunError> {
        let value = u64::from_be_bytes(bytes);
        let first = (value >> 48) as u16;
        let below = value & 0x0000_FFFF_FFFF_FFFF;
        match first >> 14 {
            0b00 if first <= 0xFF && below == 0 => Ok(Self(first)),
            0b01 if below == 0 => Ok(Self(first & 0x3FFF)),
            0b00..=0b10 => Err(LunError::Hierarchical),
            // Extended addressing, length 00b, method 1h: well-known logical unit.
            _ if first >> 8 == 0xC1 && below == 0 => Err(LunError::WellKnown(first as u8)),
            _ => Err(LunError::UnsupportedMethod),
        }
    }

    /// The 8 bytes of this LUN: peripheral device addressing up to 255, flat space addressing
    /// above.
    #[inline]
    #[must_use]
    pub const fn encode(self) -> [u8; 8] {
        let method = if self.0 <= 0xFF { 0 } else { 0x4000 };
        ((method | self.0 as u64) << 48).to_be_bytes()
    }

    /// The number.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl From<u8> for Lun {
    fn from(number: u8) -> Self {
        Self(u16::from(number))
    }
}

impl From<Lun> for u16 {
    fn from(lun: Lun) -> Self {
        lun.0
    }
}

impl fmt::Display for Lun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hierarchical => f.write_str("the LUN addresses more than one level"),
            Self::UnsupportedMethod => f.write_str("the LUN's addressing method is not supported"),
            Self::WellKnown(number) => write!(f, "well-known logical unit {number:02X}h"),
        }
    }
}

impl core::error::Error for LunError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addressing_methods() {
        assert_eq!(Lun::decode([0; 8]), Ok(Lun::ZERO));
        assert_eq!(Lun::decode([0, 255, 0, 0, 0, 0, 0, 0]), Ok(Lun::from(255)));
        assert_eq!(Lun::decode([0x40, 5, 0, 0, 0, 0, 0, 0]), Ok(Lun::from(5)));
        assert_eq!(Lun::decode([0x7F, 0xFF, 0, 0, 0, 0, 0, 0]), Ok(Lun::MAX));
        assert_eq!(Lun::decode([0x01, 5, 0, 0, 0, 0, 0, 0]), Err(LunError::Hierarchical));
        assert_eq!(Lun::decode([0, 5, 0, 1, 0, 0, 0, 0]), Err(LunError::Hierarchical));
        assert_eq!(Lun::decode([0x80, 5, 0, 0, 0, 0, 0, 0]), Err(LunError::Hierarchical));
        assert_eq!(Lun::decode([0xC1, 1, 0, 0, 0, 0, 0, 0]), Err(LunError::WellKnown(1)));
        assert_eq!(Lun::decode([0xD2, 0, 0, 1, 0, 0, 0, 0]), Err(LunError::UnsupportedMethod));
    }

    #[test]
    fn encodes_the_shortest_method() {
        assert_eq!(Lun::from(255).encode(), [0, 255, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Lun::new(256).unwrap().encode(), [0x41, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Lun::new(0x4000), None);
    }

    proptest! {
        #[test]
        fn round_trips(number in 0_u16..0x4000) {
            let lun = Lun::new(number).unwrap();
            prop_assert_eq!(Lun::decode(lun.encode()), Ok(lun));
        }

        #[test]
        fn takes_any_bytes(bytes: [u8; 8]) {
            if let Ok(lun) = Lun::decode(bytes) {
                prop_assert!(lun <= Lun::MAX);
            }
        }
    }
}
