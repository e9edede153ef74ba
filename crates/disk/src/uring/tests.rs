use std::io::Write as _;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::Instant;

use outboard_slots::SleepFlag;
use outboard_slots::doorbell::AWAKE;

use super::*;

const MIB: u64 = 1 << 20;

fn ring(entries: u32) -> Ring {
    let mut notes = Vec::new();
    let memory = Memory::create("test", 4 << 20).unwrap();
    let ring = Ring::create(entries, memory, Some((0, 2 * MIB)), &mut notes).unwrap();
    assert_eq!(notes, [""; 0]);
    ring
}

pub(super) fn read(file: u32, segments: &[Segment]) -> Io<'_> {
    let len = segments.iter().map(|s| u64::from(s.len)).sum();
    Io { file, command: Command::Read, offset: 0, len, segments, skip: 0 }
}

pub(super) fn file(bytes: usize) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    let content: Vec<u8> = (0..bytes).map(|i| (i / 512) as u8).collect();
    file.write_all(&content).unwrap();
    file
}

/// Turns until `count` requests have ended.
pub(super) fn ends(ring: &mut Ring, count: usize) -> Vec<(u64, i32)> {
    let mut ended = Vec::new();
    let start = Instant::now();
    while ended.len() < count {
        ring.turn(|user_data, result| ended.push((user_data, result)));
        assert!(start.elapsed().as_secs() < 10, "{ended:?}");
    }
    ended
}

#[test]
fn one_and_several_segments_registered_and_not() {
    let mut ring = ring(8);
    let file = file(64 << 10);
    let index = ring.add_file(file.as_fd()).unwrap();
    drop(file); // the table keeps it open
    let segment = |offset| Segment { offset, len: 1024 };
    for list in [
        vec![segment(0)],
        vec![segment(3 * MIB)],
        vec![segment(8192), segment(4096), segment(0)],
        vec![segment(3 * MIB + 4096), segment(3 * MIB)],
        vec![segment(2 * MIB - 1024), segment(2 * MIB)], // neighbours, half registered
    ] {
        ring.memory.fill(0, 4 << 20, 0xEE).unwrap();
        ring.queue(&read(index, &list), 7).unwrap();
        assert_eq!(ends(&mut ring, 1), [(7, 1024 * list.len() as i32)]);
        for (i, segment) in list.iter().enumerate() {
            let mut bytes = [0; 1024];
            ring.memory.read(segment.offset, &mut bytes).unwrap();
            assert_eq!((bytes[0], bytes[1023]), (2 * i as u8, 2 * i as u8 + 1), "{list:?}");
        }
    }
    assert_eq!(ring.in_kernel(), 0);
}

#[test]
fn what_lies_outside_of_the_memory_is_refused() {
    let mut ring = ring(8);
    let index = ring.add_file(file(4096).as_fd()).unwrap();
    for segment in
        [Segment { offset: 4 * MIB - 512, len: 1024 }, Segment { offset: u64::MAX - 511, len: 512 }]
    {
        assert_eq!(ring.queue(&read(index, &[segment]), 1), Err(DiskError::OutOfRange));
    }
    assert_eq!(ring.queue(&read(index, &[]), 1), Err(DiskError::OutOfRange));
    assert_eq!(ring.in_kernel(), 0);
}

#[test]
fn more_requests_than_the_ring_has_entries_and_more_segments_than_a_request() {
    let mut ring = ring(8);
    let index = ring.add_file(file(1 << 20).as_fd()).unwrap();
    let one = [Segment { offset: 0, len: 512 }];
    for i in 0..1000 {
        ring.queue(&read(index, &one), i).unwrap();
    }
    let mut ended = ends(&mut ring, 1000);
    ended.sort_unstable();
    assert!(ended.iter().enumerate().all(|(i, &(tag, n))| tag == i as u64 && n == 512));

    let many: Vec<_> = (0..1100).map(|i| Segment { offset: i * 1024, len: 512 }).collect();
    ring.queue(&read(index, &many), 1).unwrap();
    assert_eq!(ends(&mut ring, 1), [(1, 1024 * 512)], "short: the caller goes on from there");
    ring.queue(&Io { skip: 1024 * 512, ..read(index, &many) }, 2).unwrap();
    assert_eq!(ends(&mut ring, 1), [(2, 76 * 512)]);
    let mut byte = [0];
    ring.memory.read(1099 * 1024, &mut byte).unwrap();
    assert_eq!(byte, [(1099 % 256) as u8]);
}

#[test]
fn a_ring_made_elsewhere_belongs_to_the_thread_that_uses_it_first() {
    let mut ring = ring(8);
    let index = ring.add_file(file(4096).as_fd()).unwrap();
    thread::spawn(move || {
        assert_eq!(ring.add_file(file(4096).as_fd()), Ok(index + 1));
        ring.queue(&read(index, &[Segment { offset: 0, len: 512 }]), 1).unwrap();
        assert_eq!(ends(&mut ring, 1), [(1, 512)]);
        assert_eq!(ring.failed(), None);
        ring
    })
    .join()
    .unwrap()
    .turn(|_, _| {});
}

/// A read from a pipe stays in the kernel until the test lets it go.
struct Stuck {
    ring: Ring,
    writer: std::io::PipeWriter,
}

impl Stuck {
    fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut ring = ring(8);
        let index = ring.add_file(reader.as_fd()).unwrap();
        // offset -1: a pipe has no position
        let segments = [Segment { offset: 0, len: 512 }];
        let io = Io { offset: u64::MAX, ..read(index, &segments) };
        ring.queue(&io, 5).unwrap();
        ring.turn(|_, _| {});
        Self { ring, writer }
    }

    fn wait(&mut self, doorbell: Doorbell<'_>, timeout: Duration) -> Vec<(u64, i32)> {
        let mut ended = Vec::new();
        self.ring.wait(doorbell, timeout, |user_data, result| ended.push((user_data, result)));
        ended
    }
}

#[test]
fn one_wait_covers_the_doorbell_the_disks_and_the_time() {
    let word = AtomicU32::new(AWAKE);
    let flag = SleepFlag::<outboard_slots::ring::Native>::new(&word);
    let bell = Doorbell::Flag(flag);
    let long = Duration::from_secs(10);
    let start = Instant::now();
    let mut stuck = Stuck::new();
    assert!(stuck.wait(bell, long).is_empty(), "not raised: returns at once");
    flag.announce();
    assert!(stuck.wait(bell, Duration::from_millis(2)).is_empty(), "by the time");
    for _ in 0..20 {
        flag.announce();
        thread::scope(|s| {
            s.spawn(|| {
                thread::sleep(Duration::from_millis(1));
                assert!(flag.must_ring());
                flag.ring();
            });
            while word.load(std::sync::atomic::Ordering::Acquire) != AWAKE {
                assert!(stuck.wait(bell, long).is_empty(), "by the doorbell");
            }
        });
    }
    flag.announce();
    stuck.writer.write_all(&[1; 512]).unwrap();
    let mut ended = Vec::new();
    while ended.is_empty() {
        ended = stuck.wait(bell, long); // one left-over ring may come first
    }
    assert_eq!(ended, [(5, 512)], "by the disk");
    assert!(stuck.ring.must_wait(), "the doorbell stays armed");
    assert!(start.elapsed() < long);
}

#[test]
fn a_descriptor_is_a_doorbell_too_and_doorbells_can_change() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let word = AtomicU32::new(AWAKE);
    let flag = SleepFlag::<outboard_slots::ring::Native>::new(&word);
    let readable = Doorbell::Readable(reader.as_fd());
    let mut stuck = Stuck::new();
    let short = Duration::from_millis(2);
    assert!(stuck.wait(readable, short).is_empty());
    flag.announce();
    assert!(stuck.wait(Doorbell::Flag(flag), short).is_empty());
    let start = Instant::now();
    thread::scope(|s| {
        s.spawn(|| {
            thread::sleep(short);
            writer.write_all(b"!").unwrap();
        });
        for _ in 0..3 {
            // the cancelled futex may answer first
            assert!(stuck.wait(readable, Duration::from_secs(10)).is_empty());
        }
    });
    assert!(start.elapsed().as_secs() < 10, "readable: level, not edge");
    drop(stuck.writer); // lets the read end, so that the ring need not wait for it
}

#[test]
fn a_ring_with_a_request_that_does_not_end_leaves_the_memory_in_place() {
    let stuck = Stuck::new();
    let address = stuck.ring.memory.base_address();
    let Stuck { ring, writer } = stuck;
    drop(ring); // after PATIENCE
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains(&format!("{address:x}-")), "still mapped");
    drop(writer);
}
