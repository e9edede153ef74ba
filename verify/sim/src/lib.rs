//! Deterministic simulation: the real host stack, ledger, channel, runner, array driver, `raid` and
//! `sbc` on a virtual clock, with disks, drivers and power that fail as a seed says.
//!
//! | module | what |
//! |---|---|
//! | [`scenario`] | what a run is made of, drawn from its seed |
//! | [`fault`] | what can go wrong, and the table of what met what |
//! | `machine` | the host's thread, the life of drivers, the clock |
//! | `driver` | a driver process over the real rings, with faults |
//! | `medium` | disks that outlive drivers: caches, late landings, torn and misdirected writes |
//! | `attempts` | which drivers had which task: suspects alone, and none a fourth time |
//! | `audit` | what the host must refuse, worked out a second time |
//! | `initiator` | commands, and a model of what each answer and each block may be |
//! | [`planted`] | deliberate mistakes that must be found |
//!
//! A run is wrong if a task ends twice or never, a block holds what it cannot, a slot or a buffer is
//! lost, a task outlives its ladder, or a violation is counted wrongly. The same seed gives the
//! same run.

#![forbid(unsafe_code)]

mod attempts;
mod audit;
pub mod dice;
mod driver;
pub mod fault;
mod initiator;
mod machine;
mod make;
mod medium;
pub mod planted;
pub mod scenario;

use dice::Dice;
use fault::Coverage;
pub use initiator::Tally;
use machine::Machine;
use scenario::Scenario;

/// What a run amounts to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// tasks and their ends
    pub tally: Tally,
    /// drivers that died
    pub deaths: u64,
    /// what met what
    pub coverage: Coverage,
    /// tags of the tasks that the host has named as the likely cause of deaths
    pub poison: Vec<u64>,
}

impl Summary {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.deaths += other.deaths;
        self.coverage.add(&other.coverage);
        self.poison.extend(&other.poison);
    }
}

/// One run of about `tasks` tasks.
///
/// # Errors
/// What a checker has found, and the scenario.
pub fn run(seed: u64, tasks: u64, change: impl FnOnce(&mut Scenario)) -> Result<Summary, String> {
    let mut dice = Dice::new(seed);
    let mut scenario = Scenario::draw(&mut dice, tasks);
    change(&mut scenario);
    let told = format!("seed {seed}, {scenario:?}");
    let mut machine = Machine::new(scenario, dice).map_err(|e| format!("{told}: {e}"))?;
    let tally = machine.run().map_err(|breach| format!("{breach}\n{told}"))?;
    let (deaths, poison) = (machine.deaths, machine.poisoned);
    Ok(Summary { tally, deaths, coverage: machine.coverage, poison })
}
