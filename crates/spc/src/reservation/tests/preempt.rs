use super::*;

const PREEMPTED: Option<UnitAttention> = Some(UnitAttention::RegistrationsPreempted);
const RELEASED: Option<UnitAttention> = Some(UnitAttention::ReservationsReleased);

impl Rig {
    fn preempt(&mut self, id: NexusId, kind: Type, key: u64, action_key: u64) -> End {
        let end = self.out(id, Out::Preempt, kind, key, action_key);
        assert_eq!(self.target.take_effects(), []);
        end
    }

    fn attentions(&mut self) -> [Option<UnitAttention>; 3] {
        [self.a, self.b, self.c].map(|id| self.attention(id))
    }
}

#[test]
fn registrations_are_removed() {
    let mut rig = rig();
    rig.register_all();
    let b = rig.b;
    assert_eq!(rig.preempt(b, EA, KA, KA), Err(Conflict), "another's key");
    assert_eq!(rig.preempt(b, EA, KB, 99), Err(Conflict), "nobody's key");
    let zero = Err(Refused(Sense::invalid_field_in_parameter_list(8, None)));
    assert_eq!(rig.preempt(b, EA, KB, 0), zero);
    let generation = rig.generation();
    assert_eq!(rig.preempt(b, EA, KB, KA), Ok(vec![]));
    assert_eq!((rig.keys(), rig.reservation()), (vec![KB, KC], None));
    assert_eq!(rig.generation(), generation + 1);
    assert_eq!(rig.attentions(), [PREEMPTED, None, None]);
    assert_eq!(rig.preempt(b, EA, KB, KB), Ok(vec![]), "its own");
    assert_eq!(rig.keys(), [KC]);
    assert_eq!(rig.attentions(), [None; 3]);
}

#[test]
fn the_reservation_changes_hands() {
    let mut rig = rig();
    rig.register_all();
    let (a, b, c) = (rig.a, rig.b, rig.c);
    rig.reserve(a, EA, KA).unwrap();
    assert_eq!(rig.preempt(b, WERO, KB, KC), Ok(vec![]), "not the holder's key");
    assert_eq!(rig.reservation(), Some((KA, EA)));
    assert_eq!(rig.attentions(), [None, None, PREEMPTED]);
    rig.register(c, KC);

    assert_eq!(rig.preempt(b, WERO, KB, KA), Ok(vec![]));
    assert_eq!((rig.keys(), rig.reservation()), (vec![KB, KC], Some((KB, WERO))));
    assert_eq!(rig.attentions(), [PREEMPTED, None, RELEASED], "the type changed");
    assert!(rig.writes(b) && rig.writes(c) && !rig.writes(a));
    assert_eq!(rig.preempt(c, WERO, KC, KB), Ok(vec![]));
    assert_eq!(rig.attentions(), [None, PREEMPTED, None], "the same type");
    // The holder preempts itself: another type.
    rig.register(a, KA);
    assert_eq!(rig.preempt(c, EA, KC, KC), Ok(vec![]));
    assert_eq!((rig.keys(), rig.reservation()), (vec![KC, KA], Some((KC, EA))));
    assert_eq!(rig.attentions(), [RELEASED, None, None]);
    let list = ParameterList { key: KA, action_key: KC, ..LIST };
    let kind = Err(Refused(Sense::invalid_field_in_cdb(2, Some(3))));
    assert_eq!(rig.out_with(a, Out::Preempt, 2, &list), kind);
}

#[test]
fn all_registrants() {
    let mut rig = rig();
    rig.register_all();
    let (a, b) = (rig.a, rig.b);
    rig.reserve(a, EAAR, KA).unwrap();
    assert_eq!(rig.preempt(b, WE, KB, KA), Ok(vec![]), "one registration");
    assert_eq!((rig.keys(), rig.reservation()), (vec![KB, KC], Some((0, EAAR))));
    assert_eq!(rig.attentions(), [PREEMPTED, None, None]);
    assert_eq!(rig.preempt(b, WE, KB, 0), Ok(vec![]), "the reservation");
    assert_eq!((rig.keys(), rig.reservation()), (vec![KB], Some((KB, WE))));
    assert_eq!(rig.attentions(), [None, None, PREEMPTED]);
    rig.out(b, Out::Release, WE, KB, 0).unwrap();
    rig.reserve(b, WEAR, KB).unwrap();
    assert_eq!(rig.preempt(b, WE, KB, KB), Ok(vec![]), "the last registration");
    assert_eq!((rig.keys(), rig.reservation()), (vec![], None));
}

#[test]
fn preempt_and_abort() {
    let mut rig = rig();
    rig.register_all();
    let (a, b, c) = (rig.a, rig.b, rig.c);
    // c shares the key of a, through another nexus.
    rig.register(c, KA);
    rig.reserve(a, WERO, KA).unwrap();
    assert_eq!(rig.out(b, Out::PreemptAndAbort, WERO, KB, KA), Ok(vec![]));
    let lun = Lun::ZERO;
    let aborts = [a, c].map(|nexus| Effect::AbortTasks { nexus, lun });
    assert_eq!(rig.target.take_effects(), aborts);
    assert_eq!(rig.target.take_effects(), []);
    assert_eq!(rig.attentions(), [PREEMPTED, None, PREEMPTED]);
    assert_eq!(rig.reservation(), Some((KB, WERO)));
}

#[test]
fn a_closed_nexus_is_preempted_in_silence() {
    let mut rig = rig();
    rig.register_all();
    let (a, b) = (rig.a, rig.b);
    rig.reserve(a, EA, KA).unwrap();
    rig.target.close_nexus(a);
    assert_eq!(rig.out(b, Out::PreemptAndAbort, EA, KB, KA), Ok(vec![]));
    assert_eq!(rig.target.take_effects(), []);
    rig.a = open(&mut rig.target, A, 1);
    let a = rig.a;
    assert!(!rig.reads(a));
    assert_eq!(rig.reserve(a, EA, KA), Err(Conflict));
}
