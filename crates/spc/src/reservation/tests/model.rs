//! What must hold after any sequence of commands.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Out { who: usize, action: u8, kind: u8, key: u64, action_key: u64, flags: u8 },
    Reserve { who: usize, release: bool },
    Relogin { who: usize },
    Reset,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || select(vec![0, KA, KB, KC]);
    let out = (0..4_usize, 0..7_u8, 0..10_u8, keys(), keys(), 0..8_u8).prop_map(
        |(who, action, kind, key, action_key, flags)| Step::Out {
            who,
            action,
            kind,
            key,
            action_key,
            flags,
        },
    );
    prop_oneof![
        20 => out,
        2 => (0..4_usize, any::<bool>()).prop_map(|(who, release)| Step::Reserve { who, release }),
        2 => (0..4_usize).prop_map(|who| Step::Relogin { who }),
        1 => Just(Step::Reset),
        1 => Just(Step::Restart),
    ]
}

fn unit(rig: &Rig) -> &Reservations {
    &rig.target.unit(Lun::ZERO).unwrap().reservations
}

/// The file that holds what was written so far.
fn write(rig: &mut Rig, file: &mut Vec<u8>) {
    while let Some(change) = rig.target.take_state_changes() {
        let at = change.offset as usize;
        file.resize(file.len().max(at + change.bytes.len()), 0);
        file[at..at + change.bytes.len()].copy_from_slice(&change.bytes);
    }
}

proptest! {
    #[test]
    fn invariants(steps in prop::collection::vec(step(), 1..60)) {
        let mut rig = rig();
        let mut file = Vec::new();
        rig.target.restore(Lun::ZERO, &file).unwrap();
        let mut ids = [rig.a, rig.b, rig.c, rig.a2];
        let names = [(A, 1), (B, 1), (C, 1), (A, 2)];
        for step in steps {
            let before = unit(&rig).clone();
            match step {
                Step::Out { who, action, kind, key, action_key, flags } => {
                    let list = ParameterList {
                        key,
                        action_key,
                        all_ports: flags & 1 != 0,
                        persist: flags & 2 != 0,
                        transport_ids: None,
                    };
                    let actions = [
                        Out::Register, Out::Reserve, Out::Release, Out::Clear, Out::Preempt,
                        Out::PreemptAndAbort, Out::RegisterAndIgnoreExistingKey,
                    ];
                    let action = actions[usize::from(action)];
                    let ended = rig.out_with(ids[who], action, kind, &list);
                    let after = unit(&rig);
                    if ended.is_err() {
                        prop_assert_eq!(&after.registrations, &before.registrations);
                        prop_assert_eq!(&after.reservation, &before.reservation);
                        prop_assert_eq!(after.generation, before.generation);
                    }
                    rig.target.take_effects();
                }
                Step::Reserve { who, release } => {
                    let cdb = if release { build::release_6() } else { build::reserve_6() };
                    let _ = rig.run(ids[who], cdb);
                }
                Step::Relogin { who } => {
                    rig.target.close_nexus(ids[who]).unwrap();
                    ids[who] = open(&mut rig.target, names[who].0, names[who].1);
                }
                Step::Reset => rig.target.reset_unit(Lun::ZERO),
                Step::Restart => {
                    rig = super::rig();
                    rig.target.restore(Lun::ZERO, &file).unwrap();
                    ids = [rig.a, rig.b, rig.c, rig.a2];
                    let after = unit(&rig);
                    if before.persist {
                        prop_assert_eq!(&after.registrations, &before.registrations);
                        prop_assert_eq!(&after.reservation, &before.reservation);
                    } else {
                        prop_assert!(after.registrations.is_empty());
                    }
                    prop_assert_eq!(after.persist, before.persist);
                }
            }
            write(&mut rig, &mut file);
            for id in ids {
                rig.target.unit_mut(Lun::ZERO).unwrap().attentions.clear_all(id.index());
                // Both assert that the short way and the long one judge alike.
                let (reads, writes) = (rig.reads(id), rig.writes(id));
                prop_assert!(reads || !writes, "who writes may read");
            }
            let state = unit(&rig);
            prop_assert!(state.legacy.is_none() || state.reservation.is_none());
            prop_assert!(state.legacy.is_none() || state.registrations.is_empty());
            if let Some(reservation) = &state.reservation {
                prop_assert!(!state.registrations.is_empty(), "a holder is registered");
                prop_assert_eq!(reservation.holder.is_none(), reservation.kind.all_registrants());
                if let Some(holder) = &reservation.holder {
                    prop_assert!(state.key_of(holder).is_some());
                }
            }
            prop_assert!(state.registrations.iter().all(|r| r.key != 0));
            for (at, one) in state.registrations.iter().enumerate() {
                let twice = state.registrations.iter().skip(at + 1).any(|r| same(&r.nexus, &one.nexus));
                prop_assert!(!twice, "one registration a nexus");
            }
        }
    }
}
