//! Parameter data of PERSISTENT RESERVE IN and OUT (SPC-6, PERSISTENT RESERVE IN and PERSISTENT
//! RESERVE OUT).

use crate::bytes::Writer;
use crate::sense::Sense;
use crate::transport_id::{TransportId, TransportIds};

/// Bytes of a basic parameter list without TransportIDs.
pub const PARAMETER_LIST_LEN: usize = 24;
/// Where the TransportIDs begin, after their length field.
const TRANSPORT_IDS_AT: usize = 28;

/// TYPE of a persistent reservation, of logical unit scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReservationType {
    /// 1h: others read.
    WriteExclusive = 0x1,
    /// 3h: others neither read nor write.
    ExclusiveAccess = 0x3,
    /// 5h: registrants write, others read.
    WriteExclusiveRegistrantsOnly = 0x5,
    /// 6h: registrants read and write.
    ExclusiveAccessRegistrantsOnly = 0x6,
    /// 7h: as 5h, and every registrant holds the reservation.
    WriteExclusiveAllRegistrants = 0x7,
    /// 8h: as 6h, and every registrant holds the reservation.
    ExclusiveAccessAllRegistrants = 0x8,
}

/// The parameter list of every service action but REGISTER AND MOVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterList<'a> {
    /// RESERVATION KEY.
    pub key: u64,
    /// SERVICE ACTION RESERVATION KEY.
    pub action_key: u64,
    /// ALL_TG_PT.
    pub all_ports: bool,
    /// APTPL.
    pub persist: bool,
    /// The TransportIDs, if SPEC_I_PT is set.
    pub transport_ids: Option<&'a [u8]>,
}

/// The parameter list of REGISTER AND MOVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveList<'a> {
    /// RESERVATION KEY.
    pub key: u64,
    /// SERVICE ACTION RESERVATION KEY.
    pub action_key: u64,
    /// UNREG: unregister the nexus that sent the command.
    pub unregister: bool,
    /// APTPL.
    pub persist: bool,
    /// RELATIVE TARGET PORT IDENTIFIER of the new holder's nexus.
    pub target_port: u16,
    /// TransportID of the new holder.
    pub initiator: TransportId<'a>,
}

/// REPORT CAPABILITIES parameter data. What does not vary here: all six types, SPEC_I_PT,
/// ALL_TG_PT, compatible reservation handling (CRH), ALLOW COMMANDS 001b (TEST UNIT READY is
/// allowed, nothing is said of others).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// PTPL_C: reservations can persist through power loss.
    pub persist_capable: bool,
    /// PTPL_A: they do now.
    pub persist_active: bool,
}

/// One registration of READ FULL STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullStatus<'a> {
    /// RESERVATION KEY.
    pub key: u64,
    /// ALL_TG_PT: the registration is for all target ports.
    pub all_ports: bool,
    /// TYPE of the reservation if this nexus holds it (R_HOLDER).
    pub holds: Option<ReservationType>,
    /// RELATIVE TARGET PORT IDENTIFIER.
    pub target_port: u16,
    /// The initiator port.
    pub initiator: TransportId<'a>,
}

impl ReservationType {
    /// All types, ascending.
    pub const ALL: [Self; 6] = [
        Self::WriteExclusive,
        Self::ExclusiveAccess,
        Self::WriteExclusiveRegistrantsOnly,
        Self::ExclusiveAccessRegistrantsOnly,
        Self::WriteExclusiveAllRegistrants,
        Self::ExclusiveAccessAllRegistrants,
    ];

    /// The type of this code, or `None` for reserved and obsolete ones.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x1 => Self::WriteExclusive,
            0x3 => Self::ExclusiveAccess,
            0x5 => Self::WriteExclusiveRegistrantsOnly,
            0x6 => Self::ExclusiveAccessRegistrantsOnly,
            0x7 => Self::WriteExclusiveAllRegistrants,
            0x8 => Self::ExclusiveAccessAllRegistrants,
            _ => return None,
        })
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether every registered nexus holds the reservation.
    #[must_use]
    pub const fn all_registrants(self) -> bool {
        matches!(self, Self::WriteExclusiveAllRegistrants | Self::ExclusiveAccessAllRegistrants)
    }

    /// Whether every registered nexus may do what the holder may: types of "registrants only" and
    /// "all registrants".
    #[must_use]
    pub const fn admits_registrants(self) -> bool {
        !matches!(self, Self::WriteExclusive | Self::ExclusiveAccess)
    }

    /// Whether all others may read.
    #[must_use]
    pub const fn admits_readers(self) -> bool {
        matches!(
            self,
            Self::WriteExclusive
                | Self::WriteExclusiveRegistrantsOnly
                | Self::WriteExclusiveAllRegistrants
        )
    }
}

impl<'a> ParameterList<'a> {
    /// Parses a parameter list of as many bytes as the CDB's PARAMETER LIST LENGTH.
    ///
    /// # Errors
    /// PARAMETER LIST LENGTH ERROR unless the list has 24 bytes or, with SPEC_I_PT, at least as
    /// many as its TransportIDs need.
    pub fn parse(list: &'a [u8]) -> Result<Self, Sense> {
        let Some((&[k0, k1, k2, k3, k4, k5, k6, k7, a0, a1, a2, a3, a4, a5, a6, a7, ..], rest)) =
            list.split_first_chunk::<PARAMETER_LIST_LEN>()
        else {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        };
        let flags = list.get(20).copied().unwrap_or(0);
        let transport_ids = match flags & SPEC_I_PT {
            0 if rest.is_empty() => None,
            0 => return Err(Sense::PARAMETER_LIST_LENGTH_ERROR),
            _ => Some(sized(rest)?),
        };
        Ok(Self {
            key: u64::from_be_bytes([k0, k1, k2, k3, k4, k5, k6, k7]),
            action_key: u64::from_be_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            all_ports: flags & ALL_TG_PT != 0,
            persist: flags & APTPL != 0,
            transport_ids,
        })
    }

    /// The TransportIDs. See [`Self::invalid_transport_id`] for malformed ones.
    #[must_use]
    pub const fn transport_ids(&self) -> TransportIds<'a> {
        TransportIds::new(match self.transport_ids {
            Some(list) => list,
            None => &[],
        })
    }

    /// INVALID FIELD IN PARAMETER LIST for byte `at` of the TransportIDs.
    #[must_use]
    pub fn invalid_transport_id(at: usize) -> Sense {
        let byte = u16::try_from(TRANSPORT_IDS_AT + at).unwrap_or(u16::MAX);
        Sense::invalid_field_in_parameter_list(byte, None)
    }

    /// Writes the list, for initiators and tests; returns its whole length.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let flags = flag(self.transport_ids.is_some(), SPEC_I_PT)
            | flag(self.all_ports, ALL_TG_PT)
            | flag(self.persist, APTPL);
        let mut writer = Writer::new(out);
        writer.put(&self.key.to_be_bytes()).put(&self.action_key.to_be_bytes());
        writer.zeros(4).put(&[flags, 0, 0, 0]);
        if let Some(ids) = self.transport_ids {
            writer.put(&be32(ids.len())).put(ids);
        }
        writer.len()
    }
}

impl<'a> MoveList<'a> {
    /// Parses a parameter list of as many bytes as the CDB's PARAMETER LIST LENGTH.
    ///
    /// # Errors
    /// PARAMETER LIST LENGTH ERROR for too short a list; INVALID FIELD IN PARAMETER LIST for
    /// anything but one TransportID.
    pub fn parse(list: &'a [u8]) -> Result<Self, Sense> {
        let Some((
            &[k0, k1, k2, k3, k4, k5, k6, k7, a0, a1, a2, a3, a4, a5, a6, a7, _, flags, high, low],
            rest,
        )) = list.split_first_chunk::<20>()
        else {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        };
        let mut ids = TransportIds::new(sized(rest)?);
        let initiator = match (ids.next(), ids.next()) {
            (Some(Ok(id)), None) => id,
            (Some(Err(malformed)), _) => {
                let byte = u16::try_from(24 + malformed.at).unwrap_or(u16::MAX);
                return Err(Sense::invalid_field_in_parameter_list(byte, None));
            }
            _ => return Err(Sense::invalid_field_in_parameter_list(20, None)),
        };
        Ok(Self {
            key: u64::from_be_bytes([k0, k1, k2, k3, k4, k5, k6, k7]),
            action_key: u64::from_be_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            unregister: flags & UNREG != 0,
            persist: flags & APTPL != 0,
            target_port: u16::from_be_bytes([high, low]),
            initiator,
        })
    }

    /// Writes the list, for initiators and tests; returns its whole length.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let mut writer = Writer::new(out);
        writer.put(&self.key.to_be_bytes()).put(&self.action_key.to_be_bytes());
        writer.put(&[0, flag(self.unregister, UNREG) | flag(self.persist, APTPL)]);
        writer.put(&self.target_port.to_be_bytes()).put(&be32(self.initiator.len()));
        self.initiator.write(&mut writer);
        writer.len()
    }
}

impl Capabilities {
    /// REPORT CAPABILITIES parameter data.
    #[must_use]
    pub const fn encode(&self) -> [u8; 8] {
        const CRH: u8 = 0x10;
        const SIP_C: u8 = 0x08;
        const ATP_C: u8 = 0x04;
        const PTPL_C: u8 = 0x01;
        const TMV: u8 = 0x80;
        const ALLOW_COMMANDS: u8 = 0b001 << 4;
        const PTPL_A: u8 = 0x01;
        /// WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX and, in the next byte, EX_AC_AR.
        const TYPE_MASK: [u8; 2] = [0xEA, 0x01];

        let flags = CRH | SIP_C | ATP_C | flag(self.persist_capable, PTPL_C);
        let active = TMV | ALLOW_COMMANDS | flag(self.persist_active, PTPL_A);
        [0, 8, flags, active, TYPE_MASK[0], TYPE_MASK[1], 0, 0]
    }
}

/// Writes READ KEYS parameter data and returns its whole length.
pub fn read_keys(generation: u32, keys: impl IntoIterator<Item = u64>, out: &mut [u8]) -> usize {
    with_header(generation, out, |writer| {
        for key in keys {
            writer.put(&key.to_be_bytes());
        }
    })
}

/// Writes READ RESERVATION parameter data and returns its whole length. `reservation` is the
/// holder's key (0 if all registrants hold it) and the type.
pub fn read_reservation(
    generation: u32,
    reservation: Option<(u64, ReservationType)>,
    out: &mut [u8],
) -> usize {
    with_header(generation, out, |writer| {
        if let Some((key, kind)) = reservation {
            writer.put(&key.to_be_bytes()).zeros(5).put(&[kind.code(), 0, 0]);
        }
    })
}

/// Writes READ FULL STATUS parameter data and returns its whole length.
pub fn read_full_status<'a>(
    generation: u32,
    registrations: impl IntoIterator<Item = FullStatus<'a>>,
    out: &mut [u8],
) -> usize {
    const STATUS_ALL_TG_PT: u8 = 0x02;
    const R_HOLDER: u8 = 0x01;

    with_header(generation, out, |writer| {
        for status in registrations {
            let flags =
                flag(status.all_ports, STATUS_ALL_TG_PT) | flag(status.holds.is_some(), R_HOLDER);
            let kind = status.holds.map_or(0, ReservationType::code);
            writer.put(&status.key.to_be_bytes()).zeros(4).put(&[flags, kind]).zeros(4);
            writer.put(&status.target_port.to_be_bytes()).put(&be32(status.initiator.len()));
            status.initiator.write(writer);
        }
    })
}

/// PRGENERATION, ADDITIONAL LENGTH, then the body.
fn with_header(generation: u32, out: &mut [u8], body: impl FnOnce(&mut Writer<'_>)) -> usize {
    let mut writer = Writer::new(out);
    writer.put(&generation.to_be_bytes()).zeros(4);
    body(&mut writer);
    let len = writer.len();
    writer.patch(4, &be32(len - 8));
    len
}

/// What follows a 32-bit length field, as long as it says.
fn sized(list: &[u8]) -> Result<&[u8], Sense> {
    let (&length, rest) = list.split_first_chunk().ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    rest.get(..length).ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)
}

fn be32(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

const SPEC_I_PT: u8 = 0x08;
const ALL_TG_PT: u8 = 0x04;
const UNREG: u8 = 0x02;
const APTPL: u8 = 0x01;

#[cfg(test)]
mod tests;
