//! Where activated packages are kept: `extensions` in the state directory.
//!
//! ```text
//! extensions/database.json           what is activated; written aside and renamed
//! extensions/lock                    held by whoever changes something
//! extensions/ID/VERSION/             a copy of the package
//! extensions/ID/VERSION~2/           its second copy, of `replace --same-version`
//! extensions/servers/PID-START       a server that runs on this state directory
//! ```
//!
//! A copy is made aside, synchronised and renamed, then the database: a crash leaves the state
//! before or the state after, and at most a folder that nobody names, which the next change removes.
//! The database is there before the first copy: a store with copies and without it is refused, since
//! nobody could say which of them are to be kept.

mod copy;
mod database;
mod error;
pub(crate) mod modes;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use error::StoreError;
pub(crate) use error::unknown;

use crate::names;
use crate::package::{Package, PackageError};

/// How often a held lock is tried again.
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// The extensions of a state directory.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// A version of an extension.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// who it is
    pub identifier: String,
    /// which of them
    pub version: String,
    /// what people call it
    pub name: String,
    /// number of its copy, from 1; 0: there is none
    pub copy: u32,
    /// how it is
    pub state: State,
}

/// How a version of an extension is; the words are those of `systemextensionsctl list`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// targets may use it
    ActivatedEnabled,
    /// its trial start failed
    ActivationFailed {
        /// why, in one line
        reason: String,
    },
    /// another version has taken its place, and a server may still run it
    TerminatingForUpgrade,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ActivatedEnabled => f.write_str("activated enabled"),
            Self::ActivationFailed { reason } => write!(f, "activation failed: {reason}"),
            Self::TerminatingForUpgrade => f.write_str("terminating for upgrade"),
        }
    }
}

/// A package and where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Installed {
    /// its folder, absolute
    pub folder: PathBuf,
    /// number of its copy; 0: it is served from its own folder
    pub copy: u32,
    /// what it declares
    pub package: Package,
}

impl Installed {
    /// A package in a folder of its own, as it is.
    ///
    /// # Errors
    /// It is none.
    pub fn in_place(folder: &Path) -> Result<Self, PackageError> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        Ok(Self { package: Package::load(&folder)?, folder, copy: 0 })
    }

    /// The driver program.
    pub fn program(&self) -> PathBuf {
        self.folder.join(&self.package.program)
    }
}

impl Store {
    /// That of a state directory; nothing is looked at yet.
    pub fn new(state_directory: &Path) -> Self {
        Self { folder: state_directory.join("extensions") }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every version that is known, by identifier, in the order they came.
    ///
    /// # Errors
    /// The database is torn, foreign or unreadable, or missing although there are copies.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        Ok(self.known()?.unwrap_or_default())
    }

    /// The records; `None` in a store that nobody has used.
    fn known(&self) -> Result<Option<Vec<Record>>, StoreError> {
        let path = self.folder.join(database::FILE);
        if let Some(records) = database::read(&path)? {
            return Ok(Some(records));
        }
        let copies = copy::all(&self.folder);
        match copies.is_empty() {
            true => Ok(None),
            // The first change may have written it since.
            false => match database::read(&path)? {
                Some(records) => Ok(Some(records)),
                None => Err(StoreError::Missing { path, copies }),
            },
        }
    }

    /// The version of an extension that targets use.
    ///
    /// # Errors
    /// There is none, or it is not active, or its copy is spoilt.
    pub fn active(&self, identifier: &str) -> Result<Installed, StoreError> {
        let mut record = self.active_record(identifier)?;
        loop {
            let found = self.installed(&record);
            if found.is_ok() {
                return found;
            }
            // Another version may have taken its place meanwhile, and its copy be gone.
            let now = self.active_record(identifier)?;
            if now == record {
                return found;
            }
            record = now;
        }
    }

    fn active_record(&self, identifier: &str) -> Result<Record, StoreError> {
        let records = self.records()?;
        let of_it: Vec<&Record> = records.iter().filter(|r| r.identifier == identifier).collect();
        match of_it.iter().find(|r| r.state == State::ActivatedEnabled) {
            Some(record) => Ok((*record).clone()),
            None => Err(match of_it.last() {
                Some(record) => StoreError::Inactive {
                    identifier: identifier.to_owned(),
                    version: record.version.clone(),
                    state: record.state.clone(),
                },
                None => unknown(identifier, &records),
            }),
        }
    }

    /// The package of a record.
    ///
    /// # Errors
    /// Its copy is spoilt.
    pub fn installed(&self, record: &Record) -> Result<Installed, StoreError> {
        let folder = self.copy_of(record);
        let package = Package::load(&folder).map_err(|source| StoreError::Package {
            identifier: record.identifier.clone(),
            source: Box::new(source),
        })?;
        Ok(Installed { folder, copy: record.copy, package })
    }

    /// Takes the lock for changes; waits at most `within`.
    ///
    /// # Errors
    /// Another process has it, or the state directory cannot be written, or the database not read.
    pub fn lock(&self, within: Duration) -> Result<Locked, StoreError> {
        let fail = |what| StoreError::system(&self.folder, what);
        modes::make_open(&self.folder).map_err(fail("create the folder"))?;
        let path = self.folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            // Who may open it may hold it.
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::system(&path, "open it"))?;
        let until = Instant::now() + within;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(LOCK_AGAIN),
                Err(Errno::WOULDBLOCK) => return Err(StoreError::Busy { path }),
                Err(errno) => return Err(StoreError::system(&path, "lock it")(errno.into())),
            }
        }
        let records = match self.known()? {
            Some(records) => records,
            None => {
                database::write(&self.folder, database::FILE, &[])?;
                database::sync_folder(self.folder.parent().unwrap_or(&self.folder))?;
                Vec::new()
            }
        };
        let locked = Locked { store: self.clone(), records, _lock: file };
        copy::sweep(&locked.store.folder, &locked.records);
        Ok(locked)
    }

    fn copy_of(&self, record: &Record) -> PathBuf {
        self.folder.join(&record.identifier).join(copy::folder_name(record))
    }
}

/// The store, to be changed.
#[derive(Debug)]
pub struct Locked {
    store: Store,
    records: Vec<Record>,
    _lock: File,
}

impl Locked {
    /// What is known.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The version of an extension that targets use.
    pub fn active(&self, identifier: &str) -> Option<&Record> {
        let active = |r: &&Record| r.identifier == identifier && r.state == State::ActivatedEnabled;
        self.records.iter().find(active)
    }

    /// Copies a package into the store, aside.
    ///
    /// # Errors
    /// A file is missing, no file, or cannot be copied.
    pub fn stage(&self, package: &Package, from: &Path) -> Result<Staged, StoreError> {
        copy::stage(&self.store.folder, package, from).map(Staged)
    }

    /// Gives a staged package its place; it is not yet in the database.
    ///
    /// # Errors
    /// The folder cannot be renamed.
    pub fn place(&self, staged: Staged, package: &Package) -> Result<Record, StoreError> {
        let same =
            |r: &&Record| r.identifier == package.identifier() && r.version == package.version();
        let last = self.records.iter().filter(same).map(|r| r.copy).max().unwrap_or(0);
        let record = Record {
            identifier: package.identifier().to_owned(),
            version: package.version().to_owned(),
            name: package.name.clone(),
            copy: last + 1,
            state: State::ActivatedEnabled,
        };
        copy::place(staged.0, &self.store.copy_of(&record))?;
        Ok(record)
    }

    /// Makes the database say this.
    ///
    /// # Errors
    /// It cannot be written; then it says what it said.
    pub fn write(&mut self, mut records: Vec<Record>) -> Result<(), StoreError> {
        records.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        database::write(&self.store.folder, database::FILE, &records)?;
        self.records = records;
        copy::sweep(&self.store.folder, &self.records);
        Ok(())
    }
}

/// A copy that is not in its place yet; dropped, it is gone.
#[derive(Debug)]
pub struct Staged(copy::Aside);

impl Staged {
    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.0.folder()
    }
}

/// Whether a record's names may be folders: what the database says is not believed.
fn is_sound(record: &Record) -> bool {
    names::identifier(&record.identifier).is_ok() && names::version(&record.version).is_ok()
}

#[cfg(test)]
pub(crate) mod tests;
