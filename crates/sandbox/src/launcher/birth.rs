//! The new process and its namespaces.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::group::Group;
use super::{Failure, at};
use crate::Measure;
use crate::sys::{self, Cloned};

/// The user and group of a driver whose host is root: nobody.
pub(super) const NOBODY: u32 = 65534;

/// Namespaces that are tried, by their names as measures.
const NAMESPACES: [(&str, i32); 7] = [
    (USER, libc::CLONE_NEWUSER),
    (MOUNT, libc::CLONE_NEWNS),
    ("PID namespace", libc::CLONE_NEWPID),
    ("network namespace", libc::CLONE_NEWNET),
    ("IPC namespace", libc::CLONE_NEWIPC),
    ("UTS namespace", libc::CLONE_NEWUTS),
    ("cgroup namespace", libc::CLONE_NEWCGROUP),
];
const USER: &str = "user namespace";
pub(super) const MOUNT: &str = "mount namespace";
pub(super) const GROUP: &str = "control group";

/// What the new process must know about itself.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Namespaces {
    pub(super) user: bool,
    /// its own mounts, still to be made
    pub(super) mounts: bool,
    pub(super) host_name: bool,
}

/// A process that waits for its orders.
pub(super) struct Born {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) namespaces: Namespaces,
}

/// The making of a process: what is still to be tried, and what has become of the rest.
pub(super) struct Birth {
    wanted: Vec<(&'static str, i32)>,
    root: bool,
    group: Option<Group>,
    measures: Vec<Measure>,
}

impl Birth {
    /// Nothing is tried unless `wanted`. As root the launcher has made the mount namespace already,
    /// so that the new process has no rights over it.
    pub(super) fn new(
        wanted: bool,
        root: bool,
        group: Option<Group>,
        measures: Vec<Measure>,
    ) -> Self {
        let asked = |(name, _): &(&str, i32)| wanted && !(root && *name == MOUNT);
        Self { wanted: NAMESPACES.into_iter().filter(asked).collect(), root, group, measures }
    }

    /// Makes the process with all that can be had; `None` in the new one.
    pub(super) fn clone(&mut self) -> Result<Option<Born>, Failure> {
        let cloned = match self.make() {
            Ok(cloned) => cloned,
            // Something is refused: look what, and do without it.
            Err(_) => {
                self.probe();
                self.make().or_else(|error| self.make_outside_its_group(error))?
            }
        };
        let Cloned::Parent { pid, pidfd } = cloned else { return Ok(None) };
        let namespaces = Namespaces {
            user: self.has(libc::CLONE_NEWUSER),
            mounts: self.has(libc::CLONE_NEWNS),
            host_name: self.has(libc::CLONE_NEWUTS),
        };
        Ok(Some(Born { pid, pidfd, namespaces }))
    }

    fn has(&self, flag: i32) -> bool {
        self.wanted.iter().any(|(_, wanted)| *wanted == flag)
    }

    fn make(&self) -> std::io::Result<Cloned> {
        let flags = self.wanted.iter().fold(0, |flags, (_, flag)| flags | bits(*flag));
        sys::clone_beside(flags, self.group.as_ref().map(|group| group.folder.as_fd()))
    }

    fn make_outside_its_group(&mut self, error: std::io::Error) -> Result<Cloned, Failure> {
        if self.group.take().is_some() {
            self.measures.push(Measure::of(GROUP, Err(error)));
            return self.make().map_err(at("clone3"));
        }
        Err(at("clone3")(error))
    }

    /// Tries one namespace after the other and drops those that are refused.
    fn probe(&mut self) {
        let mut flags = 0;
        for (name, flag) in std::mem::take(&mut self.wanted) {
            match sys::probe_clone(flags | bits(flag)) {
                Ok(()) => {
                    flags |= bits(flag);
                    self.wanted.push((name, flag));
                }
                Err(e) => self.measures.push(Measure::of(name, Err(e))),
            }
        }
    }

    /// Gives the new user namespace its users. If that is refused the process is of no use, and the
    /// next one is made without it.
    pub(super) fn map_users(
        &mut self,
        processes: &Result<OwnedFd, Errno>,
        born: &Born,
    ) -> Result<(), ()> {
        if !born.namespaces.user {
            return Ok(());
        }
        map_users(processes, born.pid, self.root).map_err(|reason| {
            self.measures.push(Measure::of(USER, Err(reason)));
            self.wanted.retain(|(name, _)| *name != USER);
        })
    }

    /// What has become of each measure, and the control group, which is the host's now.
    pub(super) fn end(mut self) -> (Vec<Measure>, Option<PathBuf>) {
        // The mounts are still to be made.
        for (name, _) in self.wanted.iter().filter(|(name, _)| *name != MOUNT) {
            self.measures.push(Measure::of::<&str>(name, Ok(())));
        }
        if self.group.is_some() {
            self.measures.push(Measure::of::<&str>(GROUP, Ok(())));
        }
        (self.measures, self.group.and_then(Group::hand_over))
    }
}

const fn bits(flag: i32) -> u64 {
    flag.cast_unsigned() as u64
}

/// Writes the maps: nobody for root, else the user itself.
fn map_users(processes: &Result<OwnedFd, Errno>, pid: i32, root: bool) -> Result<(), String> {
    let processes = processes.as_ref().map_err(|e| format!("/proc: {e}"))?;
    let (user, group) = if root {
        (NOBODY, NOBODY)
    } else {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    };
    let put = |file: &str, text: String| {
        let path = format!("{pid}/{file}");
        rustix::fs::openat(processes, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(std::io::Error::from)
            .and_then(|fd| File::from(fd).write_all(text.as_bytes()))
            .map_err(|e| format!("/proc/{path}: {e}"))
    };
    if !root {
        put("setgroups", "deny".to_owned())?;
    }
    put("gid_map", format!("{group} {group} 1"))?;
    put("uid_map", format!("{user} {user} 1"))
}
