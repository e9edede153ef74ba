//! Sense data (SPC-6 4.4): what went wrong, in 18 or a few dozen bytes.
//!
//! [`Sense`] holds what Outboard says about a failed command. The usual ones are constants and
//! constructors ([`Sense::LBA_OUT_OF_RANGE`], [`Sense::invalid_field_in_cdb`]); [`Sense::encode`]
//! and [`Sense::parse`] convert to and from both wire formats. Foreign sense data may hold more
//! (ILI, vendor descriptors); that part is not kept.

mod codes;
mod constants;
mod wire;

use core::fmt;

pub use codes::additional_sense_name;
pub use wire::{DESCRIPTOR_LEN_MAX, FIXED_LEN};

/// Sense data of one failed command or of one unit attention condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// SENSE KEY.
    pub key: SenseKey,
    /// ADDITIONAL SENSE CODE.
    pub asc: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub ascq: u8,
    /// True if the error belongs to an earlier command (response codes 71h and 73h).
    pub deferred: bool,
    /// SENSE KEY SPECIFIC.
    pub specific: Specific,
    /// INFORMATION: for block devices the first LBA in error. The fixed format holds 32 bits; a
    /// larger value is left out there (VALID = 0).
    pub information: Option<u64>,
    /// COMMAND-SPECIFIC INFORMATION of EXTENDED COPY: the segment that was in process; only with
    /// COPY ABORTED.
    pub segment: Option<u16>,
}

/// SENSE KEY (SPC-6 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SenseKey {
    /// 0h
    NoSense = 0x0,
    /// 1h
    RecoveredError = 0x1,
    /// 2h
    NotReady = 0x2,
    /// 3h
    MediumError = 0x3,
    /// 4h
    HardwareError = 0x4,
    /// 5h
    IllegalRequest = 0x5,
    /// 6h
    UnitAttention = 0x6,
    /// 7h
    DataProtect = 0x7,
    /// 8h
    BlankCheck = 0x8,
    /// 9h
    VendorSpecific = 0x9,
    /// Ah
    CopyAborted = 0xA,
    /// Bh
    AbortedCommand = 0xB,
    /// Ch
    Reserved = 0xC,
    /// Dh
    VolumeOverflow = 0xD,
    /// Eh
    Miscompare = 0xE,
    /// Fh
    Completed = 0xF,
}

/// SENSE KEY SPECIFIC (SPC-6 4.4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specific {
    /// Nothing (SKSV = 0).
    None,
    /// The field in error; only with ILLEGAL REQUEST.
    Field(FieldPointer),
    /// Progress of an operation in 1/65536; only with NO SENSE and NOT READY.
    Progress(u16),
    /// The field of an EXTENDED COPY in error, with C/D as SD: relative to the segment descriptor
    /// ([`FieldPointer::in_cdb`] is true) or to the parameter list; only with COPY ABORTED.
    Segment(FieldPointer),
    /// Actual retry count; only with RECOVERED ERROR, MEDIUM ERROR and HARDWARE ERROR.
    RetryCount(u16),
}

/// Which byte, and perhaps which bit, was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPointer {
    /// True (C/D = 1) for a CDB, false for a parameter list.
    pub in_cdb: bool,
    /// Index of the first byte of the field.
    pub byte: u16,
    /// The field's most significant bit in that byte, 0 to 7, if bits are named at all.
    pub bit: Option<u8>,
}

impl Sense {
    /// Sense data of a key and an additional sense code with its qualifier.
    #[inline]
    #[must_use]
    pub const fn new(key: SenseKey, asc: u8, ascq: u8) -> Self {
        Self {
            key,
            asc,
            ascq,
            deferred: false,
            specific: Specific::None,
            information: None,
            segment: None,
        }
    }

    /// ILLEGAL REQUEST / INVALID FIELD IN CDB, pointing at byte `byte` and, if a part of a byte
    /// was wrong, at the field's most significant bit.
    #[inline]
    #[must_use]
    pub const fn invalid_field_in_cdb(byte: u16, bit: Option<u8>) -> Self {
        Self {
            specific: Specific::Field(FieldPointer { in_cdb: true, byte, bit }),
            ..Self::INVALID_FIELD_IN_CDB
        }
    }

    /// ILLEGAL REQUEST / INVALID FIELD IN PARAMETER LIST, with a pointer as for
    /// [`Self::invalid_field_in_cdb`].
    #[inline]
    #[must_use]
    pub const fn invalid_field_in_parameter_list(byte: u16, bit: Option<u8>) -> Self {
        Self {
            specific: Specific::Field(FieldPointer { in_cdb: false, byte, bit }),
            ..Self::INVALID_FIELD_IN_PARAMETER_LIST
        }
    }

    /// ILLEGAL REQUEST / LOGICAL BLOCK ADDRESS OUT OF RANGE, with the first LBA beyond the medium.
    #[inline]
    #[must_use]
    pub const fn lba_out_of_range(lba: u64) -> Self {
        Self::LBA_OUT_OF_RANGE.with_information(lba)
    }

    /// MEDIUM ERROR / UNRECOVERED READ ERROR at block `lba`.
    #[inline]
    #[must_use]
    pub const fn unrecovered_read_error(lba: u64) -> Self {
        Self::UNRECOVERED_READ_ERROR.with_information(lba)
    }

    /// MEDIUM ERROR / WRITE ERROR at block `lba`.
    #[inline]
    #[must_use]
    pub const fn write_error(lba: u64) -> Self {
        Self::WRITE_ERROR.with_information(lba)
    }

    /// MEDIUM ERROR / LOGICAL BLOCK GUARD CHECK FAILED at block `lba`.
    #[inline]
    #[must_use]
    pub const fn guard_check_failed(lba: u64) -> Self {
        Self::LOGICAL_BLOCK_GUARD_CHECK_FAILED.with_information(lba)
    }

    /// MISCOMPARE / MISCOMPARE DURING VERIFY OPERATION, with the offset in bytes of the first
    /// difference (SBC-4, VERIFY and COMPARE AND WRITE).
    #[inline]
    #[must_use]
    pub const fn miscompare(offset: u64) -> Self {
        Self::MISCOMPARE.with_information(offset)
    }

    /// The same with an INFORMATION field.
    #[inline]
    #[must_use]
    pub const fn with_information(self, information: u64) -> Self {
        Self { information: Some(information), ..self }
    }

    /// The same with the number of the segment that was in process (EXTENDED COPY).
    #[inline]
    #[must_use]
    pub const fn with_segment(self, segment: u16) -> Self {
        Self { segment: Some(segment), ..self }
    }

    /// The same with a pointer at byte `byte` of the segment descriptor in process.
    #[inline]
    #[must_use]
    pub const fn with_segment_field(self, byte: u16) -> Self {
        let field = FieldPointer { in_cdb: true, byte, bit: None };
        Self { specific: Specific::Segment(field), ..self }
    }

    /// The same with a progress indication, in 1/65536 of the work.
    #[inline]
    #[must_use]
    pub const fn with_progress(self, progress: u16) -> Self {
        Self { specific: Specific::Progress(progress), ..self }
    }

    /// The same as a deferred error.
    #[inline]
    #[must_use]
    pub const fn deferred(self) -> Self {
        Self { deferred: true, ..self }
    }

    /// Whether key, additional sense code and qualifier are the same; the details may differ.
    #[inline]
    #[must_use]
    pub const fn is(&self, other: &Self) -> bool {
        self.key as u8 == other.key as u8 && self.asc == other.asc && self.ascq == other.ascq
    }
}

impl SenseKey {
    /// The key in the low four bits of `byte`.
    #[must_use]
    pub const fn from_low_bits(byte: u8) -> Self {
        match byte & 0x0F {
            0x0 => Self::NoSense,
            0x1 => Self::RecoveredError,
            0x2 => Self::NotReady,
            0x3 => Self::MediumError,
            0x4 => Self::HardwareError,
            0x5 => Self::IllegalRequest,
            0x6 => Self::UnitAttention,
            0x7 => Self::DataProtect,
            0x8 => Self::BlankCheck,
            0x9 => Self::VendorSpecific,
            0xA => Self::CopyAborted,
            0xB => Self::AbortedCommand,
            0xC => Self::Reserved,
            0xD => Self::VolumeOverflow,
            0xE => Self::Miscompare,
            _ => Self::Completed,
        }
    }

    /// The key's name as the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSense => "NO SENSE",
            Self::RecoveredError => "RECOVERED ERROR",
            Self::NotReady => "NOT READY",
            Self::MediumError => "MEDIUM ERROR",
            Self::HardwareError => "HARDWARE ERROR",
            Self::IllegalRequest => "ILLEGAL REQUEST",
            Self::UnitAttention => "UNIT ATTENTION",
            Self::DataProtect => "DATA PROTECT",
            Self::BlankCheck => "BLANK CHECK",
            Self::VendorSpecific => "VENDOR SPECIFIC",
            Self::CopyAborted => "COPY ABORTED",
            Self::AbortedCommand => "ABORTED COMMAND",
            Self::Reserved => "RESERVED",
            Self::VolumeOverflow => "VOLUME OVERFLOW",
            Self::Miscompare => "MISCOMPARE",
            Self::Completed => "COMPLETED",
        }
    }
}

impl fmt::Display for SenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `ILLEGAL REQUEST / LOGICAL BLOCK ADDRESS OUT OF RANGE (information 4096)`.
impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, asc, ascq, .. } = *self;
        match additional_sense_name(asc, ascq) {
            Some(name) => write!(f, "{key} / {name}")?,
            None => write!(f, "{key} / {asc:02X}h/{ascq:02X}h")?,
        }
        match self.specific {
            Specific::None => {}
            Specific::Field(FieldPointer { in_cdb, byte, bit }) => {
                let place = if in_cdb { "CDB" } else { "parameter list" };
                write!(f, " ({place} byte {byte}")?;
                if let Some(bit) = bit {
                    write!(f, " bit {bit}")?;
                }
                f.write_str(")")?;
            }
            Specific::Segment(FieldPointer { in_cdb, byte, .. }) => {
                let place = if in_cdb { "segment descriptor" } else { "parameter list" };
                write!(f, " ({place} byte {byte})")?;
            }
            Specific::Progress(progress) => {
                write!(f, " ({} % done)", u32::from(progress) * 100 / 0x1_0000)?;
            }
            Specific::RetryCount(count) => write!(f, " ({count} retries)")?,
        }
        if let Some(information) = self.information {
            write!(f, " (information {information})")?;
        }
        if let Some(segment) = self.segment {
            write!(f, " (segment {segment})")?;
        }
        if self.deferred {
            f.write_str(" (deferred)")?;
        }
        Ok(())
    }
}

impl core::error::Error for Sense {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_error_and_its_place() {
        assert_eq!(
            Sense::invalid_field_in_cdb(1, Some(4)).to_string(),
            "ILLEGAL REQUEST / INVALID FIELD IN CDB (CDB byte 1 bit 4)"
        );
        assert_eq!(
            Sense::lba_out_of_range(4096).to_string(),
            "ILLEGAL REQUEST / LOGICAL BLOCK ADDRESS OUT OF RANGE (information 4096)"
        );
        assert_eq!(
            Sense::NOT_READY_SANITIZE_IN_PROGRESS.with_progress(0x8000).to_string(),
            "NOT READY / LOGICAL UNIT NOT READY, SANITIZE IN PROGRESS (50 % done)"
        );
        assert_eq!(
            Sense::WRITE_ERROR.deferred().to_string(),
            "MEDIUM ERROR / WRITE ERROR (deferred)"
        );
    }

    #[test]
    fn names_an_unknown_code_by_its_numbers() {
        let sense = Sense::new(SenseKey::VendorSpecific, 0x80, 0x01);
        assert_eq!(sense.to_string(), "VENDOR SPECIFIC / 80h/01h");
    }

    #[test]
    fn compares_codes_without_details() {
        assert!(Sense::lba_out_of_range(7).is(&Sense::LBA_OUT_OF_RANGE));
        assert!(!Sense::WRITE_ERROR.is(&Sense::UNRECOVERED_READ_ERROR));
    }

    #[test]
    fn key_round_trips() {
        for bits in 0..16 {
            assert_eq!(SenseKey::from_low_bits(bits) as u8, bits);
        }
    }

    #[test]
    fn stays_small() {
        assert!(size_of::<Sense>() <= 32);
    }
}
