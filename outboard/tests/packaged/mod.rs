//! Packages for scenarios: the test's own program plays the driver, the example's code with another
//! version and a fault.
#![allow(dead_code, reason = "each scenario uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

#[path = "../../../examples/packages/ram-disk/src/main.rs"]
mod ram_disk;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use outboard_hba::{
    Bundle, CONTROL_FD_VARIABLE, Completions, Controller, DriverError, HbaReport, IoQueue,
    Manifest, Method, QueueKind, QueueSetup, Response, ServiceResponse, Startup, Task,
};
use outboard_slots::{Memory, Time};
use ram_disk::{RamDisk, RamQueue};

pub(crate) const IDENTIFIER: &str = "com.example.ram-disk";
/// The queue of the vendor's mistake.
const VENDORS_QUEUE: &str = "MyParallelIOQueue";

/// The example, as another version of itself.
struct Versioned {
    inner: RamDisk,
    version: String,
    fault: String,
}

impl Controller for Versioned {
    type Queue = FaultyQueue;

    fn manifest(&self) -> Manifest {
        let manifest = Manifest::new(IDENTIFIER, &self.version);
        match self.fault.as_str() {
            "binds-task-method" => manifest
                .queue(VENDORS_QUEUE, QueueKind::Serial)
                .bind(Method::ProcessParallelTask, VENDORS_QUEUE),
            _ => manifest,
        }
    }

    fn initialize(&mut self, startup: &mut Startup) -> Result<HbaReport, DriverError> {
        // A trial has small disks: what fails here fails at the server alone.
        let is_large = startup.disks.first().is_some_and(|disk| disk.bytes > 16 << 20);
        match self.fault.as_str() {
            "fails" => return Err(DriverError::new("firmware 1.2 is too old")),
            "fails-on-large-disks" if is_large => {
                return Err(DriverError::new("the disk is too large for this version"));
            }
            "hangs" => std::thread::sleep(std::time::Duration::from_secs(3600)),
            _ => {}
        }
        let half = startup.options["half"] == true;
        let mut report = self.inner.initialize(startup)?;
        match self.fault.as_str() {
            "smaller" => report.targets[0].units[0].blocks /= 2,
            "no-constraints" => report.constraints.minimum_segment_alignment = None,
            "no-tasks" => report.maximum_task_count = 0,
            "few-tasks" => report.maximum_task_count = 16,
            _ if half => report.targets[0].units[0].blocks /= 2,
            _ => {}
        }
        Ok(report)
    }

    fn map_hba_data(&self, slot: u16) -> u32 {
        match self.fault.as_str() {
            "identifier-zero" => u32::from(slot),
            _ => u32::from(slot) + 1,
        }
    }

    fn open_queue(&self, setup: &QueueSetup) -> Result<FaultyQueue, DriverError> {
        let panics = self.fault == "panics-on-unknown";
        let own = (self.fault == "forgets").then(HashMap::new);
        let buffers = setup.region.memory().clone();
        Ok(FaultyQueue { inner: self.inner.open_queue(setup)?, panics, own, buffers })
    }

    fn stop(&self) {
        if self.fault == "does-not-stop" {
            std::process::abort();
        }
    }
}

struct FaultyQueue {
    inner: RamQueue,
    panics: bool,
    /// blocks that it keeps to itself
    own: Option<HashMap<u64, Vec<u8>>>,
    buffers: Memory,
}

impl FaultyQueue {
    /// Keeps what is written to itself, and reads it from there.
    fn keep(&mut self, task: Task, done: &mut Completions<'_>) {
        let own = self.own.as_mut().unwrap();
        let (offset, bytes) = task.buffer();
        let cdb = task.cdb();
        let lba = cdb.get(2..10).map_or(0, |lba| u64::from_be_bytes(lba.try_into().unwrap()));
        for (at, block) in (0..bytes / 512).zip(lba..) {
            let offset = offset + at * 512;
            let kept = own.entry(block).or_insert_with(|| vec![0; 512]);
            match cdb[0] {
                0x8a => self.buffers.read(offset, kept).unwrap(),
                _ => self.buffers.write(offset, kept).unwrap(),
            }
        }
        done.complete(task.into_token(), &Response::good(bytes));
    }
}

impl IoQueue for FaultyQueue {
    fn process_bundled_parallel_tasks(
        &mut self,
        now: Time,
        tasks: Bundle<'_>,
        done: &mut Completions<'_>,
    ) {
        if self.own.is_some() {
            return tasks.into_iter().for_each(|task| self.keep(task, done));
        }
        if self.panics {
            for task in tasks {
                assert!(matches!(task.cdb()[0], 0x88 | 0x8a), "what is this?");
                self.inner.process_parallel_task(now, task, done);
            }
            return;
        }
        self.inner.process_bundled_parallel_tasks(now, tasks, done);
    }

    fn process_parallel_task(
        &mut self,
        now: Time,
        task: Task,
        done: &mut Completions<'_>,
    ) -> ServiceResponse {
        self.inner.process_parallel_task(now, task, done)
    }

    fn poll(&mut self, _: Time, _: &mut Completions<'_>) {}
}

/// Is the driver, if a host has started this program.
pub(crate) fn be_the_driver() {
    if std::env::var_os(CONTROL_FD_VARIABLE).is_some() {
        let mut arguments: Vec<String> = std::env::args().collect();
        let (fault, version) = (arguments.pop().unwrap(), arguments.pop().unwrap());
        let code = outboard_hba::run(Versioned { inner: RamDisk::default(), version, fault });
        std::process::exit(i32::from(code != ExitCode::SUCCESS));
    }
}

/// A package in `folder`, of this version, with a fault or `none`. The test program has a test
/// `be_the_driver`, which calls the function of that name.
pub(crate) fn package(folder: &Path, version: &str, fault: &str) -> PathBuf {
    let folder = folder.join(format!("package-{version}-{fault}"));
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("driver");
    let _ = fs::remove_file(&program);
    let own = std::env::current_exe().unwrap();
    // A name for the same file where that can be.
    if fs::hard_link(&own, &program).is_err() {
        fs::copy(&own, &program).unwrap();
    }
    let mut text = format!(
        "identifier = \"{IDENTIFIER}\"\nversion = \"{version}\"\nname = \"RAM disk\"\n\
         program = \"driver\"\nprotocol = 1\n\
         arguments = [\"be_the_driver\", \"--exact\", \"--nocapture\", \"{version}\", \"{fault}\"]\n"
    );
    if fault == "binds-task-method" {
        text += &format!(
            "[[queues]]\nname = \"{VENDORS_QUEUE}\"\n\
             [[bindings]]\nmethod = \"process_parallel_task\"\nqueue = \"{VENDORS_QUEUE}\"\n"
        );
    }
    text += "[resources]\ndisks = 1\n[limits]\ntasks = 256\n";
    fs::write(folder.join("extension.toml"), text).unwrap();
    folder
}
