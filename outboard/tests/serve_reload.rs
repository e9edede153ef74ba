//! Reloads under load: LUNs come, go and grow; initiators learn of it by unit attentions and see no
//! error; what cannot be done leaves everything as it was.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;
mod served;

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iscsi::session::{BLOCK, Session, connect, wishes};
use outboard_iscsi::initiator::{Client, task::lun};
use outboard_scsi::command::build::{Cdb, read_capacity_16, test_unit_ready};
use rustix::process::{Pid, Signal, kill_process};
use scenario::leftovers::within;
use served::{Served, folder, load, text};

const MIB: u64 = 1 << 20;
const REPORTED_LUNS: (u8, u8) = (0x3f, 0x0e);
const CAPACITY: (u8, u8) = (0x2a, 0x09);

const ARRAYS: [(&str, &str); 3] = [("a", "a.img"), ("b", "b.img"), ("c", "c.img")];

fn three_files() -> Served {
    let files = [("a.img", 32 * MIB), ("b.img", 16 * MIB), ("c.img", 8 * MIB)];
    Served::start(folder(&files), &text(&ARRAYS, &["a", "b"]))
}

/// The LUNs that REPORT LUNS tells.
#[track_caller]
fn luns(session: &mut Session) -> Vec<u16> {
    let mut cdb = [0; 12];
    cdb[0] = 0xa0;
    cdb[6..10].copy_from_slice(&1024u32.to_be_bytes());
    let done = session.client.command([0; 8], &cdb, &[], 1024).unwrap();
    assert_eq!(done.status, 0);
    done.data[8..].chunks(8).map(|lun| u16::from_be_bytes([lun[0] & 0x3f, lun[1]])).collect()
}

/// Blocks of the LUN.
fn blocks(session: &mut Session) -> u64 {
    let data = session.good(&read_capacity_16(32), &[], 32);
    u64::from_be_bytes(data[..8].try_into().unwrap()) + 1
}

/// Unit attentions until there are none.
fn attentions(session: &mut Session) -> Vec<(u8, u8)> {
    let mut all = Vec::new();
    loop {
        let done = session.run(&test_unit_ready(), &[], 0);
        match done.status {
            0 => return all,
            _ => all.push((done.sense[12], done.sense[13])),
        }
    }
}

fn on(session: &mut Session, number: u16, cdb: &Cdb) -> (u8, Vec<u8>) {
    let done = session.client.command(lun(number), cdb.as_slice(), &[], 0).unwrap();
    (done.status, done.sense)
}

#[test]
fn luns_come_go_and_grow_under_load() {
    let mut served = three_files();
    let stop = AtomicBool::new(false);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..2)
            .map(|number| {
                let session = served.session(wishes(&format!("load{number}")), 0);
                let stop = &stop;
                scope.spawn(move || load::run(session, number * 1024, stop))
            })
            .collect();
        let mut session = served.session(wishes("stays"), 0);
        assert_eq!(luns(&mut session), [0, 1]);
        std::thread::sleep(Duration::from_millis(200));

        let answer = served.reloaded(&text(&ARRAYS, &["a", "b", "c"]));
        assert!(answer.contains("LUN 2 added"), "{answer}");
        assert_eq!(attentions(&mut session), [REPORTED_LUNS]);
        assert_eq!(luns(&mut session), [0, 1, 2]);
        let mut third = served.session(wishes("third"), 2);
        third.write(5, &[5; BLOCK]);

        // By signal this time: it is logged.
        std::fs::write(served.file("serve.toml"), text(&ARRAYS, &["a"])).unwrap();
        served.signal(Signal::HUP);
        let gone = within(served::PATIENCE, || served.log().contains("LUN 2 removed"));
        assert!(gone, "{}", served.log());
        assert_eq!(attentions(&mut session), [REPORTED_LUNS]);
        assert_eq!(luns(&mut session), [0]);
        let (status, sense) = on(&mut third, 2, &test_unit_ready());
        assert_eq!((status, sense[2] & 0xf, sense[12]), (2, 5, 0x25), "no such LUN: {sense:02x?}");

        assert_eq!(blocks(&mut session), 32 * MIB / 512);
        File::options().write(true).open(served.file("a.img")).unwrap().set_len(48 * MIB).unwrap();
        let answer = served.reloaded(&text(&ARRAYS, &["a", "b"]));
        assert!(answer.contains("LUN 0 changed") && answer.contains("LUN 1 added"), "{answer}");
        let mut told = attentions(&mut session);
        told.sort_unstable();
        assert_eq!(told, [CAPACITY, REPORTED_LUNS]);
        assert_eq!(blocks(&mut session), 48 * MIB / 512);
        session.write(47 * MIB / 512, &[9; BLOCK]);

        // Nothing new: nobody is disturbed.
        let before = served.drivers();
        served.reloaded(&text(&ARRAYS, &["a", "b"]));
        assert_eq!(served.drivers(), before);
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        loads.into_iter().map(|load| load.join().unwrap()).collect()
    });
    for outcome in outcomes {
        println!("{outcome:?}");
        assert!(outcome.ended.is_none() && outcome.commands > 100, "{outcome:?}");
        let known = [CAPACITY, REPORTED_LUNS];
        assert!(outcome.attentions.iter().all(|told| known.contains(told)), "{outcome:?}");
        assert!(outcome.pause < Duration::from_secs(2), "{outcome:?}");
    }
    served.stop();
}

#[test]
fn what_cannot_be_served_changes_nothing() {
    let mut served = three_files();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let session = served.session(wishes("load"), 0);
        let load = scope.spawn(|| load::run(session, 0, &stop));
        let mut witness = served.session(wishes("witness"), 1);
        witness.write(0, &[3; BLOCK]);

        let answer = served.reload("this is = no [toml");
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        let answer = served.reload(&text(&ARRAYS, &["a", "nobody"]));
        assert!(answer.starts_with("HTTP/1.1 4") && answer.contains("nobody"), "{answer}");

        // A file that is not there: the arrays before come back.
        let lost = [ARRAYS[0], ARRAYS[1], ("lost", "lost.img")];
        for _ in 0..3 {
            let answer = served.reload(&text(&lost, &["a", "lost"]));
            assert!(answer.starts_with("HTTP/1.1 5") && answer.contains("lost.img"), "{answer}");
            assert_eq!(witness.read(0, BLOCK), [3; BLOCK]);
            assert_eq!(luns(&mut witness), [0, 1]);
        }
        assert_eq!(attentions(&mut witness), []);

        // The driver dies while a reload goes on.
        for kill_after in [0, 5, 20] {
            let names = if kill_after == 5 { &["a", "b"][..] } else { &["a", "b", "c"] };
            let answer = std::thread::scope(|inner| {
                let reload = inner.spawn(|| served.reload(&text(&ARRAYS, names)));
                std::thread::sleep(Duration::from_millis(kill_after));
                for driver in served.drivers() {
                    let pid = Pid::from_raw(driver.cast_signed()).unwrap();
                    let _ = kill_process(pid, Signal::KILL);
                }
                reload.join().unwrap()
            });
            println!("{}", answer.lines().next_back().unwrap_or_default());
            let expected = match answer.starts_with("HTTP/1.1 200") {
                true => (0..names.len() as u16).collect::<Vec<_>>(),
                false => continue,
            };
            attentions(&mut witness);
            assert_eq!(luns(&mut witness), expected);
            assert_eq!(witness.read(0, BLOCK), [3; BLOCK]);
        }
        stop.store(true, Ordering::Relaxed);
        let outcome = load.join().unwrap();
        println!("{outcome:?}");
        assert!(outcome.ended.is_none(), "{outcome:?}");
    });
    served.stop();
}

#[test]
fn a_disk_that_comes_back_is_served_again() {
    let mut served = three_files();
    let mut session = served.session(wishes("patient"), 1);
    session.write(0, &[8; BLOCK]);
    std::fs::rename(served.file("a.img"), served.file("away.img")).unwrap();
    let driver = Pid::from_raw(served.drivers()[0].cast_signed()).unwrap();
    kill_process(driver, Signal::KILL).unwrap();
    let failed =
        within(Duration::from_secs(12), || served.ask("GET", "/v1/status").contains("\"failed\""));
    assert!(failed, "{}", served.ask("GET", "/v1/status"));
    let done = session.run(&outboard_scsi::command::build::read_16(0, 1), &[], BLOCK as u32);
    assert_eq!((done.status, done.sense[2] & 0xf), (2, 4), "HARDWARE ERROR: {done:02x?}");

    std::fs::rename(served.file("away.img"), served.file("a.img")).unwrap();
    // A reload of the same file is enough to try at once.
    let config = served.text_of("serve.toml");
    served.reloaded(&config);
    attentions(&mut session);
    assert_eq!(session.read(0, BLOCK), [8; BLOCK]);
    served.stop();
}

#[test]
fn log_ins_go_by_the_new_file_and_sessions_stay() {
    let mut served = three_files();
    let mut stays = served.session(wishes("stays"), 0);
    let open = text(&ARRAYS, &["a", "b"]);
    let closed = format!("{open}initiators = [\"iqn.2026-11.test:friend\"]\n");
    served.reloaded(&closed);
    stays.write(0, &[1; BLOCK]);
    let refused = Client::login(connect(served.portal()).unwrap(), wishes("stranger"));
    assert!(refused.is_err());
    served.session(wishes("friend"), 0).read(0, BLOCK);
    served.reloaded(&open);
    served.session(wishes("stranger"), 0).read(0, BLOCK);

    // A CHAP secret comes and changes.
    for secret in ["a-long-secret-1", "another-secret-2"] {
        std::fs::write(served.file("secret"), secret).unwrap();
        let chap = "[target.chap]\nusers = [{ name = \"ann\", secret_file = \"secret\" }]\n";
        served.reloaded(&format!("{open}{chap}"));
        assert!(Client::login(connect(served.portal()).unwrap(), wishes("ann")).is_err());
    }
    stays.read(0, BLOCK);

    // What is for the next start is said, and discovery tells where the server is now.
    let elsewhere = open.replace("127.0.0.1:0", "127.0.0.1:1");
    let answer = served.reloaded(&elsewhere);
    assert!(answer.contains("portals"), "{answer}");
    let mut session = served.session(wishes("finds"), 0);
    let found = session.client.send_targets("").unwrap();
    assert_eq!(found[0].1, [format!("{},1", served.portal())]);
    served.stop();
}

#[test]
fn several_targets_on_two_threads_change_together_or_not_at_all() {
    let two = |first: &str, second: &str, portal: &str| {
        let mut text = format!(
            "iscsi.portals = [\"{portal}\"]\napi.socket = \"api.sock\"\n\
             state.directory = \"state\"\nio.threads = 2\n"
        );
        for name in ["a", "b", "c"] {
            text += &format!("[[array]]\nname = \"{name}\"\nmembers = [\"{name}.img\"]\n");
        }
        text += "[[array]]\nname = \"lost\"\nmembers = [\"lost.img\"]\n";
        for (name, luns) in [("", first), (":two", second), (":three", "[]")] {
            text += &format!("[[target]]\nname = \"{}{name}\"\nluns = {luns}\n", served::TARGET);
        }
        text
    };
    let files = [("a.img", 16 * MIB), ("b.img", 16 * MIB), ("c.img", 8 * MIB)];
    let portal = "0.0.0.0:0";
    let mut served = Served::start(folder(&files), &two("[\"a\"]", "[\"b\"]", portal));
    assert_eq!(served.drivers().len(), 3);
    let mut first = served.session(wishes("first"), 0);
    let mut other = wishes("second");
    other.target_name = Some(format!("{}:two", served::TARGET));
    let mut second = served.session(other, 0);
    first.write(0, &[1; BLOCK]);
    second.write(0, &[2; BLOCK]);
    assert_eq!((first.read(0, BLOCK), second.read(0, BLOCK)), (vec![1; BLOCK], vec![2; BLOCK]));

    let answer = served.reload(&two("[\"a\", \"c\"]", "[\"b\", \"lost\"]", portal));
    assert!(answer.starts_with("HTTP/1.1 5"), "{answer}");
    attentions(&mut first);
    assert_eq!((luns(&mut first), luns(&mut second)), (vec![0], vec![0]));
    served.reloaded(&two("[\"a\", \"c\"]", "[\"b\"]", portal));
    attentions(&mut first);
    assert_eq!((luns(&mut first), luns(&mut second)), (vec![0, 1], vec![0]));

    // An array moves from one target to another.
    served.reloaded(&two("[\"a\", \"c\", \"b\"]", "[]", portal));
    attentions(&mut first);
    assert_eq!(luns(&mut first), [0, 1, 2]);
    let moved = served.session(wishes("moved"), 2).read(0, BLOCK);
    assert_eq!(moved, [2; BLOCK]);

    // A portal of all addresses has the one that the initiator came to.
    let found = first.client.send_targets("").unwrap();
    assert_eq!(found[0].1, [format!("127.0.0.1:{},1", served.portal().port())]);
    served.stop();
}

#[test]
fn a_disk_of_another_server_is_refused_and_the_server_goes_on() {
    let other = three_files();
    let theirs = other.file("a.img");
    let mut served = three_files();
    let mut session = served.session(wishes("stays"), 0);
    session.write(1, &[1; BLOCK]);
    let arrays = [("a", "a.img"), ("b", "b.img"), ("theirs", theirs.to_str().unwrap())];
    let answer = served.reload(&text(&arrays, &["a", "b", "theirs"]));
    assert!(answer.contains("a.img"), "{answer}");
    // At once: what was never opened is not waited for.
    session.write(2, &[2; BLOCK]);
    assert_eq!(luns(&mut session), [0, 1], "{}", served.log());
    served.stop();
}
