//! The end of `outboard serve` under load: what was begun is answered, nothing stays behind, and the
//! next server has the same files at once.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;
mod served;

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use iscsi::session::{BLOCK, connect, wishes};
use outboard_iscsi::pdu::AsyncEvent;
use rustix::process::Signal;
use scenario::leftovers::{runs, within};
use served::{Served, folder, load, text};

const MIB: u64 = 1 << 20;

fn one_file() -> Served {
    Served::start(folder(&[("a.img", 32 * MIB)]), &text(&[("a", "a.img")], &["a"]))
}

#[test]
fn commands_under_way_are_answered_before_the_end() {
    let mut served = one_file();
    let driver = served.drivers();
    assert_eq!(driver.len(), 1);
    let never = AtomicBool::new(false);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4)
            .map(|number| {
                let session = served.session(wishes(&format!("load{number}")), 0);
                let never = &never;
                scope.spawn(move || load::run(session, number * 1024, never))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        let took = served.stop();
        println!("ended after {took:?}");
        assert!(took < Duration::from_secs(4), "{took:?}\n{}", served.log());
        loads.into_iter().map(|load| load.join().unwrap()).collect()
    });
    for outcome in &outcomes {
        println!("{outcome:?}");
        assert!(outcome.commands > 100 && outcome.ended.is_some());
        assert_eq!(outcome.lost, 0, "a command without an answer: {outcome:?}\n{}", served.log());
    }
    assert!(within(Duration::from_secs(1), || !runs(driver[0])), "the driver is still there");
    assert!(!served.file("api.sock").exists());

    served.start_again();
    let mut session = served.session(wishes("after"), 0);
    assert_ne!(session.read(0, BLOCK), [0; BLOCK], "what was written is there");
    drop(session);
    served.stop();
}

#[test]
fn idle_initiators_are_asked_first() {
    let mut served = one_file();
    let mut session = served.session(wishes("idle"), 0);
    served.signal(Signal::TERM);
    while session.client.turn().is_ok() {}
    let events: Vec<_> = session.client.messages.iter().map(|(m, _)| m.event).collect();
    assert!(matches!(events[0], AsyncEvent::LogoutRequest { within: 1.. }), "{events:?}");
    assert!(matches!(events[1], AsyncEvent::DropSession(_)), "{events:?}");
    let (status, took) = served.ended();
    assert!(status.success() && took < Duration::from_secs(3), "{status} {took:?}");

    // Nobody there: at once. One that logs out when asked: at once as well.
    served.start_again();
    let took = served.stop();
    assert!(took < Duration::from_millis(900), "{took:?}");
    served.start_again();
    let mut session = served.session(wishes("polite"), 0);
    served.signal(Signal::TERM);
    let begun = Instant::now();
    while session.client.messages.is_empty() {
        session.client.turn().unwrap();
    }
    session.client.logout(outboard_iscsi::pdu::LogoutReason::CloseSession, 0).unwrap();
    let (status, _) = served.ended();
    assert!(status.success() && begun.elapsed() < Duration::from_millis(900), "{begun:?}");
}

#[test]
fn readers_that_do_not_read_do_not_hold_up_the_end() {
    let mut served = one_file();
    let mut stuck = served.session(wishes("stuck"), 0);
    for index in 0..16 {
        stuck.submit(&outboard_scsi::command::build::read_16(index * 2048, 2048), &[], 1 << 20);
    }
    let half = connect(served.portal()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let took = served.stop();
    println!("ended after {took:?}");
    assert!(took < Duration::from_secs(14), "{took:?}");
    drop((stuck, half));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut served = one_file();
    let driver = served.drivers();
    let _session = served.session(wishes("idle"), 0);
    served.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(50));
    served.signal(Signal::INT);
    let (_, took) = served.ended();
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert!(within(Duration::from_secs(2), || !runs(driver[0])), "the driver is still there");
    served.start_again();
    served.session(wishes("after"), 0).read(0, BLOCK);
    served.stop();
}

#[test]
fn a_driver_that_is_being_replaced_does_not_stay_behind() {
    for wait in [0, 3, 10, 30] {
        let mut served = one_file();
        let session = served.session(wishes("idle"), 0);
        let before = served.drivers();
        let pid = rustix::process::Pid::from_raw(before[0].cast_signed()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        drop(session);
        served.signal(Signal::TERM);
        let mut all = before;
        let begun = Instant::now();
        while served.is_alive() && begun.elapsed() < served::PATIENCE {
            for child in served.drivers() {
                if !all.contains(&child) {
                    all.push(child);
                }
            }
        }
        assert!(served.ended().0.success(), "{}", served.log());
        assert!(within(Duration::from_secs(2), || all.iter().all(|pid| !runs(*pid))), "{all:?}");
    }
}
