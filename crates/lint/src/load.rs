//! Finds and reads the files of a run, within limits.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::source::{FileKind, Skipped, SourceFile, Sources};

/// Largest file that is read.
pub const MAX_FILE_BYTES: u64 = 32 << 20;
/// Most bytes that are read in one run.
pub const MAX_TOTAL_BYTES: u64 = 128 << 20;
/// Most files that are read in one run.
const MAX_FILES: usize = 20_000;
/// Deepest directory that is entered.
const MAX_DEPTH: usize = 32;
/// Directories that hold nothing of the driver's own.
const PASSED_OVER: &[&str] =
    &[".git", "build", "DerivedData", "node_modules", "target", "Pods", ".build", "xcuserdata"];

/// The outcome of reading.
#[derive(Default)]
pub struct Loaded {
    /// The files.
    pub sources: Sources,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
    /// Paths named by the user that could not be read.
    pub unreadable: Vec<Skipped>,
}

/// Reads all files below the paths that the user named.
pub fn load(paths: &[PathBuf], config: &Config) -> Loaded {
    let mut out = Loader { out: Loaded::default(), config, bytes: 0, files: 0 };
    for path in paths {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => out.directory(path, 0, true),
            Ok(_) => out.file(path, true),
            Err(error) => out.refuse(path, error.to_string(), true),
        }
    }
    out.out
}

struct Loader<'a> {
    out: Loaded,
    config: &'a Config,
    bytes: u64,
    files: usize,
}

impl Loader<'_> {
    fn directory(&mut self, path: &Path, depth: usize, named: bool) {
        if depth > MAX_DEPTH {
            self.refuse(path, format!("deeper than {MAX_DEPTH} directories, not entered"), false);
            return;
        }
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                self.refuse(path, error.to_string(), named);
                return;
            }
        };
        let mut list: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
        list.sort();
        for entry in list {
            let name =
                entry.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            // Links are not followed, so a circle cannot be entered.
            let Ok(meta) = fs::symlink_metadata(&entry) else { continue };
            if meta.is_dir() {
                if !PASSED_OVER.contains(&name.as_str()) && !self.config.excludes(&entry) {
                    self.directory(&entry, depth + 1, false);
                }
            } else if meta.is_file()
                && FileKind::of(&name).is_some()
                && !self.config.excludes(&entry)
            {
                self.file(&entry, false);
            }
        }
    }

    fn file(&mut self, path: &Path, named: bool) {
        let shown = path.to_string_lossy().into_owned();
        let Some(kind) = FileKind::of(&shown) else {
            self.refuse(path, "not a .iig, C++, .plist or .entitlements file".to_owned(), named);
            return;
        };
        if self.files >= MAX_FILES {
            self.refuse(path, format!("more than {MAX_FILES} files, not read"), named);
            return;
        }
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) => {
                self.refuse(path, error.to_string(), named);
                return;
            }
        };
        if !meta.is_file() {
            self.refuse(path, "not a regular file".to_owned(), named);
            return;
        }
        if meta.len() > MAX_FILE_BYTES {
            self.refuse(path, format!("larger than {} MiB, not read", MAX_FILE_BYTES >> 20), named);
            return;
        }
        let mut bytes = Vec::new();
        let read = fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            self.refuse(path, error.to_string(), named);
            return;
        }
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_TOTAL_BYTES {
            self.refuse(
                path,
                format!("more than {} MiB in all, not read", MAX_TOTAL_BYTES >> 20),
                named,
            );
            return;
        }
        let had_mark = bytes.starts_with(b"\xef\xbb\xbf");
        match decode(bytes) {
            Ok((text, replaced)) => {
                if replaced > 0 {
                    let reason = format!("{replaced} bytes are not UTF-8 and were read as `?`");
                    self.out.skipped.push(Skipped { path: shown.clone(), line: None, reason });
                }
                self.files += 1;
                let mut file = SourceFile::new(shown, text, kind);
                file.altered = replaced > 0 || had_mark;
                self.out.sources.add(file);
            }
            Err(reason) => self.refuse(path, reason, named),
        }
    }

    fn refuse(&mut self, path: &Path, reason: String, named: bool) {
        let skipped = Skipped { path: path.to_string_lossy().into_owned(), line: None, reason };
        if named {
            self.out.unreadable.push(skipped);
        } else {
            self.out.skipped.push(skipped);
        }
    }
}

/// Bytes as text. Bytes that are not UTF-8 become `?`, one for one, so that offsets hold.
///
/// # Errors
/// A file with NUL bytes is binary and is not read.
pub fn decode(mut bytes: Vec<u8>) -> Result<(String, usize), String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("UTF-16 text, not read; save it as UTF-8".to_owned());
    }
    if bytes.contains(&0) {
        return Err("a binary file, not read".to_owned());
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes[..3].fill(b' ');
    }
    let mut replaced = 0;
    let mut at = 0;
    loop {
        match std::str::from_utf8(&bytes[at..]) {
            Ok(_) => break,
            Err(error) => {
                let bad = at + error.valid_up_to();
                let len = error.error_len().unwrap_or(bytes.len() - bad).max(1);
                bytes[bad..bad + len].fill(b'?');
                replaced += len;
                at = bad + len;
            }
        }
    }
    String::from_utf8(bytes).map(|text| (text, replaced)).map_err(|e| e.to_string())
}
