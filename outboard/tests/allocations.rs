//! At depth 32 nothing is allocated for a task, and few system calls are made.
//!
//! That no lock is taken across the boundary holds by construction: what host and driver share are
//! rings of atomics and two sleep flags. A system call is what a contended lock would come to.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod scenario;

use std::process::Command;

use outboard_hba::Path;
use scenario::attached::Attached;
use scenario::command::{OUTBOARD, run};
use scenario::skipped;

const WARM_UP: u64 = 20_000;
const TASKS: u64 = 100_000;
const CALLS_PER_TASK_MAX: f64 = 0.2;

/// Allocations of this thread while `tasks` tasks run: the host's, and on the resident path the
/// driver's as well.
fn allocations(path: Path, disks: &[&str], tasks: u64, writes: u64) -> u64 {
    let mut attached = Attached::array(path, disks);
    attached.load(WARM_UP, writes);
    let counted = allocation_counter::measure(|| attached.load(tasks, writes));
    println!("{}, {disks:?}: {} allocations in {tasks} tasks", path.name(), counted.count_total);
    counted.count_total
}

#[test]
fn allocations_are_counted() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn the_bundled_path_allocates_nothing() {
    assert_eq!(allocations(Path::Bundled, &["null:"], TASKS, 0), 0);
    assert_eq!(allocations(Path::Bundled, &["mem:64Mi", "mem:64Mi"], TASKS, 4), 0);
}

#[test]
fn the_resident_path_allocates_nothing() {
    assert_eq!(allocations(Path::Resident, &["null:"], TASKS, 0), 0);
    assert_eq!(allocations(Path::Resident, &["mem:64Mi", "mem:64Mi"], TASKS, 4), 0);
}

#[test]
fn io_uring_allocates_nothing() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = folder.path().join("disk");
    std::fs::File::create(&path).unwrap().set_len(16 << 20).unwrap();
    let url = format!("{}?direct=off", path.display());
    assert_eq!(allocations(Path::Resident, &[&url], 20_000, 4), 0);
}

#[test]
fn a_task_takes_few_system_calls() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let table = folder.path().join("strace");
    let seconds = 0.5;
    let mut command = Command::new("strace");
    command.args(["-c", "-f", "-o"]).arg(&table).arg(OUTBOARD);
    command.args(["bench", "random", "--path", "bundled", "--rounds", "1", "--json", "-"]);
    command.args(["--seconds", &seconds.to_string()]);
    if !Command::new("strace").args(["-c", "true"]).output().is_ok_and(|o| o.status.success()) {
        return skipped("system calls: no strace, or no right to use it");
    }
    let json = run(&mut command).json();
    let table = std::fs::read_to_string(table).unwrap();
    // Host and driver, start and end and warm-up among them.
    let total = table.lines().find(|line| line.ends_with(" total")).unwrap();
    let calls: f64 = total.split_whitespace().nth(3).unwrap().parse().unwrap();
    let tasks = json["results"][0]["iops"].as_f64().unwrap() * seconds;
    println!("{calls} system calls, {tasks} tasks: {:.4} each", calls / tasks);
    assert_eq!(json["results"][0]["queue_depth"], 32);
    assert!(calls / tasks < CALLS_PER_TASK_MAX, "{calls} calls for {tasks} tasks:\n{table}");
}
