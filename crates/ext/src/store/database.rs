//! The database file: JSON with a checksum, replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Record, StoreError, is_sound, modes};

/// Its name.
pub(super) const FILE: &str = "database.json";
/// What it begins with, so that a foreign file is known.
const KIND: &str = "outboard extensions";
/// Version of its form.
const FORM: u32 = 1;
/// Most bytes of it.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Deserialize, Serialize)]
struct Database {
    kind: String,
    form: u32,
    /// CRC32C of `records` as compact JSON
    crc32c: u32,
    records: Vec<Record>,
}

fn checksum(records: &[Record]) -> u32 {
    // Plain data: it has a JSON form.
    crc32c::crc32c(&serde_json::to_vec(records).unwrap_or_default())
}

/// The records; `None` if the file is not there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Record>>, StoreError> {
    let text = match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            return Err(foreign(path, format!("it has more than {MAX_BYTES} bytes")));
        }
        _ => match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::system(path, "read it")(error)),
        },
    };
    let database: Database = serde_json::from_slice(&text).map_err(|error| {
        foreign(path, format!("it is torn, or no database of extensions ({error})"))
    })?;
    if database.kind != KIND || database.form != FORM {
        let reason = format!(
            "it is a {:?} of form {}, not {KIND:?} of form {FORM}",
            database.kind, database.form
        );
        return Err(foreign(path, reason));
    }
    if checksum(&database.records) != database.crc32c {
        return Err(foreign(path, "its checksum is wrong".to_owned()));
    }
    match database.records.iter().all(is_sound) {
        true => Ok(Some(database.records)),
        false => Err(foreign(path, "it names what cannot be an extension".to_owned())),
    }
}

/// Replaces the file as a whole.
pub(super) fn write(folder: &Path, name: &str, records: &[Record]) -> Result<(), StoreError> {
    let database = Database {
        kind: KIND.to_owned(),
        form: FORM,
        crc32c: checksum(records),
        records: records.to_vec(),
    };
    let mut text = serde_json::to_vec_pretty(&database).unwrap_or_default();
    text.push(b'\n');
    replace(&folder.join(name), &text)
}

/// Writes a file aside, synchronises it and gives it its name.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let aside = path.with_extension("new");
    let fail = || StoreError::system(path, "write it");
    let mut file = File::create(&aside).map_err(fail())?;
    modes::set(&aside, modes::FILE)
        .and_then(|()| file.write_all(content))
        .and_then(|()| file.sync_all())
        .map_err(fail())?;
    fs::rename(&aside, path).map_err(fail())?;
    sync_folder(path.parent().unwrap_or(path))
}

/// Makes a rename in a folder last.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::system(folder, "synchronise it"))
}

fn foreign(path: &Path, reason: String) -> StoreError {
    StoreError::Foreign { path: path.to_owned(), reason }
}
