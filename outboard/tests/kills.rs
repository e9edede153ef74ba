//! Drivers that are killed or stopped under load, each incarnation 200 ms after its first completed
//! task, and servers that are killed whole: what initiators see is a pause, or an end of their
//! connections, never an error and never a wrong byte.
//!
//! In short here; `cargo xtask kills` runs the same for longer, by `OUTBOARD_KILLS_SECONDS`.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod killing;
mod scenario;

use std::fs::File;
use std::time::{Duration, Instant};

use iscsi::MIB;
use iscsi::mixed::{Mixed, Part};
use iscsi::server::{Server, Setup};
use iscsi::session::{BLOCK, Session, wishes};
use killing::gaps::Gaps;
use killing::killer::{Death, again_and_again, signal};
use killing::reconnecting::{Done, Reconnecting};
use killing::{report, seconds};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use scenario::leftovers::runs;
use serde_json::json;

const BYTES: u64 = 64 * MIB;
const SESSIONS: u64 = 8;
const DEPTH: usize = 8;
/// Nothing that happens besides makes a pause as long as this.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Initiators of Linux wait for 30 s: the ladder of giving up takes less.
const LADDER: Duration = Duration::from_secs(25);

/// The part of the disk that a session has.
fn part(session: u64) -> Part {
    let units = BYTES / 4096 / SESSIONS;
    Part { session, first: session * units, units }
}

/// Sends signals to drivers under a load for a time, of which the last `rest` is quiet.
fn deaths(name: &str, setup: Setup, what: Signal, time: Duration, rest: Duration) -> Vec<Death> {
    let mut server = setup.start();
    let gaps = Gaps::default();
    let told = || gaps.completed();
    let deaths = std::thread::scope(|scope| {
        let (server, told) = (&server, &told);
        let start = |session| {
            let wishes = wishes(&format!("load{session}"));
            let mixed = Mixed::new(server, wishes, part(session), DEPTH).telling(told);
            scope.spawn(move || mixed.run(time))
        };
        let loads: Vec<_> = (0..SESSIONS).map(start).collect();
        let deaths = again_and_again(server, &gaps, what, Instant::now() + time - rest);
        for load in loads {
            let done = load.join().unwrap();
            assert!(done.commands > 50, "{done:?}");
        }
        deaths
    });
    report::tell(name, &deaths, gaps.completions(), time);
    let end = killing::killer::driver(&server);
    assert_eq!((end.restarts, end.violations), (deaths.len() as u64, 0), "{end:?}");
    assert!(server.stop().success(), "{}", server.log());
    deaths
}

fn killed(name: &str, setup: Setup) {
    let time = seconds(10);
    let deaths = deaths(name, setup, Signal::KILL, time, Duration::from_millis(500));
    assert!(deaths.len() as u64 > time.as_secs(), "{} deaths", deaths.len());
    let longest = deaths.iter().map(|death| death.initiator).max().unwrap();
    assert!(longest < PAUSE_MAX, "{longest:?}");
}

fn stopped(name: &str, setup: Setup, time: Duration, rest: Duration) {
    let deaths = deaths(name, setup, Signal::STOP, time, rest);
    assert!(!deaths.is_empty());
    let longest = deaths.iter().map(|death| death.initiator).max().unwrap();
    assert!(longest < LADDER, "{longest:?}");
}

#[test]
fn killed_over_files() {
    killed("kill, RAID 0 of two files, O_DIRECT", Setup::striped(BYTES));
}

#[test]
fn killed_over_memory() {
    killed("kill, memory", Setup::memory(BYTES));
}

#[test]
fn stopped_over_files() {
    let rest = Duration::from_secs(13);
    let time = seconds(10).max(rest + Duration::from_secs(1));
    stopped("stop, RAID 0 of two files, O_DIRECT", Setup::striped(BYTES), time, rest);
}

#[test]
fn stopped_over_memory() {
    let rest = Duration::from_secs(4);
    stopped("stop, memory", Setup::memory(BYTES), seconds(10), rest);
}

/// Kills and starts the server again; how long it took until it accepted.
fn crash(server: &mut Server) -> Duration {
    let drivers = server.drivers();
    server.kill();
    let begun = Instant::now();
    server.start_again();
    let took = begun.elapsed();
    for driver in drivers {
        assert!(!runs(driver), "driver {driver} outlives its server\n{}", server.log());
    }
    took
}

#[test]
fn servers_killed_over_files() {
    let mut server = Setup::striped(BYTES).start();
    let time = seconds(10);
    let portal = server.portal();
    let load = |session| {
        let wishes = wishes(&format!("back{session}"));
        Reconnecting::new(Session::open(&server, wishes.clone()), portal, wishes, part(session))
    };
    let loads: Vec<_> = (0..SESSIONS).map(load).collect();
    let mut starts = Vec::new();
    let all: Vec<Done> = std::thread::scope(|scope| {
        let begun = Instant::now();
        let start = |load: Reconnecting| scope.spawn(move || load.run(time));
        let threads: Vec<_> = loads.into_iter().map(start).collect();
        while begun.elapsed() + Duration::from_secs(1) < time {
            std::thread::sleep(Duration::from_millis(700));
            starts.push(crash(&mut server));
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |of: fn(&Done) -> u64| all.iter().map(of).sum::<u64>();
    let away = all.iter().map(|done| done.away).max().unwrap();
    let longest = starts.iter().max().unwrap();
    println!(
        "{} servers killed: {} commands, {} log-ins, {} writes in doubt ({} units had landed); \
         ready again after at most {longest:.1?}, logged in again after at most {away:.1?}",
        starts.len(),
        sum(|done| done.commands),
        sum(|done| done.reconnects),
        sum(|done| done.in_doubt),
        sum(|done| done.landed),
    );
    report::write(&json!({
        "name": "servers killed, RAID 0 of two files, O_DIRECT", "n": starts.len(),
        "commands": sum(|done| done.commands), "reconnects": sum(|done| done.reconnects),
        "in_doubt": sum(|done| done.in_doubt), "away_max_ms": away.as_secs_f64() * 1e3,
        "ready_max_ms": longest.as_secs_f64() * 1e3, "errors": 0, "mismatches": 0,
    }));
    assert!(all.iter().all(|done| done.reconnects >= 3 && done.commands > 50), "{all:?}");
    assert!(sum(|done| done.in_doubt) > 0, "nothing was in doubt: {all:?}");
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn a_driver_that_stands_still_does_not_outlive_its_server() {
    let mut server = Setup::striped(BYTES).start();
    Session::open(&server, wishes("before")).write(0, &[1; 8 * BLOCK]);
    // It cannot see that its server has died.
    assert!(signal(server.drivers()[0], Signal::STOP));
    crash(&mut server);
    assert_eq!(Session::open(&server, wishes("after")).read(0, 8 * BLOCK), [1; 8 * BLOCK]);
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn a_server_waits_for_the_last_io_of_a_dead_one() {
    let mut server = Setup::striped(BYTES).start();
    // As a request of the old driver that is still in the kernel, this keeps its description.
    let held = File::open(server.folder().join("a.img")).unwrap();
    flock(&held, FlockOperation::LockShared).unwrap();
    server.kill();
    std::thread::scope(|scope| {
        let released = scope.spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            let released = Instant::now();
            drop(held);
            released
        });
        server.start_again();
        let (ready, released) = (Instant::now(), released.join().unwrap());
        assert!(ready > released, "{:?} too early\n{}", released - ready, server.log());
    });
    assert!(server.stop().success(), "{}", server.log());
}
