//! `outboard-sim`: runs seeds until the time is over, and prints what met what.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use outboard_sim::{Summary, run};

/// Simulated runs of the whole host, seed after seed, until one is wrong or the time is over
#[derive(Debug, Parser)]
#[command(name = "outboard-sim")]
struct Arguments {
    /// Seconds to go on for; the run that is under way is finished
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The first seed; without --seeds and with this alone only this one
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds at most
    #[arg(long)]
    seeds: Option<u64>,
    /// Tasks of each run; part of what a seed means
    #[arg(long, default_value_t = 10_000)]
    tasks: u64,
    /// A pair of fault and state that was not met is an error
    #[arg(long)]
    all_pairs: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.seed.unwrap_or(0);
    let most =
        arguments.seeds.unwrap_or_else(|| if arguments.seed.is_some() { 1 } else { u64::MAX });
    let begun = Instant::now();
    let mut told = begun;
    let mut all = Summary::default();
    let mut seeds = 0;
    while seeds < most && (seeds == 0 || begun.elapsed().as_secs() < arguments.seconds) {
        let seed = first + seeds;
        match run(seed, arguments.tasks, |_| {}) {
            Ok(summary) => all.add(&summary),
            Err(breach) => {
                let tasks = arguments.tasks;
                eprintln!("seed {seed} is wrong: {breach}");
                eprintln!("again: cargo xtask sim --seed {seed} --tasks {tasks}");
                return ExitCode::FAILURE;
            }
        }
        seeds += 1;
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            println!("{:>4} s, {seeds} seeds, {} tasks", begun.elapsed().as_secs(), all.tally.sent);
        }
    }
    report(&arguments, &all, seeds, begun.elapsed())
}

fn report(arguments: &Arguments, all: &Summary, seeds: u64, took: Duration) -> ExitCode {
    let tally = &all.tally;
    print!("{}", all.coverage.table());
    println!(
        "{seeds} seeds clean: {} tasks ({} good, {} failed, {} aborted, {} without an answer), {} functions, {} deaths of a driver, {} replays, {} blocks read",
        tally.sent,
        tally.good,
        tally.failed,
        tally.aborted,
        tally.lost,
        tally.functions,
        all.deaths,
        tally.replays,
        tally.blocks_read,
    );
    let rate = tally.sent as f64 / took.as_secs_f64();
    println!("{:.1} s, {rate:.0} tasks/s", took.as_secs_f64());
    let missing = all.coverage.missing();
    if !missing.is_empty() {
        println!("not met: {missing:?}");
    }
    match missing.is_empty() || !arguments.all_pairs {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
