//! Files and block devices: what is special about them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panic")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use common::{CASES, Rig, skipped};
use outboard_disk::fence::{Fence, FencedDisk};
use outboard_disk::open::Lock;
use outboard_disk::{Allocation, DiskError, Op, OpenError, OpenOptions, Request, Segment, open};

const WRITE: Op = Op::Write { fua: true };

fn request(op: Op, offset: u64, len: u64, segments: &[Segment]) -> Request<'_> {
    Request { tag: 1, op, offset, len, segments }
}

#[test]
fn a_discarded_range_gives_its_room_back() {
    for case in CASES.iter().filter(|case| case.directory.is_some() && !case.is_encrypted()) {
        let Some(mut rig) = case.rig(true) else { continue };
        let path = rig.opened.spec().to_string();
        let path = path.split('?').next().unwrap().to_owned();
        let segments = [Segment { offset: 0, len: 1 << 20 }];
        rig.engine.memory().fill(0, 1 << 20, 0xAA).unwrap();
        rig.run(request(WRITE, 0, 1 << 20, &segments)).result.unwrap();
        assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
        if rig.disk.limits().discard.is_none() {
            skipped(&format!("{}: no holes there", case.name));
            continue;
        }
        rig.run(request(Op::Discard, 0, 1 << 20, &[])).result.unwrap();
        assert!(std::fs::metadata(&path).unwrap().blocks() * 512 < 64 << 10, "{}", case.name);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), case.file_bytes());
    }
}

#[test]
fn holes_are_told_from_data() {
    const BLOCK: u64 = 4096;
    for case in CASES.iter().filter(|case| case.directory.is_some() && !case.is_encrypted()) {
        let Some(mut rig) = case.rig(true) else { continue };
        if rig.opened.limits().discard.is_none_or(|discard| discard.granularity > BLOCK) {
            continue;
        }
        let states = |rig: &Rig| {
            let mut states = Vec::new();
            let mut at = 0;
            while at < 1 << 20 {
                let Allocation { mapped, len } = rig.disk.allocation(at);
                assert!(len > 0 && at + len <= 1 << 20, "{}: {len} at {at}", case.name);
                states.push((mapped, len));
                at += len;
            }
            states
        };
        assert_eq!(states(&rig), [(false, 1 << 20)], "{}", case.name);
        assert_eq!(rig.disk.allocation(1 << 20).len, 0);
        let segments = [Segment { offset: 0, len: BLOCK as u32 }];
        rig.run(request(WRITE, 8 * BLOCK, BLOCK, &segments)).result.unwrap();
        rig.run(request(WRITE, 255 * BLOCK, BLOCK, &segments)).result.unwrap();
        let (before, between) = (8 * BLOCK, 246 * BLOCK);
        let expected = [(false, before), (true, BLOCK), (false, between), (true, BLOCK)];
        assert_eq!(states(&rig), expected, "{}", case.name);
        rig.run(request(Op::Discard, 0, 16 * BLOCK, &[])).result.unwrap();
        let expected = [(false, 255 * BLOCK), (true, BLOCK)];
        assert_eq!(states(&rig), expected, "{}", case.name);
    }
}

#[test]
fn a_file_that_shrinks_is_a_medium_error_where_it_ends() {
    for case in CASES.iter().filter(|case| case.directory.is_some() && !case.is_encrypted()) {
        let Some(mut rig) = case.rig(true) else { continue };
        let path = rig.opened.spec().to_string();
        let file = std::fs::File::options().write(true).open(path.split('?').next().unwrap());
        file.unwrap().set_len(case.offset() + 8192).unwrap();
        let segments = [Segment { offset: 0, len: 8192 }, Segment { offset: 65_536, len: 8192 }];
        let result = rig.run(request(Op::Read, 0, 16_384, &segments)).result;
        assert_eq!(result, Err(DiskError::Medium { at: 8192 }), "{}", case.name);
    }
}

#[test]
fn the_lock_lives_as_long_as_the_engine_and_not_longer() {
    let case = CASES.iter().find(|case| case.name == "ext4").unwrap();
    let Some(Rig { engine, disk, opened, _directory: _kept, .. }) = case.rig(true) else { return };
    let url = opened.spec().to_string();
    let path = std::path::Path::new(&url);
    drop(opened); // the registered file remains
    drop(disk);
    assert!(Fence::try_take(path).unwrap().is_none());
    drop(engine);
    outboard_disk::fence::fence(path, std::time::Duration::from_secs(5)).unwrap();
}

/// A loop device over a file, if this user may make one.
struct Loop {
    device: String,
    _directory: tempfile::TempDir,
}

impl Loop {
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let backing = directory.path().join("backing");
        std::fs::File::create(&backing).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new("losetup").args(["--find", "--show"]).arg(&backing).output();
        match made {
            Ok(output) if output.status.success() => {
                let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                Some(Self { device, _directory: directory })
            }
            other => {
                skipped(&format!("block device: {other:?}"));
                None
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

#[test]
fn a_block_device_is_a_disk() {
    let Some(device) = Loop::new() else { return };
    let spec = device.device.parse().unwrap();
    let strict = OpenOptions { must_be_empty: true, ..OpenOptions::default() };
    let opened = open(&spec, &strict).unwrap();
    assert_eq!(opened.limits().len_bytes(), 16 << 20);
    let busy = open(&spec, &OpenOptions::default()).unwrap_err();
    assert!(matches!(busy, OpenError::Busy { .. }), "{busy}");
    open(&spec, &OpenOptions { lock: Lock::None, writable: false, ..OpenOptions::default() })
        .unwrap();
    assert!(Fence::try_take(device.device.as_ref()).unwrap().is_none());
    let fenced = FencedDisk::beside(opened.fd().unwrap(), device.device.as_ref()).unwrap();
    assert!(fenced.try_fence().unwrap().is_none());

    let mut rig = Rig::new(opened, None);
    rig.engine.memory().fill(0, 64 << 10, 0x5A).unwrap();
    let apart = [Segment { offset: 0, len: 4096 }, Segment { offset: 3 << 20, len: 8192 }];
    rig.engine.memory().fill(3 << 20, 8192, 0xA5).unwrap();
    rig.run(request(WRITE, 1 << 20, 12_288, &apart)).result.unwrap();
    rig.run(request(Op::Flush, 0, 0, &[])).result.unwrap();
    let check = |rig: &mut Rig, expected: [u8; 2]| {
        let one = [Segment { offset: 0, len: 12_288 }];
        rig.run(request(Op::Read, 1 << 20, 12_288, &one)).result.unwrap();
        let mut bytes = [0; 12_288];
        rig.engine.memory().read(0, &mut bytes).unwrap();
        assert!(bytes[..4096].iter().all(|&b| b == expected[0]), "{expected:?}");
        assert!(bytes[4096..].iter().all(|&b| b == expected[1]), "{expected:?}");
    };
    check(&mut rig, [0x5A, 0xA5]);
    if rig.disk.limits().write_zeroes {
        let zero = Op::WriteZeroes { may_unmap: false };
        rig.run(request(zero, 1 << 20, 4096, &[])).result.unwrap();
        check(&mut rig, [0, 0xA5]);
    }
    if rig.disk.limits().discard.is_some() {
        rig.run(request(Op::Discard, 1 << 20, 12_288, &[])).result.unwrap();
        check(&mut rig, [0, 0]);
    }
    drop(rig);
    drop(fenced.fence(std::time::Duration::from_secs(5)).unwrap());
    // The host's own description claims nothing.
    outboard_disk::fence::fence(device.device.as_ref(), std::time::Duration::from_secs(5)).unwrap();
}
