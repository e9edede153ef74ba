use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file(dir: &Path, name: &str, len: u64) -> String {
    let path = dir.join(name);
    std::fs::File::create(&path).unwrap().set_len(len).unwrap();
    path.to_str().unwrap().to_owned()
}

fn opened(url: &str, options: &OpenOptions) -> Result<Opened, OpenError> {
    open(&url.parse().unwrap(), options)
}

fn refused(url: &str, options: &OpenOptions) -> String {
    opened(url, options).expect_err(url).to_string()
}

#[test]
fn files_that_are_no_disks_are_refused_with_the_mend() {
    let dir = dir();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let options = OpenOptions::default();
    let missing = at("missing");
    assert_eq!(
        refused(&missing, &options),
        format!(
            "{missing} does not exist; create it, for example with `truncate -s 64G {missing}`"
        )
    );
    symlink("nowhere", at("dangling")).unwrap();
    assert!(refused(&at("dangling"), &options).contains("does not exist"));
    assert!(refused(&at(""), &options).contains("is a directory; a disk is a regular file"));
    assert!(refused("/dev/null", &options).contains("is a character device"));
    let empty = file(dir.path(), "empty", 0);
    assert!(refused(&empty, &options).contains("has 0 bytes and needs"));
    let small = file(dir.path(), "small", 1 << 20);
    let large = OpenOptions { min_bytes: 2 << 20, ..options };
    assert!(refused(&small, &large).contains("has 1048576 bytes and needs 2097152"));
    opened(&small, &OpenOptions::default()).unwrap();
}

#[test]
fn what_the_url_says_counts() {
    let dir = dir();
    let path = file(dir.path(), "disk", 1 << 20);
    let limits = |options: &str| {
        *opened(&format!("{path}?{options}"), &OpenOptions::default()).unwrap().limits()
    };
    assert!(!limits("").read_only && limits("ro=on").read_only);
    assert_eq!(limits("physical=512").physical_block_size, 512);
    assert_eq!(limits("physical=512&block=4096").physical_block_size, 4096);
    assert_eq!((limits("block=4096").block_size, limits("block=4096").blocks), (4096, 256));
    assert_eq!(limits("thin=off").discard, None);
    assert_eq!(limits("thin=off").write_zeroes, limits("").write_zeroes);
    let hdd = refused("sim:hdd?size=1Mi&thin=on", &OpenOptions::default());
    assert!(hdd.contains("thin=on needs a disk that can give ranges back"), "{hdd}");
    opened("mem:1Mi?thin=on", &OpenOptions::default()).unwrap();
}

#[test]
fn a_file_with_data_is_not_overwritten_unasked() {
    use std::os::unix::fs::FileExt;
    let dir = dir();
    let strict = OpenOptions { must_be_empty: true, preallocate: true, ..OpenOptions::default() };
    for at in [0, 4095, (64 << 20) - 1, (64 << 20) / 65 * 7] {
        let url = file(dir.path(), "disk", 64 << 20);
        opened(&url, &strict).expect("a hole is empty, and stays it when its blocks are there");
        opened(&url, &strict).expect("allocated blocks are empty");
        std::fs::File::options().write(true).open(&url).unwrap().write_at(b"x", at).unwrap();
        assert!(refused(&url, &strict).contains(&format!("is not empty (data near byte {at})")));
        opened(&url, &OpenOptions::default()).unwrap();
    }
}

#[test]
fn locks_keep_others_out() {
    let dir = dir();
    let url = file(dir.path(), "disk", 1 << 20);
    let with = |lock| OpenOptions { lock, ..OpenOptions::default() };
    let shared = opened(&url, &with(Lock::Shared)).unwrap();
    opened(&url, &with(Lock::Shared)).unwrap();
    assert!(refused(&url, &with(Lock::Exclusive)).contains("is busy: another Outboard holds"));
    drop(shared);
    let _exclusive = opened(&url, &with(Lock::Exclusive)).unwrap();
    assert!(refused(&url, &with(Lock::Shared)).contains("busy"));
    opened(&url, &with(Lock::None)).unwrap();
}

#[test]
fn limits_say_what_was_found_and_asked_for() {
    let dir = dir();
    let url = file(dir.path(), "disk", (1 << 20) + 700);
    let limits = *opened(&url, &OpenOptions::default()).unwrap().limits();
    assert_eq!((limits.block_size, limits.blocks), (512, 2049));
    assert!(limits.volatile_cache && limits.discard.is_some() && !limits.read_only);
    let wide = *opened(&format!("{url}?block=4096"), &OpenOptions::default()).unwrap().limits();
    assert_eq!((wide.block_size, wide.blocks), (4096, 256));
    let read_only = OpenOptions { writable: false, ..OpenOptions::default() };
    assert!(opened(&url, &read_only).unwrap().limits().read_only);
    let hdd = *opened("sim:hdd?size=1Mi", &OpenOptions::default()).unwrap().limits();
    assert!(hdd.rotational && hdd.discard.is_none());
}

#[test]
fn memory_that_is_not_there_is_not_promised() {
    let message = refused("mem:8000T", &OpenOptions::default());
    assert!(message.contains("make it smaller") && !message.contains("sparse"), "{message}");
    assert!(refused("sim:hdd?size=8000T", &OpenOptions::default()).contains("sparse=on"));
    opened("sim:hdd?size=1T&sparse=on", &OpenOptions::default()).unwrap();
}

#[test]
fn an_open_disk_travels_in_two_parts_and_its_content_stays_with_the_host() {
    let host = opened("mem:1Mi", &OpenOptions::default()).unwrap();
    let fd = host.fd().unwrap().try_clone_to_owned().unwrap();
    let json = serde_json::to_string(host.description()).unwrap();
    let description: Description = serde_json::from_str(&json).unwrap();
    let driver = Opened::from_parts(description.clone(), Some(fd)).unwrap();
    driver.memory().unwrap().unwrap().write(4096, b"kept").unwrap();
    drop(driver);
    let mut bytes = [0; 4];
    host.memory().unwrap().unwrap().read(4096, &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
    let error = Opened::from_parts(description, None).unwrap_err();
    assert!(matches!(error, EngineError::Incomplete { .. }), "{error}");
}

#[test]
fn a_file_does_not_attach_to_a_simulated_engine() {
    let dir = dir();
    let url = file(dir.path(), "disk", 1 << 20);
    let mut engine = Engine::simulated(Memory::create("test", 4096).unwrap());
    let error = opened(&url, &OpenOptions::default()).unwrap().attach(&mut engine).err().unwrap();
    assert!(error.to_string().contains("make it with Engine::new"), "{error}");
}
