//! The driver's control group (cgroup v2): memory and threads as the kernel counts them.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::Spec;

/// The controllers that bound a driver.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// Names that are tried for a group: others may hold a process that has escaped.
const NAMES: u32 = 16;

/// A group that was made. It is removed, unless it was handed over to the host.
#[derive(Debug)]
pub(super) struct Group {
    path: Option<PathBuf>,
    pub(super) folder: OwnedFd,
}

impl Group {
    /// From here on the host removes it, after the process.
    pub(super) fn hand_over(mut self) -> Option<PathBuf> {
        self.path.take()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // One that is still in use is left: an empty group costs little.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Makes a group with the spec's bounds below the host's own, or beside it.
pub(super) fn make(spec: &Spec) -> Result<Group, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let mount = mount_point(&read("/proc/self/mountinfo")?)
        .ok_or("no cgroup v2 hierarchy is mounted; start the kernel with it")?;
    let own = own_group(&read("/proc/self/cgroup")?).ok_or("this process is in no v2 group")?;
    let own = mount.join(own.strip_prefix("/").unwrap_or(&own));
    let mut refused = None;
    // A group that holds processes cannot have its controllers handed down (but the root one), so
    // a service is put in a group of its own below the one that it was given.
    for above in [Some(own.as_path()), own.parent().filter(|p| p.starts_with(&mount))] {
        match above.map(|above| make_below(above, spec)) {
            Some(Ok(group)) => return Ok(group),
            Some(Err(reason)) => drop(refused.get_or_insert(reason)),
            None => {}
        }
    }
    Err(refused.unwrap_or_default())
}

fn make_below(above: &Path, spec: &Spec) -> Result<Group, String> {
    let there = fs::read_to_string(above.join("cgroup.controllers")).unwrap_or_default();
    for controller in CONTROLLERS {
        if !there.split_whitespace().any(|name| name == controller) {
            return Err(format!(
                "{} has no {controller} controller; use cgroup v2 alone, and Delegate=yes in a service",
                above.display()
            ));
        }
    }
    let control = above.join("cgroup.subtree_control");
    let handed_down = fs::read_to_string(&control).unwrap_or_default();
    if !CONTROLLERS.iter().all(|c| handed_down.split_whitespace().any(|name| name == *c)) {
        fs::write(&control, "+memory +pids").map_err(|e| format!("{}: {e}", control.display()))?;
    }
    let path = make_folder(above)?;
    bound(&path, spec).map_err(|e| {
        let _ = fs::remove_dir(&path);
        format!("{}: {e}", path.display())
    })
}

/// A new folder with a name of this launcher's.
fn make_folder(above: &Path) -> Result<PathBuf, String> {
    let names = names();
    remove_left(above, &names);
    for number in 0..NAMES {
        let path = above.join(format!("{names}{}.{number}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(format!("{}: {e}", path.display())),
        }
    }
    Err(format!(
        "{}: the {NAMES} groups {names}{}.* are in use; end the processes in them (cgroup.procs)",
        above.display(),
        std::process::id()
    ))
}

/// What the names of groups begin with: launchers have the same number only in different PID
/// namespaces.
fn names() -> String {
    let namespace = fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino());
    format!("outboard-driver-{namespace}-")
}

/// Removes the groups of hosts that were killed. A launcher makes the process in its group before it
/// ends: a group whose launcher has ended either holds a process, and cannot be removed, or never
/// will again.
fn remove_left(above: &Path, names: &str) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let launcher = name.to_str().and_then(|name| name.strip_prefix(names));
        let launcher = launcher.and_then(|rest| rest.split('.').next()?.parse().ok());
        let Some(launcher) = launcher.and_then(Pid::from_raw) else { continue };
        let is_own = launcher == rustix::process::getpid();
        if is_own || test_kill_process(launcher) == Err(Errno::SRCH) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn bound(path: &Path, spec: &Spec) -> io::Result<Group> {
    fs::write(path.join("memory.max"), spec.memory_bytes.to_string())?;
    fs::write(path.join("pids.max"), spec.threads.to_string())?;
    let folder = fs::File::open(path)?.into();
    Ok(Group { path: Some(path.to_owned()), folder })
}

/// Where the v2 hierarchy is mounted: the fifth field of its line.
fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        (after.split(' ').next()? == "cgroup2").then(|| before.split(' ').nth(4))?.map(Into::into)
    })
}

/// This process' group in the v2 hierarchy.
fn own_group(groups: &str) -> Option<PathBuf> {
    groups.lines().find_map(|line| line.strip_prefix("0::")).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v2_hierarchy_is_found_among_others() {
        let mounts = "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      32 24 0:28 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(mounts), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_point("31 24 0:27 / /sys rw - sysfs sysfs rw"), None);
        assert_eq!(own_group("4:memory:/a\n0::/b/c\n"), Some("/b/c".into()));
        assert_eq!(own_group("4:memory:/a\n"), None);
    }

    #[test]
    fn a_group_is_made_with_its_bounds() {
        let above = tempfile::tempdir().unwrap();
        fs::write(above.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        let spec = Spec { threads: 7, memory_bytes: 1000, ..Spec::new("/x") };
        let group = make_below(above.path(), &spec).unwrap();
        let handed = fs::read_to_string(above.path().join("cgroup.subtree_control")).unwrap();
        assert_eq!(handed, "+memory +pids");
        let path = group.hand_over().unwrap();
        assert_eq!(fs::read_to_string(path.join("memory.max")).unwrap(), "1000");
        assert_eq!(fs::read_to_string(path.join("pids.max")).unwrap(), "7");
    }

    /// A folder that stands for a group with the controllers.
    fn delegated() -> tempfile::TempDir {
        let above = tempfile::tempdir().unwrap();
        fs::write(above.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        above
    }

    fn own(number: u32) -> String {
        format!("{}{}.{number}", names(), std::process::id())
    }

    /// Files in a group go with it; in a folder that stands for one they keep it.
    fn occupy(path: &Path) {
        fs::create_dir(path).unwrap();
        fs::write(path.join("cgroup.procs"), "7\n").unwrap();
    }

    #[test]
    fn a_group_that_a_killed_host_left_is_in_nobodys_way() {
        let above = delegated();
        fs::create_dir(above.path().join(own(0))).unwrap();
        let group = make_below(above.path(), &Spec::new("/x")).unwrap();
        assert_eq!(group.hand_over().unwrap(), above.path().join(own(0)));
    }

    #[test]
    fn a_group_that_is_in_use_is_left_alone() {
        let above = delegated();
        occupy(&above.path().join(own(0)));
        let group = make_below(above.path(), &Spec::new("/x")).unwrap();
        assert_eq!(group.hand_over().unwrap(), above.path().join(own(1)));
        assert!(above.path().join(own(0)).join("cgroup.procs").exists());
        for number in 2..NAMES {
            occupy(&above.path().join(own(number)));
        }
        let reason = make_below(above.path(), &Spec::new("/x")).unwrap_err();
        assert!(reason.contains("in use") && reason.contains("cgroup.procs"), "{reason}");
    }

    #[test]
    fn groups_of_launchers_that_have_ended_are_removed_and_no_others() {
        let above = delegated();
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let (names, ended, running) = (names(), ended.id(), std::os::unix::process::parent_id());
        let folder = |name: String| above.path().join(name);
        let left = folder(format!("{names}{ended}.3"));
        let others = [
            folder(format!("{names}{running}.0")),
            folder(format!("outboard-driver-1-{ended}.0")),
            folder("system.slice".to_owned()),
        ];
        fs::create_dir(&left).unwrap();
        for other in &others {
            fs::create_dir(other).unwrap();
        }
        let used = folder(format!("{names}{ended}.4"));
        occupy(&used);
        make_below(above.path(), &Spec::new("/x")).unwrap();
        assert!(!left.exists() && used.exists());
        assert!(others.iter().all(|other| other.exists()), "{others:?}");
    }

    #[test]
    fn a_missing_controller_is_named() {
        let above = tempfile::tempdir().unwrap();
        fs::write(above.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        let reason = make_below(above.path(), &Spec::new("/x")).unwrap_err();
        assert!(reason.contains("no memory controller"), "{reason}");
    }
}
