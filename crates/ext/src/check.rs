//! `outboard ext test`: a package from outside, as its host sees it. The contract that the SDK's kit
//! checks inside of the driver's process is checked here over the real region and process, and what
//! becomes of tasks when the driver hangs or dies.

mod content;
mod load;
mod rig;

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::store::Installed;
use crate::trial;

/// How long a control call may take.
const CALL: Duration = Duration::from_secs(5);

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// what is checked
    pub name: &'static str,
    /// whether the driver passed
    pub passed: bool,
    /// what was seen
    pub detail: String,
    /// what to do, if it failed
    pub mend: Option<&'static str>,
    /// how long it took
    pub took_ms: u64,
}

type Run = fn(&Installed) -> Result<String, String>;

/// Name, check, mend.
const CHECKS: [(&str, Run, &str); 9] = [
    (
        "starts, stops, starts again",
        start_and_stop,
        "the message names the rule; `outboard ext activate` checks the same",
    ),
    (
        "bundles of 1 to 32 are written and read back",
        load::bundles,
        "take the buffer's offset and length from Task::buffer, the blocks from the CDB",
    ),
    (
        "every slot in flight",
        load::full_queue,
        "report as maximum_task_count what the driver really takes at a time",
    ),
    (
        "tasks of no bytes and of the most",
        load::sizes,
        "a task may move nothing, and as much as DmaSpecification::max_transfer_size",
    ),
    (
        "any CDB ends with a status",
        load::any_cdb,
        "answer what you do not know with CHECK CONDITION, ILLEGAL REQUEST; never panic on a CDB",
    ),
    (
        "aborts and resets are confirmed",
        load::management,
        "complete each aborted task as soon as nothing of it can land any more (IoQueue::abort)",
    ),
    (
        "no acknowledged write is lost when it is killed",
        load::killed_idle,
        "report acks_survive_death = false if the driver keeps writes to itself",
    ),
    (
        "tasks in flight survive its death",
        load::killed_under_load,
        "keep no state between tasks that a successor does not find on the disks",
    ),
    (
        "a hang is found, and its tasks survive",
        load::hung,
        "IoQueue methods never block; only IoQueue::wait sleeps",
    ),
];

/// Runs every check on the package; `each` hears of each as it ends.
pub fn run(installed: &Installed, within: Duration, mut each: impl FnMut(&Check)) -> Vec<Check> {
    let deadline = Instant::now() + within;
    let mut checks: Vec<Check> = Vec::new();
    for (name, run, mend) in CHECKS {
        let begun = Instant::now();
        let outcome = match begun < deadline {
            true => run(installed),
            false => Err("there was no time left for it; allow more with --timeout".to_owned()),
        };
        let took_ms = begun.elapsed().as_millis() as u64;
        let check = match outcome {
            Ok(detail) => Check { name, passed: true, detail, mend: None, took_ms },
            Err(detail) => Check { name, passed: false, detail, mend: Some(mend), took_ms },
        };
        each(&check);
        let starts = check.passed || !checks.is_empty();
        checks.push(check);
        if !starts {
            break; // a driver that does not start fails everything for the same reason
        }
    }
    checks
}

fn start_and_stop(installed: &Installed) -> Result<String, String> {
    let errors = installed.package.manifest.check().err().unwrap_or_default();
    if let Some(error) = errors.first() {
        return Err(error.to_string());
    }
    let mut last = String::new();
    for _ in 0..2 {
        let trial = trial::run(installed, CALL).map_err(|error| error.to_string())?;
        let (start, stop) = (trial.start.as_millis(), trial.stop.as_millis());
        last = format!("start {start} ms, stop {stop} ms");
    }
    Ok(last)
}
