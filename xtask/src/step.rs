//! Steps: what is done, how it ended, how long it took.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How a step ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// not, and why
    Failed(String),
    /// as it should
    Ok,
    /// it was not done, and why
    Skipped(String),
}

/// The steps of a task.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Outcome, Duration)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Does a step and says how it ended. A failed step does not keep the next from being done.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<Outcome>) {
        println!("==> {name}");
        let start = Instant::now();
        let outcome = step().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        let took = start.elapsed();
        println!("<== {}", line(name, &outcome, took));
        self.done.push((name.to_owned(), outcome, took));
    }

    /// Prints the summary. Failure if any step has failed.
    pub(crate) fn finish(self) -> ExitCode {
        let total: Duration = self.done.iter().map(|(_, _, took)| *took).sum();
        if self.done.len() > 1 {
            println!("\nsteps:");
            for (name, outcome, took) in &self.done {
                println!("  {}", line(name, outcome, *took));
            }
            let count = |kind: fn(&Outcome) -> bool| {
                self.done.iter().filter(|(_, outcome, _)| kind(outcome)).count()
            };
            println!(
                "  {} ok, {} failed, {} skipped, {:.1} s",
                count(|o| *o == Outcome::Ok),
                count(|o| matches!(o, Outcome::Failed(_))),
                count(|o| matches!(o, Outcome::Skipped(_))),
                total.as_secs_f64()
            );
        }
        let failed = self.done.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_)));
        if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

fn line(name: &str, outcome: &Outcome, took: Duration) -> String {
    let (word, why) = match outcome {
        Outcome::Failed(why) => ("FAILED", why.as_str()),
        Outcome::Ok => ("ok", ""),
        Outcome::Skipped(why) => ("skipped", why.as_str()),
    };
    let separator = if why.is_empty() { "" } else { ": " };
    format!("{name:<16} {word:<8} {:>7.1} s{separator}{why}", took.as_secs_f64())
}
