use proptest::prelude::*;

use super::*;

fn list(transport_ids: Option<&[u8]>) -> ParameterList<'_> {
    ParameterList { key: 1, action_key: 2, all_ports: true, persist: true, transport_ids }
}

fn encoded(list: &ParameterList<'_>) -> Vec<u8> {
    let mut out = [0xFF; 4096];
    let len = list.encode(&mut out);
    out[..len].to_vec()
}

#[test]
fn basic_list_bytes() {
    let bytes = encoded(&list(None));
    assert_eq!(bytes[..8], 1_u64.to_be_bytes());
    assert_eq!(bytes[8..16], 2_u64.to_be_bytes());
    assert_eq!(bytes[16..], [0, 0, 0, 0, 0x05, 0, 0, 0]);
    assert_eq!(ParameterList::parse(&bytes), Ok(list(None)));
    for len in (0..24).chain([25]) {
        let mut other = bytes.clone();
        other.resize(len, 0);
        assert_eq!(ParameterList::parse(&other), Err(Sense::PARAMETER_LIST_LENGTH_ERROR), "{len}");
    }
}

#[test]
fn a_list_with_initiator_ports() {
    let mut ids = [0; 24];
    assert_eq!(TransportId::Device("iqn.a").encode(&mut ids), 24);
    let list = list(Some(&ids));
    let bytes = encoded(&list);
    assert_eq!(bytes[20..28], [0x0D, 0, 0, 0, 0, 0, 0, 24]);
    assert_eq!(ParameterList::parse(&bytes), Ok(list));
    assert_eq!(list.transport_ids().collect::<Vec<_>>(), [Ok(TransportId::Device("iqn.a"))]);
    for len in 0..bytes.len() {
        let cut = ParameterList::parse(&bytes[..len]);
        assert_eq!(cut, Err(Sense::PARAMETER_LIST_LENGTH_ERROR), "{len}");
    }
}

#[test]
fn move_list_bytes() {
    let initiator = TransportId::from_name("iqn.b,i,0x000000000001").unwrap();
    let list = MoveList {
        key: 1,
        action_key: 2,
        unregister: true,
        persist: true,
        target_port: 3,
        initiator,
    };
    let mut out = [0xFF; 128];
    let len = list.encode(&mut out);
    assert_eq!(out[16..24], [0, 0x03, 0, 3, 0, 0, 0, 28]);
    assert_eq!(MoveList::parse(&out[..len]), Ok(list));
    for cut in 0..len {
        assert_eq!(MoveList::parse(&out[..cut]), Err(Sense::PARAMETER_LIST_LENGTH_ERROR));
    }
    out[24] = 0x46;
    assert_eq!(MoveList::parse(&out), Err(Sense::invalid_field_in_parameter_list(24, None)));
    out[23] = 0;
    assert_eq!(MoveList::parse(&out), Err(Sense::invalid_field_in_parameter_list(20, None)));
}

#[test]
fn capabilities_bytes() {
    let none = Capabilities { persist_capable: false, persist_active: false };
    assert_eq!(none.encode(), [0, 8, 0x1C, 0x90, 0xEA, 0x01, 0, 0]);
    let both = Capabilities { persist_capable: true, persist_active: true };
    assert_eq!(both.encode(), [0, 8, 0x1D, 0x91, 0xEA, 0x01, 0, 0]);
}

#[test]
fn keys_bytes_and_their_truncation() {
    let mut out = [0xFF; 8];
    assert_eq!(read_keys(7, [1, 2], &mut out), 24);
    assert_eq!(out, [0, 0, 0, 7, 0, 0, 0, 16]);
}

#[test]
fn reservation_bytes() {
    let mut out = [0xFF; 24];
    assert_eq!(read_reservation(7, None, &mut out), 8);
    assert_eq!(out[..8], [0, 0, 0, 7, 0, 0, 0, 0]);
    let kind = ReservationType::ExclusiveAccessRegistrantsOnly;
    assert_eq!(read_reservation(7, Some((9, kind)), &mut out), 24);
    assert_eq!(out[4..], [0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 6, 0, 0]);
}

#[test]
fn full_status_bytes() {
    let status = FullStatus {
        key: 9,
        all_ports: true,
        holds: Some(ReservationType::WriteExclusive),
        target_port: 2,
        initiator: TransportId::Device("iqn.a"),
    };
    let mut out = [0xFF; 64];
    assert_eq!(read_full_status(7, [status], &mut out), 8 + 24 + 24);
    assert_eq!(out[..8], [0, 0, 0, 7, 0, 0, 0, 48]);
    assert_eq!(
        out[8..32],
        [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0x03, 0x01, 0, 0, 0, 0, 0, 2, 0, 0, 0, 24]
    );
    assert_eq!(out[32..36], [0x05, 0, 0, 20]);
}

#[test]
fn codes() {
    for kind in ReservationType::ALL {
        assert_eq!(ReservationType::from_code(kind.code()), Some(kind));
    }
    assert_eq!((0..=0xFF).filter_map(ReservationType::from_code).count(), 6);
}

proptest! {
    #[test]
    fn lists_round_trip(
        key: u64, action_key: u64, all_ports: bool, persist: bool, ids: Option<Vec<u8>>,
    ) {
        let list =
            ParameterList { key, action_key, all_ports, persist, transport_ids: ids.as_deref() };
        let bytes = encoded(&list);
        prop_assert_eq!(ParameterList::parse(&bytes), Ok(list));
    }

    #[test]
    fn take_any_bytes(list: Vec<u8>) {
        if let Ok(list) = ParameterList::parse(&list) {
            let _ = list.transport_ids().count();
        }
        let _ = MoveList::parse(&list);
    }
}
