//! A disk on an engine, driven to completion on its own clock.
#![allow(dead_code, reason = "each test program uses a part of it")]

use outboard_disk::crypt::{Crypt, Key};
use outboard_disk::open::Lock;
use outboard_disk::{
    Completion, Disk, DiskSpec, Engine, EngineConfig, OpenError, OpenOptions, Opened, Rejected,
    Request, open,
};
use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Memory, SleepFlag, Time};

/// Where the tests' buffers are, and where their doorbell is, in the engine's memory.
pub(crate) const BUFFER_BYTES: u64 = 4 << 20;
const DOORBELL: u64 = BUFFER_BYTES;
/// What an encrypted disk has: fewer than all requests of a test need at a time.
const SCRATCH: (u64, u64) = (BUFFER_BYTES + 4096, 1 << 20);

pub(crate) const DEPTH: u32 = 16;

pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) opened: Opened,
    virtual_clock: Option<Time>,
    pub(crate) _directory: Option<tempfile::TempDir>,
}

/// A kind of disk under test: how its URL is made in a fresh place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// a directory for a file disk; `None` for the others
    pub(crate) directory: Option<&'static str>,
    pub(crate) url: &'static str,
}

pub(crate) const DISK_BYTES: u64 = 1 << 20;

pub(crate) const CASES: [Case; 23] = [
    Case { name: "memory", directory: None, url: "mem:1Mi" },
    Case { name: "memory-4k", directory: None, url: "mem:1Mi?block=4096" },
    Case { name: "hdd", directory: None, url: "sim:hdd?size=1Mi" },
    Case { name: "ssd", directory: None, url: "sim:ssd?size=1Mi" },
    Case { name: "null", directory: None, url: "null:1Mi" },
    Case { name: "delayed", directory: None, url: "mem:1Mi?delay=1us..1ms" },
    Case { name: "decorated-hdd", directory: None, url: "sim:hdd?size=1Mi&delay=0..2ms&errors=0" },
    Case { name: "window", directory: None, url: "mem:2Mi?offset=4Ki&length=1Mi" },
    Case { name: "tmpfs-window", directory: Some("/dev/shm"), url: "?offset=64Ki&length=1Mi" },
    Case { name: "ext4", directory: Some(env!("CARGO_TARGET_TMPDIR")), url: "" },
    Case { name: "ext4-4k", directory: Some(env!("CARGO_TARGET_TMPDIR")), url: "?block=4096" },
    Case { name: "ext4-cached", directory: Some(env!("CARGO_TARGET_TMPDIR")), url: "?direct=off" },
    Case {
        name: "ext4-delayed",
        directory: Some(env!("CARGO_TARGET_TMPDIR")),
        url: "?delay=0..1ms",
    },
    Case { name: "tmpfs", directory: Some("/dev/shm"), url: "" },
    Case { name: "tmpfs-4k", directory: Some("/dev/shm"), url: "?block=4096" },
    Case { name: "tmpfs-cached", directory: Some("/dev/shm"), url: "?direct=off" },
    Case { name: "encrypted-memory", directory: None, url: "mem:1Mi" },
    Case { name: "encrypted-memory-4k", directory: None, url: "mem:1Mi?block=4096" },
    Case { name: "encrypted-thick", directory: None, url: "mem:1Mi?thin=off" },
    Case { name: "encrypted-hdd", directory: None, url: "sim:hdd?size=1Mi" },
    Case { name: "encrypted-ext4", directory: Some(env!("CARGO_TARGET_TMPDIR")), url: "" },
    Case { name: "encrypted-tmpfs", directory: Some("/dev/shm"), url: "?delay=0..1ms" },
    Case { name: "encrypted-tmpfs-4k", directory: Some("/dev/shm"), url: "?block=4096" },
];

impl Case {
    pub(crate) const fn keeps_data(&self) -> bool {
        !matches!(self.name.as_bytes(), b"null")
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.name.starts_with("encrypted")
    }

    /// Where the disk begins in its content.
    pub(crate) fn offset(&self) -> u64 {
        let url = format!("{}{}", self.directory.unwrap_or_default(), self.url);
        url.parse::<DiskSpec>().unwrap().window.map_or(0, |window| window.offset)
    }

    /// A window leaves something of its file on either side.
    pub(crate) fn file_bytes(&self) -> u64 {
        if self.offset() > 0 { 2 * DISK_BYTES } else { DISK_BYTES }
    }

    /// The disk, 1 MiB long; `None` (and a line that says so) where the place cannot hold it.
    pub(crate) fn rig(&self, writable: bool) -> Option<Rig> {
        let directory = self.directory.map(|d| tempfile::tempdir_in(d).expect("a directory"));
        let mut url = self.url.to_owned();
        if let Some(directory) = &directory {
            let path = directory.path().join("disk");
            std::fs::File::create(&path).unwrap().set_len(self.file_bytes()).unwrap();
            url = format!("{}{url}", path.display());
        }
        let options = OpenOptions { writable, lock: Lock::Exclusive, ..OpenOptions::default() };
        match open(&url.parse::<DiskSpec>().unwrap(), &options) {
            Ok(opened) => {
                let rig = Rig::new(opened, directory);
                Some(if self.is_encrypted() { rig.encrypted() } else { rig })
            }
            Err(error @ OpenError::NoDirect { .. }) => {
                skipped(&format!("{}: {error}", self.name));
                None
            }
            Err(error) => panic!("{}: {error}", self.name),
        }
    }
}

impl Rig {
    pub(crate) fn new(opened: Opened, directory: Option<tempfile::TempDir>) -> Self {
        let memory = Memory::create("test", (SCRATCH.0 + SCRATCH.1) as usize).unwrap();
        let real = opened.spec().to_string().starts_with('/');
        let mut engine = if real {
            let config = EngineConfig { depth: DEPTH };
            // half of it, so that both ways are taken
            Engine::new(config, memory, Some((0, BUFFER_BYTES / 2))).unwrap()
        } else {
            Engine::simulated_at_depth(memory, DEPTH)
        };
        let disk = opened.attach(&mut engine).unwrap();
        let virtual_clock = (!real).then_some(Time::from_nanos(1_000_000));
        Self { engine, disk, opened, virtual_clock, _directory: directory }
    }

    fn encrypted(self) -> Self {
        let key = Key::take(&mut std::array::from_fn(|i| i as u8)).unwrap();
        let disk = Crypt::new(self.disk, &key, DEPTH, SCRATCH).unwrap();
        Self { disk: Box::new(disk), ..self }
    }

    pub(crate) fn submit(&mut self, request: Request<'_>) -> Result<(), Rejected> {
        self.disk.submit(&mut self.engine, request)
    }

    /// Runs until nothing is in flight.
    pub(crate) fn finish(&mut self) -> Vec<Completion> {
        let mut done = Vec::new();
        let start = Time::now();
        loop {
            let now = self.virtual_clock.unwrap_or_else(Time::now);
            self.engine.turn(now);
            self.disk.poll(&mut self.engine, &mut done);
            if self.disk.in_flight() == 0 {
                return done;
            }
            assert!(Time::now().since(start).as_secs() < 20, "hangs");
            match &mut self.virtual_clock {
                Some(clock) => *clock = self.disk.next_event().max(clock.plus_nanos(1)),
                None => {
                    let memory = self.engine.memory().clone();
                    let flag = SleepFlag::new(memory.word32(DOORBELL).unwrap());
                    flag.announce();
                    let until = self.disk.next_event().min(Time::now().plus_nanos(1_000_000_000));
                    self.engine.wait(Doorbell::Flag(flag), until);
                    flag.withdraw();
                }
            }
        }
    }

    /// One request, to its end.
    pub(crate) fn run(&mut self, request: Request<'_>) -> Completion {
        self.submit(request).unwrap();
        let done = self.finish();
        assert_eq!(done.len(), 1, "exactly one completion");
        done[0]
    }

    pub(crate) fn now(&self) -> Time {
        self.virtual_clock.unwrap_or_else(Time::now)
    }
}

/// Says on the terminal, not only with --nocapture, that something was not tested here.
pub(crate) fn skipped(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}");
}
