//! Drivers that break a rule: each is refused or given up with a message that names the rule, its
//! process is gone, nothing of it is left in the host, and the host goes on.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

#[path = "../../crates/hba/examples/faulty_driver.rs"]
mod faulty_driver;
mod scenario;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outboard_hba::{CONTROL_FD_VARIABLE, Path};
use outboard_host::channel::Channel;
use outboard_host::driver::{Driver, DriverStatus, Launch, LaunchError, Options};
use outboard_host::ledger::Violation;
use outboard_scsi::{Sense, Status};
use scenario::attached::Attached;
use scenario::command::OUTBOARD;
use scenario::leftovers::{Holdings, children_of, runs, within};
use scenario::skipped;

/// One scenario at a time: what the process holds is counted.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Not a test: this program, started by a test below as a driver. The test's name is the first
/// argument, the fault's the last.
#[test]
fn be_the_driver() {
    if std::env::var_os(CONTROL_FD_VARIABLE).is_some() {
        let code = faulty_driver::main();
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
}

fn start(fault: &str, options: &Options) -> Result<(Driver, Vec<Box<dyn Channel>>), LaunchError> {
    let arguments = ["be_the_driver", "--exact", "--nocapture", fault];
    let launch = Launch {
        program: std::env::current_exe().unwrap(),
        arguments: arguments.map(str::to_owned).to_vec(),
        descriptors: vec![
            outboard_slots::Memory::create("resource", 4096).unwrap().share().unwrap(),
        ],
        ..Launch::default()
    };
    Driver::start(launch, options)
}

fn bundled() -> Options {
    Options::new(Path::Bundled, 32, 4 << 20)
}

/// A sound driver can be started and serves.
fn the_host_goes_on() {
    let (driver, channels) = start("none", &bundled()).unwrap();
    let mut attached = Attached::driver(driver, channels);
    attached.load(1000, 0);
    let mut driver = attached.driver.take().unwrap();
    assert_eq!(driver.stop().unwrap().code(), Some(0));
}

/// Start fails with a message that has all of `words`, on every path.
fn does_not_start(fault: &str, words: &[&str]) {
    let _alone = alone();
    let before = Holdings::now();
    for path in [Path::Bundled, Path::Single, Path::SingleMap] {
        let options = Options { path, timeout: Duration::from_millis(700), ..bundled() };
        let begun = Instant::now();
        let message = start(fault, &options).err().unwrap().to_string();
        for word in words {
            assert!(message.contains(word), "{fault}: {word:?} is not said: {message}");
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{fault}: took {:?}", begun.elapsed());
        before.unchanged();
    }
    the_host_goes_on();
    before.unchanged();
}

#[test]
fn the_vendors_mistake_is_a_message() {
    let words = [
        "com.vendor.faulty",
        "process_parallel_task",
        "UserProcessParallelTask",
        "\"MyParallelIOQueue\"",
        "completion action",
        "Remove the binding",
    ];
    does_not_start("binds-task-method", &words);
}

#[test]
fn a_queue_declared_and_never_made() {
    let words = ["com.vendor.faulty", "MyParallelIOQueue", "never made", "queues.create"];
    does_not_start("never-makes-queue", &words);
}

#[test]
fn one_that_exits_at_once() {
    does_not_start("exits-at-once", &["ended", "exit status: 1", "hello"]);
}

#[test]
fn one_that_panics_in_initialize() {
    does_not_start("panics-in-initialize", &["ended", "exit status: 101", "initialize"]);
}

#[test]
fn one_that_fails_in_initialize() {
    does_not_start("fails-in-initialize", &["failed in initialize", "firmware 1.2 is too old"]);
}

#[test]
fn one_that_hangs_in_initialize() {
    let words = ["has not answered initialize within 0.7 s", "was ended", "must not block"];
    does_not_start("hangs-in-initialize", &words);
}

#[test]
fn one_of_another_protocol() {
    let words = ["protocol version 2", "this host version 1", "update the host to the release"];
    does_not_start("other-protocol", &words);
}

#[test]
fn one_that_talks_nonsense() {
    does_not_start("talks-nonsense", &["not understood", "of one release"]);
}

#[test]
fn one_that_leaves_out_a_constraint() {
    let words = ["com.vendor.faulty", "IOMinimumSegmentAlignmentByteCount", "missing", "set it in"];
    does_not_start("misses-constraint", &words);
}

#[test]
fn one_that_takes_no_tasks() {
    does_not_start("no-tasks", &["com.vendor.faulty", "maximum task count is 0", "report 1 to"]);
}

#[test]
fn one_that_hands_out_identifier_zero() {
    does_not_start("identifier-zero", &["task identifier 0 of slot 0", "map_hba_data", "never 0"]);
}

#[test]
fn one_whose_queue_panics_as_it_opens() {
    does_not_start("panics-in-open-queue", &["failed in I/O queue 0", "panicked"]);
}

#[test]
fn a_wrong_response_is_counted_and_its_task_ended() {
    let _alone = alone();
    let before = Holdings::now();
    let (driver, channels) = start("other-response-version", &bundled()).unwrap();
    let mut attached = Attached::driver(driver, channels);
    for nth in 1..=3 {
        assert!(attached.stack.unfit().is_none(), "{:?}", attached.stack.unfit());
        assert!(attached.submit(false));
        let mut answered = false;
        let ended = within(Duration::from_secs(2), || {
            attached
                .turn(|answer| {
                    assert_eq!(answer.status, Status::CheckCondition);
                    let sense = Sense::parse(answer.sense.as_deref().unwrap()).unwrap();
                    let aborted = Sense::ABORTED_COMMAND;
                    assert_eq!(
                        (sense.key, sense.asc, sense.ascq),
                        (aborted.key, aborted.asc, aborted.ascq)
                    );
                    answered = true;
                })
                .unwrap();
            answered
        });
        assert!(ended, "the read of violation {nth} never ended");
        assert_eq!(attached.stack.counters().violations, nth);
        let Some((_, Violation::Version { version: 2, .. })) = attached.stack.violations().last()
        else {
            panic!("{:?}", attached.stack.violations());
        };
    }
    let unfit = attached.stack.unfit().unwrap();
    for word in ["3 violations in 10 s", "version 2", "set SCSIUserParallelResponse.version to 1"] {
        assert!(unfit.contains(word), "{unfit}");
    }
    drop(attached);
    before.unchanged();
    the_host_goes_on();
    before.unchanged();
}

/// Keeps the driver loaded until the host is told of its end; returns what it is told.
fn lost_under_load(fault: &str, path: Path) -> DriverStatus {
    let (driver, channels) = start(fault, &Options { path, ..bundled() }).unwrap();
    let pid = driver.pid();
    let mut attached = Attached::driver(driver, channels);
    let mut good = 0;
    let begun = Instant::now();
    let status = loop {
        while attached.submit(false) {}
        let turned = attached.turn(|answer| {
            assert_eq!(answer.status, Status::Good);
            good += 1;
        });
        let driver = attached.driver.as_ref().unwrap();
        // The single path's own sockets may tell first.
        if driver.has_news() || turned.is_err() {
            let told = within(Duration::from_secs(1), || driver.status() != DriverStatus::Running);
            assert!(told, "{turned:?}");
            break driver.status();
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "the host is not told, {good} tasks");
    };
    assert!(good >= 64, "{good} of 100 tasks were answered");
    assert!(attached.stack.in_driver() > 0, "what it had is still the host's to end");
    attached.stack.driver_lost();
    attached.stack.driver_gone_for_good();
    let mut ended = 0;
    attached.turn(|answer| ended += u32::from(answer.status == Status::CheckCondition)).unwrap();
    assert_eq!((ended, attached.stack.in_driver()), (32, 0));
    drop(attached);
    assert!(!runs(pid));
    status
}

#[test]
fn one_that_dies_under_load() {
    let _alone = alone();
    let before = Holdings::now();
    for path in [Path::Bundled, Path::Single] {
        assert_eq!(lost_under_load("dies-under-load", path), DriverStatus::Gone);
        before.unchanged();
    }
    the_host_goes_on();
    before.unchanged();
}

#[test]
fn one_whose_io_thread_panics_under_load() {
    let _alone = alone();
    let before = Holdings::now();
    for path in [Path::Bundled, Path::Single] {
        let DriverStatus::Failed(reason) = lost_under_load("panics-under-load", path) else {
            panic!("it has not said why");
        };
        assert!(reason.contains("I/O queue 0") && reason.contains("panicked"), "{reason}");
        before.unchanged();
    }
    the_host_goes_on();
    before.unchanged();
}

#[test]
fn a_program_that_is_not_there() {
    let _alone = alone();
    let before = Holdings::now();
    let launch = Launch { program: "/no/such/driver".into(), ..Launch::default() };
    let message = Driver::start(launch, &bundled()).err().unwrap().to_string();
    assert!(message.contains("/no/such/driver") && message.contains("check the path"), "{message}");
    before.unchanged();
}

/// Kills `outboard bench` once its driver runs; the driver must follow.
fn killed_host_takes_its_driver_along(arguments: &[&str]) {
    let mut host = Command::new(OUTBOARD)
        .args(["bench", "random", "--path", "bundled", "--seconds", "20"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut drivers = Vec::new();
    let found = within(Duration::from_secs(5), || {
        drivers = children_of(host.id());
        !drivers.is_empty()
    });
    assert!(found, "no driver");
    std::thread::sleep(Duration::from_millis(300));
    host.kill().unwrap();
    assert_eq!(host.wait().unwrap().signal(), Some(9));
    let begun = Instant::now();
    let gone = within(Duration::from_secs(2), || !drivers.iter().any(|&pid| runs(pid)));
    assert!(gone, "driver processes {drivers:?} outlive their host");
    println!("the driver ended {:?} after its host", begun.elapsed());
}

#[test]
fn a_killed_host_leaves_no_driver() {
    let _alone = alone();
    killed_host_takes_its_driver_along(&[]);
    killed_host_takes_its_driver_along(&["--no-spin", "--disk", "mem:64Mi", "--disk", "mem:64Mi"]);
}

#[test]
fn a_killed_host_leaves_no_driver_that_hangs() {
    let _alone = alone();
    // `--driver` takes a program without arguments: a script gives it the fault.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let script = folder.path().join("hangs");
    let program = std::env::current_exe().unwrap();
    let line = format!(
        "#!/bin/sh\nexec {} be_the_driver --exact --nocapture hangs-in-initialize\n",
        program.display()
    );
    std::fs::write(&script, line).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    if Command::new(&script).stdin(Stdio::null()).status().is_err() {
        return skipped("a script cannot be executed there");
    }
    killed_host_takes_its_driver_along(&["--driver", script.to_str().unwrap()]);
}
