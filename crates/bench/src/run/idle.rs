//! A driver that is attached and has nothing to do.

use outboard_hba::Path;
use outboard_slots::Time;

use super::cpu::{self, Placed};
use super::drive::drive;
use super::error::RunError;
use super::random_load::Random;
use super::session::{Session, Setup};
use super::units::Units;
use crate::error::BenchError;
use crate::idle::Idle;
use crate::plan::IdlePlan;
use crate::sample::Observer;

const QUEUE_DEPTH: u32 = 32;
const TASK_BYTES: u64 = 4096;
/// Load before the measurement, ns: what idles has worked.
const LOAD_NS: u64 = 200_000_000;
/// Longest sleep of the host's thread, ns: it looks at deadlines and at the driver's health.
const TURN_NS: u64 = 50_000_000;

pub(super) fn run(plan: &IdlePlan, observer: &mut dyn Observer) -> Result<Idle, BenchError> {
    let units = Units::open(&plan.array, false, true)?;
    let placed = Placed::new(&plan.placement)?;
    observer.plan(1, "a driver with nothing to do");
    let setup = Setup {
        path: Path::Bundled,
        confined: false,
        threads: 1,
        queue_depth: QUEUE_DEPTH,
        command_bytes: TASK_BYTES,
        pins: placed.pins,
        spin: plan.placement.spin,
        program: plan.placement.driver.clone(),
    };
    observer.begin("idle");
    let idle = measure(&units, &setup, plan.seconds).map_err(BenchError::failed)?;
    observer.end();
    Ok(idle)
}

fn measure(units: &Units, setup: &Setup, seconds: f64) -> Result<Idle, RunError> {
    let mut session = Session::start(units, setup)?.pop().ok_or(RunError::NoUnit)?;
    let unit = (session.unit.blocks, u64::from(session.unit.block_size));
    let end = Time::now().plus_nanos(LOAD_NS);
    let mut load = Random::new(1, TASK_BYTES, unit, 100, end, u64::MAX);
    drive(&mut session, &mut load, QUEUE_DEPTH, 1)?;

    let before = cpu_ns(&session);
    let start = Time::now();
    let end = start.plus_nanos((seconds * 1e9) as u64);
    let mut answers = Vec::new();
    let mut now = start;
    while now < end {
        session.stack.turn(now, &mut *session.channel, &mut answers)?;
        session.check_driver()?;
        let until = end.min(now.plus_nanos(TURN_NS));
        session.channel.idle(now, until, session.stack.in_driver());
        now = Time::now();
    }
    let after = cpu_ns(&session);
    let wall_ns = now.since(start).as_nanos() as u64;
    session.stop()?;
    Ok(Idle::new(wall_ns, after.0.saturating_sub(before.0), after.1.saturating_sub(before.1)))
}

/// Processor time of both processes so far.
fn cpu_ns(session: &Session) -> (u64, u64) {
    (cpu::this_process_ns(), session.driver_pid().map_or(0, cpu::process_ns))
}
