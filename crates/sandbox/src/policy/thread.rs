//! The smaller policy of I/O threads. It comes on top of the process' own, whose checks of
//! arguments go on; so this is a list of numbers.

use super::compile::{program, rules};
use super::line::{Line, line};
use crate::{SandboxError, sys};

const IO: &[Line] = &[
    line(libc::SYS_io_uring_enter, "disks and the wait for the doorbell"),
    line(libc::SYS_read, "eventfd, single path"),
    line(libc::SYS_write, "eventfd, messages of a panic"),
    line(libc::SYS_readv, "as read"),
    line(libc::SYS_writev, "as write"),
    line(libc::SYS_pread64, "disks without io_uring"),
    line(libc::SYS_pwrite64, "disks without io_uring"),
    line(libc::SYS_preadv, "as pread64"),
    line(libc::SYS_pwritev, "as pwrite64"),
    line(libc::SYS_preadv2, "as pread64"),
    line(libc::SYS_pwritev2, "as pwrite64"),
    line(libc::SYS_lseek, "what of a file is mapped"),
    line(libc::SYS_fsync, "flush"),
    line(libc::SYS_fdatasync, "flush"),
    line(libc::SYS_recvfrom, "single path"),
    line(libc::SYS_recvmsg, "single path"),
    line(libc::SYS_sendto, "single path, messages to the host"),
    line(libc::SYS_sendmsg, "single path, messages to the host"),
    line(libc::SYS_ppoll, "single path"),
    #[cfg(target_arch = "x86_64")]
    line(libc::SYS_poll, "single path"),
    line(libc::SYS_close, "what it owns, when it ends"),
    line(libc::SYS_fcntl, "the standard library checks what it closes"),
    line(libc::SYS_futex, "locks, the doorbell"),
    line(libc::SYS_brk, "heap"),
    line(libc::SYS_mmap, "heap; the single-map path"),
    line(libc::SYS_mremap, "heap"),
    line(libc::SYS_munmap, "heap; the thread's end"),
    line(libc::SYS_mprotect, "heap"),
    line(libc::SYS_madvise, "heap; the thread's end"),
    line(libc::SYS_clock_gettime, "time"),
    line(libc::SYS_clock_nanosleep, "delays"),
    line(libc::SYS_nanosleep, "delays"),
    line(libc::SYS_gettid, "locks, names"),
    line(libc::SYS_getpid, "abort"),
    line(libc::SYS_tgkill, "abort"),
    line(libc::SYS_getcpu, "which processor it runs on"),
    line(libc::SYS_sched_yield, "spinning"),
    line(libc::SYS_sched_getaffinity, "number of processors"),
    line(libc::SYS_getrandom, "hash tables"),
    line(libc::SYS_prctl, "its name, its timers' slack"),
    line(libc::SYS_rseq, "the C library"),
    line(libc::SYS_membarrier, "fences"),
    line(libc::SYS_set_robust_list, "the C library"),
    line(libc::SYS_sigaltstack, "the thread's end"),
    line(libc::SYS_rt_sigaction, "abort"),
    line(libc::SYS_rt_sigprocmask, "the thread's end"),
    line(libc::SYS_rt_sigreturn, "after a signal"),
    line(libc::SYS_restart_syscall, "after a stop"),
    line(libc::SYS_exit, "the thread's end"),
    line(libc::SYS_exit_group, "the process' end"),
];

/// Takes everything off the calling thread that an I/O thread does not need: it opens nothing,
/// starts nothing, and uses what it was given. To be called by each I/O thread when it starts.
///
/// # Errors
/// [`SandboxError::NotFiltered`] where the process has no filter (sandbox off, or refused): nothing
/// is done, and the thread may go on.
pub fn restrict_io_thread() -> Result<(), SandboxError> {
    if !sys::has_filter() {
        return Err(SandboxError::NotFiltered);
    }
    let program = program(rules(&[IO])?)?;
    sys::install_filter(&program, false)
        .map(drop)
        .map_err(|e| SandboxError::Filter(format!("seccomp: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_io_threads_is_a_program_without_open_clone_and_execution() {
        let rules = rules(&[IO]).unwrap();
        for call in [
            libc::SYS_openat,
            libc::SYS_clone,
            libc::SYS_execveat,
            libc::SYS_seccomp,
            libc::SYS_io_uring_register,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
        program(rules).unwrap();
    }

    #[test]
    fn a_thread_of_a_process_without_a_filter_gets_none() {
        assert!(matches!(restrict_io_thread(), Err(SandboxError::NotFiltered)));
    }
}
