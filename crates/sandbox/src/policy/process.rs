//! The policy of a driver process.

use seccompiler::BpfProgram;

use super::answers::NOT_THERE;
use super::compile::{program, rule, rules};
use super::line::{Is, Line, line, only};
use crate::SandboxError;

/// What the policy depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// the driver's number in its own namespace
    pub(crate) pid: u32,
    /// the number of the program's descriptor
    pub(crate) program: u32,
    /// whether it has io_urings of its launcher's making
    pub(crate) rings: bool,
}

/// The filter of a driver process, installed after [`super::answers`].
pub(crate) fn process(facts: Facts) -> Result<BpfProgram, SandboxError> {
    let mut rules = rules(&[
        MEMORY,
        THREADS,
        TIME,
        FILES,
        LOADER,
        SOCKETS,
        WAITING,
        SIGNALS,
        QUESTIONS,
        #[cfg(target_arch = "x86_64")]
        OLD_NAMES,
    ])?;
    // raise() and abort(): only threads of its own. Arguments: process, thread, signal.
    rules.insert(libc::SYS_tgkill, vec![rule(&[Is::Int(0, facts.pid)])?]);
    // The one execution: the program's descriptor, no path.
    let empty_path = Is::Int(4, libc::AT_EMPTY_PATH.cast_unsigned());
    rules.insert(libc::SYS_execveat, vec![rule(&[Is::Int(0, facts.program), empty_path])?]);
    // Until a ring is enabled its restrictions are not in force: this alone keeps other files out.
    if facts.rings {
        let operations = REGISTER.iter().map(|operation| rule(&[Is::Int(1, *operation)]));
        rules.insert(libc::SYS_io_uring_register, operations.collect::<Result<_, _>>()?);
    }
    // Answered by the other filter; here they must pass.
    for call in NOT_THERE {
        rules.insert(*call, Vec::new());
    }
    program(rules)
}

const fn flag(flag: i32) -> u64 {
    flag.cast_unsigned() as u64
}

const EXEC: u64 = flag(libc::PROT_EXEC);
const ANONYMOUS: u64 = flag(libc::MAP_ANONYMOUS);
/// The bits that say private or shared.
const TYPE: u64 = 0x0f;
/// Stacks that grow and huge pages escape the memory limit, locked pages the locked one.
const NO_MAPS: u64 = flag(libc::MAP_GROWSDOWN | libc::MAP_HUGETLB | libc::MAP_LOCKED);
const WRITE_EXEC: u64 = flag(libc::PROT_WRITE | libc::PROT_EXEC);

/// Of a file, never writable and executable at once; without a file private and not executable.
const MAPS: &[&[Is]] = &[
    &[Is::Bits(3, NO_MAPS | ANONYMOUS, 0), Is::Bits(2, EXEC, 0)],
    &[Is::Bits(3, NO_MAPS | ANONYMOUS, 0), Is::Bits(2, WRITE_EXEC, EXEC)],
    &[Is::Bits(3, NO_MAPS | TYPE, flag(libc::MAP_PRIVATE)), Is::Bits(2, EXEC, 0)],
];

/// No hole in a file (`MADV_REMOVE`), nothing about broken or shared pages.
const ADVICE: &[&[Is]] = &[
    &[Is::Int(2, libc::MADV_NORMAL.cast_unsigned())],
    &[Is::Int(2, libc::MADV_RANDOM.cast_unsigned())],
    &[Is::Int(2, libc::MADV_SEQUENTIAL.cast_unsigned())],
    &[Is::Int(2, libc::MADV_WILLNEED.cast_unsigned())],
    &[Is::Int(2, libc::MADV_DONTNEED.cast_unsigned())],
    &[Is::Int(2, libc::MADV_FREE.cast_unsigned())],
    &[Is::Int(2, libc::MADV_HUGEPAGE.cast_unsigned())],
    &[Is::Int(2, libc::MADV_NOHUGEPAGE.cast_unsigned())],
    &[Is::Int(2, libc::MADV_DONTDUMP.cast_unsigned())],
    &[Is::Int(2, libc::MADV_POPULATE_READ.cast_unsigned())],
    &[Is::Int(2, libc::MADV_POPULATE_WRITE.cast_unsigned())],
    &[Is::Int(2, MADV_GUARD_INSTALL)],
    &[Is::Int(2, MADV_GUARD_REMOVE)],
];
const MADV_GUARD_INSTALL: u32 = 102;
const MADV_GUARD_REMOVE: u32 = 103;

const MEMORY: &[Line] = &[
    line(libc::SYS_brk, "heap"),
    only(libc::SYS_mmap, MAPS, "heap, libraries, the region"),
    line(libc::SYS_munmap, "as mmap"),
    line(libc::SYS_mremap, "heap; counted like mmap"),
    only(libc::SYS_mprotect, &[&[Is::Bits(2, EXEC, 0)]], "heap, loader; nothing becomes code"),
    only(libc::SYS_madvise, ADVICE, "heap, the region"),
];

/// Anything that would make it a process, or put it in other namespaces.
const NOT_A_THREAD: u64 = flag(
    libc::CLONE_PARENT
        | libc::CLONE_VFORK
        | libc::CLONE_PTRACE
        | libc::CLONE_PIDFD
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET,
);
/// A thread with descriptors of its own would have the whole limit of them once more.
const THREAD: u64 = flag(libc::CLONE_THREAD | libc::CLONE_FILES);

/// Names, timers' slack, what it is restricted by; no capability, dump or parent's death.
const PRCTL: &[&[Is]] = &[
    &[Is::Int(0, libc::PR_SET_NAME.cast_unsigned())],
    &[Is::Int(0, libc::PR_GET_NAME.cast_unsigned())],
    &[Is::Int(0, libc::PR_SET_TIMERSLACK.cast_unsigned())],
    &[Is::Int(0, libc::PR_GET_TIMERSLACK.cast_unsigned())],
    &[Is::Int(0, libc::PR_GET_SECCOMP.cast_unsigned())],
    &[Is::Int(0, libc::PR_GET_NO_NEW_PRIVS.cast_unsigned())],
    &[Is::Int(0, libc::PR_SET_VMA.cast_unsigned())],
];

/// A further filter, without a listener or an effect on other threads.
const ADD_FILTER: &[&[Is]] = &[&[Is::Int(0, libc::SECCOMP_SET_MODE_FILTER), Is::Word(1, 0)]];

const THREADS: &[Line] = &[
    only(libc::SYS_clone, &[&[Is::Bits(0, THREAD | NOT_A_THREAD, THREAD)]], "threads alone"),
    line(libc::SYS_futex, "locks, the doorbell"),
    line(SYS_FUTEX_WAITV, "as futex"),
    line(libc::SYS_set_robust_list, "start of a thread"),
    line(libc::SYS_set_tid_address, "start"),
    line(libc::SYS_rseq, "start of a thread"),
    line(libc::SYS_membarrier, "fences"),
    line(libc::SYS_sched_yield, "spinning"),
    line(libc::SYS_sched_getaffinity, "number of processors"),
    line(libc::SYS_getcpu, "which processor a thread runs on"),
    line(libc::SYS_gettid, "names of threads"),
    line(libc::SYS_exit, "end of a thread"),
    line(libc::SYS_exit_group, "end"),
    only(libc::SYS_prctl, PRCTL, "names of threads, timers' slack"),
    only(libc::SYS_seccomp, ADD_FILTER, "I/O threads give up more"),
];
const SYS_FUTEX_WAITV: i64 = 449;

const TIME: &[Line] = &[
    line(libc::SYS_clock_gettime, "time, where the machine's clock needs a call"),
    line(libc::SYS_clock_getres, "as clock_gettime"),
    line(libc::SYS_gettimeofday, "as clock_gettime"),
    line(libc::SYS_clock_nanosleep, "delays"),
    line(libc::SYS_nanosleep, "delays"),
];

/// Its own flags and copies; no locks, no owner or signal, no file flags (they are shared with
/// others: the log is the host's too).
const FCNTL: &[&[Is]] = &[
    &[Is::Int(1, libc::F_GETFD.cast_unsigned())],
    &[Is::Int(1, libc::F_SETFD.cast_unsigned())],
    &[Is::Int(1, libc::F_GETFL.cast_unsigned())],
    &[Is::Int(1, libc::F_DUPFD.cast_unsigned())],
    &[Is::Int(1, libc::F_DUPFD_CLOEXEC.cast_unsigned())],
    &[Is::Int(1, libc::F_GET_SEALS.cast_unsigned())],
];

/// Close on execution; sizes of block devices. A terminal's answer is EPERM: it is none.
const IOCTL: &[&[Is]] = &[
    &[Is::Int(1, libc::FIOCLEX as u32)],
    &[Is::Int(1, libc::FIONCLEX as u32)],
    &[Is::Int(1, libc::BLKSSZGET as u32)],
    &[Is::Int(1, libc::BLKPBSZGET as u32)],
    &[Is::Int(1, BLKGETSIZE64)],
];
const BLKGETSIZE64: u32 = 0x8008_1272;

/// Not `CLOSE_RANGE_UNSHARE`: as [`THREAD`].
const CLOSE_RANGE: &[&[Is]] = &[&[Is::Int(2, 0)], &[Is::Int(2, libc::CLOSE_RANGE_CLOEXEC)]];

const FILES: &[Line] = &[
    line(libc::SYS_io_uring_enter, "rings that it was given"),
    line(libc::SYS_read, "what is open"),
    line(libc::SYS_write, "what is open, the log"),
    line(libc::SYS_readv, "as read"),
    line(libc::SYS_writev, "as write"),
    line(libc::SYS_pread64, "disks"),
    line(libc::SYS_pwrite64, "disks"),
    line(libc::SYS_preadv, "disks"),
    line(libc::SYS_pwritev, "disks"),
    line(libc::SYS_preadv2, "disks"),
    line(libc::SYS_pwritev2, "disks"),
    line(libc::SYS_lseek, "loader"),
    line(libc::SYS_fsync, "flush"),
    line(libc::SYS_fdatasync, "flush"),
    line(libc::SYS_fstat, "size of what is open"),
    line(libc::SYS_close, "what is open"),
    only(libc::SYS_close_range, CLOSE_RANGE, "what is open"),
    line(libc::SYS_dup, "copies, below its limit"),
    line(libc::SYS_dup3, "copies, below its limit"),
    line(libc::SYS_pipe2, "among its threads"),
    only(libc::SYS_fcntl, FCNTL, "its own flags and copies"),
    only(libc::SYS_ioctl, IOCTL, "close on execution; sizes of block devices"),
];

/// Bits that would write, make or truncate.
const O_TMPFILE_ALONE: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;
const NOT_READ_ONLY: u64 =
    flag(libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | O_TMPFILE_ALONE);

/// The mount namespace and Landlock bound what a name reaches.
const LOADER: &[Line] = &[
    only(libc::SYS_openat, &[&[Is::Bits(2, NOT_READ_ONLY, 0)]], "libraries, read-only"),
    line(libc::SYS_newfstatat, "libraries"),
    line(libc::SYS_statx, "libraries"),
    line(libc::SYS_faccessat, "libraries"),
    line(libc::SYS_faccessat2, "libraries"),
    line(libc::SYS_readlinkat, "libraries"),
    line(libc::SYS_getcwd, "panic messages"),
];

/// No socket is made; messages go where it is connected already (no address).
const SOCKETS: &[Line] = &[
    line(libc::SYS_recvfrom, "control socket, single path"),
    line(libc::SYS_recvmsg, "control socket, single path"),
    only(libc::SYS_sendto, &[&[Is::Word(4, 0)]], "control socket, single path"),
    line(libc::SYS_sendmsg, "control socket, single path"),
    line(libc::SYS_shutdown, "control socket"),
];

const WAITING: &[Line] = &[
    line(libc::SYS_ppoll, "sockets"),
    line(libc::SYS_pselect6, "sockets"),
    line(libc::SYS_epoll_create1, "sockets"),
    line(libc::SYS_epoll_ctl, "sockets"),
    line(libc::SYS_epoll_pwait, "sockets"),
    line(libc::SYS_epoll_pwait2, "sockets"),
    line(libc::SYS_eventfd2, "threads"),
    line(libc::SYS_timerfd_create, "timers"),
    line(libc::SYS_timerfd_settime, "timers"),
    line(libc::SYS_timerfd_gettime, "timers"),
];

/// Its own; [`process`] adds `tgkill` to its own threads.
const SIGNALS: &[Line] = &[
    line(libc::SYS_rt_sigaction, "stack overflow, abort"),
    line(libc::SYS_rt_sigprocmask, "start of a thread, abort"),
    line(libc::SYS_rt_sigreturn, "after a signal"),
    line(libc::SYS_sigaltstack, "stack overflow"),
    line(libc::SYS_restart_syscall, "after a stop"),
];

/// Of this process (0), and no new limit.
const ASK_LIMIT: &[&[Is]] = &[&[Is::Int(0, 0), Is::Word(2, 0)]];

const QUESTIONS: &[Line] = &[
    line(libc::SYS_getpid, "abort, messages"),
    line(libc::SYS_getppid, "messages"),
    line(libc::SYS_getuid, "loader"),
    line(libc::SYS_geteuid, "loader"),
    line(libc::SYS_getgid, "loader"),
    line(libc::SYS_getegid, "loader"),
    line(libc::SYS_getrandom, "hash tables"),
    line(libc::SYS_uname, "loader"),
    line(libc::SYS_sysinfo, "heap"),
    line(libc::SYS_getrusage, "its own use"),
    line(libc::SYS_getrlimit, "its own limits"),
    only(libc::SYS_prlimit64, ASK_LIMIT, "its own limits"),
];

#[cfg(target_arch = "x86_64")]
const OLD_NAMES: &[Line] = &[
    only(libc::SYS_arch_prctl, &[&[Is::Int(0, ARCH_SET_FS)], &[Is::Int(0, ARCH_GET_FS)]], "start"),
    only(libc::SYS_open, &[&[Is::Bits(1, NOT_READ_ONLY, 0)]], "as openat"),
    line(libc::SYS_stat, "as newfstatat"),
    line(libc::SYS_lstat, "as newfstatat"),
    line(libc::SYS_access, "as faccessat"),
    line(libc::SYS_readlink, "as readlinkat"),
    line(libc::SYS_dup2, "as dup3"),
    line(libc::SYS_pipe, "as pipe2"),
    line(libc::SYS_poll, "as ppoll"),
    line(libc::SYS_select, "as pselect6"),
    line(libc::SYS_epoll_wait, "as epoll_pwait"),
    line(libc::SYS_time, "as clock_gettime"),
];
#[cfg(target_arch = "x86_64")]
const ARCH_SET_FS: u32 = 0x1002;
#[cfg(target_arch = "x86_64")]
const ARCH_GET_FS: u32 = 0x1003;

/// `io_uring_register` operations: its own memory, and the beginning of a ring's restrictions.
const REGISTER: [u32; 3] = [
    0,  // REGISTER_BUFFERS
    1,  // UNREGISTER_BUFFERS
    12, // REGISTER_ENABLE_RINGS
];

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts { pid: 1, program: 900, rings: false };

    #[test]
    fn the_policy_is_a_program_and_rings_add_to_it() {
        let without = process(FACTS).unwrap();
        let with = process(Facts { rings: true, ..FACTS }).unwrap();
        assert!(with.len() > without.len());
    }

    #[test]
    fn a_call_that_is_there_twice_is_refused() {
        let twice = [line(libc::SYS_read, "once"), line(libc::SYS_read, "twice")];
        assert!(rules(&[&twice]).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn what_must_never_be_allowed_is_in_no_table() {
        let rules =
            rules(&[MEMORY, THREADS, TIME, FILES, LOADER, SOCKETS, WAITING, SIGNALS]).unwrap();
        for call in [
            libc::SYS_execve,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_register,
            libc::SYS_memfd_create,
            libc::SYS_socket,
            libc::SYS_flock,
            libc::SYS_fallocate,
            libc::SYS_ftruncate,
            libc::SYS_ptrace,
            libc::SYS_kill,
            libc::SYS_pidfd_open,
            libc::SYS_process_vm_readv,
            libc::SYS_getdents64,
            libc::SYS_setrlimit,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
    }
}
