//! SCSI status codes (SAM-6 5.3).

use core::fmt;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// 00h: completed without error.
    Good = 0x00,
    /// 02h: sense data says what happened.
    CheckCondition = 0x02,
    /// 04h: the condition asked for is met (PRE-FETCH).
    ConditionMet = 0x04,
    /// 08h: try again later.
    Busy = 0x08,
    /// 18h: a reservation of another I_T nexus forbids it.
    ReservationConflict = 0x18,
    /// 28h: no room for a further command of this I_T nexus.
    TaskSetFull = 0x28,
    /// 30h: an ACA condition exists.
    AcaActive = 0x30,
    /// 40h: aborted by a command or task management function of another I_T nexus (TAS = 1).
    TaskAborted = 0x40,
}

impl Status {
    /// The status with this code, or `None` for reserved and obsolete codes.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x00 => Self::Good,
            0x02 => Self::CheckCondition,
            0x04 => Self::ConditionMet,
            0x08 => Self::Busy,
            0x18 => Self::ReservationConflict,
            0x28 => Self::TaskSetFull,
            0x30 => Self::AcaActive,
            0x40 => Self::TaskAborted,
            _ => return None,
        })
    }

    /// The code on the wire.
    #[inline]
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status's name as the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "GOOD",
            Self::CheckCondition => "CHECK CONDITION",
            Self::ConditionMet => "CONDITION MET",
            Self::Busy => "BUSY",
            Self::ReservationConflict => "RESERVATION CONFLICT",
            Self::TaskSetFull => "TASK SET FULL",
            Self::AcaActive => "ACA ACTIVE",
            Self::TaskAborted => "TASK ABORTED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        let known: Vec<_> = (0..=0xFF).filter_map(Status::from_code).collect();
        assert_eq!(known.len(), 8);
        for status in known {
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
    }
}
