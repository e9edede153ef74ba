//! `outboard ext activate`, `replace` and `deactivate`.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use outboard_ext::change::{self, Change, ChangeError, Intent};
use outboard_ext::store::Locked;
use outboard_ext::{Record, StoreError};
use serde::Serialize;

use super::tell::{self, Answer, Told};
use super::{Common, Deadline, Failed, put, put_json};
use crate::cli::check::count;

/// A change, for programs.
#[derive(Serialize)]
struct Done<'a> {
    identifier: &'a str,
    version: &'a str,
    /// the version that was active
    before: Option<&'a str>,
    luns: usize,
    start_ms: f64,
    stop_ms: f64,
    servers: &'a [Told],
}

pub(super) fn activate(folder: &Path, common: &Common) -> Result<ExitCode, Failed> {
    let deadline = common.deadline();
    let mut locked = lock(common, deadline)?;
    let change = install(&mut locked, folder, Intent::Activate, common, deadline)?;
    let told = tell::all(locked.store(), deadline.left());
    if common.json {
        return Ok(put_json(&done(&change, &told)));
    }
    let Record { identifier, version, .. } = &change.record;
    let mut text = format!("{identifier} {version} is activated ({})\n", trial_of(&change));
    let _ = writeln!(text, "serve it: outboard serve --extension {identifier} --disk …");
    text.push_str(&lines(&told));
    Ok(put(&text))
}

pub(super) fn replace(
    folder: &Path,
    same_version: bool,
    common: &Common,
) -> Result<ExitCode, Failed> {
    let deadline = common.deadline();
    let mut locked = lock(common, deadline)?;
    let intent = Intent::Replace { same_version };
    let change = install(&mut locked, folder, intent, common, deadline)?;
    let told = tell::all(locked.store(), deadline.left());
    let refusal = told.iter().find_map(|told| match &told.answer {
        Answer::Refuses { reason } => Some(format!("server {}: {reason}", told.pid)),
        _ => None,
    });
    if let Some(reason) = refusal {
        return Err(undo(change, &mut locked, &reason, common));
    }
    let open = told.iter().any(|told| matches!(told.answer, Answer::Open { .. }));
    let text = match common.json {
        true => String::new(),
        false => {
            let Record { identifier, version, .. } = &change.record;
            let before = change.before.as_ref().map_or("", |before| &before.version);
            let trial = trial_of(&change);
            format!("{identifier} {before} is replaced by {version} ({trial})\n{}", lines(&told))
        }
    };
    let shown = match common.json {
        true => put_json(&done(&change, &told)),
        false => put(&text),
    };
    if open {
        let version = change.before.as_ref().map_or("", |before| &before.version);
        return Err(common.failed(&format!(
            "not every server has answered: {version} stays until the next `outboard ext`; restart these servers"
        )));
    }
    change.complete(&mut locked).map_err(|error| common.failed(&error))?;
    Ok(shown)
}

pub(super) fn deactivate(identifier: &str, common: &Common) -> Result<ExitCode, Failed> {
    let mut locked = lock(common, common.deadline())?;
    let tell::InUse { used, silent } = tell::in_use(locked.store());
    if let Some((pid, used)) = used.iter().find(|(_, used)| used.identifier == identifier) {
        let target = &used.target;
        return Err(common.refused(&format!(
            "{identifier} serves target {target} of the server with process {pid}; take the target out of its configuration, or stop the server"
        )));
    }
    if let Some((pid, reason)) = silent.first() {
        return Err(common.failed(&format!(
            "the server with process {pid} runs on this state directory and does not say what it uses: {reason}; stop it first"
        )));
    }
    let gone = change::remove(&mut locked, identifier).map_err(|error| match error {
        StoreError::Unknown { .. } => common.refused(&error),
        error => common.failed(&error),
    })?;
    if common.json {
        return Ok(put_json(&gone));
    }
    let versions: Vec<&str> = gone.iter().map(|record| record.version.as_str()).collect();
    Ok(put(&format!(
        "{identifier} is deactivated, its copies are removed ({})\n",
        versions.join(", ")
    )))
}

fn lock(common: &Common, deadline: Deadline) -> Result<Locked, Failed> {
    common.store().lock(deadline.left()).map_err(|error| common.failed(&error))
}

fn install(
    locked: &mut Locked,
    folder: &Path,
    intent: Intent,
    common: &Common,
    deadline: Deadline,
) -> Result<Change, Failed> {
    change::install(locked, folder, intent, deadline.left()).map_err(|error| match error {
        failed if failed.is_failed_activation() => common.failed(&format!(
            "{failed}\nit is not activated, and what runs goes on; mend it and try again (`outboard ext list` keeps the reason)"
        )),
        ChangeError::Store(StoreError::File { .. }) => common.refused(&error),
        ChangeError::Store(error) => common.failed(&error),
        error => common.refused(&error),
    })
}

/// What was active before is active again, at the servers that followed too; then the copy that they
/// ran goes.
fn undo(change: Change, locked: &mut Locked, reason: &str, common: &Common) -> Failed {
    let Record { identifier, version, .. } = change.record.clone();
    let before = change.before.as_ref().map_or_else(String::new, |before| before.version.clone());
    let undone = match change.undo(locked, reason) {
        Ok(undone) => undone,
        Err(error) => return common.failed(&error),
    };
    let mut message =
        format!("{reason}\n{identifier} {version} is not activated; {before} goes on");
    let mut all_back = true;
    // However long it takes: half of a change is worse than a late one.
    for told in tell::all(locked.store(), Duration::from_secs(60)) {
        if let Answer::Refuses { reason } | Answer::Open { reason } = told.answer {
            let _ = write!(message, "\nserver {} has not gone back: {reason}", told.pid);
            all_back = false;
        }
    }
    // A server that has not gone back may start the driver again from its copy.
    if all_back && let Err(error) = undone.complete(locked) {
        let _ = write!(message, "\n{error}");
    }
    common.failed(&message)
}

fn done<'a>(change: &'a Change, servers: &'a [Told]) -> Done<'a> {
    let trial = &change.trial;
    Done {
        identifier: &change.record.identifier,
        version: &change.record.version,
        before: change.before.as_ref().map(|before| before.version.as_str()),
        luns: luns(change),
        start_ms: trial.start.as_secs_f64() * 1e3,
        stop_ms: trial.stop.as_secs_f64() * 1e3,
        servers,
    }
}

fn luns(change: &Change) -> usize {
    change.trial.report.targets.iter().map(|target| target.units.len()).sum()
}

fn trial_of(change: &Change) -> String {
    let (start, stop) = (change.trial.start.as_millis(), change.trial.stop.as_millis());
    format!("trial: {}, start {start} ms, stop {stop} ms", count(luns(change), "LUN"))
}

/// A line for each target that servers have followed with.
fn lines(told: &[Told]) -> String {
    let mut text = String::new();
    for Told { pid, answer } in told {
        let _ = match answer {
            Answer::Follows(report) => {
                for outcome in report.targets.iter().filter(|outcome| outcome.replaced.is_some()) {
                    let before = outcome.replaced.as_deref().unwrap_or_default();
                    let (target, version) = (&outcome.target, &outcome.version);
                    let _ = writeln!(text, "server {pid}, target {target}: {before} -> {version}");
                }
                Ok(())
            }
            Answer::Refuses { reason } => writeln!(text, "server {pid}: {reason}"),
            Answer::Open { reason } => writeln!(text, "server {pid}: {reason}"),
        };
    }
    text
}
