//! Copies of packages.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::database::sync_folder;
use super::{Record, StoreError, modes};
use crate::names;
use crate::package::{FILE, Package};

/// Most bytes of a package.
const MAX_BYTES: u64 = 2 << 30;
/// What the names of copies in the making begin with.
const ASIDE: &str = ".new-";

/// A copy in the making; dropped, it is gone.
#[derive(Debug)]
pub(super) struct Aside {
    folder: PathBuf,
    placed: bool,
}

impl Aside {
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The name of a copy's folder.
pub(super) fn folder_name(record: &Record) -> String {
    match record.copy {
        0 | 1 => record.version.clone(),
        copy => format!("{}~{copy}", record.version),
    }
}

/// Copies a package aside and synchronises it.
pub(super) fn stage(store: &Path, package: &Package, from: &Path) -> Result<Aside, StoreError> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = store.join(format!("{ASIDE}{}-{number}", std::process::id()));
    let aside = Aside { folder, placed: false };
    let to = &aside.folder;
    fs::create_dir(to).map_err(StoreError::system(to, "create it"))?;
    let mut room = MAX_BYTES;
    copy_file(from, to, Path::new(FILE), false, &mut room)?;
    copy_file(from, to, &package.program, true, &mut room)?;
    for file in package.files.iter().filter(|file| **file != package.program) {
        copy_file(from, to, file, false, &mut room)?;
    }
    Ok(aside)
}

/// Gives a copy its place.
pub(super) fn place(mut aside: Aside, to: &Path) -> Result<(), StoreError> {
    let fail = |what| StoreError::system(to, what);
    let parent = to.parent().unwrap_or(to);
    modes::make_open(parent).map_err(fail("create the folder above it"))?;
    // One that nobody names: a crash came before the database was written.
    let _ = fs::remove_dir_all(to);
    fs::rename(&aside.folder, to).map_err(fail("put the copy there"))?;
    aside.placed = true;
    sync_folder(parent)?;
    sync_folder(parent.parent().unwrap_or(parent))
}

/// Removes what no record names: copies of crashed changes, versions that are gone.
pub(super) fn sweep(store: &Path, records: &[Record]) {
    for (name, path) in entries(store) {
        if name.starts_with(ASIDE) {
            // The lock is ours: nobody is making it.
            let _ = fs::remove_dir_all(path);
        } else if names::identifier(&name).is_ok() {
            let of_it = |r: &&Record| r.copy > 0 && r.identifier == name;
            let kept: Vec<String> = records.iter().filter(of_it).map(folder_name).collect();
            for (copy, path) in entries(&path) {
                if is_copy(&copy) && !kept.contains(&copy) {
                    let _ = fs::remove_dir_all(path);
                }
            }
            if kept.is_empty() {
                // Only if it is empty.
                let _ = fs::remove_dir(path);
            }
        }
    }
}

/// The copies that there are, as `ID/VERSION`, whether a record names them or not.
pub(super) fn all(store: &Path) -> Vec<String> {
    let mut copies = Vec::new();
    for (identifier, path) in entries(store) {
        if names::identifier(&identifier).is_ok() {
            let ours = entries(&path).into_iter().filter(|(copy, _)| is_copy(copy));
            copies.extend(ours.map(|(copy, _)| format!("{identifier}/{copy}")));
        }
    }
    copies.sort();
    copies
}

/// Whether a folder's name can be a copy's: a version, or a version and the number of its copy.
fn is_copy(name: &str) -> bool {
    names::version(name.split('~').next().unwrap_or(name)).is_ok()
}

/// Folders in a folder.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let named = folders.filter_map(|entry| {
        let name = entry.file_name().to_str()?.to_owned();
        Some((name, entry.path()))
    });
    named.collect()
}

/// Opens a file of a package for reading. No link leads out of the folder: what `outboard ext` may read is
/// more than what a driver may. A pipe is not waited for.
fn open_inside(folder: &Path, file: &Path) -> io::Result<File> {
    let folder = File::open(folder)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(folder, file, flags, Mode::empty(), inside) {
        Ok(opened) => Ok(opened.into()),
        Err(Errno::XDEV) => Err(io::Error::other("a symbolic link leads out of the package")),
        Err(errno) => Err(errno.into()),
    }
}

fn copy_file(
    from: &Path,
    to: &Path,
    file: &Path,
    is_program: bool,
    room: &mut u64,
) -> Result<(), StoreError> {
    let (source, target) = (from.join(file), to.join(file));
    let refuse = |reason: String| StoreError::File { path: source.clone(), reason };
    let opened = open_inside(from, file).and_then(|file| file.metadata().map(|m| (file, m)));
    let (opened, metadata) = opened.map_err(|error| {
        let mend = match is_program {
            true => "build the driver first, or correct `program`",
            false => "correct `files`",
        };
        refuse(format!("{error}; {mend}"))
    })?;
    if !metadata.is_file() {
        return Err(refuse("it is no regular file; a package has nothing else".to_owned()));
    }
    if is_program && metadata.permissions().mode() & 0o111 == 0 {
        return Err(refuse("the driver program is not executable; run chmod +x on it".to_owned()));
    }
    let parent = target.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(StoreError::system(parent, "create it"))?;
    let mode = if is_program { modes::OPEN } else { modes::FILE };
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&target)
        .map_err(StoreError::system(&target, "create it"))?;
    let copied = io::copy(&mut opened.take(*room + 1), &mut copy)
        .and_then(|bytes| copy.set_permissions(fs::Permissions::from_mode(mode)).map(|()| bytes))
        .and_then(|bytes| copy.sync_all().map(|()| bytes))
        .map_err(StoreError::system(&target, "write it"))?;
    *room = room.checked_sub(copied).ok_or_else(|| {
        refuse(format!(
            "a package has at most {MAX_BYTES} bytes; leave out what the driver does not need"
        ))
    })?;
    let mut above = target.parent();
    while let Some(folder) = above.filter(|folder| folder.starts_with(to)) {
        modes::set(folder, modes::OPEN).map_err(StoreError::system(folder, "let readers in"))?;
        sync_folder(folder)?;
        above = folder.parent();
    }
    Ok(())
}
