//! A region with its typed areas: what both sides of a channel hold.
#![allow(unsafe_code)]

use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::os::fd::OwnedFd;

use crate::doorbell::SleepFlag;
use crate::layout::{
    COMMAND_BYTES, EXTENSION_BYTES, LINE, Layout, LayoutError, RESPONSE_BYTES, RegionConfig,
    WORD_LINES,
};
use crate::memory::{Memory, MemoryError};
use crate::ring::RingWords;
use crate::task::{ParallelTask, ResponseHead, SENSE_BYTES, TaskExtension};

/// "OUTBOARD" in ASCII, little-endian.
const MAGIC: u64 = u64::from_le_bytes(*b"OUTBOARD");
/// Version of the layout below.
const LAYOUT_VERSION: u64 = 1;
const SENSE_OFFSET: u64 = 73;
/// The word that asks drivers for [`Stamps`]: on a line of the header's page that is hardly ever
/// written, so that looking at it costs nothing.
const TRACED_OFFSET: u64 = LINE;
const TAKEN_OFFSET: u64 = core::mem::offset_of!(TaskExtension, taken) as u64;
const COMPLETED_OFFSET: u64 = core::mem::offset_of!(TaskExtension, completed) as u64;

/// What can go wrong with a region.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The numbers make no region.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The mapping failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The file is no region of this version.
    #[error(
        "not an Outboard region of layout version {LAYOUT_VERSION} ({what}); host and driver must be of one release"
    )]
    Foreign {
        /// what does not fit
        what: &'static str,
    },
}

/// A region, mapped. Clones share the mapping.
#[derive(Clone, Debug)]
pub struct Region {
    memory: Memory,
    layout: Layout,
}

impl Region {
    /// Host: a new region, all slots the host's.
    pub fn create(config: RegionConfig) -> Result<Self, RegionError> {
        let layout = Layout::new(config)?;
        let memory = Memory::create("outboard-region", layout.len as usize)?;
        let region = Self { memory, layout };
        region.write_header()?;
        Ok(region)
    }

    /// Host: as new for the successor of a driver that is gone for certain; the buffers keep their
    /// content. Rings are empty, flags are down, whatever the predecessor wrote there.
    pub fn renew(&self) -> Result<(), RegionError> {
        let rings_end = self.layout.commands;
        let words = self.layout.words;
        self.memory.fill(words, (rings_end - words) as usize, 0)?;
        self.write_header()
    }

    fn write_header(&self) -> Result<(), RegionError> {
        let config = &self.layout.config;
        let header = [
            MAGIC,
            LAYOUT_VERSION,
            u64::from(config.slots_per_queue),
            u64::from(config.queues),
            config.pool_bytes,
            config.scratch_bytes,
        ];
        for (i, value) in header.into_iter().enumerate() {
            self.memory.write(i as u64 * 8, &value.to_le_bytes())?;
        }
        Ok(())
    }

    /// Driver: the region behind a descriptor that the host passed.
    pub fn attach(fd: OwnedFd) -> Result<Self, RegionError> {
        let memory = Memory::attach(fd)?;
        let mut header = [0; 6];
        for (i, value) in header.iter_mut().enumerate() {
            let mut bytes = [0; 8];
            memory.read(i as u64 * 8, &mut bytes)?;
            *value = u64::from_le_bytes(bytes);
        }
        let [magic, version, slots, queues, pool_bytes, scratch_bytes] = header;
        if magic != MAGIC {
            return Err(RegionError::Foreign { what: "no magic number" });
        }
        if version != LAYOUT_VERSION {
            return Err(RegionError::Foreign { what: "another layout version" });
        }
        let layout = Layout::new(RegionConfig {
            slots_per_queue: u32::try_from(slots).unwrap_or(u32::MAX),
            queues: u32::try_from(queues).unwrap_or(u32::MAX),
            pool_bytes,
            scratch_bytes,
        })?;
        if layout.len != memory.len() as u64 {
            return Err(RegionError::Foreign { what: "its length contradicts its header" });
        }
        Ok(Self { memory, layout })
    }

    /// A descriptor of the memfd, for the driver.
    pub fn share(&self) -> Result<OwnedFd, RegionError> {
        Ok(self.memory.share()?)
    }

    /// Where everything stands.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bytes: data buffers are read and written through this.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The shared words of queue pair `queue`; `None` beyond the last.
    pub fn queue(&self, queue: u32) -> Option<QueueWords<'_>> {
        if queue >= self.layout.config.queues {
            return None;
        }
        let line = |n: u64| self.layout.words + (u64::from(queue) * WORD_LINES + n) * LINE;
        let word = |n: u64, field: u64| self.memory.word32(line(n) + field * 4).ok();
        let entries = self.layout.ring_entries;
        let ring_bytes = u64::from(entries) * 8;
        let first = self.layout.rings + u64::from(queue) * ring_bytes * 2;
        Some(QueueWords {
            submission: RingWords { tail: word(0, 0)?, entries: self.entries(first, entries)? },
            completion: RingWords {
                tail: word(1, 0)?,
                entries: self.entries(first + ring_bytes, entries)?,
            },
            driver_flag: SleepFlag::new(word(2, 0)?),
            host_flag: SleepFlag::new(word(3, 0)?),
            driver_cpu: word(4, 0)?,
            in_kernel: word(4, 1)?,
            progress: word(4, 2)?,
            consumed: word(4, 3)?,
            host_cpu: word(5, 0)?,
        })
    }

    fn entries(&self, offset: u64, count: u32) -> Option<&[AtomicU64]> {
        let at = self.memory.at(offset, count as usize * 8).ok()?;
        // SAFETY: in range, 8-aligned (areas are whole pages, rings whole words), living as long
        // as `self`, and accessed by both sides as atomics only.
        Some(unsafe { core::slice::from_raw_parts(at.cast::<AtomicU64>(), count as usize) })
    }

    /// A copy of command slot `index`; `None` beyond the last slot.
    #[inline]
    pub fn read_task(&self, index: u16) -> Option<ParallelTask> {
        let at = self.slot(self.layout.commands, COMMAND_BYTES, index)?;
        // SAFETY: `slot` checked the index; the area is aligned and any bytes are a valid value.
        Some(unsafe { ptr::read_volatile(at.cast::<ParallelTask>()) })
    }

    /// Fills command slot `index`. Beyond the last slot nothing happens.
    #[inline]
    pub fn write_task(&self, index: u16, task: &ParallelTask) {
        if let Some(at) = self.slot(self.layout.commands, COMMAND_BYTES, index) {
            // SAFETY: as in `read_task`.
            unsafe { ptr::write_volatile(at.cast::<ParallelTask>(), *task) }
        }
    }

    /// A copy of the head of response slot `index`.
    #[inline]
    pub fn read_response(&self, index: u16) -> Option<ResponseHead> {
        let at = self.slot(self.layout.responses, RESPONSE_BYTES, index)?;
        // SAFETY: as in `read_task`; a head is the first 80 of the slot's 384 bytes.
        Some(unsafe { ptr::read_volatile(at.cast::<ResponseHead>()) })
    }

    /// Fills the head of response slot `index`.
    #[inline]
    pub fn write_response(&self, index: u16, head: &ResponseHead) {
        if let Some(at) = self.slot(self.layout.responses, RESPONSE_BYTES, index) {
            // SAFETY: as in `read_response`.
            unsafe { ptr::write_volatile(at.cast::<ResponseHead>(), *head) }
        }
    }

    /// Copies the sense buffer of response slot `index`.
    pub fn read_sense(&self, index: u16, out: &mut [u8; SENSE_BYTES]) {
        if u32::from(index) < self.layout.slots() {
            let at = self.layout.responses + u64::from(index) * RESPONSE_BYTES + SENSE_OFFSET;
            let _ = self.memory.read(at, out);
        }
    }

    /// Writes the sense buffer of response slot `index`: at most [`SENSE_BYTES`] bytes.
    /// Call it after [`Self::write_response`], whose head covers the first seven.
    pub fn write_sense(&self, index: u16, sense: &[u8]) {
        if u32::from(index) < self.layout.slots() {
            let at = self.layout.responses + u64::from(index) * RESPONSE_BYTES + SENSE_OFFSET;
            let _ = self.memory.write(at, &sense[..sense.len().min(SENSE_BYTES)]);
        }
    }

    /// A copy of the extension of command slot `index`.
    #[inline]
    pub fn read_extension(&self, index: u16) -> Option<TaskExtension> {
        let at = self.slot(self.layout.extensions, EXTENSION_BYTES, index)?;
        // SAFETY: as in `read_task`.
        Some(unsafe { ptr::read_volatile(at.cast::<TaskExtension>()) })
    }

    /// Fills the extension of command slot `index`.
    #[inline]
    pub fn write_extension(&self, index: u16, extension: &TaskExtension) {
        if let Some(at) = self.slot(self.layout.extensions, EXTENSION_BYTES, index) {
            // SAFETY: as in `read_task`.
            unsafe { ptr::write_volatile(at.cast::<TaskExtension>(), *extension) }
        }
    }

    /// Host: asks the driver for [`Stamps`] from now on, or no longer. A new incarnation is asked
    /// too.
    pub fn set_traced(&self, on: bool) {
        if let Ok(word) = self.memory.word32(TRACED_OFFSET) {
            word.store(u32::from(on), Ordering::Relaxed);
        }
    }

    /// Driver: whether the host asks for [`Stamps`].
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.memory.word32(TRACED_OFFSET).is_ok_and(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// The stamps of command slot `index`; `None` beyond the last.
    pub fn stamps(&self, index: u16) -> Option<Stamps<'_>> {
        if u32::from(index) >= self.layout.slots() {
            return None;
        }
        let at = self.layout.extensions + u64::from(index) * EXTENSION_BYTES;
        Some(Stamps {
            taken: self.memory.word64(at + TAKEN_OFFSET).ok()?,
            completed: self.memory.word64(at + COMPLETED_OFFSET).ok()?,
        })
    }

    /// Fills the second half of command slot `index` (from `buffer_iovm_addr` on): for a slot whose
    /// first half is as it was. The first half then stays in the reader's cache.
    #[inline]
    pub fn write_task_tail(&self, index: u16, task: &ParallelTask) {
        const HALF: usize = core::mem::offset_of!(ParallelTask, buffer_iovm_addr);
        if let Some(at) = self.slot(self.layout.commands, COMMAND_BYTES, index) {
            let tail = ptr::from_ref(task).cast::<[u64; 8]>().wrapping_add(HALF / 64);
            // SAFETY: source and destination are the second 64 bytes of two 128-byte commands, the
            // one private, the other checked by `slot`.
            unsafe { ptr::write_volatile(at.add(HALF).cast::<[u64; 8]>(), ptr::read(tail)) }
        }
    }

    /// Hints that the second half of command slot `index` is about to be read, or with `write`
    /// overwritten: the peer's core has the line, and fetching it early hides the way.
    #[inline]
    pub fn prefetch_task(&self, index: u16, write: bool) {
        if let Some(at) = self.slot(self.layout.commands, COMMAND_BYTES, index) {
            prefetch_line(at.wrapping_add(64), write);
        }
    }

    #[inline]
    fn slot(&self, area: u64, stride: u64, index: u16) -> Option<*mut u8> {
        if u32::from(index) >= self.layout.slots() {
            return None;
        }
        self.memory.at(area + u64::from(index) * stride, stride as usize).ok()
    }
}

/// Fetches the cache line at `at` into this core's cache, for writing if `write`.
#[inline]
fn prefetch_line(at: *mut u8, write: bool) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no architectural effect, whatever the address.
        unsafe {
            if write {
                _mm_prefetch::<_MM_HINT_ET0>(at.cast::<i8>());
            } else {
                _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>());
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, write);
}

/// When the driver says that it took a task and ended it, in nanoseconds of `CLOCK_MONOTONIC`; 0 is
/// no word. To the host a claim like any other.
#[derive(Clone, Copy, Debug)]
pub struct Stamps<'a> {
    /// taken out of the submission ring
    pub taken: &'a AtomicU64,
    /// its response written
    pub completed: &'a AtomicU64,
}

/// The shared words of one queue pair. Each stands on a cache line that one side alone writes,
/// but for the sleep flags, which the other side lowers when it rings.
#[derive(Clone, Copy, Debug)]
pub struct QueueWords<'a> {
    /// host to driver
    pub submission: RingWords<'a>,
    /// driver to host
    pub completion: RingWords<'a>,
    /// raised while the driver's I/O thread sleeps
    pub driver_flag: SleepFlag<'a>,
    /// raised while the host's I/O thread sleeps
    pub host_flag: SleepFlag<'a>,
    /// the CPU the driver's thread runs on, plus one; 0 = unknown
    pub driver_cpu: &'a AtomicU32,
    /// driver: I/Os it has in the kernel
    pub in_kernel: &'a AtomicU32,
    /// driver: counts its rounds; standing still with work outstanding means a hang
    pub progress: &'a AtomicU32,
    /// driver: submission sequence it has consumed
    pub consumed: &'a AtomicU32,
    /// the CPU the host's thread runs on, plus one; 0 = unknown
    pub host_cpu: &'a AtomicU32,
}

/// A queue pair's words together with the region that holds them: what a thread keeps.
#[derive(Clone, Debug)]
pub struct Queue {
    words: QueueWords<'static>,
    region: Region,
}

impl Queue {
    /// Queue pair `queue` of `region`; `None` beyond the last.
    pub fn new(region: Region, queue: u32) -> Option<Self> {
        let words = region.queue(queue)?;
        // SAFETY: the words lie in the mapping that `region` keeps alive as long as this value; the
        // longer lifetime does not leave this type, whose `words` shortens it to its own.
        let words = unsafe { core::mem::transmute::<QueueWords<'_>, QueueWords<'static>>(words) };
        Some(Self { words, region })
    }

    /// The words.
    #[inline]
    pub fn words(&self) -> &QueueWords<'_> {
        &self.words
    }

    /// The region.
    #[inline]
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl QueueWords<'_> {
    /// Whether both ends run on one core as far as they said: then neither may spin.
    #[inline]
    pub fn share_a_core(&self) -> bool {
        let host = self.host_cpu.load(Ordering::Relaxed);
        host != 0 && host == self.driver_cpu.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{Consumer, Entry, Producer};

    fn config() -> RegionConfig {
        RegionConfig { slots_per_queue: 32, queues: 2, pool_bytes: 1 << 20, scratch_bytes: 4096 }
    }

    #[test]
    fn what_the_host_writes_the_driver_reads() {
        let host = Region::create(config()).unwrap();
        let driver = Region::attach(host.share().unwrap()).unwrap();
        assert_eq!(host.layout(), driver.layout());
        let task =
            ParallelTask { task_tag_identifier: 77, command_size: 10, ..ParallelTask::EMPTY };
        host.write_task(63, &task);
        let copy = driver.read_task(63).unwrap();
        assert_eq!((copy.task_tag_identifier, copy.cdb().len()), (77, 10));
        let head = ResponseHead { bytes_transferred: 512, sense_length: 18, ..ResponseHead::EMPTY };
        driver.write_response(63, &head);
        driver.write_sense(63, &[0x70; 18]);
        assert_eq!(host.read_response(63).unwrap().bytes_transferred, 512);
        let mut sense = [0; SENSE_BYTES];
        host.read_sense(63, &mut sense);
        assert_eq!((sense[0], sense[17], sense[18]), (0x70, 0x70, 0));
    }

    #[test]
    fn stamps_are_asked_for_and_stand_in_the_extension() {
        let host = Region::create(config()).unwrap();
        let driver = Region::attach(host.share().unwrap()).unwrap();
        assert!(!driver.is_traced());
        host.set_traced(true);
        assert!(driver.is_traced());
        host.renew().unwrap();
        assert!(driver.is_traced(), "the next incarnation is asked too");
        let stamps = driver.stamps(63).unwrap();
        stamps.taken.store(7, Ordering::Relaxed);
        stamps.completed.store(8, Ordering::Relaxed);
        let extension = host.read_extension(63).unwrap();
        assert_eq!((extension.taken, extension.completed, extension.nexus), (7, 8, 0));
        assert!(host.stamps(64).is_none());
        host.set_traced(false);
        assert!(!driver.is_traced());
    }

    #[test]
    fn no_slot_beyond_the_last() {
        let r = Region::create(config()).unwrap();
        assert!(r.read_task(64).is_none());
        assert!(r.read_response(u16::MAX).is_none());
        assert!(r.queue(2).is_none());
        r.write_task(64, &ParallelTask::EMPTY);
        r.write_sense(u16::MAX, &[1; 300]);
    }

    #[test]
    fn rings_of_different_queues_are_apart() {
        let r = Region::create(config()).unwrap();
        let (a, b) = (r.queue(0).unwrap(), r.queue(1).unwrap());
        let mut p = Producer::new();
        p.push(a.submission, Entry::new(5, 1));
        p.publish(a.submission);
        assert_eq!(Consumer::new().poll(b.submission), Ok(0));
        assert_eq!(Consumer::new().poll(a.completion), Ok(0));
        assert_eq!(Consumer::new().poll(a.submission), Ok(1));
    }

    #[test]
    fn a_spoiled_header_is_refused() {
        for (at, value) in [(0u64, 0u64), (8, 2), (16, 33), (24, 0), (32, u64::MAX)] {
            let r = Region::create(config()).unwrap();
            r.memory().write(at, &value.to_le_bytes()).unwrap();
            assert!(Region::attach(r.share().unwrap()).is_err(), "{at}");
        }
    }
}
