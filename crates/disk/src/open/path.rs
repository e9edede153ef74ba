//! Opening a file or a block device, with every check that can be made before the first I/O.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, FallocateFlags, FileType, FlockOperation, Mode, OFlags, SeekFrom, Stat, StatxFlags,
};
use rustix::io::Errno;

use crate::contract::{Discard, Limits};
use crate::open::device::Queue;
use crate::open::{Lock, MAX_TRANSFER, OpenError, OpenOptions};

/// Opens `path` anew and says what it is.
pub(super) fn open(
    path: &Path,
    direct: bool,
    block_size: Option<u32>,
    options: &OpenOptions,
) -> Result<(Limits, OwnedFd), OpenError> {
    let system = |call| move |source| refusal(path, call, source);
    let stat = rustix::fs::stat(path).map_err(system("stat"))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let block_device = kind == FileType::BlockDevice;
    if !block_device && kind != FileType::RegularFile {
        return Err(OpenError::OddType { path: path.to_owned(), what: type_name(kind) });
    }
    let mut flags = OFlags::CLOEXEC | OFlags::NOCTTY;
    flags |= if options.writable { OFlags::RDWR } else { OFlags::RDONLY };
    flags.set(OFlags::DIRECT, direct);
    // O_EXCL on a block device: refused while it is mounted or claimed, over all of its nodes.
    flags.set(OFlags::EXCL, block_device && options.lock != Lock::None);
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|source| match source {
        Errno::INVAL if direct => OpenError::NoDirect { path: path.to_owned() },
        other => refusal(path, "open", other),
    })?;
    lock(path, &fd, options.lock)?;
    let limits = limits(path, &fd, &stat, direct, block_size, options)?;
    Ok((limits, fd))
}

/// What a disk that is large enough is asked for: emptiness, room.
pub(super) fn prepare(
    path: &Path,
    fd: &OwnedFd,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<(), OpenError> {
    if options.must_be_empty
        && let Some(at) = find_data(path, limits.len_bytes())?
    {
        return Err(OpenError::NotEmpty { path: path.to_owned(), at });
    }
    let stat = rustix::fs::fstat(fd).map_err(|source| refusal(path, "fstat", source))?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if options.preallocate && regular { preallocate(path, fd, limits.len_bytes()) } else { Ok(()) }
}

fn lock(path: &Path, fd: &OwnedFd, lock: Lock) -> Result<(), OpenError> {
    let operation = match lock {
        Lock::None => return Ok(()),
        Lock::Shared => FlockOperation::NonBlockingLockShared,
        Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    rustix::fs::flock(fd, operation).map_err(|source| match source {
        Errno::WOULDBLOCK => OpenError::Busy {
            path: path.to_owned(),
            by: "another Outboard holds its lock",
            mend: "stop that one, wait for its driver's last I/O, or choose another disk",
        },
        other => refusal(path, "flock", other),
    })
}

fn limits(
    path: &Path,
    fd: &OwnedFd,
    stat: &Stat,
    direct: bool,
    asked: Option<u32>,
    options: &OpenOptions,
) -> Result<Limits, OpenError> {
    let system = |call| move |source| refusal(path, call, source);
    let block_device = FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice;
    let mut needed = if block_device {
        rustix::fs::ioctl_blksszget(fd).map_err(system("ioctl(BLKSSZGET)"))?
    } else {
        512
    };
    if direct {
        needed = needed.max(direct_alignment(path, fd)?);
    }
    let block_size = asked.unwrap_or(needed);
    if block_size < needed {
        return Err(OpenError::BlockTooSmall { path: path.to_owned(), asked: block_size, needed });
    }
    let physical = if block_device {
        rustix::fs::ioctl_blkpbszget(fd).map_err(system("ioctl(BLKPBSZGET)"))?
    } else {
        u32::try_from(stat.st_blksize).unwrap_or(4096)
    };
    let len = rustix::fs::seek(fd, SeekFrom::End(0)).map_err(system("lseek"))?;
    let limits = Limits {
        block_size,
        physical_block_size: if physical.is_power_of_two() && physical <= 1 << 16 {
            physical.max(block_size)
        } else {
            block_size
        },
        blocks: len / u64::from(block_size),
        max_transfer: MAX_TRANSFER,
        optimal_transfer: 0,
        read_only: !options.writable,
        volatile_cache: true,
        rotational: false,
        discard: None,
        write_zeroes: false,
    };
    Ok(if block_device {
        with_queue(limits, &Queue::of(stat.st_rdev))
    } else {
        with_holes(limits, fd, len, stat)
    })
}

/// A block device zeroes and discards through one call, if it can without writing.
fn with_queue(limits: Limits, queue: &Queue) -> Limits {
    let max_bytes = queue.number("write_zeroes_max_bytes");
    let block = u64::from(limits.block_size);
    let discard = Discard {
        granularity: queue.number("discard_granularity").max(block),
        max_bytes: LARGEST_HOLE,
        reads_zeroes: true,
    };
    Limits {
        discard: (max_bytes > 0 && queue.number("discard_max_bytes") > 0).then_some(discard),
        write_zeroes: max_bytes > 0,
        rotational: queue.number("rotational") == 1,
        volatile_cache: queue.volatile_cache(),
        optimal_transfer: queue.number("optimal_io_size") / block * block,
        ..limits
    }
}

/// A file discards by punching holes, if its file system can: asked by one beyond its end.
fn with_holes(limits: Limits, fd: &OwnedFd, len: u64, stat: &Stat) -> Limits {
    let block = u64::try_from(stat.st_blksize).unwrap_or(4096).max(u64::from(limits.block_size));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let holes = !limits.read_only
        && rustix::fs::fallocate(fd, hole, len.next_multiple_of(block), block).is_ok();
    let discard = Discard { granularity: block, max_bytes: LARGEST_HOLE, reads_zeroes: true };
    Limits { discard: holes.then_some(discard), write_zeroes: holes, ..limits }
}

/// The block size that direct I/O needs there; file systems that do not say it get 512.
fn direct_alignment(path: &Path, fd: &OwnedFd) -> Result<u32, OpenError> {
    let statx = match rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
        Ok(statx) => statx,
        Err(Errno::NOSYS | Errno::INVAL) => return Ok(512),
        Err(source) => return Err(refusal(path, "statx", source)),
    };
    if statx.stx_mask & StatxFlags::DIOALIGN.bits() == 0 {
        return Ok(512);
    }
    // Rule 2 of the contract promises addresses aligned to 512 bytes, and blocks are up to 4096.
    match (statx.stx_dio_mem_align, statx.stx_dio_offset_align) {
        (1..=512, 1..=512) => Ok(512),
        (1..=512, 4096) => Ok(4096),
        _ => Err(OpenError::NoDirect { path: path.to_owned() }),
    }
}

/// The first byte of data, that is not zero: of a file wherever it is, holes left out; of a block
/// device as far as a look at the beginning, the end and 64 places between finds it.
fn find_data(path: &Path, len: u64) -> Result<Option<u64>, OpenError> {
    let system = |call| move |source| refusal(path, call, source);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(system("open"))?;
    let stat = rustix::fs::fstat(&fd).map_err(system("fstat"))?;
    let mut buffer = vec![0; EDGE as usize];
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        let mut at = 0;
        while let Some((start, end)) = extent(&fd, at, len).map_err(system("lseek"))? {
            if let Some(found) = not_zero(&fd, start, end, &mut buffer).map_err(system("pread"))? {
                return Ok(Some(found));
            }
            at = end;
        }
        return Ok(None);
    }
    let ends = [(0, EDGE), (len.saturating_sub(EDGE), EDGE)];
    let between = (1..=SAMPLES).map(|i| (len / (SAMPLES + 1) * i, SAMPLE));
    for (at, size) in ends.into_iter().chain(between) {
        let found = not_zero(&fd, at, at + size, &mut buffer).map_err(system("pread"))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The first range with data from `at` on, in a file of `len` bytes.
fn extent(fd: &OwnedFd, at: u64, len: u64) -> Result<Option<(u64, u64)>, Errno> {
    if at >= len {
        return Ok(None);
    }
    match rustix::fs::seek(fd, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some((start, rustix::fs::seek(fd, SeekFrom::Hole(start))?))),
        Err(Errno::NXIO) => Ok(None),
        // a file system that does not tell
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some((at, len))),
        Err(source) => Err(source),
    }
}

/// Where the first byte that is not zero stands, from `at` up to `end`.
fn not_zero(fd: &OwnedFd, at: u64, end: u64, buffer: &mut [u8]) -> Result<Option<u64>, Errno> {
    let mut at = at;
    while at < end {
        let want = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        match rustix::io::pread(fd, &mut buffer[..want], at) {
            Ok(0) => return Ok(None),
            Ok(count) => {
                if let Some(byte) = buffer[..count].iter().position(|&byte| byte != 0) {
                    return Ok(Some(at + byte as u64));
                }
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(source) => return Err(source),
        }
    }
    Ok(None)
}

fn preallocate(path: &Path, fd: &OwnedFd, bytes: u64) -> Result<(), OpenError> {
    match rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, bytes) {
        // a file system that cannot: writes allocate as they come
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(Errno::NOSPC | Errno::DQUOT) => {
            Err(OpenError::NoSpace { path: path.to_owned(), bytes })
        }
        Err(source) => Err(refusal(path, "fallocate", source)),
    }
}

fn refusal(path: &Path, call: &'static str, source: Errno) -> OpenError {
    let path = path.to_owned();
    match source {
        Errno::NOENT | Errno::NOTDIR => OpenError::Missing { path },
        Errno::ROFS | Errno::PERM => OpenError::ReadOnly { path },
        Errno::ACCESS => OpenError::Permission { path },
        Errno::BUSY => OpenError::Busy {
            path,
            by: "it is mounted or claimed",
            mend: "unmount it, stop who uses it, or choose another disk",
        },
        Errno::TXTBSY => OpenError::Busy {
            path,
            by: "a running program or swap uses it",
            mend: "choose another disk",
        },
        source => OpenError::System { disk: path.display().to_string(), call, source },
    }
}

const fn type_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::CharacterDevice => "character device",
        FileType::Fifo => "pipe",
        FileType::Socket => "socket",
        _ => "file of an unknown type",
    }
}

/// Bytes looked at in [`find_data`] at either end, and at each of the places between.
const EDGE: u64 = 1 << 20;
const SAMPLE: u64 = 64 << 10;
const SAMPLES: u64 = 64;
/// Most bytes given back in one request.
const LARGEST_HOLE: u64 = 1 << 30;
