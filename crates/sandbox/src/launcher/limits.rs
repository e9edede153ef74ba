//! Resource limits.

use std::os::fd::{OwnedFd, RawFd};

use rustix::fs::FileType;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Spec;

const STACK_BYTES: u64 = 8 << 20;
/// Address space beside its own memory: the region, and what the C library reserves. It bounds what
/// page tables of untouched memory cost.
const ADDRESS_BYTES: u64 = 256 << 30;
/// Numbers above the program's that the launcher uses.
const NUMBERS: u64 = 8;

/// Both limits at once.
const fn both(limit: u64) -> Rlimit {
    Rlimit { current: Some(limit), maximum: Some(limit) }
}

/// Lowers a limit; one that is lower already stays.
fn lower(resource: Resource, limit: u64, name: &str) -> Result<(), String> {
    let highest = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    setrlimit(resource, both(limit.min(highest))).map_err(|e| format!("{name}: {e}"))
}

/// Makes room for the program's number.
pub(super) fn raise_descriptors(number: RawFd) -> Result<(), String> {
    let needed = u64::try_from(number).unwrap_or(0) + NUMBERS;
    let limit = getrlimit(Resource::Nofile);
    let highest = limit.maximum.unwrap_or(u64::MAX);
    if highest < needed {
        return Err(format!("the limit is {highest}, {needed} are needed; raise LimitNOFILE="));
    }
    let current = limit.current.unwrap_or(u64::MAX).max(needed);
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum })
        .map_err(|e| e.to_string())
}

/// What io_urings may lock: without bound if that is allowed, else what is asked for.
pub(super) fn raise_locked_memory(bytes: u64) -> Result<(), String> {
    if setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None }).is_ok() {
        return Ok(());
    }
    let maximum = getrlimit(Resource::Memlock).maximum;
    let highest = maximum.unwrap_or(u64::MAX);
    if highest < bytes {
        return Err(format!("the limit is {highest}, {bytes} are asked for; raise LimitMEMLOCK="));
    }
    setrlimit(Resource::Memlock, Rlimit { current: Some(bytes), maximum })
        .map_err(|e| e.to_string())
}

/// Memory, descriptors, stack, core dumps, and the length of files: none of `disks` becomes longer than
/// the longest of them is.
pub(super) fn apply(spec: &Spec, disks: &[OwnedFd]) -> Result<(), String> {
    lower(Resource::Data, spec.memory_bytes, "memory")?;
    lower(Resource::Stack, STACK_BYTES, "stack")?;
    lower(Resource::Nofile, spec.descriptors.into(), "descriptors")?;
    if let Some(bytes) = disks.iter().filter_map(file_bytes).max() {
        lower(Resource::Fsize, bytes, "length of files")?;
    }
    if !spec.debug {
        lower(Resource::Core, 0, "core dumps")?;
        lower(Resource::As, spec.memory_bytes.saturating_add(ADDRESS_BYTES), "address space")?;
    }
    Ok(())
}

/// The length of a regular file; what has none, or cannot be looked at, does not count.
fn file_bytes(disk: &OwnedFd) -> Option<u64> {
    let stat = rustix::fs::fstat(disk).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    is_file.then(|| stat.st_size.cast_unsigned())
}

/// If the machine has no memory left, this process goes first and not the host: what the kernel keeps
/// for a driver (page tables, requests of its io_urings, pipes) is freed with it, and counted by no limit.
/// Inherited by what this process makes.
pub(super) fn go_first() -> Result<(), String> {
    const FIRST: &[u8] = b"1000";
    std::fs::write("/proc/self/oom_score_adj", FIRST).map_err(|e| e.to_string())
}

/// Threads. The kernel counts them by user and user namespace: without one of its own the user's other
/// processes would be counted too.
pub(super) fn threads(spec: &Spec, own_namespace: bool) -> Result<(), String> {
    if !own_namespace {
        return Err("it needs a user namespace of its own".to_owned());
    }
    lower(Resource::Nproc, spec.threads.into(), "threads")
}
