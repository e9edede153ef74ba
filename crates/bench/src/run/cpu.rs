//! Processor time: of this thread and of another process.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds this thread has run.
pub(super) fn this_thread_ns() -> u64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// Nanoseconds the threads of process `pid` have run, the kernel's own workers for it included;
/// 0 once it has ended.
pub(super) fn process_ns(pid: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// The CPUs this process may use, in order.
pub(super) fn allowed() -> Vec<usize> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Keeps this thread, and threads and processes it starts from now on, on the given CPUs.
pub(super) fn pin(cpus: &[usize]) {
    let mut set = rustix::thread::CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    // A measurement without pinning is still one: the kernel's refusal is not fatal.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}
