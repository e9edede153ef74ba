//! From arguments to an exit code.

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use super::{BenchArgs, BenchCommand, CostArgs, IdleArgs, OutputArgs, RandomArgs, SystemArgs};
use crate::error::BenchError;
use crate::idle::IdleOutcome;
use crate::plan::{CostOptions, CostPlan, IdlePlan, Placement, Plan, RandomPlan, allowed_cpus};
use crate::results::{Environment, Outcome, Results, Workload};
use crate::row::Row;
use crate::sample::{Cost, Observer};
use crate::table::Ink;
use crate::{progress, run as engine};

/// Runs what was asked for and writes the result. Messages go to standard error.
///
/// The exit code is 0 if all went well, 1 if a run failed or tasks had errors, 2 if what was asked
/// for cannot be.
pub fn run(args: &BenchArgs) -> ExitCode {
    let result = match &args.command {
        None => args.system.run(),
        Some(BenchCommand::Random(args)) => args.run(),
        Some(BenchCommand::Cost(args)) => args.run(),
        Some(BenchCommand::Idle(args)) => args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "outboard: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

impl SystemArgs {
    fn run(&self) -> Result<(), BenchError> {
        let plan = Plan::new(self.options())?;
        check(&plan.placement, &self.repeat.output)?;
        let mut observer = progress::observer();
        let samples = engine::system_test(&plan, &mut *observer)?;
        let cost = match self.repeat.output.report {
            Some(_) => self.cost(&plan, &mut *observer)?,
            None => None,
        };
        drop(observer);
        let results = Results::new(&samples);
        finish(&self.repeat.output, Workload::System(plan), results, cost)
    }

    /// For the report's cost curve: a few seconds more, if both its paths are of interest.
    fn cost(&self, plan: &Plan, observer: &mut dyn Observer) -> Result<Option<Cost>, BenchError> {
        if ![Row::RESIDENT, Row::BUNDLED].iter().all(|row| plan.rows.contains(row)) {
            return Ok(None);
        }
        let placement = Placement { spin: true, driver: None, ..self.repeat.run.placement() };
        let options =
            CostOptions { rounds: 3, seed: plan.seed, placement, ..CostOptions::default() };
        engine::cost(&CostPlan::new(options)?, observer).map(Some)
    }
}

impl RandomArgs {
    fn run(&self) -> Result<(), BenchError> {
        let plan = RandomPlan::new(self.options())?;
        check(&plan.placement, &self.repeat.output)?;
        let mut observer = progress::observer();
        let samples = engine::random(&plan, &mut *observer)?;
        drop(observer);
        finish(&self.repeat.output, Workload::Random(plan), Results::new(&samples), None)
    }
}

impl CostArgs {
    fn run(&self) -> Result<(), BenchError> {
        let plan = CostPlan::new(self.options())?;
        check(&plan.placement, &self.repeat.output)?;
        let mut observer = progress::observer();
        let cost = engine::cost(&plan, &mut *observer)?;
        drop(observer);
        finish(&self.repeat.output, Workload::Cost(plan), Results::default(), Some(cost))
    }
}

impl IdleArgs {
    fn run(&self) -> Result<(), BenchError> {
        let workload = IdlePlan::new(self.options())?;
        let output = OutputArgs { json: self.json.clone(), report: None };
        check(&workload.placement, &output)?;
        let mut observer = progress::observer();
        let idle = engine::idle(&workload, &mut *observer)?;
        drop(observer);
        let outcome = IdleOutcome { workload, environment: Environment::here(), idle };
        let json = outcome.to_json().map_err(BenchError::failed)?;
        output.put(outcome.table(), json, &mut stdout().lock())
    }
}

fn check(placement: &Placement, output: &OutputArgs) -> Result<(), BenchError> {
    placement.pin.resolve(&allowed_cpus())?;
    output.check()
}

fn finish(
    output: &OutputArgs,
    workload: Workload,
    results: Results,
    cost: Option<Cost>,
) -> Result<(), BenchError> {
    let outcome = Outcome { workload, environment: Environment::here(), results, cost };
    output.write(&outcome, Ink::of(&stdout()), &mut stdout().lock())?;
    match outcome.results.errors() {
        0 => Ok(()),
        errors => Err(BenchError::TaskErrors { errors }),
    }
}
