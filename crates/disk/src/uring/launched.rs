//! A ring made by a launcher for the program that it executes next: its files are registered and its
//! operations restricted. The thread that will use it enables it, because the kernel binds it to that
//! thread; with it the restrictions come into force for good. Nothing can be submitted before, and they
//! cannot be changed, but other files could be registered: until then, what keeps the program from it is
//! its system call filter (`outboard-sandbox`), which has no such operation.
//!
//! The program gets the descriptor and a line of text (see [`Described`]). It may register memory of
//! its own, and it may read, write, flush and punch holes in the registered files, wait for a futex
//! and cancel its own requests: nothing else, and no other file.

use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use io_uring::register::Restriction;
use io_uring::{IoUring, Parameters, opcode, squeue};
use outboard_slots::Memory;
use rustix::io::Errno;

use super::setup::{NOT_DEFERRED, SetupError, build, support_of};
use super::{Bell, Buffers, Ranges, Ring, Support, errno};

/// `IORING_REGISTER_BUFFERS` and its counterpart.
const REGISTERS: [u8; 2] = [0, 1];

const ENABLE: &str = "io_uring_register(ENABLE_RINGS)";

const PARAMETER_BYTES: usize = size_of::<Parameters>();

/// A file as others may have opened it too: device and inode.
pub(super) type Identity = (u64, u64);

/// What the program is told of its ring: `PARAMETERS.SUPPORT.DEVICE-INODE.DEVICE-INODE...`, the
/// parameters in hexadecimal, then what the kernel can do (1 vectored fixed, 2 futex wait, 4 deferred
/// completions), then the registered files in order.
struct Described {
    parameters: [u8; PARAMETER_BYTES],
    support: Support,
    /// it is bound to the thread that enables it, which the launcher has left to the program
    deferred: bool,
    files: Vec<Identity>,
}

/// Makes a ring for `entries` requests on `files`, restricted, for whoever inherits it: its descriptor,
/// which stays open over exec, and its description.
pub(crate) fn make(
    entries: u32,
    files: &[BorrowedFd<'_>],
) -> Result<(OwnedFd, String), SetupError> {
    let (uring, deferred) = build(entries)?;
    restrict(&uring, deferred, files)
}

/// Registers the files and what may be done with them. A ring that is bound to nobody is enabled here.
fn restrict(
    uring: &IoUring,
    deferred: bool,
    files: &[BorrowedFd<'_>],
) -> Result<(OwnedFd, String), SetupError> {
    let fail = |call| move |e: std::io::Error| SetupError { call, errno: errno(&e) };
    let submitter = uring.submitter();
    let fds: Vec<i32> = files.iter().map(AsRawFd::as_raw_fd).collect();
    if !fds.is_empty() {
        submitter.register_files(&fds).map_err(fail("io_uring_register(FILES)"))?;
    }
    let support = support_of(&submitter)?;
    submitter
        .register_restrictions(&mut restrictions(support))
        .map_err(fail("io_uring_register(RESTRICTIONS)"))?;
    if !deferred {
        submitter.register_enable_rings().map_err(fail(ENABLE))?;
    }
    let identities: Result<Vec<Identity>, Errno> = files.iter().map(identity).collect();
    let described = Described {
        parameters: bytes_of(uring.params()),
        support,
        deferred,
        files: identities.map_err(|errno| SetupError { call: "fstat", errno })?,
    };
    // SAFETY: the ring is open as long as `uring` is, which is beyond the copy.
    let fd = unsafe { BorrowedFd::borrow_raw(uring.as_raw_fd()) };
    let fd = rustix::io::dup(fd).map_err(|errno| SetupError { call: "dup", errno })?;
    Ok((fd, described.to_text()))
}

/// What the program may do.
fn restrictions(support: Support) -> Vec<Restriction> {
    let mut operations = vec![
        opcode::Read::CODE,
        opcode::Write::CODE,
        opcode::ReadFixed::CODE,
        opcode::WriteFixed::CODE,
        opcode::Readv::CODE,
        opcode::Writev::CODE,
        opcode::Fsync::CODE,
        opcode::Fallocate::CODE,
        opcode::AsyncCancel::CODE,
    ];
    if support.vectored_fixed {
        operations.extend([opcode::ReadvFixed::CODE, opcode::WritevFixed::CODE]);
    }
    if support.futex_wait {
        operations.push(opcode::FutexWait::CODE);
    }
    let fixed = squeue::Flags::FIXED_FILE.bits();
    let mut all: Vec<Restriction> = operations.into_iter().map(Restriction::sqe_op).collect();
    all.extend(REGISTERS.map(Restriction::register_op));
    all.extend([Restriction::sqe_flags_allowed(fixed), Restriction::sqe_flags_required(fixed)]);
    all
}

impl Ring {
    /// The ring that a launcher has made, as it is described, bound to the calling thread. `buffers` as
    /// in [`Ring::create`].
    pub(crate) fn inherit(
        fd: OwnedFd,
        described: &str,
        memory: Memory,
        buffers: Option<(u64, u64)>,
        notes: &mut Vec<String>,
    ) -> Result<Self, SetupError> {
        let malformed = SetupError { call: "the launcher's description", errno: Errno::INVAL };
        let described = Described::of_text(described).ok_or(malformed)?;
        // SAFETY: `Parameters` is a transparent `io_uring_params`, plain numbers of this size.
        let parameters: Parameters = unsafe { std::mem::transmute(described.parameters) };
        // SAFETY: the descriptor is a ring's, owned here, and the parameters are what the kernel
        // answered when it was made.
        let uring = unsafe { IoUring::from_fd(fd.into_raw_fd(), parameters) }.map_err(|e| {
            SetupError { call: "mmap of the launcher's io_uring", errno: errno(&e) }
        })?;
        let mut ring = Self {
            uring,
            memory,
            buffers: Buffers::default(),
            ranges: Ranges::new(),
            bell: Bell::default(),
            support: described.support,
            files: 0,
            registered: Some(described.files.into_iter().map(Some).collect()),
            in_kernel: 0,
            enabled: true,
            failed: None,
        };
        if let Some((offset, len)) = buffers {
            ring.register(offset, len, notes);
        }
        if described.deferred {
            let enabled = ring.uring.submitter().register_enable_rings();
            enabled.map_err(|e| SetupError { call: ENABLE, errno: errno(&e) })?;
        } else {
            notes.push(NOT_DEFERRED.to_owned());
        }
        Ok(ring)
    }
}

/// The index of `file` among those that the launcher has registered; each counts once, since the
/// same file may be there several times.
pub(super) fn index_of(
    registered: &mut [Option<Identity>],
    file: BorrowedFd<'_>,
) -> Result<u32, Errno> {
    let identity = identity(&file)?;
    let at = registered.iter().position(|r| *r == Some(identity)).ok_or(Errno::NOENT)?;
    registered[at] = None;
    Ok(at as u32)
}

fn identity(file: &BorrowedFd<'_>) -> Result<Identity, Errno> {
    let stat = rustix::fs::fstat(file.as_fd())?;
    Ok((stat.st_dev, stat.st_ino))
}

fn bytes_of(parameters: &Parameters) -> [u8; PARAMETER_BYTES] {
    // SAFETY: `Parameters` is a transparent `io_uring_params`: numbers without padding between.
    unsafe { std::mem::transmute(parameters.clone()) }
}

impl Described {
    fn to_text(&self) -> String {
        let mut text = String::new();
        for byte in self.parameters {
            let _ = write!(text, "{byte:02x}");
        }
        let Support { vectored_fixed, futex_wait } = self.support;
        let bits = [vectored_fixed, futex_wait, self.deferred];
        let support = bits.iter().rev().fold(0, |all, bit| all << 1 | u8::from(*bit));
        let _ = write!(text, ".{support}");
        for (device, inode) in &self.files {
            let _ = write!(text, ".{device}-{inode}");
        }
        text
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let hex = parts.next()?.as_bytes();
        let mut parameters = [0; PARAMETER_BYTES];
        if hex.len() != 2 * PARAMETER_BYTES {
            return None;
        }
        for (byte, digits) in parameters.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        let support: u8 = parts.next()?.parse().ok()?;
        let deferred = support & 4 != 0;
        let support = Support { vectored_fixed: support & 1 != 0, futex_wait: support & 2 != 0 };
        let files = parts.map(|part| {
            let (device, inode) = part.split_once('-')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        });
        Some(Self { parameters, support, deferred, files: files.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Segment;
    use crate::uring::setup::build_plain;
    use crate::uring::tests::{ends, file, read};

    fn inherit((fd, text): (OwnedFd, String), notes: &mut Vec<String>) -> Ring {
        let memory = Memory::create("test", 4 << 20).unwrap();
        Ring::inherit(fd, &text, memory, Some((0, 2 << 20)), notes).unwrap()
    }

    fn inherited(files: &[BorrowedFd<'_>]) -> Ring {
        let mut notes = Vec::new();
        let ring = inherit(make(8, files).unwrap(), &mut notes);
        assert_eq!(notes, [""; 0]);
        ring
    }

    #[test]
    fn registered_files_can_be_read_by_the_thread_that_inherits_and_no_others() {
        let (a, b, other) = (file(64 << 10), file(32 << 10), file(4096));
        // The launcher's thread is another one than the driver's.
        let made = make(8, &[a.as_fd(), b.as_fd()]).unwrap();
        std::thread::spawn(move || {
            let mut ring = inherit(made, &mut Vec::new());
            assert_eq!(ring.add_file(b.as_fd()), Ok(1));
            assert_eq!(ring.add_file(a.as_fd()), Ok(0));
            assert_eq!(ring.add_file(a.as_fd()), Err(Errno::NOENT), "it was there once");
            assert_eq!(ring.add_file(other.as_fd()), Err(Errno::NOENT));
            reads_both(&mut ring);
        })
        .join()
        .unwrap();
    }

    fn reads_both(ring: &mut Ring) {
        let segment = |offset| Segment { offset, len: 1024 };
        let (far, near) = ([segment(3 << 20)], [segment(4096), segment(0)]);
        ring.queue(&read(0, &far), 7).unwrap();
        ring.queue(&read(1, &near), 8).unwrap();
        let mut ended = ends(ring, 2);
        ended.sort_unstable();
        assert_eq!(ended, [(7, 1024), (8, 2048)]);
    }

    #[test]
    fn it_is_bound_to_the_thread_that_inherits() {
        let a = file(4096);
        let mut ring = inherited(&[a.as_fd()]);
        let refused = std::thread::spawn(move || {
            ring.enter(0, None);
            ring.failed()
        });
        assert_eq!(refused.join().unwrap(), Some(Errno::EXIST));
    }

    #[test]
    fn before_it_is_inherited_nothing_is_submitted_and_its_restrictions_are_fixed() {
        let a = file(4096);
        let (fd, text) = make(8, &[a.as_fd()]).unwrap();
        let parameters = Described::of_text(&text).unwrap().parameters;
        // SAFETY: as in `Ring::inherit`.
        let mut ring = unsafe {
            let parameters: Parameters = std::mem::transmute(parameters);
            IoUring::from_fd(fd.try_clone().unwrap().into_raw_fd(), parameters).unwrap()
        };
        // SAFETY: it names no memory.
        unsafe { ring.submission().push(&opcode::Nop::new().build()) }.unwrap();
        let submitted = ring.submitter().submit().unwrap_err();
        assert_eq!(submitted.raw_os_error(), Some(libc::EBADFD));
        let mut more = [Restriction::sqe_op(opcode::Nop::CODE)];
        let restricted = ring.submitter().register_restrictions(&mut more).unwrap_err();
        assert_eq!(restricted.raw_os_error(), Some(libc::EBUSY));
        // Inherited as it is, with what was left in it.
        let mut ring = inherit((fd, text), &mut Vec::new());
        ring.in_kernel += 1;
        ring.enter(1, None);
        assert_eq!(ends(&mut ring, 1), [(0, -libc::EACCES)]);
    }

    #[test]
    fn without_deferred_completions_the_launcher_enables_it_and_any_thread_may_use_it() {
        let (a, b) = (file(64 << 10), file(32 << 10));
        let uring = build_plain(8).unwrap();
        let mut notes = Vec::new();
        let made = restrict(&uring, false, &[a.as_fd(), b.as_fd()]).unwrap();
        let mut ring = inherit(made, &mut notes);
        assert_eq!(notes, [NOT_DEFERRED]);
        std::thread::spawn(move || reads_both(&mut ring)).join().unwrap();
    }

    #[test]
    fn whatever_else_is_refused_by_the_kernel() {
        let a = file(4096);
        let mut ring = inherited(&[a.as_fd()]);
        let submitter = ring.uring.submitter();
        let refused = |e: std::io::Error| e.raw_os_error();
        let files = submitter.register_files_update(0, &[a.as_raw_fd()]).unwrap_err();
        assert_eq!(refused(files), Some(libc::EACCES));
        let eventfd = submitter.register_eventfd(a.as_raw_fd()).unwrap_err();
        assert_eq!(refused(eventfd), Some(libc::EACCES));

        let path = c"/etc/passwd".as_ptr();
        let here = io_uring::types::Fd(libc::AT_FDCWD);
        let mut buffer = [0u8; 16];
        let entries = [
            opcode::OpenAt::new(here, path).build().flags(squeue::Flags::FIXED_FILE),
            opcode::Nop::new().build().flags(squeue::Flags::FIXED_FILE),
            opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build(),
            // A descriptor that is not registered.
            opcode::Read::new(io_uring::types::Fd(a.as_raw_fd()), buffer.as_mut_ptr(), 16).build(),
        ];
        for (number, entry) in entries.into_iter().enumerate() {
            let entry = entry.user_data(number as u64);
            // SAFETY: path and buffer live to the end of the test.
            unsafe { ring.uring.submission().push(&entry) }.unwrap();
            ring.in_kernel += 1;
            ring.enter(1, None);
            assert_eq!(ends(&mut ring, 1), [(number as u64, -libc::EACCES)]);
        }
    }

    #[test]
    fn a_description_that_is_none_is_refused() {
        let a = file(4096);
        let (_, text) = make(8, &[a.as_fd()]).unwrap();
        assert!(Described::of_text(&text).is_some_and(|d| d.to_text() == text));
        for cut in [0, 1, 100, 239, 240, 241] {
            let memory = Memory::create("test", 4096).unwrap();
            let fd = file(0).into();
            let result = Ring::inherit(fd, &text[..cut], memory, None, &mut Vec::new());
            assert!(result.is_err(), "{cut}");
        }
    }
}
