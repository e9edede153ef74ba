use super::*;

fn ids(names: &[&str]) -> Vec<u8> {
    let mut list = Vec::new();
    for name in names {
        let mut out = [0; 300];
        let len = TransportId::from_name(name).unwrap().encode(&mut out);
        list.extend_from_slice(&out[..len]);
    }
    list
}

fn field(byte: u16, bit: Option<u8>) -> End {
    Err(Refused(Sense::invalid_field_in_parameter_list(byte, bit)))
}

#[test]
fn keys_are_compared() {
    let mut rig = rig();
    let a = rig.a;
    let mut register = |key, action_key| rig.out(a, Out::Register, WE, key, action_key);
    assert_eq!(register(1, KA), Err(Conflict), "not registered, so the key must be 0");
    assert_eq!(register(0, 0), Ok(vec![]), "nothing to do");
    assert_eq!(register(0, KA), Ok(vec![]));
    assert_eq!(register(0, 7), Err(Conflict));
    assert_eq!(register(KA, 7), Ok(vec![]));
    assert_eq!(rig.keys(), [7]);
    assert_eq!(rig.generation(), 2);
    assert_eq!(rig.out(a, Out::Register, WE, 7, 0), Ok(vec![]));
    assert_eq!(rig.keys(), []);
    assert_eq!(rig.out(a, Out::RegisterAndIgnoreExistingKey, WE, 99, 8), Ok(vec![]));
    assert_eq!(rig.out(a, Out::RegisterAndIgnoreExistingKey, WE, 99, 9), Ok(vec![]));
    assert_eq!(rig.keys(), [9]);
}

#[test]
fn unregistering_ends_what_it_holds() {
    for (kind, stays) in
        [(WE, false), (EA, false), (WERO, false), (EARO, false), (WEAR, true), (EAAR, true)]
    {
        let mut rig = rig();
        let (a, b) = (rig.a, rig.b);
        rig.register(a, KA);
        rig.register(b, KB);
        rig.reserve(a, kind, KA).unwrap();
        assert_eq!(rig.out(a, Out::Register, WE, KA, 0), Ok(vec![]));
        assert_eq!(rig.reservation().is_some(), stays, "{kind:?}");
        let told = matches!(kind, WERO | EARO).then_some(UnitAttention::ReservationsReleased);
        assert_eq!(rig.attention(b), told, "{kind:?}");
        assert_eq!(rig.attention(a), None);
        rig.out(b, Out::Register, WE, KB, 0).unwrap();
        assert_eq!(rig.reservation(), None, "nobody is left");
    }
}

#[test]
fn a_new_key_keeps_the_reservation() {
    let mut rig = rig();
    let a = rig.a;
    rig.register(a, KA);
    rig.reserve(a, EA, KA).unwrap();
    rig.register(a, 7);
    assert_eq!(rig.reservation(), Some((7, EA)));
}

#[test]
fn all_target_ports() {
    let mut rig = rig();
    let (a, a2, b) = (rig.a, rig.a2, rig.b);
    let list = ParameterList { action_key: KA, all_ports: true, ..LIST };
    assert_eq!(rig.out_with(a, Out::Register, 0, &list), Ok(vec![]));
    assert_eq!(rig.keys(), [KA, KA]);
    rig.reserve(a, EARO, KA).unwrap();
    assert!(rig.writes(a2) && !rig.writes(b));
    let list = ParameterList { key: KA, all_ports: true, ..LIST };
    assert_eq!(rig.out_with(a2, Out::Register, 0, &list), Ok(vec![]));
    assert_eq!((rig.keys(), rig.reservation()), (vec![], None));
    assert!(rig.writes(b));
}

#[test]
fn further_initiator_ports() {
    let mut rig = rig();
    let (a, b, c) = (rig.a, rig.b, rig.c);
    rig.register(c, KC);
    let list = ids(&[&B.to_uppercase().replace(",I,0X", ",i,0x"), C, "iqn.absent,i,0x1"]);
    let list = ParameterList { action_key: KA, transport_ids: Some(&list), ..LIST };
    assert_eq!(rig.out_with(a, Out::Register, 0, &list), Ok(vec![]));
    assert_eq!(rig.keys(), [KC, KA, KA, KA], "who is registered keeps the key");
    assert_eq!(rig.reserve(b, EA, KA), Ok(vec![]));
    let absent = open(&mut rig.target, "iqn.absent,i,0x000000000001", 1);
    assert_eq!(rig.out(absent, Out::Register, WE, KA, 0), Ok(vec![]));

    let list = ParameterList { key: KA, ..list };
    assert_eq!(rig.out_with(a, Out::Register, 0, &list), field(20, Some(3)), "registered");
    let list = ParameterList { key: KA, transport_ids: Some(&[]), ..LIST };
    assert_eq!(rig.out_with(a, Out::RegisterAndIgnoreExistingKey, 0, &list), field(20, Some(3)));
    assert_eq!(rig.out_with(a, Out::Clear, 0, &list), field(20, Some(3)));
}

#[test]
fn a_node_stands_for_its_known_ports() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    let second = open(&mut rig.target, &B.replace("0002", "0099"), 1);
    let list = ids(&["iqn.2026-01.example:b"]);
    let list = ParameterList { action_key: KA, transport_ids: Some(&list), ..LIST };
    assert_eq!(rig.out_with(a, Out::Register, 0, &list), Ok(vec![]));
    assert_eq!(rig.keys(), [KA; 3]);
    for id in [b, second] {
        assert_eq!(rig.out(id, Out::Register, WE, KA, 0), Ok(vec![]));
    }
    rig.out(a, Out::Register, WE, KA, 0).unwrap();
    let list = ids(&["iqn.2026-01.example:c", "iqn.nobody"]);
    let list = ParameterList { transport_ids: Some(&list), ..list_of(KA) };
    assert_eq!(rig.out_with(a, Out::Register, 0, &list), field(28, None));
    assert_eq!(rig.keys(), [], "all or none");
}

fn list_of(action_key: u64) -> ParameterList<'static> {
    ParameterList { action_key, ..LIST }
}

#[test]
fn malformed_transport_ids() {
    let mut rig = rig();
    let a = rig.a;
    let mut list = ids(&[B, C]);
    let second = list.len() / 2;
    list[second] = 0x06;
    let bad = ParameterList { transport_ids: Some(&list), ..list_of(KA) };
    assert_eq!(rig.out_with(a, Out::Register, 0, &bad), field(28 + second as u16, None));
    assert_eq!(rig.keys(), []);
}

#[test]
fn the_table_is_bounded() {
    let mut rig = rig();
    let a = rig.a;
    let port = |n: usize| Nexus { initiator_port: format!("iqn.x{n}"), target_port: 1 };
    let registrations = &mut rig.target.unit_mut(Lun::ZERO).unwrap().reservations.registrations;
    registrations.extend((0..REGISTRATIONS_MAX - 1).map(|n| Registration::new(port(n), 1)));
    let list = ids(&[B]);
    let two = ParameterList { transport_ids: Some(&list), ..list_of(KA) };
    let full = Err(Refused(Sense::INSUFFICIENT_REGISTRATION_RESOURCES));
    assert_eq!(rig.out_with(a, Out::Register, 0, &two), full);
    assert_eq!(rig.out_with(a, Out::Register, 0, &list_of(KA)), Ok(vec![]));
}

#[test]
fn a_list_names_each_port_once_and_not_too_many() {
    let mut rig = rig();
    let a = rig.a;
    rig.register(rig.b, KB);
    let upper = "iqn.2026-01.example:B";
    for twice in [[B, B], [&B.replace(":b", ":B"), B], [&upper.to_lowercase(), upper]] {
        let list = ids(&twice);
        let list = ParameterList { transport_ids: Some(&list), ..list_of(KA) };
        assert_eq!(rig.out_with(a, Out::Register, 0, &list), field(28, None), "{twice:?}");
    }
    assert_eq!(rig.keys(), [KB]);
    // A device and one of its ports are two.
    let list = ids(&["iqn.2026-01.example:b", B]);
    let list = ParameterList { transport_ids: Some(&list), ..list_of(KA) };
    assert_eq!(rig.out_with(a, Out::Register, 0, &list), Ok(vec![]));

    rig.out(a, Out::Register, WE, KA, 0).unwrap();
    let names: Vec<String> = (0..=TRANSPORT_IDS_MAX).map(|n| format!("iqn.x,i,0x{n:x}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let most = ids(&names[..TRANSPORT_IDS_MAX]);
    let most = ParameterList { transport_ids: Some(&most), ..list_of(KA) };
    let more = ids(&names);
    let more = ParameterList { transport_ids: Some(&more), ..list_of(KA) };
    let full = Err(Refused(Sense::INSUFFICIENT_REGISTRATION_RESOURCES));
    assert_eq!(rig.out_with(a, Out::Register, 0, &more), full);
    assert_eq!(rig.keys(), [KB], "all or none");
    assert_eq!(rig.out_with(a, Out::Register, 0, &most), Ok(vec![]));
    assert_eq!(rig.keys().len(), 2 + TRANSPORT_IDS_MAX);
}

#[test]
fn a_node_has_a_share_of_the_table() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    let registrations = &mut rig.target.unit_mut(Lun::ZERO).unwrap().reservations.registrations;
    registrations.extend((0..NODE_REGISTRATIONS_MAX).map(|n| {
        let initiator_port = format!("iqn.2026-01.EXAMPLE:a,i,0x{n:x}");
        Registration::new(Nexus { initiator_port, target_port: 1 }, 1)
    }));
    let full = Err(Refused(Sense::INSUFFICIENT_REGISTRATION_RESOURCES));
    assert_eq!(rig.out_with(a, Out::Register, 0, &list_of(KA)), full);
    assert_eq!(rig.out_with(b, Out::Register, 0, &list_of(KB)), Ok(vec![]), "another node");
}

#[test]
fn aptpl_needs_a_place() {
    let mut rig = rig();
    let a = rig.a;
    let list = ParameterList { persist: true, ..list_of(KA) };
    assert_eq!(rig.out_with(a, Out::Register, 0, &list), field(20, Some(0)));
    assert_eq!(rig.keys(), []);
}

impl Rig {
    fn move_to(&mut self, id: NexusId, list: &MoveList<'_>) -> End {
        let mut bytes = [0; 512];
        let len = list.encode(&mut bytes);
        let cdb = build::persistent_reserve_out(Out::RegisterAndMove, 0, len as u32);
        self.send(id, cdb, &bytes[..len])
    }
}

fn to<'a>(initiator: &'a str, target_port: u16) -> MoveList<'a> {
    MoveList {
        key: KA,
        action_key: 7,
        unregister: false,
        persist: false,
        target_port,
        initiator: TransportId::from_name(initiator).unwrap(),
    }
}

#[test]
fn register_and_move() {
    let mut rig = rig();
    let (a, a2, b) = (rig.a, rig.a2, rig.b);
    rig.register(a, KA);
    assert_eq!(rig.move_to(a, &to(B, 1)), Err(Conflict), "there is no reservation");
    rig.reserve(a, WE, KA).unwrap();
    assert_eq!(rig.move_to(a, &to(B, 1)), Ok(vec![]));
    assert_eq!(rig.reservation(), Some((7, WE)));
    assert_eq!(rig.keys(), [KA, 7]);
    assert!(rig.writes(b) && !rig.writes(a));
    assert_eq!(rig.move_to(a, &to(B, 1)), Err(Conflict), "no longer the holder");

    let back = MoveList { key: 7, action_key: 9, unregister: true, ..to(A, 2) };
    assert_eq!(rig.move_to(b, &back), Ok(vec![]));
    assert_eq!(rig.reservation(), Some((9, WE)));
    assert_eq!(rig.keys(), [KA, 9]);
    assert!(rig.writes(a2) && !rig.writes(b));
    assert_eq!(rig.generation(), 3);
}

#[test]
fn moves_that_are_refused() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    assert_eq!(rig.move_to(a, &to(B, 1)), Err(Conflict), "not registered");
    rig.register_all();
    rig.reserve(a, WE, KA).unwrap();
    assert_eq!(rig.move_to(b, &MoveList { key: KB, ..to(C, 1) }), Err(Conflict), "not the holder");
    assert_eq!(rig.move_to(a, &MoveList { key: 1, ..to(B, 1) }), Err(Conflict));
    assert_eq!(rig.move_to(a, &MoveList { action_key: 0, ..to(B, 1) }), field(8, None));
    assert_eq!(rig.move_to(a, &MoveList { persist: true, ..to(B, 1) }), field(17, Some(0)));
    assert_eq!(rig.move_to(a, &to(B, 3)), field(18, None));
    assert_eq!(rig.move_to(a, &to(A, 1)), field(24, None), "to itself");
    assert_eq!(rig.move_to(a, &to("iqn.2026-01.example:b", 1)), field(24, None), "a device");
    assert_eq!((rig.keys(), rig.reservation()), (vec![KA, KB, KC], Some((KA, WE))));
    rig.out(a, Out::Release, WE, KA, 0).unwrap();
    rig.reserve(a, WEAR, KA).unwrap();
    assert_eq!(rig.move_to(a, &to(B, 1)), Err(Conflict), "all registrants");
}
