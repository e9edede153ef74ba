//! What cannot be done is refused: the message names the thing, the rule and the mend, the exit
//! code is 2, standard output stays empty, and nothing is written to a disk.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod scenario;

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use scenario::command::{OUTBOARD, outboard, run};
use scenario::skipped;

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const USAGE: i32 = 2;
const FAILURE: i32 = 1;

#[track_caller]
fn refused(arguments: &str, words: &[&str]) {
    outboard(["bench"].into_iter().chain(arguments.split_whitespace())).refused(USAGE, words);
}

/// A file of `len` bytes without data in a folder of its own.
fn file(len: u64) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir_in(FOLDER).unwrap();
    let path = folder.path().join("disk");
    File::create(&path).unwrap().set_len(len).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn blocks_of(path: &str) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).unwrap().blocks()
}

#[test]
fn a_disk_that_is_no_disk() {
    refused("--disk sim:tape", &["sim:tape", "sim:hdd", "sim:ssd"]);
    refused("--disk mem:", &["mem:", "mem:1Gi"]);
    refused("--disk mem:lots", &["mem:lots", "size"]);
    refused("--disk sim:hdd?rte=1MB", &["rte", "rate"]);
    refused(&format!("--disk {FOLDER}"), &[FOLDER, "directory", "regular file or a block device"]);
    refused("--disk /dev/null", &["/dev/null", "character device", "block device"]);
    refused("--disk /no/such/disk", &["/no/such/disk", "does not exist", "truncate -s"]);
}

#[test]
fn a_disk_that_is_too_small() {
    let (_kept, empty) = file(0);
    refused(&format!("--disk {empty}"), &[&empty, "has 0 bytes", "enlarge"]);
    let (_kept, small) = file(1 << 20);
    refused(
        &format!("--disk {small}"),
        &["size 256M", "must fit the array of 1Mi", "use 1M at most", "larger disks"],
    );
}

#[test]
fn an_array_that_cannot_be() {
    refused(
        "--disk mem:100Ki --disk mem:1Gi",
        &["member 0 has 102400 bytes", "chunk of 524288", "larger disk"],
    );
    refused("--disk mem:64Mi --disk mem:64Mi --size 1G", &["size 1G", "128Mi", "larger disks"]);
    refused("random --disk mem:1Mi --block-size 2Mi", &["size 2Mi", "array of 1Mi"]);
    refused("--disk mem:100Ti", &["mem:100Ti", "bytes of memory", "available", "smaller"]);
    refused("--disk mem:1Gi --chunk 1000", &["chunk", "1000", "power of two"]);
}

#[test]
fn one_disk_twice() {
    let (_folder, path) = file(64 << 20);
    let twice = ["named twice", "storage of its own", "name another"];
    refused(&format!("--disk {path} --disk {path}"), &twice);
    // Other names of it are no other storage.
    let (dotted, symbolic, hard) =
        (path.replace("/disk", "/./disk"), format!("{path}.symbolic"), format!("{path}.hard"));
    std::os::unix::fs::symlink(&path, &symbolic).unwrap();
    fs::hard_link(&path, &hard).unwrap();
    for name in [dotted, symbolic, hard] {
        refused(&format!("--disk {path} --disk {name} --size 50M"), &twice);
    }
    assert_eq!(blocks_of(&path), 0);
}

#[test]
fn a_disk_with_data_on_it() {
    let (_folder, path) = file(64 << 20);
    let file = File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"precious", 5 << 20).unwrap();
    let before = fs::read(&path).unwrap();
    let tiny = format!("--disk {path} --size 50M --rounds 1 --queue-depth 4 --path bundled");
    let words = [&*path, "is not empty", "data near byte 5242880", "--overwrite"];
    refused(&tiny, &words);
    refused(&format!("random --read-share 50 --disk {path}"), &words);
    assert!(fs::read(&path).unwrap() == before, "it was written to");
    let reads = format!("bench random --disk {path} --seconds 0.05 --rounds 1 --path bundled");
    outboard(reads.split_whitespace()).succeeded();
    assert!(fs::read(&path).unwrap() == before, "reading wrote to it");
    let words = format!("bench {tiny} --overwrite --verify");
    outboard(words.split_whitespace()).succeeded();
    assert!(fs::read(&path).unwrap() != before);
}

#[test]
fn a_disk_that_another_process_uses() {
    let (_folder, path) = file(64 << 20);
    let holder = File::options().read(true).write(true).open(&path).unwrap();
    holder.lock().unwrap();
    let words = [&*path, "is busy", "holds its lock", "choose another disk"];
    refused(&format!("--disk {path} --size 50M"), &words);
    assert_eq!(blocks_of(&path), 0);
}

/// Runs the command where `folder` is mounted read-only; `None` if this user may not mount.
fn read_only(folder: &Path, arguments: &str) -> Option<scenario::command::Ran> {
    let folder = folder.to_str().unwrap();
    let mount = format!("mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}");
    let script =
        |then: &str| ["--mount".to_owned(), "sh".into(), "-c".into(), format!("{mount} && {then}")];
    let probe = Command::new("unshare").args(script("true")).output();
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        skipped(&format!("read-only disk: no mount: {probe:?}"));
        return None;
    }
    let command = format!("exec {OUTBOARD} bench {arguments}");
    Some(run(Command::new("unshare").args(script(&command))))
}

#[test]
fn a_disk_that_is_read_only() {
    let (folder, path) = file(64 << 20);
    let Some(ran) = read_only(folder.path(), &format!("--disk {path} --size 50M")) else { return };
    ran.refused(USAGE, &[&path, "read-only", "choose another disk"]);
    let random = format!("random --disk {path} --seconds 0.05 --rounds 1 --path bundled");
    read_only(folder.path(), &random).unwrap().succeeded();
}

#[test]
fn a_number_that_is_none() {
    refused("--size lots", &["--size", "lots", "256M"]);
    refused("--size 1000", &["file size 1k", "frame", "larger --size"]);
    refused("--queue-depth 0", &["queue depth 0", "1 to 1024", "--queue-depth 8"]);
    refused("--queue-depth 1025", &["queue depth 1025", "1 to 1024"]);
    refused("--queue-depth=-1", &["--queue-depth", "-1", "invalid"]);
    refused("--queue-depth 1024 --command-size 64Mi", &["data buffers", "1Gi", "smaller"]);
    refused("--rounds 0", &["0 rounds", "1 to 1000", "--rounds 5"]);
    refused("--command-size 1000", &["command size 1000", "whole blocks of 512", "1Ki"]);
    refused("--command-size 0", &["command size 0", "one or more whole blocks"]);
    refused("--chunk 64Gi", &["64Gi", "at most 1Gi"]);
    refused("--level 5", &["--level", "linear"]);
    refused("--path kext", &["kext", "resident", "bundled"]);
    refused("--pin 0:4095", &["processor 4095", "--pin none"]);
    refused("--pin first", &["pin `first`", "0:1"]);
    refused("random --read-share 101", &["read share 101", "0 to 100"]);
    refused("random --seconds 0", &["0 seconds", "0.01"]);
    refused("random --seconds NaN", &["NaN seconds", "0.01"]);
    refused("cost --bundle 33", &["bundle of 33", "1 to 32"]);
    refused("--no-such-option", &["--no-such-option", "--help"]);
}

#[test]
fn a_result_that_cannot_be_written() {
    refused("--json /no/such/folder/a.json", &["/no/such/folder", "create it"]);
    refused("--report -", &["--report -", "name one"]);
    refused(&format!("--report {FOLDER}"), &[FOLDER, "folder", "name one"]);
}

#[test]
fn a_driver_that_is_none() {
    for (program, words) in [
        ("/no/such/driver", ["/no/such/driver", "check the path"]),
        ("/bin/false", ["ended", "hello"]),
        (FOLDER, [FOLDER, "executable"]),
    ] {
        let ran = outboard(["bench", "random", "--path", "bundled", "--driver", program]);
        ran.refused(FAILURE, &words);
    }
}

#[test]
fn a_driver_that_nobody_started() {
    let ran = outboard(["driver", "array"]);
    ran.refused(USAGE, &["started by a host", "outboard bench"]);
}
