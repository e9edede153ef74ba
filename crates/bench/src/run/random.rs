//! Random blocks for a time.

use outboard_slots::Time;

use super::cpu::Placed;
use super::drive::{Tally, drive};
use super::random_load::Random;
use super::session::{Session, Setup, threaded};
use super::system::{note_error, sample};
use super::units::Units;
use crate::error::BenchError;
use crate::plan::RandomPlan;
use crate::sample::{Observer, Phase, Sample};

pub(super) fn run(
    plan: &RandomPlan,
    observer: &mut dyn Observer,
) -> Result<Vec<Sample>, BenchError> {
    let units = Units::open(&plan.array, plan.writes(), plan.overwrite)?;
    plan.check_array(units.capacity, units.block_size)?;
    let what = format!("{} byte blocks, {} % reads", plan.block_size, plan.read_share);
    observer.plan(plan.steps(), &what);
    let placed = Placed::new(&plan.placement)?;
    let mut samples = Vec::new();
    for round in 0..plan.rounds {
        for &row in &plan.rows {
            observer.begin(&format!("{row}, depth {}", plan.queue_depth));
            let threads = u32::from(row.threads);
            let setup = Setup {
                path: row.path,
                confined: row.confined,
                threads,
                queue_depth: plan.queue_depth.div_ceil(threads),
                command_bytes: plan.block_size,
                pins: placed.pins,
                spin: plan.placement.spin,
                program: plan.placement.driver.clone(),
            };
            let mut sessions = Session::start(&units, &setup).map_err(BenchError::failed)?;
            let mut tallies = Vec::new();
            let results = threaded(&mut sessions, &setup, |session, thread| {
                load(session, plan, &setup, plan.seed ^ (u64::from(round) << 8) ^ thread as u64)
            });
            for result in results {
                let tally = result.map_err(BenchError::failed)?;
                note_error(&tally, observer);
                tallies.push(tally);
            }
            for session in sessions {
                session.stop().map_err(BenchError::failed)?;
            }
            let sample = Sample {
                row,
                queue_depth: plan.queue_depth,
                round,
                ..sample(&tallies, Phase::Random, Vec::new())
            };
            observer.end();
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn load(
    session: &mut Session,
    plan: &RandomPlan,
    setup: &Setup,
    seed: u64,
) -> Result<Tally, super::error::RunError> {
    let unit = (session.unit.blocks, u64::from(session.unit.block_size));
    let share = plan.read_share.min(100) as u8;
    let nanos = (plan.seconds * 1e9) as u64;
    // A tenth of the time to warm up: caches, page tables, the predictors of waits.
    let mut load = |nanos| {
        let end = Time::now().plus_nanos(nanos);
        let mut load = Random::new(seed, plan.block_size, unit, share, end, u64::MAX);
        drive(session, &mut load, setup.queue_depth, 1)
    };
    load(nanos / 10)?;
    load(nanos)
}
