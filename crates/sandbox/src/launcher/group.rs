//! The driver's control group (cgroup v2): memory and threads as the kernel counts them.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::Spec;

/// The controllers that bound a driver.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

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
    let path = above.join(format!("outboard-driver-{}", std::process::id()));
    fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    bound(&path, spec).map_err(|e| {
        let _ = fs::remove_dir(&path);
        format!("{}: {e}", path.display())
    })
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

    #[test]
    fn a_missing_controller_is_named() {
        let above = tempfile::tempdir().unwrap();
        fs::write(above.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        let reason = make_below(above.path(), &Spec::new("/x")).unwrap_err();
        assert!(reason.contains("no memory controller"), "{reason}");
    }
}
