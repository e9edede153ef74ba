//! The foreign programs that some tasks run, and the Debian packages they come in.

use std::path::{Path, PathBuf};

use crate::step::Outcome;

/// A program, and the package that has it.
pub(crate) type Program = (&'static str, &'static str);

pub(crate) const ISCSI_TEST_CU: Program = ("iscsi-test-cu", "libiscsi-bin");
pub(crate) const ISCSI_PERF: Program = ("iscsi-perf", "libiscsi-bin");
pub(crate) const TGTD: Program = ("tgtd", "tgt");
pub(crate) const TGTADM: Program = ("tgtadm", "tgt");
pub(crate) const TASKSET: Program = ("taskset", "util-linux");

/// Where administrators' programs stand that are not on every user's path.
const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Where a program stands; `None` if it is not installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

/// What to say if one of the programs is missing.
pub(crate) fn missing(programs: &[Program]) -> Option<Outcome> {
    let mut missing: Vec<_> =
        programs.iter().filter(|(name, _)| find(name).is_none()).copied().collect();
    missing.sort_unstable_by_key(|(_, package)| *package);
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    missing.dedup_by_key(|(_, package)| *package);
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    if names.is_empty() {
        return None;
    }
    Some(Outcome::Skipped(format!(
        "{} is missing; apt-get install --no-install-recommends {}",
        names.join(", "),
        packages.join(" ")
    )))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        assert_eq!(missing(&[("sh", "dash")]), None);
        let missing = missing(&[("sh", "dash"), ("no-such-b", "p"), ("no-such-a", "p")]);
        let Some(Outcome::Skipped(why)) = missing else { panic!("{missing:?}") };
        assert!(why.contains("no-such-b, no-such-a") && why.ends_with("recommends p"), "{why}");
    }
}
