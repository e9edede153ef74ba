//! What persists through power loss (APTPL), as bytes.
//!
//! A file of two slots of [`SLOT_LEN`] bytes holds the state of one unit. Each change is a whole
//! record with the next sequence number, written to the slot that does not hold the newest: a
//! torn write spoils only that slot, its checksum tells, and the older state is used. The first
//! record of a file is an empty state.
//!
//! ```text
//!  0  magic "OBRESERV"
//!  8  version 1 (2)       flags (2): bit 0 APTPL
//! 12  record length (4)   from the magic to the checksum
//! 16  sequence (8)        from 1, below 2^63
//! 24  serial: length (2), ASCII
//!     reservation type (1), 0 is none; holder (4), index of a registration, or FFFF_FFFFh
//!     registrations: count (4), then each: key (8), target port (2), name: length (2), UTF-8
//!     checksum: CRC32C of all before (4)
//! ```
//!
//! Numbers are big-endian, as everywhere in SCSI.

use outboard_scsi::Lun;
use outboard_scsi::persistent_reserve::ReservationType;

use super::{PORT_NAME_LEN_MAX, REGISTRATIONS_MAX, Registration, Reservation, Reservations, same};
use crate::error::SpcError;
use crate::identity::SERIAL_LEN_MAX;
use crate::nexus::Nexus;

/// Bytes of a slot: the offset of the second one.
pub const SLOT_LEN: usize = 512 << 10;

/// A record to be written, and to be on the medium before the command is answered, and before the
/// next record of the unit is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The unit it belongs to.
    pub lun: Lun,
    /// The slot, 0 or 1.
    pub slot: u8,
    /// Where it goes in the file: `slot` times [`SLOT_LEN`].
    pub offset: u64,
    /// What goes there, at most [`SLOT_LEN`] bytes.
    pub bytes: Vec<u8>,
}

/// The persistent state of a unit at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    sequence: u64,
    serial: String,
    persist: bool,
    reservation: Option<Reservation>,
    registrations: Vec<Registration>,
}

/// Where the state of one unit stands on its medium.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    /// There is a medium.
    open: bool,
    /// Of the newest record.
    sequence: u64,
    /// Where the next record goes: not where the newest whole one is.
    next_slot: u8,
    /// The state differs from it.
    changed: bool,
}

impl Image {
    /// The newest valid record of a state file; `None` if there has never been one, which a torn
    /// first write leaves as well.
    ///
    /// # Errors
    /// [`SpcError::DamagedState`] if there was a record and none is valid;
    /// [`SpcError::StateSequence`] for a whole record with a number that no host writes.
    pub fn newest(file: &[u8]) -> Result<Option<Self>, SpcError> {
        Ok(Self::newest_and_slot(file)?.map(|(image, _)| image))
    }

    fn newest_and_slot(file: &[u8]) -> Result<Option<(Self, u8)>, SpcError> {
        let (first, second) = file.split_at_checked(SLOT_LEN).unwrap_or((file, &[]));
        let records = [(first, 0), (second, 1)].map(|(bytes, slot)| (Self::decode(bytes), slot));
        let whole = || records.iter().filter_map(|(image, slot)| Some((image.as_ref()?, *slot)));
        // A torn write leaves no whole record: somebody else has written to the file.
        if let Some((image, _)) = whole().find(|(image, _)| !SEQUENCES.contains(&image.sequence)) {
            return Err(SpcError::StateSequence(image.sequence));
        }
        let newest = whole().max_by_key(|(image, _)| image.sequence);
        let newest = newest.map(|(image, slot)| (image.clone(), slot));
        // The second slot is written only once the first one is whole, and before any state has
        // been answered for.
        if newest.is_none() && second.iter().any(|&byte| byte != 0) {
            return Err(SpcError::DamagedState);
        }
        Ok(newest)
    }

    /// Sequence number of the record, from 1.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Serial number of the unit that it belongs to.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Number of registrations.
    #[must_use]
    pub fn registrations(&self) -> usize {
        self.registrations.len()
    }

    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&u16::from(self.persist).to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        put_text(&mut out, &self.serial);
        let kind = self.reservation.as_ref().map_or(0, |reservation| reservation.kind.code());
        out.push(kind);
        out.extend_from_slice(&self.holder().to_be_bytes());
        out.extend_from_slice(&narrow(self.registrations.len()).to_be_bytes());
        for registration in &self.registrations {
            out.extend_from_slice(&registration.key.to_be_bytes());
            out.extend_from_slice(&registration.nexus.target_port.to_be_bytes());
            put_text(&mut out, &registration.nexus.initiator_port);
        }
        let length = narrow(out.len() + CHECKSUM_LEN);
        for (to, from) in out.iter_mut().skip(LENGTH_AT).zip(length.to_be_bytes()) {
            *to = from;
        }
        out.extend_from_slice(&crc32c::crc32c(&out).to_be_bytes());
        out
    }

    /// A valid record at the start of a slot.
    fn decode(slot: &[u8]) -> Option<Self> {
        let length = slot.get(LENGTH_AT..)?.first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (body, checksum) = slot.get(..length)?.split_last_chunk::<CHECKSUM_LEN>()?;
        if crc32c::crc32c(body) != u32::from_be_bytes(*checksum) {
            return None;
        }
        let mut reader = Reader(body);
        if reader.take::<8>()? != MAGIC || reader.u16()? != VERSION {
            return None;
        }
        let persist = reader.u16()? & 1 != 0;
        reader.take::<4>()?;
        let sequence = reader.u64()?;
        let serial = reader.text(SERIAL_LEN_MAX)?;
        let [kind] = *reader.take::<1>()?;
        let holder = reader.u32()?;
        let count = usize::try_from(reader.u32()?).ok().filter(|&n| n <= REGISTRATIONS_MAX)?;
        let mut registrations = Vec::with_capacity(count);
        for _ in 0..count {
            let key = reader.u64()?;
            let target_port = reader.u16()?;
            let initiator_port = reader.text(PORT_NAME_LEN_MAX)?;
            registrations.push(Registration::new(Nexus { initiator_port, target_port }, key));
        }
        let reservation = match kind {
            0 => None,
            kind => Some(reservation(ReservationType::from_code(kind)?, holder, &registrations)?),
        };
        Some(Self { sequence, serial, persist, reservation, registrations })
    }

    /// Index of the holder's registration.
    fn holder(&self) -> u32 {
        let holder = self.reservation.as_ref().and_then(|reservation| reservation.holder.as_ref());
        let at = holder.and_then(|holder| {
            self.registrations.iter().position(|registration| same(&registration.nexus, holder))
        });
        at.map_or(NO_HOLDER, narrow)
    }
}

impl Journal {
    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn note_change(&mut self) {
        self.changed = self.open;
    }
}

impl Reservations {
    /// Takes over what a state file holds; from now on there is one.
    ///
    /// # Errors
    /// [`SpcError::DamagedState`]; [`SpcError::ForeignState`] unless it is that of `serial`.
    pub(super) fn restore(&mut self, file: &[u8], lun: Lun, serial: &str) -> Result<(), SpcError> {
        let (image, next_slot) = match Image::newest_and_slot(file)? {
            Some((image, _)) if image.serial != serial => {
                let (serial, found) = (serial.to_owned(), image.serial);
                return Err(SpcError::ForeignState { lun, serial, found });
            }
            Some((image, slot)) => (image, 1 - slot),
            None => (Image::default(), 0),
        };
        let sequence = image.sequence;
        self.journal = Journal { open: true, sequence, next_slot, changed: false };
        self.persist = image.persist;
        self.registrations = image.registrations;
        self.reservation = image.reservation;
        self.legacy = None;
        Ok(())
    }

    /// The next record, if something changed since the last.
    pub(super) fn take_change(&mut self, lun: Lun, serial: &str) -> Option<StateChange> {
        if !self.journal.changed {
            return None;
        }
        // The first record of a file says that there is nothing, so that a file with one record
        // has never held more.
        let is_first = self.journal.sequence == 0;
        self.journal.changed = is_first;
        self.journal.sequence += 1;
        let sequence = self.journal.sequence;
        let mut image = Image { sequence, serial: serial.to_owned(), ..Image::default() };
        // Without APTPL nothing is kept: the record says so.
        if self.persist && !is_first {
            image.persist = true;
            image.reservation = self.reservation.clone();
            image.registrations = self.registrations.clone();
        }
        let slot = self.journal.next_slot;
        self.journal.next_slot = 1 - slot;
        let offset = u64::from(slot) * SLOT_LEN as u64;
        Some(StateChange { lun, slot, offset, bytes: image.encode() })
    }

    /// A record did not reach the medium: the next one goes to the same slot, for the other holds
    /// the newest that is whole.
    pub(super) fn change_lost(&mut self, slot: u8) {
        self.journal.next_slot = slot & 1;
        self.journal.changed = self.journal.open;
    }
}

/// Fields off the front of a byte string.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().copied().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().copied().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().copied().map(u64::from_be_bytes)
    }

    fn text(&mut self, max: usize) -> Option<String> {
        let len = usize::from(self.u16()?);
        let (text, rest) = self.0.split_at_checked(len).filter(|_| len <= max)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }
}

fn reservation(
    kind: ReservationType,
    holder: u32,
    registrations: &[Registration],
) -> Option<Reservation> {
    if kind.all_registrants() {
        return Some(Reservation { kind, holder: None });
    }
    let holder = registrations.get(usize::try_from(holder).ok()?)?.nexus.clone();
    Some(Reservation { kind, holder: Some(holder) })
}

/// Texts are bounded far below 64 KiB.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Lengths and counts are bounded by [`SLOT_LEN`].
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

const MAGIC: &[u8; 8] = b"OBRESERV";
const VERSION: u16 = 1;
const LENGTH_AT: usize = 12;
const CHECKSUM_LEN: usize = 4;
/// There is always a next number.
const SEQUENCES: std::ops::Range<u64> = 1..1 << 63;
const NO_HOLDER: u32 = u32::MAX;

const _: () = assert!(
    24 + 2 + SERIAL_LEN_MAX + 9 + REGISTRATIONS_MAX * (12 + PORT_NAME_LEN_MAX) + CHECKSUM_LEN
        <= SLOT_LEN,
    "the largest record fits its slot"
);

#[cfg(test)]
mod tests;
