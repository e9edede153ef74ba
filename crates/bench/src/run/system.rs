//! The System test: a file of frames written from its beginning to its end, then read back.

use super::cpu::{Pins, Placed};
use super::drive::{Tally, drive};
use super::error::RunError;
use super::sequential::{File, Sequential};
use super::session::{Session, Setup, threaded};
use super::units::Units;
use crate::error::BenchError;
use crate::plan::Plan;
use crate::row::Row;
use crate::sample::{Observer, Phase, Sample};

pub(super) fn run(plan: &Plan, observer: &mut dyn Observer) -> Result<Vec<Sample>, BenchError> {
    let units = Units::open(&plan.array, true, plan.overwrite)?;
    plan.check_array(units.capacity, units.block_size)?;
    let what = format!("{} frames of {} {}", plan.frames, plan.raster, plan.format);
    observer.plan(plan.steps(), &what);
    let placed = Placed::new(&plan.placement)?;
    let mut samples = Vec::new();
    for round in 0..plan.rounds {
        for &depth in &plan.queue_depths {
            for &row in &plan.rows {
                let pair = measure(plan, &units, placed.pins, (row, depth, round), observer)?;
                samples.extend(pair);
            }
        }
    }
    Ok(samples)
}

/// Writes and reads the file once.
fn measure(
    plan: &Plan,
    units: &Units,
    pins: Option<Pins>,
    (row, depth, round): (Row, u32, u32),
    observer: &mut dyn Observer,
) -> Result<[Sample; 2], BenchError> {
    let threads = u32::from(row.threads);
    let setup = Setup {
        path: row.path,
        confined: row.confined,
        threads,
        queue_depth: depth.div_ceil(threads),
        command_bytes: plan.command_size,
        pins,
        spin: plan.placement.spin,
        program: plan.placement.driver.clone(),
    };
    let mut sessions = Session::start(units, &setup).map_err(BenchError::failed)?;
    let mut pass = |phase| -> Result<Sample, BenchError> {
        observer.begin(&format!("{row}, depth {depth}, {phase}"));
        let sample = pass(plan, &mut sessions, &setup, phase, observer);
        let sample = Sample { row, queue_depth: depth, round, ..sample? };
        observer.end();
        Ok(sample)
    };
    let pair = [pass(Phase::Write)?, pass(Phase::Read)?];
    for session in sessions {
        session.stop().map_err(BenchError::failed)?;
    }
    Ok(pair)
}

fn pass(
    plan: &Plan,
    sessions: &mut [Session],
    setup: &Setup,
    phase: Phase,
    observer: &mut dyn Observer,
) -> Result<Sample, BenchError> {
    let threads = sessions.len() as u64;
    let verify = plan.verify.then_some(plan.seed);
    // Several threads take whole frames in turn, each from its own part of the file.
    let file = |thread: u64| File {
        frame_bytes: plan.frame_stride,
        first: plan.frames * thread / threads,
        frames: plan.frames * (thread + 1) / threads - plan.frames * thread / threads,
        command_bytes: plan.command_size,
        block_bytes: u64::from(sessions[0].unit.block_size),
    };
    let files: Vec<_> = (0..threads).map(file).collect();
    let mut progress = |done, of| observer.advance(done, of);
    let write = phase == Phase::Write;
    if let ([session], [file]) = (&mut *sessions, &files[..]) {
        let mut load = Sequential::new(*file, write, verify, Some(&mut progress));
        let tally = drive(session, &mut load, setup.queue_depth, 1).map_err(BenchError::failed)?;
        let frame_ns = load.frame_ns;
        note_error(&tally, observer);
        return Ok(sample(&[tally], phase, frame_ns));
    }
    let results = threaded(sessions, setup, |session, thread| {
        let mut load = Sequential::new(files[thread], write, verify, None);
        let tally = drive(session, &mut load, setup.queue_depth, 1)?;
        Ok::<_, RunError>((tally, load.frame_ns))
    });
    let (mut tallies, mut frames) = (Vec::new(), Vec::new());
    for result in results {
        let (tally, frame_ns) = result.map_err(BenchError::failed)?;
        note_error(&tally, observer);
        tallies.push(tally);
        frames.extend(frame_ns);
    }
    Ok(sample(&tallies, phase, frames))
}

/// One sample of what several threads did at the same time.
pub(super) fn sample(tallies: &[Tally], phase: Phase, frame_ns: Vec<u64>) -> Sample {
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let (host_cpu_ns, driver_cpu_ns) = (sum(|t| t.host_cpu_ns), sum(|t| t.driver_cpu_ns));
    let mut latency = crate::sample::latency_histogram();
    for tally in tallies {
        // The same bounds: adding cannot fail.
        let _ = latency.add(&tally.latency);
    }
    Sample {
        row: Row::RESIDENT,
        phase,
        queue_depth: 0,
        round: 0,
        bytes: sum(|t| t.bytes),
        tasks: sum(|t| t.tasks),
        wall_ns: tallies.iter().map(|t| t.wall_ns).max().unwrap_or(0),
        cpu_ns: host_cpu_ns + driver_cpu_ns,
        host_cpu_ns,
        driver_cpu_ns,
        errors: sum(|t| t.errors),
        frame_ns,
        latency,
    }
}

/// Says what the first failed task failed with.
pub(super) fn note_error(tally: &Tally, observer: &mut dyn Observer) {
    if let Some(error) = &tally.first_error {
        observer.note(&format!("{} tasks failed, the first: {error}", tally.errors));
    }
}
