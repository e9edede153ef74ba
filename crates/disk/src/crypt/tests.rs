use outboard_slots::Memory;

use super::*;
use crate::contract::Discard;
use crate::memory_disk::MemoryDisk;

const BUFFERS: u64 = 1 << 20;
const SCRATCH: u64 = 64 << 10;
const DEPTH: u32 = 16;

struct Rig {
    engine: Engine,
    disk: Crypt,
    content: Memory,
}

fn key(seed: u8) -> Key {
    Key::take(&mut core::array::from_fn(|i| seed.wrapping_add(i as u8))).unwrap()
}

fn rig(content: &Memory, seed: u8, thin: bool) -> Rig {
    let discard = Discard { granularity: 512, max_bytes: 1 << 20, reads_zeroes: true };
    let limits = Limits {
        block_size: 512,
        physical_block_size: 512,
        blocks: content.len() as u64 / 512,
        max_transfer: 1 << 20,
        optimal_transfer: 0,
        read_only: false,
        volatile_cache: false,
        rotational: false,
        discard: thin.then_some(discard),
        write_zeroes: true,
    };
    let memory = Memory::create("memory", (BUFFERS + SCRATCH) as usize).unwrap();
    let inner = Box::new(MemoryDisk::new(limits, content.clone(), DEPTH));
    let disk = Crypt::new(inner, &key(seed), DEPTH, (BUFFERS, SCRATCH)).unwrap();
    Rig { engine: Engine::simulated_at_depth(memory, DEPTH), disk, content: content.clone() }
}

fn content() -> Memory {
    Memory::create("content", 256 << 10).unwrap()
}

impl Rig {
    fn submit(&mut self, tag: u64, op: Op, offset: u64, len: u64) -> Result<(), Rejected> {
        let segments = [Segment { offset: tag * 4096, len: len as u32 }];
        let segments = match op {
            Op::Read | Op::Write { .. } => &segments[..],
            _ => &[],
        };
        self.disk.submit(&mut self.engine, Request { tag, op, offset, len, segments })
    }

    fn run(&mut self, op: Op, offset: u64, len: u64) {
        self.submit(0, op, offset, len).unwrap();
        assert_eq!(self.finish(), [0]);
    }

    fn finish(&mut self) -> Vec<u64> {
        let mut done = Vec::new();
        while self.disk.in_flight() > 0 {
            self.disk.poll(&mut self.engine, &mut done);
        }
        done.iter().map(|c| c.result.map(|()| c.tag).unwrap()).collect()
    }

    fn fill(&self, byte: u8, len: usize) {
        self.engine.memory().fill(0, len, byte).unwrap();
    }

    fn read(&mut self, offset: u64, len: usize) -> Vec<u8> {
        self.fill(0xEE, len);
        self.run(Op::Read, offset, len as u64);
        let mut bytes = vec![0; len];
        self.engine.memory().read(0, &mut bytes).unwrap();
        bytes
    }

    fn on_medium(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.content.read(offset, &mut bytes).unwrap();
        bytes
    }
}

const WRITE: Op = Op::Write { fua: false };

#[test]
fn the_medium_holds_ciphertext_that_differs_from_block_to_block() {
    let mut rig = rig(&content(), 1, true);
    rig.fill(b'a', 8192);
    rig.run(WRITE, 4096, 8192);
    let mut buffer = vec![0; 8192];
    rig.engine.memory().read(0, &mut buffer).unwrap();
    assert!(buffer.iter().all(|&byte| byte == b'a'), "the caller's buffer stays as it was");
    let medium = rig.on_medium(4096, 8192);
    let pieces: std::collections::HashSet<_> = medium.chunks_exact(16).collect();
    assert_eq!(pieces.len(), 8192 / 16, "no two pieces are alike");
    assert!(!medium.windows(4).any(|window| window == b"aaaa"));
    assert_eq!(rig.read(4096, 8192), vec![b'a'; 8192]);
}

#[test]
fn only_its_own_key_reads_it() {
    let content = content();
    let mut mine = rig(&content, 1, true);
    mine.fill(b'a', 512);
    mine.run(WRITE, 0, 512);
    let other = rig(&content, 2, true).read(0, 512);
    assert!(other != vec![b'a'; 512] && other != mine.on_medium(0, 512));
    assert_eq!(mine.read(0, 512), vec![b'a'; 512]);
}

#[test]
fn what_nobody_has_written_reads_as_zeroes_between_what_was() {
    let mut rig = rig(&content(), 1, true);
    rig.fill(b'a', 4096);
    rig.run(WRITE, 0, 4096);
    rig.run(Op::Discard, 512, 1024);
    rig.run(Op::WriteZeroes { may_unmap: false }, 3584, 512);
    let zeroes = |block: usize| matches!(block, 1 | 2 | 7) || block >= 8;
    for (number, block) in rig.read(0, 8192).chunks_exact(512).enumerate() {
        let expected = if zeroes(number) { 0 } else { b'a' };
        assert!(block.iter().all(|&byte| byte == expected), "block {number}");
    }
}

#[test]
fn a_disk_that_gives_nothing_back_does_not_show_its_zeroes() {
    let mut rig = rig(&content(), 1, false);
    assert!(!rig.disk.limits().write_zeroes);
    rig.fill(0, 4096);
    rig.run(WRITE, 0, 4096);
    assert!(rig.on_medium(0, 4096).chunks_exact(16).all(|bytes| bytes != [0; 16]));
    assert_eq!(rig.read(0, 4096), vec![0; 4096]);
}

#[test]
fn writes_wait_for_scratch_memory_and_all_end() {
    let mut rig = rig(&content(), 1, true);
    let most = rig.disk.limits().max_transfer;
    assert_eq!(most, 16 << 10, "four of them fit");
    rig.fill(b'w', BUFFERS as usize);
    for tag in 0..u64::from(DEPTH) {
        rig.submit(tag, WRITE, tag % 16 * most, most).unwrap();
    }
    assert_eq!((rig.disk.waiting.len(), rig.disk.in_flight()), (12, DEPTH));
    let refused = rig.submit(99, Op::Flush, 0, 0).unwrap_err();
    assert_eq!((refused.tag, refused.error), (99, DiskError::Busy));
    let mut ended = rig.finish();
    ended.sort_unstable();
    assert_eq!(ended, (0..u64::from(DEPTH)).collect::<Vec<_>>());
    for at in 0..16 {
        assert!(rig.read(at * most, 4096).iter().all(|&byte| byte == b'w'));
    }
}

#[test]
#[ignore = "a measurement: cargo test --release -p outboard-disk -- --ignored --nocapture cipher"]
fn the_ciphers_speed() {
    let mut xts = Xts::new(&key(1));
    let mut bytes = vec![1; PIECE_BYTES];
    for (way, unit) in
        [(Way::Encrypt, 512), (Way::Decrypt, 512), (Way::Encrypt, 4096), (Way::Decrypt, 4096)]
    {
        let begun = Time::now();
        let rounds = 50_000;
        (0..rounds).for_each(|round| xts.apply(way, round, unit, &mut bytes));
        let seconds = Time::now().since(begun).as_secs_f64();
        let rate = (rounds as usize * bytes.len()) as f64 / seconds / 1e9;
        println!("{way:?}, units of {unit}: {rate:.2} GB/s");
    }
}
