//! What can go wrong when the host sets up its logical units. Errors of commands are not here:
//! they are sense data.

use outboard_scsi::Lun;
use thiserror::Error;

use crate::unit::LogicalUnit;

/// Why a target, a unit or a nexus could not be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpcError {
    /// An identification field is too long, or holds more than printable ASCII.
    #[error("{field} must be printable ASCII of at most {max} bytes, but is {text:?}")]
    InvalidText {
        /// The field's name.
        field: &'static str,
        /// Its length in bytes.
        max: usize,
        /// What was to be stored.
        text: String,
    },
    /// A block size that is no multiple of 512, or not within 512 bytes and 64 KiB.
    #[error("block size {0} is not a multiple of 512 from 512 to 65536")]
    InvalidBlockSize(u32),
    /// A unit must have at least one block.
    #[error("a logical unit of 0 blocks cannot be reported")]
    NoBlocks,
    /// The LUN is taken; the unit comes back.
    #[error("LUN {lun} is in use")]
    LunInUse {
        /// The LUN.
        lun: Lun,
        /// The unit that was to be added.
        unit: Box<LogicalUnit>,
    },
    /// There is no unit at the LUN.
    #[error("no logical unit at LUN {0}")]
    NoUnit(Lun),
    /// All entries of the nexus table are taken.
    #[error("all {0} I_T nexuses are in use")]
    TooManyNexuses(u16),
    /// The state file of a unit's reservations holds no record that is whole.
    #[error("the state file of persistent reservations is damaged: no record in it is whole")]
    DamagedState,
    /// A record of the state file has a sequence number that cannot be.
    #[error(
        "the state file of persistent reservations has a record with sequence number {0}, where it must be from 1 to 2^63 - 1: remove the file to forget its reservations"
    )]
    StateSequence(u64),
    /// The state file belongs to another unit.
    #[error(
        "the state file of persistent reservations for LUN {lun} is of unit {found:?}, not {serial:?}"
    )]
    ForeignState {
        /// The LUN it was for.
        lun: Lun,
        /// Serial number of the unit there.
        serial: String,
        /// Serial number in the file.
        found: String,
    },
    /// A list of target port groups that does not divide the target's ports.
    #[error("target port groups must hold every port of the target once, under different numbers")]
    InvalidPortGroups,
    /// The target has no port group of this identifier.
    #[error("no target port group {0}")]
    NoPortGroup(u16),
    /// The target has no port of this identifier.
    #[error("no target port {0}")]
    NoPort(u16),
}
