//! The system calls that no safe crate has. The only unsafe code of this crate.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong};
use core::ptr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use seccompiler::sock_filter;

/// `CLONE_INTO_CGROUP`, which does not fit the constant's type.
const CLONE_INTO_CGROUP: u64 = 1 << 33;
/// The highest signal number.
const SIGNAL_MAX: c_int = 64;

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// What `clone3` returns, once in each process.
pub(crate) enum Cloned {
    /// in the process that called
    Parent {
        /// the new process
        pid: i32,
        /// its pidfd
        pidfd: OwnedFd,
    },
    /// in the new process
    Child,
}

/// A new process whose parent is the caller's: an ordinary copy, as of `fork`. Refused while the
/// caller has a second thread, whose locks the copy might wait for.
pub(crate) fn clone_beside(flags: u64, group: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: c_int = -1;
    // SAFETY: integers only; all zero is valid.
    let mut args: libc::clone_args = unsafe { core::mem::zeroed() };
    let into = if group.is_some() { CLONE_INTO_CGROUP } else { 0 };
    args.flags = flags | libc::CLONE_PARENT as u64 | libc::CLONE_PIDFD as u64 | into;
    args.pidfd = (&raw mut pidfd) as u64;
    args.cgroup = group.map_or(0, |fd| fd.as_raw_fd() as u64);
    let size = size_of::<libc::clone_args>();
    // SAFETY: `args` is valid for `size` bytes; without CLONE_VM the new process has a copy of
    // this memory and goes on at the same place on a copy of this stack. The launcher has one
    // thread, so no lock is held by a thread that the copy lacks.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size) })?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: with CLONE_PIDFD the kernel has put a new descriptor there, which is nobody else's.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent { pid: i32::try_from(pid).unwrap_or(i32::MAX), pidfd })
}

/// Whether a process with these flags can be made at all: makes one that ends at once.
pub(crate) fn probe_clone(flags: u64) -> io::Result<()> {
    // SAFETY: as in `clone_beside`.
    let mut args: libc::clone_args = unsafe { core::mem::zeroed() };
    args.flags = flags;
    args.exit_signal = libc::SIGCHLD as u64;
    let size = size_of::<libc::clone_args>();
    // SAFETY: as in `clone_beside`; the new process does nothing but end.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size) })?;
    if pid == 0 {
        // SAFETY: ends this process without running anything of its parent's.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: waits for the child just made; no status is asked for.
    check(unsafe { libc::waitpid(pid as c_int, ptr::null_mut(), 0) }.into()).map(drop)
}

/// A mount namespace of this process' own.
pub(crate) fn unshare_mounts() -> io::Result<()> {
    // SAFETY: no memory is involved; the process has one thread and shares nothing.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into()).map(drop)
}

/// Sets attributes of a mount (`MOUNT_ATTR_*`), of all below it too if asked for.
pub(crate) fn set_mount(mount: impl AsFd, attributes: u64, recursive: bool) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let attributes = MountAttr { set: attributes, clear: 0, propagation: 0, userns: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: an empty path and a structure of the size that is said.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Gives the name of this host to its namespace.
pub(crate) fn set_host_name(name: &CStr) {
    // SAFETY: the name is valid for its length. A refusal leaves the old name, which is no secret.
    let _ = unsafe { libc::sethostname(name.as_ptr(), name.to_bytes().len()) };
}

/// Every signal unblocked and with its default effect.
pub(crate) fn reset_signals() -> io::Result<()> {
    for signal in 1..=SIGNAL_MAX {
        // SAFETY: the default disposition runs no code of ours. What cannot be set is default.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let none = 0u64;
    // SAFETY: a mask of the eight bytes that the kernel expects.
    check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            ptr::null_mut::<u64>(),
            size_of::<u64>(),
        )
    })
    .map(drop)
}

/// Takes a capability out of the bounding set: `false` if there is no such capability.
pub(crate) fn drop_from_bounding_set(capability: u32) -> io::Result<bool> {
    // SAFETY: integers only.
    let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, c_ulong::from(capability), 0, 0, 0) };
    match check(done.into()) {
        Ok(_) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Takes all capabilities off this thread.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [[0u32; 3]; 2];
    // SAFETY: a header and two sets of three words, as version 3 has them.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) }).map(drop)
}

/// Puts a copy of a descriptor at a number, closing what is there; it is closed on execution if
/// `cloexec`.
pub(crate) fn place(fd: impl AsFd, number: RawFd, cloexec: bool) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    if fd == number {
        let flags = if cloexec { libc::FD_CLOEXEC } else { 0 };
        // SAFETY: integers only.
        return check(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }.into()).map(drop);
    }
    let flags = if cloexec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: what stood at `number` is closed; the caller owns its process' numbers.
    check(unsafe { libc::dup3(fd, number, flags) }.into()).map(drop)
}

/// Closes every descriptor from `first` to `last`, both included.
pub(crate) fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
    // SAFETY: the caller executes a program or ends next and uses none of them any more.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0 as c_uint) }).map(drop)
}

/// A descriptor by its number, which the caller has placed there.
pub(crate) fn placed(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the new process has put it there with `place` and leaves it until it executes.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Installs a filter for this thread; with `listener` the descriptor that its questions come to.
pub(crate) fn install_filter(
    filter: &[sock_filter],
    listener: bool,
) -> io::Result<Option<OwnedFd>> {
    #[repr(C)]
    struct Program {
        len: u16,
        filter: *const sock_filter,
    }
    let len = u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let program = Program { len, filter: filter.as_ptr() };
    let flags = if listener { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    // SAFETY: the program points to `len` instructions; the kernel checks and copies them.
    let result = check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })?;
    // SAFETY: with a listener the result is a new descriptor, which is nobody else's.
    Ok(listener.then(|| unsafe { OwnedFd::from_raw_fd(result as RawFd) }))
}

/// Whether this thread has a filter. Works without `/proc`.
pub(crate) fn has_filter() -> bool {
    // SAFETY: integers only.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) == libc::SECCOMP_MODE_FILTER as c_int }
}

/// Waits for one question of a filter and lets the system call pass.
pub(crate) fn let_one_pass(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integers only; the kernel wants it all zero.
    let mut question: libc::seccomp_notif = unsafe { core::mem::zeroed() };
    let fd = listener.as_raw_fd();
    // SAFETY: the structure is the one that this request writes.
    let asked = unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut question) };
    check(asked.into())?;
    let mut answer = libc::seccomp_notif_resp {
        id: question.id,
        val: 0,
        error: 0,
        flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
    };
    // SAFETY: the structure is the one that this request reads.
    let answered = unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    check(answered.into()).map(drop)
}

/// Executes the program behind a descriptor. Returns only if that is refused.
pub(crate) fn execute(program: RawFd, arguments: &[&CStr], environment: &[&CStr]) -> io::Error {
    let list = |strings: &[&CStr]| -> Vec<*const c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (list(arguments), list(environment));
    // SAFETY: an empty path and two lists of strings that end with null and live until it returns.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}
