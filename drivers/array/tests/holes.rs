//! A logical unit over real files and over an array of them: what is unmapped is a hole, what is a
//! hole is told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panic")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use outboard_disk::{Disk, Engine, EngineConfig, OpenOptions, open};
use outboard_raid::{Array, ArraySpec};
use outboard_sbc::{BufferRange, LogicalUnit, Outcome, ScratchRange, TaskIn};
use outboard_scsi::command::LbaRange;
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::{Sense, Status, lba_status, unmap};
use outboard_slots::{Memory, Time};

const SCRATCH: u64 = 64 << 10;
const MEMORY: u64 = 4 << 20;

struct Rig {
    engine: Engine,
    unit: LogicalUnit,
}

impl Rig {
    /// A unit of one member, or of several in chunks of 64 KiB.
    fn new(paths: &[&Path], options: &str) -> Self {
        let memory = Memory::create("sbc files", MEMORY as usize).unwrap();
        let mut engine = Engine::new(EngineConfig { depth: 64 }, memory, None).unwrap();
        let mut members: Vec<Box<dyn Disk>> = Vec::new();
        for path in paths {
            let url = format!("{}{options}", path.display()).parse().unwrap();
            let opened = open(&url, &OpenOptions::default()).unwrap();
            members.push(opened.attach(&mut engine).unwrap());
        }
        let disk = match members.len() {
            1 => members.remove(0),
            _ => {
                let spec = ArraySpec { chunk: 64 << 10, ..ArraySpec::default() };
                Box::new(Array::new(&spec, members, 64).unwrap())
            }
        };
        let scratch = ScratchRange { offset: MEMORY - SCRATCH, len: SCRATCH };
        Self { unit: LogicalUnit::new(disk, scratch, 4).unwrap(), engine }
    }

    fn run(&mut self, cdb: Cdb, data: &[u8], len: u64) -> Outcome {
        self.engine.memory().write(0, data).unwrap();
        let mut out = Vec::new();
        let buffer = BufferRange { offset: 0, len };
        let task = TaskIn { id: 0, cdb: cdb.as_slice(), buffer };
        self.unit.start(&mut self.engine, task, &mut out).unwrap();
        while out.is_empty() {
            self.engine.turn(Time::now());
            self.unit.poll(&mut self.engine, &mut out);
            std::thread::yield_now();
        }
        out[0]
    }

    fn good(&mut self, cdb: Cdb, data: &[u8], len: u64) {
        let outcome = self.run(cdb, data, len);
        assert_eq!((outcome.status, outcome.sense), (Status::Good, None), "{cdb:?}");
    }

    fn unmap(&mut self, ranges: &[(u64, u64)]) {
        let mut list = vec![0; 8 + 16 * ranges.len()];
        unmap::encode(ranges.iter().map(|&(lba, blocks)| LbaRange { lba, blocks }), &mut list);
        self.good(build::unmap(list.len() as u16), &list, list.len() as u64);
    }

    /// First block, number of blocks and state of everything from `lba` on.
    fn status(&mut self, lba: u64) -> Vec<(u64, u32, u8)> {
        self.good(build::get_lba_status_16(lba, 1024), &[], 1024);
        let mut data = [0; 1024];
        self.engine.memory().read(0, &mut data).unwrap();
        lba_status::parse(&data).map(|s| (s.lba, s.blocks, s.provisioning as u8)).collect()
    }

    fn blocks(&mut self, lba: u64, blocks: u32) -> Vec<u8> {
        let len = u64::from(blocks) * u64::from(self.unit.report().block_size_bytes);
        self.good(build::read_16(lba, blocks), &[], len);
        let mut data = vec![0; len as usize];
        self.engine.memory().read(0, &mut data).unwrap();
        data
    }
}

fn file(dir: &Path, name: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::File::create(&path).unwrap().set_len(2 << 20).unwrap();
    path
}

fn room(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

/// The room of files is given back by UNMAP and WRITE SAME, and GET LBA STATUS tells so.
#[test]
fn what_is_unmapped_is_a_hole() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = file(dir.path(), "one");
    let mut rig = Rig::new(&[&path], "");
    let report = *rig.unit.report();
    let Some(unmap) = report.unmap else { return println!("no holes there: skipped") };
    if report.block_size_bytes != 512 || unmap.granularity_blocks != 8 {
        return println!("other blocks there: skipped");
    }
    assert_eq!(rig.status(0), [(0, 4096, 1)]);
    rig.good(build::write_16(0, 2048).with(1, build::FUA), &vec![7; 1 << 20], 1 << 20);
    assert_eq!(rig.status(0), [(0, 2048, 0), (2048, 2048, 1)]);
    assert!(room(&path) >= 1 << 20);
    // From the middle of a granule to the middle of one: zeroes all over, holes where whole.
    rig.unmap(&[(4, 1000), (1100, 0), (1200, 8)]);
    assert_eq!(rig.status(0)[..3], [(0, 8, 0), (8, 992, 1), (1000, 200, 0)]);
    assert_eq!(rig.status(1203)[0], (1203, 5, 1));
    let start = rig.blocks(0, 1100);
    assert!(start[..4 * 512].iter().all(|&byte| byte == 7));
    assert!(start[4 * 512..1004 * 512].iter().all(|&byte| byte == 0));
    assert!(start[1004 * 512..].iter().all(|&byte| byte == 7));
    assert!(room(&path) <= (1 << 20) - 992 * 512);
    // No blocks: to the end. All of it is a hole then.
    rig.good(build::write_same_16(0, 0, true, true), &[], 0);
    assert_eq!(rig.status(0), [(0, 4096, 1)]);
    assert!(room(&path) < 64 << 10);
    // Zeroes that must stay mapped.
    rig.good(build::write_same_16(0, 64, false, true), &[], 0);
    assert!(rig.blocks(0, 64).iter().all(|&byte| byte == 0));
}

#[test]
fn blocks_of_4096_bytes_and_read_only_are_options_of_the_url() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = file(dir.path(), "one");
    let mut rig = Rig::new(&[&path], "?block=4096");
    assert_eq!((rig.unit.report().block_size_bytes, rig.unit.report().blocks), (4096, 512));
    rig.good(build::write_10(511, 1), &[9; 4096], 4096);
    assert!(rig.blocks(511, 1).iter().all(|&byte| byte == 9));
    rig.good(build::compare_and_write(511, 1), &[[9; 4096], [8; 4096]].concat(), 8192);
    assert!(rig.blocks(511, 1).iter().all(|&byte| byte == 8));
    drop(rig);
    let mut rig = Rig::new(&[&path], "?ro=on&thin=off");
    assert!(rig.unit.report().read_only && rig.unit.report().unmap.is_none());
    assert_eq!(rig.run(build::write_10(0, 1), &[0; 512], 512).status, Status::CheckCondition);
    assert!(rig.blocks(4095, 1).iter().all(|&byte| byte == 8));
}

/// A file system that is unmounted in the end.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // The ring's files are let go of a moment after it: what is busy yet goes then.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_thin_unit_whose_file_system_is_full_says_so_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["-t", "tmpfs", "-o", "size=1M", "none"];
    let mount = Command::new("mount").args(options).arg(dir.path()).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        return println!("a tmpfs cannot be mounted here: skipped");
    }
    let _mounted = Mounted(dir.path());
    let path = file(dir.path(), "one");
    let mut rig = Rig::new(&[&path], "?direct=off");
    let half = vec![3; 512 << 10];
    rig.good(build::write_10(0, 1024), &half, 512 << 10);
    let full = vec![4; 1 << 20];
    let outcome = rig.run(build::write_10(2048, 2048), &full, 1 << 20);
    assert_eq!(outcome.sense, Some(Sense::SPACE_ALLOCATION_FAILED));
    rig.unmap(&[(0, 4096)]);
    rig.good(build::write_10(2048, 1024), &half, 512 << 10);
    assert!(rig.blocks(2048, 1024) == half);
}

#[test]
fn an_array_tells_the_holes_of_its_members() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let paths = [file(dir.path(), "one"), file(dir.path(), "two")];
    let mut rig = Rig::new(&[&paths[0], &paths[1]], "");
    if rig.unit.report().unmap.is_none_or(|unmap| unmap.granularity_blocks != 8) {
        return println!("no small holes there: skipped");
    }
    let end = 8192;
    assert_eq!(rig.status(0), [(0, end, 1)]);
    // The second chunk, and the beginning of the third: on both members.
    rig.good(build::write_10(128, 136), &vec![5; 136 * 512], 136 * 512);
    assert_eq!(rig.status(0), [(0, 128, 1), (128, 136, 0), (264, end - 264, 1)]);
    rig.unmap(&[(136, 124)]);
    assert_eq!(rig.status(130)[..3], [(130, 6, 0), (136, 120, 1), (256, 8, 0)]);
    assert!(rig.blocks(136, 124).iter().all(|&byte| byte == 0));
    assert!(rig.blocks(260, 4).iter().all(|&byte| byte == 5));
}
