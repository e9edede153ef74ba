//! What changes the store: activate, replace, deactivate.

use std::path::{Path, PathBuf};
use std::time::Duration;

use outboard_hba::ManifestError;

use crate::package::{Package, PackageError};
use crate::store::{Installed, Locked, Record, Staged, State, StoreError, unknown};
use crate::trial::{self, Trial, TrialError};

/// Why nothing changed, but perhaps a record of the failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// the folder is no package
    #[error(transparent)]
    Package(#[from] PackageError),
    /// the state directory
    #[error(transparent)]
    Store(#[from] StoreError),
    /// it is active already
    #[error(
        "{identifier} {version} is active already, and the same version again would keep people guessing which of them runs; bump `version` in {file} and in the program's manifest, or say `outboard ext replace --same-version`", file = file.display()
    )]
    SameVersion {
        /// who
        identifier: String,
        /// which
        version: String,
        /// where it is said
        file: PathBuf,
    },
    /// another version of it is active
    #[error(
        "{identifier} {active} is active; `outboard ext replace` puts {version} in its place while targets are served"
    )]
    OtherVersion {
        /// who
        identifier: String,
        /// the version that is active
        active: String,
        /// the version that was to be
        version: String,
    },
    /// nothing to replace
    #[error("no version of {identifier} is active; `outboard ext activate` activates this one")]
    NotActive {
        /// who
        identifier: String,
    },
    /// mistakes in what is declared
    #[error("the manifest of {identifier} {version} is refused:\n{}", list(errors))]
    Manifest {
        /// who
        identifier: String,
        /// which
        version: String,
        /// the mistakes
        errors: Vec<ManifestError>,
    },
    /// the driver does not come up, or not down
    #[error("{identifier} {version} failed its trial start: {source}")]
    Trial {
        /// who
        identifier: String,
        /// which
        version: String,
        /// the rule it broke
        source: Box<TrialError>,
    },
}

fn list(errors: &[ManifestError]) -> String {
    errors.iter().map(|error| format!("  - {error}")).collect::<Vec<_>>().join("\n")
}

impl ChangeError {
    /// Whether the package itself was tried and failed: what is recorded.
    pub fn is_failed_activation(&self) -> bool {
        matches!(self, Self::Manifest { .. } | Self::Trial { .. })
    }
}

/// What is wanted of a package.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Intent {
    /// no version of it is active
    Activate,
    /// in the place of the active one
    Replace {
        /// which may have the same version
        same_version: bool,
    },
}

/// A change that was made; the store is still locked.
#[derive(Debug)]
pub struct Change {
    /// the version that is active now
    pub record: Record,
    /// the one that was
    pub before: Option<Record>,
    /// how the trial went
    pub trial: Trial,
    /// the records before
    records: Vec<Record>,
}

/// Activates the package in `folder`, after a trial start of the very copy that is kept.
///
/// # Errors
/// It cannot be, or failed: then that is on record, and what was active still is.
pub fn install(
    locked: &mut Locked,
    folder: &Path,
    intent: Intent,
    within: Duration,
) -> Result<Change, ChangeError> {
    let package = Package::load(folder)?;
    may(&package, locked.active(package.identifier()), intent, folder)?;
    let staged = locked.stage(&package, folder)?;
    let installed = Installed { folder: staged.folder().to_owned(), copy: 0, package };
    let tried = try_out(&installed, within);
    let package = installed.package;
    let trial = match tried {
        Ok(trial) => trial,
        Err(error) => {
            drop(staged);
            record_failure(locked, &package, &error)?;
            return Err(error);
        }
    };
    Ok(take_over(locked, staged, &package, trial)?)
}

/// Gives a copy its place, then the place of the version that is active.
fn take_over(
    locked: &mut Locked,
    staged: Staged,
    package: &Package,
    trial: Trial,
) -> Result<Change, StoreError> {
    let before = locked.active(package.identifier()).cloned();
    let records = locked.records().to_vec();
    let record = locked.place(staged, package)?;
    let mut after: Vec<Record> = records.iter().filter(|r| !failed(r, package)).cloned().collect();
    for other in after.iter_mut().filter(|r| Some(&**r) == before.as_ref()) {
        other.state = State::TerminatingForUpgrade;
    }
    after.push(record.clone());
    locked.write(after)?;
    Ok(Change { record, before, trial, records })
}

impl Change {
    /// Nobody runs the version before any more: its copy goes.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn complete(self, locked: &mut Locked) -> Result<(), StoreError> {
        let gone = |r: &&Record| {
            !(r.identifier == self.record.identifier && r.state == State::TerminatingForUpgrade)
        };
        let records = locked.records().iter().filter(gone).cloned().collect();
        locked.write(records)
    }

    /// A server cannot run it: the version before is active again, and the reason is on record. Other
    /// servers may run it until they are told: its copy stays until [`Undone::complete`].
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn undo(self, locked: &mut Locked, reason: &str) -> Result<Undone, StoreError> {
        let mut records = self.records;
        let failed = failure(&self.record, reason);
        records.retain(|r| !(r.copy == 0 && r.version == failed.version && same(r, &failed)));
        records.push(failed);
        let left = Record { state: State::TerminatingForUpgrade, ..self.record };
        records.push(left.clone());
        locked.write(records)?;
        Ok(Undone(left))
    }
}

/// A change that was undone; servers may still run what it brought.
#[derive(Debug)]
pub struct Undone(Record);

impl Undone {
    /// Nobody runs it any more: its copy goes.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn complete(self, locked: &mut Locked) -> Result<(), StoreError> {
        let records = locked.records().iter().filter(|r| **r != self.0).cloned().collect();
        locked.write(records)
    }
}

/// Forgets an extension and removes its copies; what was active of it.
///
/// # Errors
/// There is none, or the database cannot be written.
pub fn remove(locked: &mut Locked, identifier: &str) -> Result<Vec<Record>, StoreError> {
    let (gone, kept): (Vec<Record>, Vec<Record>) =
        locked.records().iter().cloned().partition(|r| r.identifier == identifier);
    if gone.is_empty() {
        return Err(unknown(identifier, locked.records()));
    }
    locked.write(kept)?;
    Ok(gone)
}

fn may(
    package: &Package,
    before: Option<&Record>,
    intent: Intent,
    folder: &Path,
) -> Result<(), ChangeError> {
    let (identifier, version) = (package.identifier().to_owned(), package.version().to_owned());
    match (before, intent) {
        (None, Intent::Activate) => Ok(()),
        (None, Intent::Replace { .. }) => Err(ChangeError::NotActive { identifier }),
        (Some(_), Intent::Replace { same_version: true }) => Ok(()),
        (Some(active), _) if active.version == version => Err(ChangeError::SameVersion {
            identifier,
            version,
            file: folder.join(crate::package::FILE),
        }),
        (Some(_), Intent::Replace { .. }) => Ok(()),
        (Some(active), Intent::Activate) => {
            Err(ChangeError::OtherVersion { identifier, active: active.version.clone(), version })
        }
    }
}

fn try_out(installed: &Installed, within: Duration) -> Result<Trial, ChangeError> {
    let package = &installed.package;
    let (identifier, version) = (package.identifier().to_owned(), package.version().to_owned());
    if let Err(errors) = package.manifest.check() {
        return Err(ChangeError::Manifest { identifier, version, errors });
    }
    trial::run(installed, within).map_err(|source| ChangeError::Trial {
        identifier,
        version,
        source: Box::new(source),
    })
}

fn record_failure(
    locked: &mut Locked,
    package: &Package,
    error: &ChangeError,
) -> Result<(), StoreError> {
    let reason = match error {
        ChangeError::Manifest { errors, .. } => {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        ChangeError::Trial { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    let record = Record {
        identifier: package.identifier().to_owned(),
        version: package.version().to_owned(),
        name: package.name.clone(),
        copy: 0,
        state: State::ActivatedEnabled,
    };
    let mut records = locked.records().to_vec();
    records.retain(|r| !(failed(r, package) && r.version == package.version()));
    records.push(failure(&record, &reason));
    locked.write(records)
}

fn failure(record: &Record, reason: &str) -> Record {
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = line.chars().take(1000).collect();
    Record { copy: 0, state: State::ActivationFailed { reason }, ..record.clone() }
}

fn same(one: &Record, other: &Record) -> bool {
    one.identifier == other.identifier
}

/// Whether a record is of a failed activation of this extension.
fn failed(record: &Record, package: &Package) -> bool {
    record.copy == 0 && record.identifier == package.identifier()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::tests::{WITHIN, package};

    /// Activates a version without a trial.
    fn change(locked: &mut Locked, version: &str) -> Change {
        let source = tempfile::tempdir().unwrap();
        let package = package(source.path(), version);
        let staged = locked.stage(&package, source.path()).unwrap();
        let trial = Trial {
            report: outboard_hba::testkit::Ram::report(),
            start: Duration::ZERO,
            stop: Duration::ZERO,
        };
        take_over(locked, staged, &package, trial).unwrap()
    }

    fn copy(store: &Store, version: &str) -> bool {
        store.folder().join("com.example.ram").join(version).exists()
    }

    fn states(locked: &Locked) -> Vec<(&str, String)> {
        let line = |r: &'_ Record| r.state.to_string();
        locked.records().iter().map(|r| (r.version.as_str(), line(r))).collect()
    }

    #[test]
    fn an_undone_version_keeps_its_copy_until_nobody_runs_it() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let mut locked = store.lock(WITHIN).unwrap();
        change(&mut locked, "1.0").complete(&mut locked).unwrap();
        let undone = change(&mut locked, "2.0").undo(&mut locked, "too large").unwrap();
        assert_eq!(store.active("com.example.ram").unwrap().package.version(), "1.0");
        assert!(copy(&store, "2.0") && copy(&store, "1.0"), "servers may run either");
        undone.complete(&mut locked).unwrap();
        assert!(!copy(&store, "2.0") && copy(&store, "1.0"));
        let failed = "activation failed: too large".to_owned();
        assert_eq!(states(&locked), [("1.0", "activated enabled".into()), ("2.0", failed)]);
    }

    #[test]
    fn what_a_server_may_still_run_after_an_undoing_goes_with_the_next_change() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let mut locked = store.lock(WITHIN).unwrap();
        change(&mut locked, "1.0").complete(&mut locked).unwrap();
        // It ends here, or a server has not gone back.
        change(&mut locked, "1.0").undo(&mut locked, "too large").unwrap();
        drop(locked);
        let mut locked = store.lock(WITHIN).unwrap();
        assert!(copy(&store, "1.0~2") && copy(&store, "1.0"));
        let next = change(&mut locked, "1.0");
        assert_eq!(next.record.copy, 3, "not in the place of one that may be run");
        next.complete(&mut locked).unwrap();
        assert!(!copy(&store, "1.0~2") && !copy(&store, "1.0") && copy(&store, "1.0~3"));
    }
}
