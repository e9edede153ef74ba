//! Samples of a seeded model, for the tests of what is made of them. Never in the program.

use crate::plan::{CostOptions, CostPlan, Plan, PlanOptions, RandomOptions, RandomPlan};
use crate::results::{Environment, Outcome, Results, Workload};
use crate::row::Row;
use crate::sample::{Cost, CostPoint, Part, Phase, Sample, latency_histogram};

/// The default System test as the model would have it.
pub(crate) fn system() -> Outcome {
    let plan = Plan::new(PlanOptions::default()).unwrap();
    let samples = samples(&plan);
    let results = Results::new(&samples);
    outcome(Workload::System(plan), results, Some(cost()))
}

/// One depth, two rows, no cost.
pub(crate) fn small() -> Outcome {
    let plan = Plan::new(PlanOptions {
        queue_depths: vec![2],
        rows: vec![Row::RESIDENT, Row::BUNDLED],
        ..PlanOptions::default()
    })
    .unwrap();
    let results = Results::new(&samples(&plan));
    outcome(Workload::System(plan), results, None)
}

pub(crate) fn random() -> Outcome {
    let plan = RandomPlan::new(RandomOptions::default()).unwrap();
    let mut noise = Noise(7);
    let mut samples = Vec::new();
    for round in 0..plan.rounds {
        for &row in &plan.rows {
            let (task_ns, cpu_ns) =
                [(180.0, 180.0), (95.0, 190.0), (52e3, 40e3), (58e3, 46e3), (210.0, 290.0)]
                    [row.index()];
            let tasks = (1e9 / task_ns) as u64;
            let mut latency = latency_histogram();
            for _ in 0..2000 {
                latency.saturating_record((task_ns * 32.0 * noise.tail()) as u64);
            }
            let cpu = (tasks as f64 * cpu_ns) as u64;
            samples.push(Sample {
                row,
                phase: Phase::Random,
                queue_depth: plan.queue_depth,
                round,
                bytes: tasks * plan.block_size,
                tasks,
                wall_ns: (1e9 * noise.near()) as u64,
                cpu_ns: cpu,
                host_cpu_ns: cpu / 2,
                driver_cpu_ns: cpu / 2,
                errors: 0,
                frame_ns: Vec::new(),
                latency,
            });
        }
    }
    outcome(Workload::Random(plan), Results::new(&samples), None)
}

pub(crate) fn cost_test() -> Outcome {
    let plan = CostPlan::new(CostOptions::default()).unwrap();
    outcome(Workload::Cost(plan), Results::default(), Some(cost()))
}

pub(crate) fn samples(plan: &Plan) -> Vec<Sample> {
    let mut noise = Noise(plan.seed);
    let mut samples = Vec::new();
    for &depth in &plan.queue_depths {
        for round in 0..plan.rounds {
            for phase in [Phase::Write, Phase::Read] {
                for &row in &plan.rows {
                    samples.push(sample(plan, (row, phase, depth, round), &mut noise));
                }
            }
        }
    }
    samples
}

fn sample(
    plan: &Plan,
    (row, phase, depth, round): (Row, Phase, u32, u32),
    noise: &mut Noise,
) -> Sample {
    let boundary_us = [0.0, 2.0, 210.0, 290.0, 1.5][row.index()];
    let media_us = plan.command_size as f64 / 645.0;
    let idle_us =
        if depth == 1 { 50.0 + boundary_us } else { boundary_us * 0.3 / f64::from(depth) };
    let command_us = media_us + idle_us;
    let mut latency = latency_histogram();
    let commands = plan.commands_per_frame();
    let frame_ns = (0..plan.frames).map(|_| {
        let mut frame = 0.0;
        for _ in 0..commands {
            let us = command_us * noise.near();
            frame += us;
            latency.saturating_record((us * f64::from(depth) * 1e3 * noise.tail()) as u64);
        }
        (frame * 1e3) as u64
    });
    let frame_ns: Vec<u64> = frame_ns.collect();
    let tasks = plan.frames * commands;
    let host = tasks * 9_000 + (boundary_us * 60.0) as u64 * tasks;
    let driver = if row.path == outboard_hba::Path::Resident { 0 } else { tasks * 4_000 };
    Sample {
        row,
        phase,
        queue_depth: depth,
        round,
        bytes: plan.file_bytes(),
        tasks,
        wall_ns: frame_ns.iter().sum(),
        cpu_ns: host + driver,
        host_cpu_ns: host,
        driver_cpu_ns: driver,
        errors: 0,
        frame_ns,
        latency,
    }
}

pub(crate) fn cost() -> Cost {
    let point = |bundle: u32| CostPoint {
        bundle,
        resident_ns: 150.0 + 60.0 / f64::from(bundle),
        bundled_ns: 270.0 + 9000.0 / f64::from(bundle).powf(1.6),
    };
    let part = |name: &str, ns, bare_ns, what: &str| Part {
        name: name.to_owned(),
        ns,
        bare_ns,
        what: what.to_owned(),
    };
    Cost {
        curve: [1, 2, 4, 8, 16, 32].map(point).to_vec(),
        parts: vec![
            part(
                "awake",
                1_240.0,
                Some(330.0),
                "round trip at depth 1, the driver watching its ring",
            ),
            part("asleep", 118_000.0, Some(98_000.0), "round trip at depth 1, the driver asleep"),
            part("message", 131_000.0, Some(117_000.0), "a task of the single path, by value"),
            part("map", 7_400.0, None, "mapping and unmapping a 1 MiB buffer for one task"),
        ],
    }
}

fn outcome(workload: Workload, results: Results, cost: Option<Cost>) -> Outcome {
    let environment = Environment {
        version: "0.1.0".to_owned(),
        kernel: "Linux 6.18".to_owned(),
        processor: "Some <Processor> & Co".to_owned(),
        cpus: 2,
        finished: "2026-11-22 09:01 UTC".to_owned(),
    };
    Outcome { workload, environment, results, cost }
}

struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }

    fn near(&mut self) -> f64 {
        1.0 + (self.unit() - 0.5) * 0.02
    }

    fn tail(&mut self) -> f64 {
        let unit = self.unit();
        if unit > 0.995 { 1.0 + (unit - 0.995) * 600.0 } else { self.near() }
    }
}
