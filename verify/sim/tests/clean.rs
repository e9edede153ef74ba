//! Some seeds are clean, and repeat.
//!
//! `cargo xtask sim` runs as many as one wants.

use outboard_sim::fault::Fault;
use outboard_sim::scenario::Scenario;
use outboard_sim::{Summary, run};

/// Runs.
const SEEDS: u64 = 120;
/// Tasks of each.
const TASKS: u64 = 800;

#[test]
fn every_task_ends_once_whatever_happens() {
    let mut all = Summary::default();
    for seed in 0..SEEDS {
        match run(seed, TASKS, |_| {}) {
            Ok(summary) => all.add(&summary),
            Err(breach) => panic!("cargo xtask sim --seed {seed} --tasks {TASKS}: {breach}"),
        }
    }
    println!("{}{:?}, {} deaths", all.coverage.table(), all.tally, all.deaths);
    // A simulation in which nothing happens shows nothing.
    let tally = all.tally;
    assert!(tally.good > 50_000 && tally.failed > 500 && tally.aborted > 200, "{tally:?}");
    assert!(tally.replays > 200 && tally.functions > 200 && all.deaths > 100, "{tally:?}");
}

#[test]
fn a_seed_repeats_its_run() {
    for seed in [3, 7, 11] {
        assert_eq!(run(seed, 500, |_| {}), run(seed, 500, |_| {}));
    }
}

/// No trouble at all, over one disk.
fn quiet(scenario: &mut Scenario) {
    scenario.members = vec![64 << 10];
    scenario.array = None;
    scenario.faults.clear();
    scenario.manage = 0;
}

#[test]
fn a_task_that_kills_drivers_is_found_and_named() {
    let mut named = 0;
    for seed in 0..40 {
        let change = |scenario: &mut Scenario| {
            quiet(scenario);
            (scenario.faults, scenario.trouble) = (vec![Fault::Poison], 1500);
        };
        let summary = run(seed, 300, change).unwrap_or_else(|breach| panic!("{breach}"));
        assert!(summary.deaths >= 3 * summary.poison.len() as u64, "{summary:?}");
        named += summary.poison.len();
    }
    // Now and then a later write overtakes it first.
    assert!(named >= 30, "{named} in 40 runs");
}

#[test]
fn a_slow_disk_is_not_taken_for_a_hang() {
    for seed in 0..10 {
        let change = |scenario: &mut Scenario| {
            quiet(scenario);
            (scenario.takes, scenario.ordered) = ((2_200_000_000, 3_000_000_000), 0);
            // A command of several requests that waits for another such one has 10 s for all.
            scenario.slots = 2;
        };
        let summary = run(seed, 60, change).unwrap_or_else(|breach| panic!("{breach}"));
        assert_eq!((summary.deaths, summary.tally.aborted), (0, 0), "seed {seed}");
    }
}
