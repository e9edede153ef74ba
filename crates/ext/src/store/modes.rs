//! Who may read the store: everybody, whatever the umask it is made under. Drivers run as a user
//! without rights and read their packages in it; secrets are kept elsewhere.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Of folders and programs.
pub(crate) const OPEN: u32 = 0o755;
/// Of other files.
pub(crate) const FILE: u32 = 0o644;

/// Gives a file or folder its mode.
pub(crate) fn set(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Makes a folder, with those above it, or lets everybody into the one that is there. Somebody else's
/// stays as it is.
pub(crate) fn make_open(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    match mode & OPEN {
        OPEN => Ok(()),
        _ => match set(folder, mode & 0o7777 | OPEN) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            done => done,
        },
    }
}
