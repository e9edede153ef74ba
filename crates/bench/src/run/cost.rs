//! What the boundary costs: CPU per task by bundle size, and its parts apart.

use core::time::Duration;

use outboard_hba::Path;
use outboard_slots::Time;

use super::cpu::{Pins, Placed};
use super::drive::drive;
use super::error::RunError;
use super::pingpong::{self, median};
use super::random_load::Random;
use super::session::{Session, Setup};
use super::units::Units;
use crate::error::BenchError;
use crate::plan::CostPlan;
use crate::sample::{Cost, CostPoint, Observer, Part};

/// Round trips of each kind.
const ROUNDS_AWAKE: u32 = 100_000;
const ROUNDS_ASLEEP: u32 = 40;
const ROUNDS_MESSAGE: u32 = 10_000;
/// Pause before each round trip to a sleeper: so long that nobody spins in wait of its end.
const PAUSE: Duration = Duration::from_millis(25);

pub(super) fn run(plan: &CostPlan, observer: &mut dyn Observer) -> Result<Cost, BenchError> {
    let units = Units::open(&plan.array, false, true)?;
    let placed = Placed::new(&plan.placement)?;
    let pins = placed.pins;
    let steps = plan.bundles.len() as u64 + PARTS;
    observer.plan(steps, "CPU time per task by bundle size, then the parts");
    let mut curve = Vec::new();
    for &bundle in &plan.bundles {
        observer.begin(&format!("bundles of {bundle}"));
        curve.push(point(plan, &units, pins, bundle).map_err(BenchError::failed)?);
        observer.end();
    }
    let parts = parts(plan, &units, pins, observer).map_err(BenchError::failed)?;
    Ok(Cost { curve, parts })
}

const PARTS: u64 = 4;

/// Both paths in turn, with bundles of `bundle`: twice as many tasks are outstanding, so that one
/// bundle is with the driver while the host makes the next.
fn point(
    plan: &CostPlan,
    units: &Units,
    pins: Option<Pins>,
    bundle: u32,
) -> Result<CostPoint, RunError> {
    let (mut resident, mut bundled) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        for (path, times) in [(Path::Resident, &mut resident), (Path::Bundled, &mut bundled)] {
            let mut session = session(plan, units, pins, path, bundle * 2, true)?;
            let nanos = (plan.seconds * 1e9) as u64;
            let seed = plan.seed ^ u64::from(round);
            load(&mut session, plan, bundle * 2, bundle, nanos / 10, u64::MAX, seed)?;
            let tally = load(&mut session, plan, bundle * 2, bundle, nanos, u64::MAX, seed)?;
            let cpu = tally.host_cpu_ns + tally.driver_cpu_ns;
            times.push(cpu * 100 / tally.tasks.max(1));
            session.stop()?;
        }
    }
    Ok(CostPoint {
        bundle,
        resident_ns: median(&mut resident) / 100.0,
        bundled_ns: median(&mut bundled) / 100.0,
    })
}

fn session(
    plan: &CostPlan,
    units: &Units,
    pins: Option<Pins>,
    path: Path,
    queue_depth: u32,
    spin: bool,
) -> Result<Session, RunError> {
    let setup = Setup {
        path,
        threads: 1,
        confined: false,
        queue_depth,
        command_bytes: plan.block_size,
        pins,
        spin,
        program: plan.placement.driver.clone(),
    };
    let mut sessions = Session::start(units, &setup)?;
    sessions.pop().ok_or(RunError::NoUnit)
}

fn load(
    session: &mut Session,
    plan: &CostPlan,
    depth: u32,
    bundle: u32,
    nanos: u64,
    tasks: u64,
    seed: u64,
) -> Result<super::drive::Tally, RunError> {
    let unit = (session.unit.blocks, u64::from(session.unit.block_size));
    let end = Time::now().plus_nanos(nanos);
    let mut load = Random::new(seed, plan.block_size, unit, 100, end, tasks);
    drive(session, &mut load, depth, bundle)
}

/// Round trips of one task, each beside the bare mechanism, measured in turn.
fn parts(
    plan: &CostPlan,
    units: &Units,
    pins: Option<Pins>,
    observer: &mut dyn Observer,
) -> Result<Vec<Part>, RunError> {
    let hour = 3_600_000_000_000;
    let mut parts = Vec::new();
    let mut rows = |name: &str, what: &str, pairs: &mut [(f64, f64)]| {
        let mut own: Vec<u64> = pairs.iter().map(|p| p.0 as u64).collect();
        let mut bare: Vec<u64> = pairs.iter().map(|p| p.1 as u64).collect();
        parts.push(Part {
            name: name.to_owned(),
            ns: median(&mut own),
            bare_ns: Some(median(&mut bare)),
            what: what.to_owned(),
        });
    };
    observer.begin("round trip, driver awake");
    let mut pairs = Vec::new();
    for round in 0..plan.rounds {
        let mut s = session(plan, units, pins, Path::Bundled, 1, true)?;
        let tally = load(&mut s, plan, 1, 1, hour, u64::from(ROUNDS_AWAKE), u64::from(round))?;
        s.stop()?;
        let own = tally.wall_ns as f64 / tally.tasks.max(1) as f64;
        pairs.push((own, pingpong::words(ROUNDS_AWAKE, pins)?));
    }
    observer.end();
    rows(
        "round trip, awake",
        "one task at a time, both ends spin; bare: a word passed to and fro",
        &mut pairs,
    );

    observer.begin("round trip, driver asleep");
    let mut pairs = Vec::new();
    for round in 0..plan.rounds {
        let mut s = session(plan, units, pins, Path::Bundled, 1, false)?;
        let mut times = Vec::new();
        for i in 0..ROUNDS_ASLEEP {
            std::thread::sleep(PAUSE);
            let tally = load(&mut s, plan, 1, 1, hour, 1, u64::from(round * 1000 + i))?;
            times.push(tally.latency.max());
        }
        s.stop()?;
        pairs.push((median(&mut times), pingpong::futexes(ROUNDS_ASLEEP, PAUSE, pins)?));
    }
    observer.end();
    rows(
        "round trip, asleep",
        "one task after a pause, both ends sleep; bare: two futex wakes",
        &mut pairs,
    );

    observer.begin("round trip, single message");
    let mut pairs = Vec::new();
    for round in 0..plan.rounds {
        let mut s = session(plan, units, pins, Path::Single, 1, false)?;
        let tally = load(&mut s, plan, 1, 1, hour, u64::from(ROUNDS_MESSAGE), u64::from(round))?;
        s.stop()?;
        pairs.push((
            tally.latency.value_at_quantile(0.5) as f64,
            pingpong::messages(ROUNDS_MESSAGE, pins)?,
        ));
    }
    observer.end();
    rows(
        "round trip, single",
        "one task by messages; bare: the same three messages, nothing behind them",
        &mut pairs,
    );

    observer.begin("mapping a buffer");
    parts.push(map_part(plan)?);
    observer.end();
    Ok(parts)
}

/// What mapping and unmapping one megabyte costs: the wiring that `single-map` pays for each task.
fn map_part(plan: &CostPlan) -> Result<Part, RunError> {
    const BYTES: usize = 1 << 20;
    let memory = outboard_slots::Memory::create("map", BYTES)
        .and_then(|m| m.populate().map(|()| m))
        .map_err(|e| RunError::Internal(e.to_string()))?;
    let mut times = Vec::new();
    for _ in 0..plan.rounds * 100 {
        let start = Time::now();
        for present in [false, true] {
            memory.map_range(0, BYTES, present).map_err(|e| RunError::Internal(e.to_string()))?;
        }
        times.push(Time::now().since(start).as_nanos() as u64);
    }
    Ok(Part {
        name: "map and unmap 1 MiB".to_owned(),
        ns: median(&mut times),
        bare_ns: None,
        what: "two mmap calls on shared memory that is there, pages filled in".to_owned(),
    })
}
