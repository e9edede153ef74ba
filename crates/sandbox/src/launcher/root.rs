//! What the driver sees of the file system: its package and the libraries, read-only, under an
//! empty root.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree, unmount,
};

use super::program::Program;
use crate::sys;

/// Where libraries and the program that loads them may be.
const LIBRARIES: [&str; 8] =
    ["/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32"];
/// Folders that may be covered by the new root until it is the root.
const COVERED: [&str; 3] = ["/tmp", "/usr", "/"];
/// The root holds empty folders and links, and no bytes of anybody's.
const ROOT_SIZE: &str = "64k";

/// What a driver sees.
#[derive(Debug, Default)]
pub(super) struct View {
    /// folders, at the same place as outside
    pub(super) folders: Vec<PathBuf>,
    /// symbolic links and what they say
    links: Vec<(PathBuf, PathBuf)>,
}

impl View {
    /// The package's folder, and the libraries if the program is dynamic.
    pub(super) fn of(package: Option<&Path>, program: &Program) -> Self {
        let mut view = Self::default();
        // A relative package means the host's folder; a link, where it leads.
        let package =
            package.map(|package| package.canonicalize().unwrap_or_else(|_| package.to_owned()));
        view.folders.extend(package);
        if program.interpreter.is_some() {
            for library in LIBRARIES.map(PathBuf::from) {
                match std::fs::read_link(&library) {
                    Ok(target) => view.links.push((library, target)),
                    Err(_) if library.is_dir() => view.folders.push(library),
                    Err(_) => {}
                }
            }
        }
        view
    }

    /// Makes this view the root of the mount namespace. The caller has one of its own.
    pub(super) fn enter(&self) -> Result<(), String> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |e: Errno| format!("{what}: {e}")
        };
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).map_err(failed("private mounts"))?;
        // Before anything is covered.
        let trees =
            self.folders.iter().map(|folder| tree(folder)).collect::<Result<Vec<_>, _>>()?;
        let root = empty_root().map_err(failed("tmpfs"))?;
        let cover = COVERED.into_iter().find(|folder| Path::new(folder).is_dir()).unwrap_or("/");
        attach(&root, Path::new(cover)).map_err(failed(cover))?;
        rustix::process::chdir(cover).map_err(failed(cover))?;
        for (folder, tree) in self.folders.iter().zip(&trees) {
            let inside = make_folders(folder).map_err(failed("folder"))?;
            attach(tree, &inside).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        for (link, target) in &self.links {
            let link = relative(link);
            if let Some(parent) = link.parent() {
                make_folders(parent).map_err(failed("folder"))?;
            }
            rustix::fs::symlink(target, link).map_err(failed("link"))?;
        }
        let sealed = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        sys::set_mount(&root, sealed.bits().into(), false)
            .map_err(|e| format!("read-only: {e}"))?;
        // The old root lands on top of the new one and is taken off.
        rustix::process::pivot_root(".", ".").map_err(failed("pivot_root"))?;
        unmount(".", UnmountFlags::DETACH).map_err(failed("old root"))?;
        rustix::process::chdir("/").map_err(failed("/"))
    }
}

/// A copy of a folder's mounts that nobody can write to or gain rights by.
fn tree(folder: &Path) -> Result<OwnedFd, String> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, folder, flags).map_err(|e| format!("{}: {e}", folder.display()))?;
    let harmless = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    sys::set_mount(&tree, harmless.bits().into(), true)
        .map_err(|e| format!("{} read-only: {e}", folder.display()))?;
    Ok(tree)
}

fn empty_root() -> Result<OwnedFd, Errno> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "size", ROOT_SIZE)?;
    fsconfig_set_string(&fs, "mode", "0755")?;
    fsconfig_create(&fs)?;
    let harmless = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, harmless)
}

fn attach(mount: &OwnedFd, to: &Path) -> Result<(), Errno> {
    move_mount(mount, "", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Makes a folder and those above it below the working directory. The driver's user passes through
/// them, whatever the host's umask.
fn make_folders(path: &Path) -> Result<PathBuf, Errno> {
    let mut made = PathBuf::new();
    for part in relative(path).components() {
        made.push(part);
        let mode = Mode::from_raw_mode(0o755);
        match rustix::fs::mkdir(&made, mode) {
            Ok(()) => rustix::fs::chmod(&made, mode)?,
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(made)
}
