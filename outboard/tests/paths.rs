//! Random task streams through every path: resident, single, single-map and bundled, the last three
//! with a real driver process, against a model of the disk. Each task ends exactly once, as a disk
//! may end it; slots and buffers come back; no process is left.
//!
//! `PROPTEST_CASES` sets the number of streams; each goes through all paths.

#[path = "paths/attached.rs"]
mod attached;
// The simulation's own: one initiator, one model of the disk, for all that judge answers.
#[path = "../../verify/sim/src/dice.rs"]
#[allow(dead_code, unreachable_pub, reason = "the simulation uses all of it")]
mod dice;
#[path = "../../verify/sim/src/initiator/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the simulation uses all of it")]
mod initiator;
#[path = "paths/stream.rs"]
mod stream;

use outboard_hba::Path;
use outboard_raid::{ArraySpec, Level, ZoneLayout};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use stream::{Setup, Step, run};

/// Streams without `PROPTEST_CASES`.
const CASES: u32 = 24;

fn config() -> ProptestConfig {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => CASES,
    };
    ProptestConfig {
        cases,
        // Each step back is a driver process started three times, and may hang.
        max_shrink_iters: 300,
        max_shrink_time: 60_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/paths.proptest-regressions",
        ))),
        ..ProptestConfig::default()
    }
}

/// Members that end their requests in another order than they got them, and members that do not.
fn member() -> impl Strategy<Value = String> {
    let size = prop::sample::select(vec![64u64, 96, 200, 256]);
    (size, 0..4u8, any::<u16>()).prop_map(|(kib, kind, seed)| match kind {
        0 => format!("mem:{kib}Ki"),
        1 => format!("mem:{kib}Ki?delay=1us..400us&delay-seed={seed}"),
        2 => format!("sim:ssd?size={kib}Ki&read-latency=30us&channels=4&seed={seed}"),
        _ => format!("sim:ssd?size={kib}Ki&delay=1us..200us&delay-seed={seed}"),
    })
}

fn array() -> impl Strategy<Value = ArraySpec> {
    let levels = prop::sample::select(vec![Level::Raid0, Level::Raid0, Level::Linear]);
    let zones = prop::sample::select(vec![ZoneLayout::Original, ZoneLayout::Alternate]);
    (levels, prop::sample::select(vec![4096u32, 8192, 16384]), zones)
        .prop_map(|(level, chunk, zone_layout)| ArraySpec { level, chunk, zone_layout })
}

fn setup() -> impl Strategy<Value = Setup> {
    let members = prop::collection::vec(member(), 1..4);
    (members, array(), 1u16..40, 0..3u16, prop::sample::select(vec![0u64, 100, 400])).prop_map(
        |(members, array, slots, lun, ordered)| {
            // Linear over one member is an array; one member without is the disk itself.
            let array = (members.len() > 1 || array.level == Level::Linear).then_some(array);
            Setup { members, array, slots, lun, ordered }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any::<u64>().prop_map(Step::Send),
        2 => any::<u64>().prop_map(Step::SendLate),
        4 => (1u8..6).prop_map(Step::Turn),
        1 => any::<u64>().prop_map(Step::Manage),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_path_is_a_disk(setup in setup(), steps in prop::collection::vec(step(), 1..160)) {
        for path in Path::ALL {
            if let Err(breach) = run(path, &setup, &steps) {
                return Err(TestCaseError::fail(format!("{path:?}: {breach}")));
            }
        }
    }
}
