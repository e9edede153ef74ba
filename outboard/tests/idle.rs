//! A driver that is attached and has nothing to do costs nothing: host and driver sleep.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod scenario;

use std::time::{Duration, Instant};

use outboard_hba::Path;
use rustix::time::{ClockId, clock_gettime};
use scenario::attached::Attached;
use scenario::command::outboard;

const SECONDS: f64 = 3.0;
const CPU_PERCENT_MAX: f64 = 1.0;

fn this_thread() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// What all threads of a process have run.
fn process(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = tasks.map(|task| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        stat.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanos.sum())
}

/// Host and driver, in percent of one processor, while nothing is asked of them.
fn idle(path: Path, disks: &[&str]) -> f64 {
    let mut attached = Attached::array(path, disks);
    attached.load(200, 0);
    let pid = attached.driver.as_ref().unwrap().pid();
    let cpu = || this_thread() + process(pid);
    let (before, begun) = (cpu(), Instant::now());
    while begun.elapsed().as_secs_f64() < SECONDS {
        attached.turn(|answer| panic!("nothing was asked: {answer:?}")).unwrap();
    }
    let percent = (cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    println!("{} {disks:?}: {percent:.3} % of a processor", path.name());
    // It still serves.
    attached.load(200, 0);
    percent
}

#[test]
fn an_idle_driver_costs_nothing_on_the_bundled_path() {
    assert!(idle(Path::Bundled, &["null:"]) < CPU_PERCENT_MAX);
}

#[test]
fn an_idle_driver_of_simulated_disks_costs_nothing() {
    assert!(idle(Path::Bundled, &["sim:hdd?size=64Mi", "sim:ssd?size=64Mi"]) < CPU_PERCENT_MAX);
}

#[test]
fn an_idle_driver_costs_nothing_on_the_single_path() {
    assert!(idle(Path::Single, &["null:"]) < CPU_PERCENT_MAX);
}

#[test]
fn the_command_measures_it() {
    let json = outboard("bench idle --seconds 1 --json -".split_whitespace()).json();
    assert_eq!(json["workload"]["test"], "idle");
    let percent = |of: &str| json["idle"][of].as_f64().unwrap();
    assert!(
        (percent("cpu_percent") - percent("host_cpu_percent") - percent("driver_cpu_percent"))
            .abs()
            < 0.01
    );
    assert!(percent("cpu_percent") < CPU_PERCENT_MAX, "{json:#}");
    let table = outboard("bench idle --seconds 0.1".split_whitespace());
    table.succeeded();
    assert!(table.stdout.contains("host") && table.stdout.contains("driver"), "{table:#?}");
    let refused = outboard("bench idle --seconds 0".split_whitespace());
    refused.refused(2, &["0 seconds"]);
}
