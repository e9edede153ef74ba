//! Seeded smoke simulation: the real stack, runner, array driver, `raid`, `sbc` and simulated disks
//! on a virtual clock, while drivers die, hang and lie, and disks fail.
//!
//! `OUTBOARD_SEED=n` runs one seed alone, `OUTBOARD_SEEDS=n` the first n; a failure names its seed.

#[path = "simulation/attempts.rs"]
mod attempts;
#[path = "simulation/driver.rs"]
mod driver;
mod initiator;
#[path = "simulation/lies.rs"]
mod lies;
#[path = "simulation/machine.rs"]
mod machine;
#[path = "simulation/scenario.rs"]
mod scenario;

use initiator::{Dice, Tally};
use machine::Machine;
use scenario::{Planted, Scenario};

/// Runs of the smoke simulation.
const SEEDS: u64 = 500;
/// Most runs until a planted mistake must have shown.
const SEEDS_TO_FIND: u64 = 60;

/// One run; what it amounts to, and the deaths in it.
fn run(seed: u64, change: impl FnOnce(&mut Scenario)) -> Result<(Tally, u64), String> {
    run_and(seed, change, |_| ()).map(|(tally, deaths, ())| (tally, deaths))
}

/// The same, with a look at the machine afterwards.
fn run_and<T>(
    seed: u64,
    change: impl FnOnce(&mut Scenario),
    look: impl FnOnce(&mut Machine) -> T,
) -> Result<(Tally, u64, T), String> {
    let mut dice = Dice::new(seed);
    let mut scenario = Scenario::draw(&mut dice);
    change(&mut scenario);
    let told = format!("seed {seed}, {scenario:?}");
    let mut machine = Machine::new(scenario, dice).map_err(|e| format!("{told}: {e}"))?;
    let tally = machine.run().map(|initiator| initiator.tally);
    let deaths = machine.deaths;
    tally
        .map(|tally| (tally, deaths, look(&mut machine)))
        .map_err(|e| format!("OUTBOARD_SEED={seed} repeats this run\n{e}\n{told}"))
}

#[test]
fn every_task_ends_once_whatever_happens() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("OUTBOARD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("OUTBOARD_SEEDS").unwrap_or(SEEDS),
    };
    let few = seeds.end - seeds.start < SEEDS;
    let (mut all, mut deaths) = (Tally::default(), 0);
    for seed in seeds {
        let (tally, died) = run(seed, |_| {}).unwrap_or_else(|breach| panic!("{breach}"));
        all.add(&tally);
        deaths += died;
    }
    println!("{all:?}, {deaths} deaths");
    // A simulation in which nothing happens shows nothing.
    if !few {
        assert!(all.good > 50_000 && all.failed > 1000 && all.aborted > 1000, "{all:?}");
        assert!(all.replays > 1000 && all.functions > 1000 && deaths > 500, "{all:?}, {deaths}");
    }
}

#[test]
fn a_seed_repeats_its_run() {
    let twice = [0, 1].map(|_| run(7, |_| {}).map(|(tally, deaths)| format!("{tally:?} {deaths}")));
    assert_eq!(twice[0], twice[1]);
}

/// Runs seeds with a planted mistake until a checker finds it; what it says.
fn find(planted: Planted) -> Option<String> {
    let plant = |scenario: &mut Scenario| {
        // No other trouble, but for that which the mistake needs.
        scenario.planted = planted;
        scenario.lies = (0, 0);
        scenario.hang = 0;
        scenario.faults = false;
        scenario.members = vec!["mem:32Ki?delay=0us..3ms".to_owned()];
        scenario.array = None;
        scenario.slots = 16;
        scenario.writes = 800;
        scenario.manage = 0;
        scenario.poison = None;
        scenario.scribbles = planted == Planted::SpoiledRepeated;
        scenario.crash = match planted {
            Planted::OvertakenRepeated
            | Planted::SpoiledRepeated
            | Planted::NoFence
            | Planted::Nothing => 30,
            _ => 0,
        };
    };
    (0..SEEDS_TO_FIND).find_map(|seed| run(seed, plant).err())
}

#[test]
fn planted_mistakes_are_found() {
    let all = [
        (Planted::AnswerLost, "has not ended after"),
        (Planted::AnswerTwice, "which has none to come"),
        (Planted::SlotKept, "slots in use"),
        (Planted::WriteSwallowed, "which cannot be"),
        (Planted::OvertakenRepeated, "after its end"),
        (Planted::NoFence, "block"),
        (Planted::SpoiledRepeated, "torn or was never written so"),
    ];
    for (planted, says) in all {
        let breach = find(planted).unwrap_or_else(|| panic!("{planted:?} is not found"));
        println!("{planted:?}: {}", breach.lines().nth(1).unwrap_or(&breach));
        assert!(breach.contains(says), "{planted:?} shows as: {breach}");
    }
    // The same runs without a mistake are clean.
    assert_eq!(find(Planted::Nothing), None);
}

/// No trouble at all, over one disk.
fn calm(scenario: &mut Scenario, disk: &str) {
    scenario.members = vec![disk.to_owned()];
    scenario.array = None;
    scenario.faults = false;
    (scenario.lies, scenario.hang, scenario.crash, scenario.manage) = ((0, 0), 0, 0, 0);
    scenario.poison = None;
    scenario.scribbles = false;
}

#[test]
fn a_task_that_kills_drivers_is_found_and_named() {
    let mut named = 0;
    for seed in 0..40 {
        let change = |scenario: &mut Scenario| {
            calm(scenario, "mem:100Ki?delay=0us..3ms");
            scenario.poison = Some(30);
        };
        let (_, deaths, (poison, counters)) =
            run_and(seed, change, Machine::poison).unwrap_or_else(|breach| panic!("{breach}"));
        assert!(poison.iter().all(|p| p.tag == 30 && p.initiator.is_some()), "{poison:?}");
        assert_eq!((poison.len() as u64, deaths <= 3), (counters.poisoned, true));
        named += poison.len();
    }
    // Now and then a later write overtakes it first.
    assert!(named >= 30, "{named} of 40");
}

#[test]
fn a_slow_disk_is_not_taken_for_a_hang() {
    for seed in 0..10 {
        let change = |scenario: &mut Scenario| {
            calm(scenario, "mem:64Ki?delay=2200ms..3s");
            scenario.tasks = 60;
            scenario.ordered = 0;
        };
        let (tally, deaths) = run(seed, change).unwrap_or_else(|breach| panic!("{breach}"));
        assert_eq!((deaths, tally.aborted), (0, 0), "seed {seed}");
    }
}
