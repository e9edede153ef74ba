//! The disks of a run: opened and checked once, their descriptors lent to each session.

use std::os::fd::OwnedFd;

use outboard_array::UnitOptions;
use outboard_disk::DiskKind;
use outboard_disk::open::{OpenOptions, open};
use outboard_raid::Geometry;
use rustix::fs::FileType;

use super::error::RunError;
use crate::error::BenchError;
use crate::plan::{ArrayPlan, PlanError};

/// The unit to serve, with descriptors that are duplicated for each session.
pub(super) struct Units {
    pub(super) options: Vec<UnitOptions>,
    pub(super) capacity: u64,
    pub(super) block_size: u32,
    descriptors: Vec<OwnedFd>,
}

impl Units {
    /// Opens the plan's disks. With `writes` they must be writable, and empty unless `overwrite`.
    pub(super) fn open(
        plan: &ArrayPlan,
        writes: bool,
        overwrite: bool,
    ) -> Result<Self, BenchError> {
        let options = OpenOptions {
            writable: writes,
            must_be_empty: writes && !overwrite,
            preallocate: writes,
            ..OpenOptions::default()
        };
        no_disk_twice(plan)?;
        let mut members = Vec::new();
        for spec in &plan.members {
            members.push(open(spec, &options).map_err(BenchError::refused)?);
        }
        let lens: Vec<u64> = members.iter().map(|m| m.limits().len_bytes()).collect();
        let capacity = match lens[..] {
            [alone] => alone,
            _ => Geometry::new(&plan.spec(), &lens).map_err(PlanError::from)?.len_bytes(),
        };
        let block_size = members.iter().map(|m| m.limits().block_size).max().unwrap_or(512);
        let array = (members.len() != 1).then(|| plan.spec());
        let (unit, descriptors) = UnitOptions::new(0, "bench", array, members);
        Ok(Self { options: vec![unit], capacity, block_size, descriptors })
    }

    /// Descriptors for one session.
    pub(super) fn duplicate(&self) -> Result<Vec<OwnedFd>, RunError> {
        self.descriptors
            .iter()
            .map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(RunError::from))
            .collect()
    }
}

/// A file or device under two names is one disk all the same.
fn no_disk_twice(plan: &ArrayPlan) -> Result<(), PlanError> {
    let mut seen = Vec::new();
    for spec in &plan.members {
        let DiskKind::File { path, .. } = &spec.kind else { continue };
        // Opening it says better why it cannot be looked at.
        let Ok(stat) = rustix::fs::stat(path) else { continue };
        let identity = match FileType::from_raw_mode(stat.st_mode) {
            FileType::BlockDevice => (stat.st_rdev, 0),
            _ => (stat.st_dev, stat.st_ino),
        };
        if seen.contains(&identity) {
            return Err(PlanError::SameDisk { path: path.clone() });
        }
        seen.push(identity);
    }
    Ok(())
}
