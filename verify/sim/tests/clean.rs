//! Some seeds are clean, and repeat.
//!
//! `cargo xtask sim` runs as many as one wants.

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
