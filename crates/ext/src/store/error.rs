//! What is wrong with a state directory, or with what is asked of it.

use std::io;
use std::path::{Path, PathBuf};

use super::{Record, State};
use crate::package::PackageError;

/// What is wrong with a state directory, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// a file or folder
    #[error("{path}: cannot {what}: {source}; name a state directory that this user may write to with --state-dir", path = path.display())]
    System {
        /// which
        path: PathBuf,
        /// what was to be done with it
        what: &'static str,
        /// the kernel's answer
        source: io::Error,
    },
    /// the database is none of ours, or torn
    #[error("{path}: {reason}; it is not used. Move it away with the folders of extensions beside it, and activate each again", path = path.display())]
    Foreign {
        /// the file
        path: PathBuf,
        /// what is wrong with it
        reason: String,
    },
    /// there are copies, and no database that says what they are
    #[error(
        "{path}: it is missing, and the store holds copies of extensions ({copies}): without it nobody knows which of them are active, so none is used, and none removed; put it back from a backup, or stop the servers, move these folders out of the store, and run `outboard ext activate` on each that is to be active", path = path.display(), copies = some(copies)
    )]
    Missing {
        /// the file
        path: PathBuf,
        /// the copies, as `ID/VERSION`
        copies: Vec<String>,
    },
    /// somebody else changes something
    #[error("{path}: another `outboard ext` is at work; try again when it has ended", path = path.display())]
    Busy {
        /// the lock
        path: PathBuf,
    },
    /// nothing of this name
    #[error("there is no extension {identifier:?}; {known}")]
    Unknown {
        /// what was asked for
        identifier: String,
        /// what there is, and the mend
        known: String,
    },
    /// it is there, and cannot be used
    #[error(
        "extension {identifier} {version} is [{state}]; mend it and run `outboard ext activate DIR`"
    )]
    Inactive {
        /// who
        identifier: String,
        /// which
        version: String,
        /// how it is
        state: State,
    },
    /// its copy is not what it was
    #[error("the copy of extension {identifier}: {source}\nactivate it again")]
    Package {
        /// who
        identifier: String,
        /// what is wrong
        source: Box<PackageError>,
    },
    /// a package that cannot be copied
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// the file of the package
        path: PathBuf,
        /// the rule and the mend
        reason: String,
    },
}

/// Most names in a message.
const NAMED: usize = 8;

fn some(names: &[String]) -> String {
    let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        count if count > NAMED => format!("{named} and {} more", count - NAMED),
        _ => named,
    }
}

impl StoreError {
    pub(crate) fn system(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::System { path, what, source }
    }
}

pub(crate) fn unknown(identifier: &str, records: &[Record]) -> StoreError {
    let mut names: Vec<&str> = records.iter().map(|r| r.identifier.as_str()).collect();
    names.dedup();
    let known = match names.is_empty() {
        true => "none is activated: run `outboard ext activate DIR`".to_owned(),
        false => match outboard_settings::nearest(identifier, &names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", outboard_settings::list(&names)),
        },
    };
    StoreError::Unknown { identifier: identifier.to_owned(), known }
}
