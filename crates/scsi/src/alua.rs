//! Parameter data of REPORT and SET TARGET PORT GROUPS (SPC-6, asymmetric logical unit access).

use crate::bytes::Writer;
use crate::sense::Sense;

/// ASYMMETRIC ACCESS STATE of a target port group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AccessState {
    /// 0h: active/optimized.
    #[default]
    Optimized = 0x0,
    /// 1h: active/non-optimized.
    NonOptimized = 0x1,
    /// 2h: standby.
    Standby = 0x2,
    /// 3h: unavailable.
    Unavailable = 0x3,
}

/// STATUS CODE: why a group is in its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StatusCode {
    /// 00h: nothing to say.
    #[default]
    None = 0x00,
    /// 01h: SET TARGET PORT GROUPS.
    Explicit = 0x01,
    /// 02h: implicit behaviour.
    Implicit = 0x02,
}

/// One target port group as REPORT TARGET PORT GROUPS tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupDescriptor<'a> {
    /// TARGET PORT GROUP.
    pub group: u16,
    /// PREF: the preferred group.
    pub preferred: bool,
    /// Its state.
    pub state: AccessState,
    /// Why.
    pub status: StatusCode,
    /// Relative identifiers of its target ports; the first 255 are told.
    pub ports: &'a [u16],
}

/// One set target port group descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetGroup {
    /// The state asked for.
    pub state: AccessState,
    /// TARGET PORT GROUP.
    pub group: u16,
    /// First byte of the descriptor in the parameter list, for field pointers.
    pub at: u16,
}

impl AccessState {
    /// The state of this code, or `None` for those that are not supported: LBA dependent (4h),
    /// offline (Eh), transitioning (Fh) and reserved ones.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x0 => Self::Optimized,
            0x1 => Self::NonOptimized,
            0x2 => Self::Standby,
            0x3 => Self::Unavailable,
            _ => return None,
        })
    }

    /// Whether the group's ports accept every command.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Optimized | Self::NonOptimized)
    }
}

/// Writes REPORT TARGET PORT GROUPS parameter data and returns its whole length. `extended` is
/// PARAMETER DATA FORMAT 001b, whose header tells the implicit transition time (0: none known).
pub fn report<'a>(
    extended: bool,
    groups: impl IntoIterator<Item = GroupDescriptor<'a>>,
    out: &mut [u8],
) -> usize {
    const RETURN_DATA_LENGTH_LEN: usize = 4;
    const EXTENDED: u8 = 0b001 << 4;
    const PREF: u8 = 0x80;
    /// Unavailable, standby, active/non-optimized, active/optimized.
    const SUPPORTED: u8 = 0x0F;
    const PORTS_MAX: usize = 255;

    let mut writer = Writer::new(out);
    writer.zeros(RETURN_DATA_LENGTH_LEN);
    if extended {
        writer.put(&[EXTENDED, 0, 0, 0]);
    }
    for group in groups {
        let ports = group.ports.get(..PORTS_MAX).unwrap_or(group.ports);
        let pref = if group.preferred { PREF } else { 0 };
        writer.put(&[pref | group.state as u8, SUPPORTED]).put(&group.group.to_be_bytes());
        writer.put(&[0, group.status as u8, 0, ports.len() as u8]);
        for port in ports {
            writer.zeros(2).put(&port.to_be_bytes());
        }
    }
    let len = writer.len();
    let data = u32::try_from(len - RETURN_DATA_LENGTH_LEN).unwrap_or(u32::MAX);
    writer.patch(0, &data.to_be_bytes());
    len
}

/// The descriptors of a SET TARGET PORT GROUPS parameter list of as many bytes as the CDB's
/// PARAMETER LIST LENGTH; an empty list asks for nothing.
///
/// # Errors
/// PARAMETER LIST LENGTH ERROR for a list that ends in the middle of something. The items are
/// INVALID FIELD IN PARAMETER LIST for a state that cannot be asked for.
pub fn parse_set(
    list: &[u8],
) -> Result<impl ExactSizeIterator<Item = Result<SetGroup, Sense>> + Clone, Sense> {
    const HEADER_LEN: usize = 4;

    let descriptors = match list.split_at_checked(HEADER_LEN) {
        Some((_, descriptors)) => descriptors,
        None if list.is_empty() => &[],
        None => return Err(Sense::PARAMETER_LIST_LENGTH_ERROR),
    };
    let (descriptors, rest) = descriptors.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
    }
    Ok(descriptors.iter().enumerate().map(|(index, &[state, _, high, low])| {
        let at = u16::try_from(HEADER_LEN + 4 * index).unwrap_or(u16::MAX);
        match AccessState::from_code(state & 0x0F) {
            Some(state) => Ok(SetGroup { state, group: u16::from_be_bytes([high, low]), at }),
            None => Err(Sense::invalid_field_in_parameter_list(at, Some(3))),
        }
    }))
}

/// Writes a SET TARGET PORT GROUPS parameter list, for initiators and tests; returns its length.
pub fn encode_set(groups: impl IntoIterator<Item = (AccessState, u16)>, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out);
    writer.zeros(4);
    for (state, group) in groups {
        writer.put(&[state as u8, 0]).put(&group.to_be_bytes());
    }
    writer.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: GroupDescriptor<'_> = GroupDescriptor {
        group: 0x0102,
        preferred: true,
        state: AccessState::Standby,
        status: StatusCode::Explicit,
        ports: &[1, 0x0203],
    };

    #[test]
    fn report_bytes() {
        let mut out = [0xFF; 32];
        assert_eq!(report(false, [GROUP], &mut out), 20);
        assert_eq!(out[..20], [0, 0, 0, 16, 0x82, 0x0F, 1, 2, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 2, 3]);
        assert_eq!(report(true, [GROUP], &mut out), 24);
        assert_eq!(out[..12], [0, 0, 0, 20, 0x10, 0, 0, 0, 0x82, 0x0F, 1, 2]);
        assert_eq!(report(true, [GROUP], &mut out[..4]), 24);
        assert_eq!(out[..4], [0, 0, 0, 20]);
    }

    #[test]
    fn no_more_ports_than_the_count_can_tell() {
        let ports = [1; 300];
        let group = GroupDescriptor { ports: &ports, ..GROUP };
        let mut out = [0; 2048];
        assert_eq!(report(false, [group], &mut out), 4 + 8 + 255 * 4);
        assert_eq!(out[11], 255);
    }

    fn parse(list: &[u8]) -> Result<Vec<SetGroup>, Sense> {
        parse_set(list)?.collect()
    }

    #[test]
    fn set_bytes() {
        let list = [0, 0, 0, 0, 0x01, 0, 0, 7];
        assert_eq!(
            parse(&list),
            Ok(vec![SetGroup { state: AccessState::NonOptimized, group: 7, at: 4 }])
        );
        assert_eq!(parse(&list[..4]), Ok(vec![]));
        assert_eq!(parse(&[]), Ok(vec![]));
        for len in [1, 3, 5, 7] {
            assert_eq!(parse(&list[..len]), Err(Sense::PARAMETER_LIST_LENGTH_ERROR));
        }
        for state in [0x4, 0xE, 0xF] {
            let list = [0, 0, 0, 0, 0, 0, 0, 7, state, 0, 0, 7];
            assert_eq!(parse(&list), Err(Sense::invalid_field_in_parameter_list(8, Some(3))));
        }
    }

    proptest! {
        #[test]
        fn sets_round_trip(groups in prop::collection::vec((0_u8..4, any::<u16>()), 0..8)) {
            let groups: Vec<_> = groups
                .into_iter()
                .filter_map(|(state, group)| Some((AccessState::from_code(state)?, group)))
                .collect();
            let mut out = [0xFF; 64];
            let len = encode_set(groups.iter().copied(), &mut out);
            let parsed = parse(&out[..len]).unwrap();
            let parsed: Vec<_> = parsed.iter().map(|set| (set.state, set.group)).collect();
            prop_assert_eq!(parsed, groups);
        }

        #[test]
        fn takes_any_bytes(list: Vec<u8>) {
            let _ = parse(&list);
        }
    }
}
