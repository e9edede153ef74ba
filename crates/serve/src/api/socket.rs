//! The control socket: one server has it at a time, only its user may connect, and what a server
//! that was killed left behind is no hindrance.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

use super::ApiError;

/// Connections that may wait.
const BACKLOG: i32 = 64;

/// The control socket of this server.
pub(super) struct Socket {
    path: PathBuf,
    listener: Option<UnixListener>,
    /// held as long as this server has the socket; the kernel lets go of it with the process
    _lock: File,
}

impl Socket {
    /// Takes the path, mode 0600. Makes its folder, mode 0700, if that is missing.
    pub(super) fn take(path: &Path) -> Result<Self, ApiError> {
        let failed = |source: io::Error| ApiError::Socket { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
            trusted(folder).map_err(failed)?;
        }
        let lock = Self::lock(path)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ApiError::NoSocket { path: path.to_owned() });
            }
            // One that answers belongs to something that does not know our lock.
            Ok(_) if UnixStream::connect(path).is_ok() => {
                return Err(ApiError::Held { path: path.to_owned() });
            }
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(_) => {}
        }
        let listener = Self::bind(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), listener: Some(listener), _lock: lock })
    }

    /// The listener; there is one only.
    pub(super) fn listener(&mut self) -> io::Result<UnixListener> {
        self.listener.take().ok_or_else(|| io::ErrorKind::AlreadyExists.into())
    }

    /// A lock beside the socket tells a socket that is in use from one that was left behind, without
    /// a moment in which two servers both take it for left behind.
    fn lock(path: &Path) -> Result<File, ApiError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let name = PathBuf::from(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&name)
            .map_err(|source| ApiError::Socket { path: name.clone(), source })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(ApiError::Held { path: path.to_owned() }),
            Err(error) => Err(ApiError::Socket { path: name, source: error.into() }),
        }
    }

    fn bind(path: &Path) -> io::Result<UnixListener> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Linux gives the file the socket's mode, so that nobody else can connect even for a moment.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG)?;
        Ok(UnixListener::from(socket))
    }
}

/// A folder of another user could have its socket exchanged at any time.
fn trusted(folder: &Path) -> io::Result<()> {
    let owner = match folder.as_os_str().is_empty() {
        true => return Ok(()),
        false => fs::metadata(folder)?.uid(),
    };
    match owner == 0 || owner == rustix::process::geteuid().as_raw() {
        true => Ok(()),
        false => {
            let text =
                format!("the folder belongs to user {owner}, neither to this one nor to root");
            Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It is ours as long as we have the lock. The lock's file stays, or a third server could
        // lock a file that a second one has just removed.
        let _ = fs::remove_file(&self.path);
    }
}
