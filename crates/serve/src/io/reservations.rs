//! Files of persistent reservations: one a unit, two records each, written before the command that
//! changed them is answered.
//!
//! The file of a unit is `<folder>/<target>.lun<N>.reservations`. A record that a crash has torn is
//! known by its checksum, and the one before it is used.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use outboard_scsi::Lun;
use outboard_spc::reservation::store::{SLOT_LEN, StateChange};
use outboard_spc::{SpcError, Target};

/// Why the state of a unit cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// the file or its folder
    #[error("{path}: {source}; persistent reservations are kept there: mend it, or name another folder with [state] directory", path = path.display())]
    File {
        /// the file
        path: PathBuf,
        /// the kernel's answer
        source: io::Error,
    },
    /// its content
    #[error("{path}: {source}; move the file away if the reservations in it may be forgotten", path = path.display())]
    Content {
        /// the file
        path: PathBuf,
        /// what is wrong
        source: SpcError,
    },
}

/// The folder, for one target.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    target: String,
}

impl Folder {
    /// For `target` in `folder`, which is made if it is missing.
    pub fn open(folder: &Path, target: &str) -> Result<Self, StateError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| StateError::File { path: folder.to_owned(), source })?;
        // iSCSI names have no slashes; what else may be in one is no trouble in a file name.
        Ok(Self { path: folder.to_owned(), target: target.replace('/', "_") })
    }

    /// The file of a unit.
    pub fn file(&self, lun: Lun) -> PathBuf {
        self.path.join(format!("{}.lun{}.reservations", self.target, lun.number()))
    }

    /// Gives a unit the reservations that its file has.
    pub fn restore(&self, target: &mut Target, lun: Lun) -> Result<(), StateError> {
        let path = self.file(lun);
        let bytes =
            read(&path).map_err(|source| StateError::File { path: path.clone(), source })?;
        target.restore(lun, &bytes).map_err(|source| StateError::Content { path, source })
    }

    /// Renames the file of a unit, so that it is not looked at any more.
    pub fn set_aside(&self, lun: Lun) -> Result<(), StateError> {
        let path = self.file(lun);
        let aside = path.with_extension("reservations.old");
        std::fs::rename(&path, aside).map_err(|source| StateError::File { path, source })
    }

    /// Writes a record and waits until it is on the medium.
    pub fn write(&self, change: &StateChange) -> Result<(), StateError> {
        let path = self.file(change.lun);
        let write = || {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            file.write_all_at(&change.bytes, change.offset)?;
            file.sync_all()?;
            // The name of a new file must last as well.
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| StateError::File { path: path.clone(), source })
    }
}

/// The whole file; nothing if there is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => {
            file.take(2 * SLOT_LEN as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(bytes),
        Err(error) => Err(error),
    }
}
