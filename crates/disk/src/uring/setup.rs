//! Making a ring: created disabled, its tables filled, enabled by the thread that uses it first.

use io_uring::{IoUring, Probe, Submitter, opcode};
use outboard_slots::Memory;
use rustix::io::Errno;

use super::{Bell, Buffers, Ranges, Ring, Support, errno};

/// A ring that could not be made: the call and the kernel's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SetupError {
    pub(crate) call: &'static str,
    pub(crate) errno: Errno,
}

impl Ring {
    /// A ring for `entries` requests on `memory`, of which the range `buffers` (offset and length
    /// in bytes) is registered. What works less well than it could is told in `notes`.
    pub(crate) fn create(
        entries: u32,
        memory: Memory,
        buffers: Option<(u64, u64)>,
        notes: &mut Vec<String>,
    ) -> Result<Self, SetupError> {
        let (uring, deferred) = build(entries)?;
        if !deferred {
            notes.push(NOT_DEFERRED.to_owned());
        }
        let fail = |call| move |e: std::io::Error| SetupError { call, errno: errno(&e) };
        uring
            .submitter()
            .register_files_sparse(Self::FILES)
            .map_err(fail("io_uring_register(FILES2)"))?;
        let support = support_of(&uring.submitter())?;
        if !support.futex_wait {
            notes.push(
                "this kernel's io_uring cannot wait for a doorbell (Linux 6.7): while I/O is in \
                 the kernel the queue looks for new work every 200 us"
                    .to_owned(),
            );
        }
        let mut ring = Self {
            uring,
            memory,
            buffers: Buffers::default(),
            ranges: Ranges::new(),
            bell: Bell::default(),
            support,
            files: 0,
            registered: None,
            in_kernel: 0,
            enabled: false,
            failed: None,
        };
        if let Some((offset, len)) = buffers {
            ring.register(offset, len, notes);
        }
        Ok(ring)
    }

    /// Registers a range of the memory, in buffers of at most 1 GiB. Without it I/O still works.
    pub(super) fn register(&mut self, offset: u64, len: u64, notes: &mut Vec<String>) {
        let fits = usize::try_from(len).is_ok_and(|len| self.memory.contains(offset, len));
        if !fits || len == 0 {
            notes.push(format!(
                "buffers at {offset}+{len} lie outside of the memory: not registered"
            ));
            return;
        }
        let base = self.memory.base_address();
        let chunks: Vec<libc::iovec> = (0..len.div_ceil(Buffers::LARGEST))
            .map(|i| {
                let at = i * Buffers::LARGEST;
                libc::iovec {
                    iov_base: (base + offset + at) as *mut libc::c_void,
                    iov_len: (len - at).min(Buffers::LARGEST) as usize,
                }
            })
            .collect();
        // SAFETY: the ranges lie in `self.memory`, which is unmapped only after the ring is gone.
        match unsafe { self.uring.submitter().register_buffers(&chunks) } {
            Ok(()) => self.buffers = Buffers { start: offset, end: offset + len, base },
            Err(error) => notes.push(refusal(errno(&error), len)),
        }
    }
}

/// What this kernel can do.
pub(super) fn support_of(submitter: &Submitter<'_>) -> Result<Support, SetupError> {
    let mut probe = Probe::new();
    submitter
        .register_probe(&mut probe)
        .map_err(|error| SetupError { call: "io_uring_register(PROBE)", errno: errno(&error) })?;
    Ok(Support {
        vectored_fixed: probe.is_supported(opcode::ReadvFixed::CODE)
            && probe.is_supported(opcode::WritevFixed::CODE),
        futex_wait: probe.is_supported(opcode::FutexWait::CODE),
    })
}

/// The best ring this kernel has, disabled, and whether it defers completions: then it is bound to the
/// thread that enables it.
pub(super) fn build(entries: u32) -> Result<(IoUring, bool), SetupError> {
    let entries = entries.next_power_of_two().clamp(8, 4096);
    let best = IoUring::builder()
        .setup_cqsize(entries * 4)
        .setup_clamp()
        .setup_submit_all()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_r_disabled()
        .build(entries);
    match best {
        Err(error) if errno(&error) == Errno::INVAL => {
            build_plain(entries).map(|ring| (ring, false))
        }
        other => other.map(|ring| (ring, true)),
    }
    .map_err(|e| SetupError { call: "io_uring_setup", errno: errno(&e) })
}

/// Without deferred completions; any thread may use it.
pub(super) fn build_plain(entries: u32) -> std::io::Result<IoUring> {
    IoUring::builder().setup_cqsize(entries * 4).setup_clamp().setup_r_disabled().build(entries)
}

/// The note of a ring that [`build`] could not make as it should be.
pub(super) const NOT_DEFERRED: &str = "this kernel's io_uring has no deferred completions (Linux 6.1): \
                                       each one interrupts the queue's thread";

fn refusal(errno: Errno, len: u64) -> String {
    let mib = len >> 20;
    match errno {
        Errno::NOMEM | Errno::PERM => {
            let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
            let limit =
                limit.map_or_else(|| "unlimited".to_owned(), |b| format!("{} KiB", b >> 10));
            format!(
                "buffers of {mib} MiB are not registered with the kernel, because RLIMIT_MEMLOCK is \
                 {limit}: each request pins its own memory and costs more CPU; raise it with \
                 `ulimit -l` or LimitMEMLOCK= in the unit file"
            )
        }
        other => format!(
            "buffers of {mib} MiB are not registered with the kernel ({other}): each request pins \
             its own memory and costs more CPU"
        ),
    }
}
