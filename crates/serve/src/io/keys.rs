//! Keys of encrypted arrays: read, made on first use, replaced by a new one.
//!
//! A key file is a line of 128 hexadecimal digits, for its owner alone. In the state directory a
//! *marker* of each encrypted array, by its serial number, has the key's fingerprint: so a key that is
//! lost or another one is noticed before anything is read or written under it. A replacement is
//! announced in the marker before it happens, and takes effect when the file of the new key is renamed
//! over that of the old one.

mod file;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use outboard_disk::DiskKind;
use outboard_disk::crypt::Key;
use sha2::{Digest, Sha256};

use crate::config::Array;

/// Why an array has no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// the file of the key, or the marker's
    #[error("{path}: {source}; the server reads and writes it and its folder", path = path.display())]
    File {
        /// the file
        path: PathBuf,
        /// the kernel's answer
        source: io::Error,
    },
    /// others may read it
    #[error("{path} can be read by others than its owner; do: chmod 600 {path}", path = path.display())]
    Exposed {
        /// the file
        path: PathBuf,
    },
    /// it holds no key
    #[error("{path} holds no key: {rule}; put the right file back, or, if the data may go, make a new key: openssl rand -hex 64", path = path.display())]
    Content {
        /// the file
        path: PathBuf,
        /// what a key is
        rule: String,
    },
    /// there is none, and there is data under it
    #[error("the key file {path} is not there, and the array's data is encrypted under it (fingerprint {fingerprint}): put it back, nothing else reads that data; if the data may go, remove {marker} and make a new key: openssl rand -hex 64", path = path.display(), marker = marker.display())]
    Lost {
        /// the file
        path: PathBuf,
        /// the key's
        fingerprint: String,
        /// what knows of it
        marker: PathBuf,
    },
    /// there is none, and there is data
    #[error("the key file {path} is not there, and a new key is made for empty disks only: {reason}; put the file back, or, if the data may go, make a new key: openssl rand -hex 64", path = path.display())]
    NotEmpty {
        /// the file
        path: PathBuf,
        /// what was found
        reason: String,
    },
    /// another key
    #[error("{path} holds another key ({found}) than the array's data is encrypted under ({fingerprint}): put the right file back; if the data may go, remove {marker}", path = path.display(), marker = marker.display())]
    Wrong {
        /// the file
        path: PathBuf,
        /// the fingerprint of its key
        found: String,
        /// the one of the data's
        fingerprint: String,
        /// what knows of it
        marker: PathBuf,
    },
    /// the data is encrypted, and no key is named
    #[error("the array's data is encrypted (fingerprint {fingerprint}), and no key_file is said: add it; if the data may go, remove {marker}", marker = marker.display())]
    Unnamed {
        /// the key's
        fingerprint: String,
        /// what knows of it
        marker: PathBuf,
    },
    /// the system gives no random bytes
    #[error("the system gives no random bytes for a key: {0}")]
    Entropy(getrandom::Error),
}

/// The key of an array, where it is and what is known of it.
#[derive(Debug)]
pub(super) struct Keeper {
    /// the key file
    path: Option<PathBuf>,
    /// where the fingerprints are
    marker: Option<PathBuf>,
}

impl Keeper {
    /// Of an array with this serial number. `state` is the state directory.
    pub(super) fn of(array: &Array, serial: &str, state: Option<&Path>) -> Self {
        // The content of a disk in memory ends with the server, whatever becomes of its key.
        let lasts = array.members.iter().any(|disk| matches!(disk.kind, DiskKind::File { .. }));
        let marker = state.filter(|_| lasts).map(|state| state.join("keys").join(name_of(serial)));
        Self { path: array.key_file.clone(), marker }
    }

    /// The key; `None` if the array is not encrypted. Without a key file, a new key if `empty` has
    /// nothing against it.
    pub(super) fn key(
        &self,
        empty: impl FnOnce() -> Result<(), String>,
    ) -> Result<Option<Key>, KeyError> {
        let known = self.fingerprints()?;
        let Some(path) = &self.path else {
            return match (known, &self.marker) {
                (Some(known), Some(marker)) => {
                    let (fingerprint, marker) = (known.join(" or "), marker.clone());
                    Err(KeyError::Unnamed { fingerprint, marker })
                }
                _ => Ok(None),
            };
        };
        let key = match (file::read(path)?, &known, &self.marker) {
            (Some(key), ..) => key,
            (None, Some(known), Some(marker)) => {
                let (path, marker, fingerprint) =
                    (path.clone(), marker.clone(), known.join(" or "));
                return Err(KeyError::Lost { path, fingerprint, marker });
            }
            (None, ..) => {
                let fail = |reason| KeyError::NotEmpty { path: path.clone(), reason };
                empty().map_err(fail)?;
                let key = new_key()?;
                file::create(path, &key)?;
                key
            }
        };
        let found = fingerprint(&key);
        match (known, &self.marker) {
            (Some(known), Some(marker)) if !known.contains(&found) => {
                let (path, marker, fingerprint) =
                    (path.clone(), marker.clone(), known.join(" or "));
                Err(KeyError::Wrong { path, found, fingerprint, marker })
            }
            (Some(known), _) if known == [found.as_str()] => Ok(Some(key)),
            _ => {
                self.mark(&[&found])?;
                Ok(Some(key))
            }
        }
    }

    /// Replaces the key by a new one, for good. On an error the old one is in force or, if the file's
    /// folder could not be synchronized, the new one: whoever reads the file has the right one.
    pub(super) fn renew(&self) -> Result<(), KeyError> {
        let none = || KeyError::NotEmpty {
            path: self.path.clone().unwrap_or_default(),
            reason: "there is nothing to replace".to_owned(),
        };
        let path = self.path.as_ref().ok_or_else(none)?;
        let path = fs::canonicalize(path).map_err(failed(path))?;
        let old = file::read(&path)?.ok_or_else(none)?;
        let new = new_key()?;
        self.mark(&[&fingerprint(&old), &fingerprint(&new)])?;
        file::replace(&path, &new)?;
        if let Err(error) = self.mark(&[&fingerprint(&new)]) {
            // Both are known: the old one does no harm.
            tracing::warn!(%error, "the fingerprint of a key that is gone stays");
        }
        Ok(())
    }

    /// The fingerprints in the marker, if there is one: that of the key, or of both while it is being
    /// replaced.
    fn fingerprints(&self) -> Result<Option<Vec<String>>, KeyError> {
        let Some(marker) = &self.marker else { return Ok(None) };
        match fs::read_to_string(marker) {
            Ok(text) => Ok(Some(text.lines().map(str::to_owned).collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyError::File { path: marker.clone(), source }),
        }
    }

    fn mark(&self, fingerprints: &[&str]) -> Result<(), KeyError> {
        let Some(marker) = &self.marker else { return Ok(()) };
        if let Some(folder) = marker.parent()
            && !folder.exists()
        {
            fs::create_dir_all(folder).map_err(failed(folder))?;
            // The folder's name must last as well.
            let above = folder.parent().unwrap_or(folder);
            File::open(above).and_then(|above| above.sync_all()).map_err(failed(above))?;
        }
        let text = fingerprints.join("\n") + "\n";
        file::put(marker, text.as_bytes()).map_err(failed(marker))
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::File { path, source }
}

fn new_key() -> Result<Key, KeyError> {
    loop {
        let mut bytes = [0; Key::BYTES];
        getrandom::fill(&mut bytes).map_err(KeyError::Entropy)?;
        if let Ok(key) = Key::take(&mut bytes) {
            return Ok(key);
        }
    }
}

/// What a key can be known by, and not be found from.
fn fingerprint(key: &Key) -> String {
    let hash = Sha256::new().chain_update(b"outboard key").chain_update(key.bytes()).finalize();
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A serial number as the name of a file.
fn name_of(serial: &str) -> String {
    let letter = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    serial.bytes().map(letter).collect::<String>() + ".key"
}

/// Whether anybody but its owner may read or write a file.
fn is_exposed(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests;
