use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::command::{PersistentReserveInAction as In, PersistentReserveOutAction as Out};
use outboard_scsi::persistent_reserve::{MoveList, ParameterList, ReservationType as Type};
use outboard_scsi::transport_id::TransportId;
use outboard_scsi::{Lun, Sense, Status};

use super::*;
use crate::target::{Target, TargetPort};
use crate::unit::LogicalUnit;
use crate::unit::tests::config;
use crate::verdict::{Effect, Verdict};

mod model;
mod preempt;
mod register;

/// One unit at LUN 0, two ports, three nexuses through port 1 and `a` through port 2 as well.
struct Rig {
    target: Target,
    a: NexusId,
    b: NexusId,
    c: NexusId,
    a2: NexusId,
}

const A: &str = "iqn.2026-01.example:a,i,0x00023d000001";
const B: &str = "iqn.2026-01.example:b,i,0x00023d000002";
const C: &str = "iqn.2026-01.example:c,i,0x00023d000003";
/// Keys of the three.
const KA: u64 = 0xA;
const KB: u64 = 0xB;
const KC: u64 = 0xC;

fn open(target: &mut Target, initiator_port: &str, target_port: u16) -> NexusId {
    let nexus = Nexus { initiator_port: initiator_port.to_owned(), target_port };
    let id = target.open_nexus(nexus).unwrap();
    target.unit_mut(Lun::ZERO).unwrap().attentions.clear_all(id.index());
    id
}

fn rig() -> Rig {
    let port = |relative_id| TargetPort { relative_id, name: String::new(), protocol: 5 };
    let mut target = Target::new("iqn.2026-01.example:t", vec![port(1), port(2)], 8);
    target.add_unit(Lun::ZERO, LogicalUnit::new(config())).unwrap();
    let [a, b, c, a2] = [(A, 1), (B, 1), (C, 1), (A, 2)].map(|(n, p)| open(&mut target, n, p));
    Rig { target, a, b, c, a2 }
}

/// How a command ended: its data, or why not.
type End = Result<Vec<u8>, End2>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End2 {
    Conflict,
    Refused(Sense),
}

use End2::{Conflict, Refused};

impl Rig {
    fn end(response: Response) -> End {
        match (response.status, response.sense) {
            (Status::Good, None) => Ok(response.data),
            (Status::ReservationConflict, None) => Err(Conflict),
            (Status::CheckCondition, Some(sense)) => Err(Refused(sense)),
            other => panic!("{other:?}"),
        }
    }

    /// A command without parameter list; one for the driver is GOOD.
    fn run(&mut self, id: NexusId, cdb: Cdb) -> End {
        let short = self.target.forward(id, [0; 8], cdb.as_slice());
        match self.target.check(id, [0; 8], cdb.as_slice()) {
            Verdict::Answer(response) => {
                assert_eq!(short, None, "the fast path must not let it pass");
                Self::end(response)
            }
            Verdict::Forward(_) => Ok(Vec::new()),
            Verdict::Data(_) => panic!("has a parameter list"),
        }
    }

    /// A command with a parameter list.
    fn send(&mut self, id: NexusId, cdb: Cdb, list: &[u8]) -> End {
        match self.target.check(id, [0; 8], cdb.as_slice()) {
            Verdict::Data(parameters) => {
                assert_eq!(parameters.length as usize, list.len());
                Self::end(self.target.parameters(id, Lun::ZERO, cdb.as_slice(), list))
            }
            Verdict::Answer(response) => Self::end(response),
            Verdict::Forward(forwarded) => panic!("{forwarded:?}"),
        }
    }

    fn out_with(&mut self, id: NexusId, action: Out, kind: u8, list: &ParameterList<'_>) -> End {
        let mut bytes = [0; 8192];
        let len = list.encode(&mut bytes);
        let cdb = build::persistent_reserve_out(action, kind, len as u32);
        self.send(id, cdb, &bytes[..len])
    }

    fn out(&mut self, id: NexusId, action: Out, kind: Type, key: u64, action_key: u64) -> End {
        let kind = kind.code();
        self.out_with(id, action, kind, &ParameterList { key, action_key, ..LIST })
    }

    fn register(&mut self, id: NexusId, key: u64) {
        let list = ParameterList { action_key: key, ..LIST };
        assert_eq!(self.out_with(id, Out::RegisterAndIgnoreExistingKey, 0, &list), Ok(vec![]));
    }

    /// `a`, `b` and `c` with their keys.
    fn register_all(&mut self) {
        for (id, key) in [(self.a, KA), (self.b, KB), (self.c, KC)] {
            self.register(id, key);
        }
    }

    fn reserve(&mut self, id: NexusId, kind: Type, key: u64) -> End {
        self.out(id, Out::Reserve, kind, key, 0)
    }

    /// Of no nexus, so that no unit attention is in the way.
    fn report(&mut self, action: In) -> Vec<u8> {
        self.target.unit(Lun::ZERO).unwrap().reservations.report(action, 4096).data
    }

    fn generation(&mut self) -> u32 {
        u32::from_be_bytes(*self.report(In::ReadKeys).first_chunk().unwrap())
    }

    fn keys(&mut self) -> Vec<u64> {
        let data = self.report(In::ReadKeys);
        let (keys, rest) = data[8..].as_chunks();
        assert!(rest.is_empty());
        keys.iter().copied().map(u64::from_be_bytes).collect()
    }

    /// Holder's key and type.
    fn reservation(&mut self) -> Option<(u64, Type)> {
        let data = self.report(In::ReadReservation);
        let descriptor = data[8..].first_chunk::<16>()?;
        let key = u64::from_be_bytes(*descriptor.first_chunk().unwrap());
        Some((key, Type::from_code(descriptor[13]).unwrap()))
    }

    fn attention(&mut self, id: NexusId) -> Option<UnitAttention> {
        let attentions = &mut self.target.unit_mut(Lun::ZERO).unwrap().attentions;
        let attention = attentions.take(id.index());
        assert!(!attentions.any(id.index()), "no more than one");
        attention
    }

    fn reads(&mut self, id: NexusId) -> bool {
        let end = self.run(id, build::read_10(0, 1));
        assert!(matches!(end, Ok(_) | Err(Conflict)), "{end:?}");
        let verdict = self.target.forward(id, [0; 8], build::read_10(0, 1).as_slice());
        assert_eq!(verdict.is_some(), end.is_ok(), "both paths judge alike");
        end.is_ok()
    }

    fn writes(&mut self, id: NexusId) -> bool {
        let end = self.run(id, build::write_10(0, 1));
        assert!(matches!(end, Ok(_) | Err(Conflict)), "{end:?}");
        let verdict = self.target.forward(id, [0; 8], build::write_10(0, 1).as_slice());
        assert_eq!(verdict.is_some(), end.is_ok(), "both paths judge alike");
        end.is_ok()
    }
}

const LIST: ParameterList<'_> =
    ParameterList { key: 0, action_key: 0, all_ports: false, persist: false, transport_ids: None };

const EA: Type = Type::ExclusiveAccess;
const WE: Type = Type::WriteExclusive;
const EARO: Type = Type::ExclusiveAccessRegistrantsOnly;
const WERO: Type = Type::WriteExclusiveRegistrantsOnly;
const EAAR: Type = Type::ExclusiveAccessAllRegistrants;
const WEAR: Type = Type::WriteExclusiveAllRegistrants;

#[test]
fn access_by_type() {
    // Type, then of a registrant: reads, writes; of another: reads, writes.
    let table = [
        (WE, [true, false], [true, false]),
        (EA, [false, false], [false, false]),
        (WERO, [true, true], [true, false]),
        (EARO, [true, true], [false, false]),
        (WEAR, [true, true], [true, false]),
        (EAAR, [true, true], [false, false]),
    ];
    for (kind, registrant, other) in table {
        let mut rig = rig();
        let (a, b, c, a2) = (rig.a, rig.b, rig.c, rig.a2);
        rig.register(a, KA);
        rig.register(b, KB);
        assert_eq!(rig.reserve(a, kind, KA), Ok(vec![]));
        assert_eq!([rig.reads(a), rig.writes(a)], [true, true], "{kind:?}, the holder");
        assert_eq!([rig.reads(b), rig.writes(b)], registrant, "{kind:?}, a registrant");
        assert_eq!([rig.reads(c), rig.writes(c)], other, "{kind:?}, another");
        assert_eq!([rig.reads(a2), rig.writes(a2)], other, "{kind:?}, another port");
        let late = open(&mut rig.target, "iqn.late", 2);
        assert_eq!([rig.reads(late), rig.writes(late)], other, "{kind:?}, a later login");

        let key = if kind.all_registrants() { 0 } else { KA };
        assert_eq!(rig.reservation(), Some((key, kind)));
        assert_eq!(rig.out(a, Out::Release, kind, KA, 0), Ok(vec![]));
        assert_eq!(rig.reservation(), None);
        assert!(rig.writes(c));
        let told = kind.admits_registrants().then_some(UnitAttention::ReservationsReleased);
        assert_eq!(rig.attention(b), told);
        assert_eq!([rig.attention(a), rig.attention(c)], [None, None]);
    }
}

#[test]
fn other_commands_under_exclusive_access() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    rig.register(a, KA);
    rig.reserve(a, EA, KA).unwrap();
    let allowed = [
        build::inquiry(None, 96),
        build::report_luns(0, 256),
        build::request_sense(false, 252),
        build::test_unit_ready(),
        build::read_capacity_10(),
        build::read_capacity_16(32),
        build::persistent_reserve_in(In::ReadKeys, 8),
        build::report_target_port_groups(false, 256),
        build::start_stop_unit(true),
    ];
    for cdb in allowed {
        assert!(rig.run(b, cdb).is_ok(), "{cdb:?}");
    }
    let refused = [
        build::mode_sense_6(false, 0x3F, 0, 252),
        build::start_stop_unit(false),
        build::synchronize_cache_10(0, 0),
        build::write_same_16(0, 1, false, true),
        build::verify_16(0, 1, 0),
        build::unmap(24),
        build::set_target_port_groups(8),
        build::reserve_6(),
        build::release_6(),
    ];
    for cdb in refused {
        assert_eq!(rig.run(b, cdb), Err(Conflict), "{cdb:?}");
    }
    // RESERVE and RELEASE by the holder change nothing and are GOOD.
    for cdb in [build::reserve_6(), build::release_10()] {
        assert_eq!(rig.run(a, cdb), Ok(vec![]));
    }
    assert_eq!(rig.reservation(), Some((KA, EA)));
}

#[test]
fn reserving_again() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    assert_eq!(rig.reserve(a, EA, 0), Err(Conflict), "not registered");
    rig.register_all();
    assert_eq!(rig.reserve(a, EA, KB), Err(Conflict), "another's key");
    assert_eq!(rig.reserve(a, EA, KA), Ok(vec![]));
    assert_eq!(rig.reserve(a, EA, KA), Ok(vec![]), "the same again");
    assert_eq!(rig.reserve(a, WE, KA), Err(Conflict), "another type");
    assert_eq!(rig.reserve(b, EA, KB), Err(Conflict), "another nexus");
    assert_eq!(rig.generation(), 3, "RESERVE is not counted");

    let release = |rig: &mut Rig, id, kind, key| rig.out(id, Out::Release, kind, key, 0);
    assert_eq!(release(&mut rig, b, EA, KB), Ok(vec![]), "of one that holds nothing");
    assert_eq!(release(&mut rig, a, EA, KB), Err(Conflict));
    let wrong = Err(Refused(Sense::INVALID_RELEASE_OF_RESERVATION));
    assert_eq!(release(&mut rig, a, WE, KA), wrong);
    assert_eq!(rig.reservation(), Some((KA, EA)));
    assert_eq!(release(&mut rig, a, EA, KA), Ok(vec![]));
    assert_eq!(release(&mut rig, a, EA, KA), Ok(vec![]), "none is left");
    assert_eq!(rig.reserve(b, WEAR, KB), Ok(vec![]));
    assert_eq!(rig.reserve(a, WEAR, KA), Ok(vec![]), "all registrants hold it");
}

#[test]
fn scope_and_type_are_checked() {
    let mut rig = rig();
    let a = rig.a;
    rig.register(a, KA);
    let mut reserve = |kind| {
        let list = ParameterList { key: KA, ..LIST };
        rig.out_with(a, Out::Reserve, kind, &list)
    };
    for kind in [0, 2, 4, 9, 0xF] {
        assert_eq!(reserve(kind), Err(Refused(Sense::invalid_field_in_cdb(2, Some(3)))));
    }
    let cdb = build::persistent_reserve_out(Out::Reserve, 1, 24).with(2, 0x10);
    let mut bytes = [0; 24];
    ParameterList { key: KA, ..LIST }.encode(&mut bytes);
    let scope = Err(Refused(Sense::invalid_field_in_cdb(2, Some(7))));
    assert_eq!(rig.send(a, cdb, &bytes), scope);
    let short = build::persistent_reserve_out(Out::Reserve, 1, 23);
    let length = Err(Refused(Sense::PARAMETER_LIST_LENGTH_ERROR));
    assert_eq!(rig.send(a, short, &bytes[..23]), length);
    let none = build::persistent_reserve_out(Out::Reserve, 1, 0);
    assert_eq!(rig.send(a, none, &[]), length);
}

#[test]
fn clear() {
    let mut rig = rig();
    rig.register_all();
    let (a, b, c) = (rig.a, rig.b, rig.c);
    rig.reserve(a, EA, KA).unwrap();
    assert_eq!(rig.out(b, Out::Clear, EA, KA, 0), Err(Conflict));
    assert_eq!(rig.out(b, Out::Clear, EA, KB, 0), Ok(vec![]));
    assert_eq!(rig.attention(a), Some(UnitAttention::ReservationsPreempted));
    assert_eq!(rig.attention(c), Some(UnitAttention::ReservationsPreempted));
    assert_eq!(rig.attention(b), None);
    assert_eq!((rig.keys(), rig.reservation(), rig.generation()), (vec![], None, 4));
}

#[test]
fn a_registration_outlives_its_nexus() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    rig.register(a, KA);
    rig.reserve(a, EARO, KA).unwrap();
    rig.target.close_nexus(a);
    assert!(!rig.writes(b));
    // The same port, with the digits of its ISID in the other case.
    rig.a = open(&mut rig.target, &A.replace("3d", "3D"), 1);
    let a = rig.a;
    assert!(rig.writes(a));
    assert_eq!(rig.reservation(), Some((KA, EARO)));
    assert_eq!(rig.out(a, Out::Release, EARO, KA, 0), Ok(vec![]));
}

#[test]
fn a_persistent_reservation_survives_a_reset() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    rig.register(a, KA);
    rig.reserve(a, WE, KA).unwrap();
    rig.target.reset_unit(Lun::ZERO);
    assert!(!rig.writes(b));
    assert_eq!(rig.reservation(), Some((KA, WE)));
}

#[test]
fn spc_2_reservations() {
    let mut rig = rig();
    let (a, b) = (rig.a, rig.b);
    assert_eq!(rig.run(a, build::reserve_6()), Ok(vec![]));
    assert_eq!(rig.run(a, build::reserve_10()), Ok(vec![]));
    for cdb in [
        build::reserve_6(),
        build::test_unit_ready(),
        build::mode_sense_6(false, 0x3F, 0, 252),
        build::persistent_reserve_in(In::ReadKeys, 8),
    ] {
        assert_eq!(rig.run(b, cdb), Err(Conflict), "{cdb:?}");
    }
    for cdb in [build::release_6(), build::inquiry(None, 96), build::report_luns(0, 64)] {
        assert!(rig.run(b, cdb).is_ok(), "{cdb:?}");
    }
    assert!(rig.writes(a) && !rig.reads(b), "RELEASE by another had no effect");
    let keys = build::persistent_reserve_in(In::ReadKeys, 8);
    assert_eq!(rig.run(a, keys), Err(Conflict), "even for the holder");
    assert_eq!(rig.out(a, Out::Register, EA, 0, KA), Err(Conflict));

    assert_eq!(rig.run(a, build::release_6()), Ok(vec![]));
    assert_eq!(rig.run(b, build::reserve_6()), Ok(vec![]));
    rig.target.close_nexus(b);
    assert!(rig.writes(a), "the reservation ended with its nexus");
    assert_eq!(rig.run(a, build::reserve_6()), Ok(vec![]));
    rig.target.reset_unit(Lun::ZERO);
    let c = rig.c;
    assert!(rig.writes(c), "the reservation ended with the reset");
}

#[test]
fn spc_2_reservations_beside_registrations() {
    let mut rig = rig();
    let (a, b, c) = (rig.a, rig.b, rig.c);
    rig.register(a, KA);
    assert_eq!(rig.run(c, build::reserve_6()), Err(Conflict));
    assert_eq!(rig.run(a, build::reserve_6()), Err(Conflict), "nothing is reserved yet");
    rig.register(b, KB);
    rig.reserve(a, WERO, KA).unwrap();
    assert_eq!(rig.run(b, build::reserve_6()), Ok(vec![]), "shares the reservation");
    assert_eq!(rig.run(c, build::release_6()), Err(Conflict));
    for bits in [0x10, 0x01] {
        let cdb = build::reserve_6().with(1, bits);
        assert!(matches!(rig.run(b, cdb), Err(Refused(_))), "obsolete fields");
    }
}

#[test]
fn full_status() {
    let mut rig = rig();
    rig.register_all();
    let b = rig.b;
    rig.reserve(b, EA, KB).unwrap();
    let data = rig.report(In::ReadFullStatus);
    let mut rest = &data[8..];
    let mut seen = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<24>() {
        let key = u64::from_be_bytes(*head.first_chunk().unwrap());
        let len = head[23] as usize;
        let id = outboard_scsi::transport_id::TransportIds::new(&tail[..len]).next();
        assert_eq!(head[19], 1, "target port");
        seen.push((key, head[12], head[13], id.unwrap().unwrap()));
        rest = &tail[len..];
    }
    let id = |name| TransportId::from_name(name).unwrap();
    assert_eq!(seen, [(KA, 0, 0, id(A)), (KB, 1, 3, id(B)), (KC, 0, 0, id(C))]);
    let cut = rig.run(b, build::persistent_reserve_in(In::ReadFullStatus, 9)).unwrap();
    assert_eq!(cut, data[..9], "the length field is not changed");
}

#[test]
fn capabilities_tell_whether_state_is_kept() {
    let mut rig = rig();
    assert_eq!(rig.report(In::ReportCapabilities), [0, 8, 0x1C, 0x90, 0xEA, 1, 0, 0]);
    rig.target.restore(Lun::ZERO, &[]).unwrap();
    assert_eq!(rig.report(In::ReportCapabilities), [0, 8, 0x1D, 0x90, 0xEA, 1, 0, 0]);
    let a = rig.a;
    let list = ParameterList { action_key: KA, persist: true, ..LIST };
    assert_eq!(rig.out_with(a, Out::Register, 0, &list), Ok(vec![]));
    assert_eq!(rig.report(In::ReportCapabilities), [0, 8, 0x1D, 0x91, 0xEA, 1, 0, 0]);
}
