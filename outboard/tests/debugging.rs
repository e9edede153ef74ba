//! What an operator and the author of a driver see of it: reports of deaths and of starts that
//! fail, and debug mode, in which a driver may be stopped for long.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

#[path = "debugging/debugger.rs"]
mod debugger;
#[path = "../../crates/hba/examples/faulty_driver.rs"]
mod faulty_driver;
mod iscsi;
mod scenario;
mod served;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use debugger::Debugger;
use iscsi::session::{BLOCK, blocks, wishes};
use outboard_hba::CONTROL_FD_VARIABLE;
use outboard_scsi::command::build::write_16;
use rustix::process::{Pid, Signal, kill_process};
use scenario::command::{OUTBOARD, Ran, outboard, run};
use scenario::leftovers::within;
use scenario::skipped;
use served::{PATIENCE, Served, TARGET, folder, load};

/// Longer than a thread may stand still.
const HANG: Duration = Duration::from_millis(3500);

/// Not a test: this program, started as a driver.
#[test]
fn be_the_driver() {
    if std::env::var_os(CONTROL_FD_VARIABLE).is_some() {
        let code = faulty_driver::main();
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
}

/// A target over memory whose driver is this program with a fault.
fn faulty(fault: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let text = served::text(&[("m", "mem:16Mi")], &["m"]);
    format!(
        "{text}[driver]\nslots = 32\nprogram = {program:?}\n\
         arguments = [\"be_the_driver\", \"--exact\", \"--nocapture\", \"{fault}\"]\n"
    )
}

fn report(state: &std::path::Path, arguments: &[&str]) -> Ran {
    let state = ["--state-dir", state.to_str().unwrap()];
    outboard(["ext", "report"].iter().chain(arguments).chain(&state))
}

#[test]
fn a_driver_that_panics_under_load_leaves_a_report() {
    let served = Served::start(folder(&[]), &faulty("panics-under-load"));
    let state = served.file("state");
    assert_eq!(report(&state, &[]).stdout, "no driver has died\n");
    let mut session = served.session(wishes("load"), 0);
    let died = within(PATIENCE, || {
        session.run(&write_16(8, blocks(BLOCK)), &[1; BLOCK], 0);
        !report(&state, &["--json"]).json()["reports"].as_array().unwrap().is_empty()
    });
    assert!(died, "{}", served.log());
    let one = report(&state, &["latest", "--json"]).json();
    for (name, value) in
        [("kind", "failed"), ("identifier", "com.vendor.faulty"), ("version", "1.0")]
    {
        assert_eq!(one[name], value, "{one:#}");
    }
    assert_eq!(one["commands"][0], "WRITE lba 8 blocks 1", "{one:#}");
    assert_eq!(one["tasks"][0]["bytes"], BLOCK);
    let log = one["log"].to_string();
    assert!(log.contains("an index is out of range") && log.contains("faulty_driver.rs"), "{log}");

    let table = report(&state, &["--target", "scenario", "--last", "1"]);
    table.succeeded();
    assert!(table.stdout.contains("com.vendor.faulty  1.0"), "{}", table.stdout);
    let whole = report(&state, &["1"]);
    whole.succeeded();
    for words in
        ["its thread panicked", "WRITE lba 8 blocks 1", "an index is out of range", "Next:"]
    {
        assert!(whole.stdout.contains(words), "{words:?} is not said\n{}", whole.stdout);
    }
    println!("{}\n{}", table.stdout, whole.stdout);
    report(&state, &["99"]).refused(2, &["no report 99"]);
}

#[test]
fn a_driver_that_is_killed_from_outside_is_told_from_a_hang() {
    let files = folder(&[]);
    let served = Served::start(files, &served::text(&[("m", "mem:16Mi")], &["m"]));
    let state = served.file("state");
    let death = |signal, number: usize| {
        let pid = Pid::from_raw(served.drivers()[0].cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
        let mut session = served.session(wishes("load"), 0);
        let stop = AtomicBool::new(false);
        let reports = || report(&state, &["--json"]).json()["reports"].as_array().unwrap().len();
        std::thread::scope(|scope| {
            let ends = Ends(&stop);
            let load = scope.spawn(|| load::run(served.session(wishes("more"), 0), 64, &stop));
            assert!(within(PATIENCE, || reports() == number), "{}", served.log());
            drop(ends);
            assert!(load.join().unwrap().ended.is_none());
        });
        session.settle();
        report(&state, &["latest", "--json"]).json()
    };
    let killed = death(Signal::KILL, 1);
    assert_eq!((&killed["kind"], &killed["signal"]), (&"ended".into(), &9.into()), "{killed:#}");
    assert!(killed["next"].to_string().contains("for want of memory"), "{killed:#}");
    let hung = death(Signal::STOP, 2);
    assert_eq!((&hung["kind"], &hung["signal"]), (&"hangs".into(), &9.into()), "{hung:#}");
    assert!(hung["next"].to_string().contains("blocks or loops"), "{hung:#}");
    let whole = report(&state, &["1"]).stdout;
    assert!(whole.contains("ended     killed by the host"), "{whole}");
    assert!(report(&state, &["2"]).stdout.contains("ended     signal: 9 (SIGKILL)"));
}

#[test]
fn a_start_that_fails_leaves_a_report() {
    for (fault, reason, said) in [
        ("fails-in-initialize", "firmware 1.2 is too old", ""),
        ("panics-in-initialize", "initialize", "the register window is not there"),
        ("identifier-zero", "identifier", ""),
    ] {
        let files = folder(&[]);
        let config = files.path().join("serve.toml");
        std::fs::write(&config, faulty(fault)).unwrap();
        let ran =
            run(std::process::Command::new(OUTBOARD).args(["serve", "--config"]).arg(&config));
        assert_ne!(ran.code, Some(0), "{ran:?}");
        let state = files.path().join("state");
        let one = report(&state, &["latest", "--json"]).json();
        assert_eq!(one["kind"], "start", "{one:#}");
        assert!(one["reason"].to_string().contains(reason), "{one:#}");
        assert!(one["log"].to_string().contains(said), "{one:#}");
        assert!(one["pid"].as_u64().unwrap() > 1, "{one:#}");
        let whole = report(&state, &["1"]).stdout;
        assert!(whole.contains("a driver did not come up"), "{whole}");
    }
}

/// Ends the loads, however a test ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A server under load, traced with these arguments.
fn traced(config: &str, arguments: &[&str]) -> (Served, Ran) {
    let served = Served::start(folder(&[]), config);
    let stop = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        let ends = Ends(&stop);
        let session = served.session(wishes("load"), 0);
        let load = scope.spawn(|| load::run(session, 0, &stop));
        let state = served.file("state");
        let state = ["--state-dir", state.to_str().unwrap()];
        let ran = outboard(["ext", "trace"].iter().chain(arguments).chain(&state));
        drop(ends);
        let outcome = load.join().unwrap();
        assert!(outcome.ended.is_none(), "{outcome:?}");
        ran
    });
    (served, ran)
}

fn memory() -> String {
    served::text(&[("m", "mem:16Mi")], &["m"])
}

#[test]
fn tasks_are_traced_from_reception_to_end_on_both_sides() {
    let (served, ran) = traced(&memory(), &["--tasks", "500", "--json", "--target", TARGET]);
    let trace = ran.json();
    assert_eq!((&trace["full"], &trace["target"]), (&true.into(), &TARGET.into()));
    let tasks = trace["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 500);
    for task in tasks {
        let time = |side: &str, name: &str| {
            let at = task[side][name].as_u64();
            at.unwrap_or_else(|| panic!("{side} {name}: {task:#}"))
        };
        let times = [
            time("host", "received_ns"),
            time("host", "ready_ns"),
            time("host", "pushed_ns"),
            time("host", "published_ns"),
            time("driver", "taken_ns"),
            time("driver", "completed_ns"),
            time("host", "reaped_ns"),
            time("host", "answered_ns"),
            time("host", "finished_ns"),
        ];
        assert!(times.is_sorted(), "{task:#}");
        assert_eq!(
            (&task["status"], &task["driver"]["claim"]),
            (&"GOOD".into(), &"possible".into())
        );
        assert!(matches!(task["command"].as_str(), Some("READ" | "WRITE")), "{task:#}");
        assert_eq!((&task["blocks"], &task["bytes"]), (&32.into(), &(16 << 10).into()));
        assert!(task["initiator"].as_str().unwrap().contains("load"), "{task:#}");
        assert!(task["bundle_size"].as_u64() >= Some(1), "{task:#}");
    }
    let parts = trace["summary"].as_array().unwrap();
    let total = parts.iter().find(|part| part["part"] == "total").unwrap();
    assert_eq!(total["tasks"], 500);
    assert!(total["p99_ns"].as_u64() >= total["p50_ns"].as_u64());
    drop(served);
}

#[test]
fn a_trace_for_people_and_one_for_perfetto() {
    let (served, ran) = traced(&memory(), &["--tasks", "64"]);
    ran.succeeded();
    println!("{}", ran.stdout);
    for words in ["64 tasks", "~DRIVER", "and 32 more", "P99", "~driver  |"] {
        assert!(ran.stdout.contains(words), "{words:?} is not said\n{}", ran.stdout);
    }
    let state = served.file("state");
    let file = served.file("trace.json");
    let (state, path) = (state.to_str().unwrap(), file.to_str().unwrap());
    let base = ["ext", "trace", "--seconds", "1", "--state-dir", state];
    let ran = outboard(base.iter().chain(&["--perfetto", path]));
    ran.succeeded();
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(json["traceEvents"].as_array().unwrap().len() >= 6, "host, boundary, driver: {json}");
    let ran = outboard(base.iter().chain(&["--target", "nobody"]));
    ran.refused(2, &["there is no target \"nobody\"", TARGET]);
}

#[test]
fn tasks_of_a_driver_that_dies_are_traced_to_their_end() {
    let served = Served::start(folder(&[]), &memory());
    let stop = AtomicBool::new(false);
    let ask = |tasks: u32, seconds: u32| {
        let path = format!("/v1/targets/{TARGET}/trace?tasks={tasks}&seconds={seconds}");
        served.ask("POST", &path)
    };
    let is_busy = |answer: &String| answer.starts_with("HTTP/1.1 409");
    let used = || {
        let status = served.ask("GET", "/v1/status");
        let (_, body) = status.split_once("\r\n\r\n").unwrap();
        let status: serde_json::Value = serde_json::from_str(body).unwrap();
        status["drivers"][0]["slots"]["used"].as_u64().unwrap()
    };
    std::thread::scope(|scope| {
        let ends = Ends(&stop);
        let first = scope.spawn(|| std::iter::repeat_with(|| ask(8, 20)).find(|a| !is_busy(a)));
        let session = served.session(wishes("load"), 0);
        assert!(within(PATIENCE, || is_busy(&ask(1, 1))), "one at a time");
        let pid = Pid::from_raw(served.drivers()[0].cast_signed()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        assert!(within(PATIENCE, || debugger::all_stopped(pid)), "it stands still");
        let load = scope.spawn(|| load::run(session, 0, &stop));
        assert!(within(PATIENCE, || used() >= 8), "it has tasks");
        kill_process(pid, Signal::KILL).unwrap();
        let answer = first.join().unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        let trace: serde_json::Value = serde_json::from_str(body).unwrap();
        let tasks = trace["tasks"].as_array().unwrap();
        assert_eq!(tasks.len(), 8);
        for task in tasks {
            assert_eq!((&task["submissions"], &task["status"]), (&2.into(), &"GOOD".into()));
            assert_eq!(task["driver"]["claim"], "possible", "the successor is asked too: {task:#}");
        }
        drop(ends);
        assert!(load.join().unwrap().ended.is_none());
    });
}

fn debugged(what: impl FnOnce(&Served)) {
    let config = served::text(&[("m", "mem:16Mi")], &["m"]) + "[driver]\ndebug = true\n";
    let mut served = Served::start(folder(&[]), &config);
    assert!(served.log().contains("debug mode"), "no warning\n{}", served.log());
    let socket = served.file("api.sock");
    let status = || outboard(["status", "--socket", socket.to_str().unwrap()]).stdout;
    assert!(status().contains("running, debug"), "{}", status());
    let driver = served.drivers();
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let ends = Ends(&stop);
        let session = served.session(wishes("load"), 0);
        let load = scope.spawn(|| load::run(session, 0, &stop));
        what(&served);
        drop(ends);
        load.join().unwrap()
    });
    println!("{outcome:?}");
    assert!(outcome.ended.is_none() && outcome.attentions.is_empty(), "{outcome:?}");
    assert!(outcome.pause >= HANG - Duration::from_millis(500), "it went on: {outcome:?}");
    assert_eq!(served.drivers(), driver, "the same process\n{}", served.log());
    assert!(report(&served.file("state"), &[]).stdout.contains("no driver has died"));
    served.stop();
}

#[test]
fn in_debug_mode_a_driver_may_stand_still_under_load() {
    debugged(|served| {
        let pid = Pid::from_raw(served.drivers()[0].cast_signed()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        kill_process(pid, Signal::STOP).unwrap();
        std::thread::sleep(HANG);
        kill_process(pid, Signal::CONT).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    });
}

#[test]
fn in_debug_mode_a_debugger_stops_the_sandboxed_io_thread() {
    if !rustix::process::geteuid().is_root() {
        return skipped("a debugger at a sandboxed driver: needs root");
    }
    debugged(|served| {
        std::thread::sleep(Duration::from_millis(200));
        let thread = debugger::io_thread(served.drivers()[0]);
        let debugger = Debugger::seize(thread).unwrap();
        debugger.interrupt().unwrap();
        std::thread::sleep(HANG);
        assert!(debugger.is_stopped());
        debugger.detach().unwrap();
        std::thread::sleep(Duration::from_millis(200));
    });
}
