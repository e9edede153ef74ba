//! Drivers that are killed again and again under a load that checks every byte: pauses, no errors.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;
mod served;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use iscsi::MIB;
use iscsi::server::{Server, Setup};
use iscsi::session::{BLOCK, Session, wishes};
use rustix::process::{Pid, Signal, kill_process};
use served::load;

const SESSIONS: u64 = 4;
const BYTES: u64 = 64 * MIB;

fn signal(pid: u32, signal: Signal) -> bool {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).is_ok()
}

/// One command after the other; how long each took, sorted.
fn watch(server: &Server, stop: &AtomicBool) -> Vec<Duration> {
    let mut session = Session::open(server, wishes("watch"));
    let lba = BYTES / BLOCK as u64 - 8;
    let mut took = Vec::new();
    let mut number = 0u8;
    while !stop.load(Ordering::Relaxed) {
        number = number.wrapping_add(1);
        let begun = Instant::now();
        session.write(lba, &[number; 8 * BLOCK]);
        assert_eq!(session.read(lba, 8 * BLOCK), [number; 8 * BLOCK]);
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took
}

/// Loads that check every byte, while something happens; the round trips of a session beside them.
fn under_load(server: &Server, disturb: impl FnOnce()) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let session = Session::open(server, wishes(&format!("load{number}")));
                let stop = &stop;
                scope.spawn(move || load::run(session, number * 4096, stop))
            })
            .collect();
        let watched = scope.spawn(|| watch(server, &stop));
        disturb();
        stop.store(true, Ordering::Relaxed);
        for load in loads {
            let outcome = load.join().unwrap();
            println!("{outcome:?}");
            assert!(outcome.ended.is_none() && outcome.attentions.is_empty(), "{outcome:?}");
        }
        watched.join().unwrap()
    })
}

fn kills(setup: Setup) {
    let mut server = setup.start();
    let time = Duration::from_secs(5);
    let mut deaths = 0;
    let took = under_load(&server, || {
        let begun = Instant::now();
        std::thread::sleep(Duration::from_millis(300));
        while begun.elapsed() < time - Duration::from_millis(200) {
            deaths += server.drivers().into_iter().filter(|&d| signal(d, Signal::KILL)).count();
            std::thread::sleep(Duration::from_millis(200 + deaths as u64 * 37 % 100));
        }
    });
    let longest: Vec<_> = took.iter().rev().take(deaths).collect();
    println!("{deaths} deaths; the longest round trips: {longest:.1?}");
    assert!(deaths >= 10, "{deaths} deaths\n{}", server.log());
    assert!(*longest[0] < Duration::from_secs(2), "{longest:?}\n{}", server.log());
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn killed_every_quarter_of_a_second_over_a_file() {
    kills(Setup::file(BYTES));
}

#[test]
fn killed_every_quarter_of_a_second_over_memory() {
    kills(Setup::memory(BYTES));
}

/// Kills the driver and waits for its successor: how long there was none.
fn succeeded(server: &Server) -> Duration {
    let driver = server.drivers();
    assert!(signal(driver[0], Signal::KILL));
    let begun = Instant::now();
    let replaced = scenario::leftovers::within(Duration::from_secs(6), || {
        server.drivers().iter().any(|pid| !driver.contains(pid))
    });
    assert!(replaced, "no successor without a command\n{}", server.log());
    begun.elapsed()
}

#[test]
fn an_idle_driver_that_dies_is_replaced_unseen() {
    let mut server = Setup::file(BYTES).start();
    let mut session = Session::open(&server, wishes("idle"));
    session.write(0, &[7; BLOCK]);
    let mut longest = Duration::ZERO;
    for _ in 0..8 {
        // Asleep, whatever it spins for.
        std::thread::sleep(Duration::from_millis(150));
        longest = longest.max(succeeded(&server));
        assert_eq!(session.read(0, BLOCK), [7; BLOCK]);
    }
    println!("a successor after at most {longest:?}");
    assert!(longest < Duration::from_millis(800), "{longest:?}\n{}", server.log());
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn deaths_of_a_driver_with_nothing_to_do_are_no_row_of_failures() {
    let mut server = Setup::memory(BYTES).start();
    for _ in 0..6 {
        // So long that it has come up.
        std::thread::sleep(Duration::from_millis(1200));
        let took = succeeded(&server);
        assert!(took < Duration::from_millis(800), "{took:?}\n{}", server.log());
    }
    let mut session = Session::open(&server, wishes("after"));
    session.write(0, &[7; BLOCK]);
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
#[ignore = "the ladder of giving up on a hung driver takes 20 s and more"]
fn a_driver_that_hangs_is_given_up() {
    let mut server = Setup::file(BYTES).start();
    let took = under_load(&server, || {
        std::thread::sleep(Duration::from_millis(500));
        assert!(signal(server.drivers()[0], Signal::STOP));
        std::thread::sleep(Duration::from_secs(30));
    });
    println!("the longest round trip: {:?}", took.last());
    assert!(server.stop().success(), "{}", server.log());
}
