//! The files themselves: whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use outboard_disk::crypt::Key;
use zeroize::Zeroizing;

use super::{KeyError, failed, is_exposed};

/// A key is short: more than this is not read.
const MAX_FILE_BYTES: u64 = 4096;
/// Digits of a key.
const DIGITS: usize = 2 * Key::BYTES;

/// The key in a file; `None` if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Key>, KeyError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed(path))?,
    };
    if is_exposed(&file).map_err(failed(path))? {
        return Err(KeyError::Exposed { path: path.to_owned() });
    }
    // With its full size from the beginning: a vector that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize));
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(failed(path))?;
    let fail = |rule: String| KeyError::Content { path: path.to_owned(), rule };
    let mut bytes = Zeroizing::new([0; Key::BYTES]);
    decode(text.trim_ascii(), &mut bytes)
        .ok_or_else(|| fail(format!("a key is {DIGITS} hexadecimal digits in a line")))?;
    Key::take(&mut bytes).map(Some).map_err(|error| fail(error.to_string()))
}

/// Makes the file of a key that has none.
pub(super) fn create(path: &Path, key: &Key) -> Result<(), KeyError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    put(path, &encode(key)).map_err(failed(path))
}

/// Puts another key in the place of the one in a file, whose bytes are written over as far as the
/// file system lets them be.
pub(super) fn replace(path: &Path, key: &Key) -> Result<(), KeyError> {
    let old = OpenOptions::new().write(true).open(path).map_err(failed(path))?;
    put(path, &encode(key)).map_err(failed(path))?;
    let wiped = old.metadata().and_then(|metadata| {
        let len = usize::try_from(metadata.len().min(MAX_FILE_BYTES)).unwrap_or(DIGITS);
        old.write_all_at(&vec![b'0'; len], 0)?;
        old.sync_all()
    });
    if let Err(error) = wiped {
        tracing::warn!(path = %path.display(), %error, "the old key's bytes were not written over");
    }
    Ok(())
}

/// Writes a file beside `path`, synchronizes it, gives it the name, and synchronizes the folder.
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn encode(key: &Key) -> Zeroizing<Vec<u8>> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut text = Zeroizing::new(Vec::with_capacity(DIGITS + 1));
    text.extend(key.bytes().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    text.push(b'\n');
    text
}

fn decode(text: &[u8], bytes: &mut [u8; Key::BYTES]) -> Option<()> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    if text.len() != DIGITS {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(())
}
