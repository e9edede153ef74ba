//! Arrays whose disks hold ciphertext, and CRYPTOGRAPHIC ERASE: the key before it or the one after it,
//! whatever dies on the way.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use iscsi::MIB;
use iscsi::server::{Server, Setup};
use iscsi::session::{BLOCK, Session, blocks, wishes};
use outboard_scsi::Status;
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::command::{ReportingOptions, SanitizeAction, opcode};
use rustix::process::{Pid, Signal, kill_process};

const BYTES: u64 = 16 * MIB;
/// Of the data that a test writes and looks for.
const PIECE: usize = 256 << 10;

fn encrypted(setup: Setup) -> Setup {
    let key = setup.folder().join("data.key").display().to_string();
    setup.with(&["--key-file", &key])
}

fn key_of(server: &Server) -> String {
    fs::read_to_string(server.folder().join("data.key")).unwrap().trim().to_owned()
}

fn erase(immediate: bool) -> Cdb {
    build::sanitize(SanitizeAction::CryptographicErase, immediate, 0)
}

fn data(seed: u8) -> Vec<u8> {
    (0..PIECE).map(|i| seed.wrapping_add((i / BLOCK) as u8) | 1).collect()
}

/// How many blocks of `piece` are the same in `other`.
fn alike(piece: &[u8], other: &[u8]) -> usize {
    let pairs = piece.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK));
    pairs.filter(|(one, other)| one == other).count()
}

fn kill_driver(server: &Server) -> bool {
    let driver = server.drivers().first().copied().and_then(|pid| Pid::from_raw(pid as i32));
    driver.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

fn config_in_force(server: &Server) -> String {
    let mut socket = UnixStream::connect(server.folder().join("api.sock")).unwrap();
    let request = "GET /v1/config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_disk_has_ciphertext_and_only_the_key_file_the_key() {
    for setup in [Setup::file(BYTES), Setup::striped(BYTES)] {
        let mut server = encrypted(setup).start();
        let mut session = Session::open(&server, wishes("one"));
        let written = data(1);
        session.write(900, &written);
        assert_eq!(session.read(900, PIECE), written);
        assert_eq!(session.read(9000, PIECE), vec![0; PIECE], "nobody has written there");
        let key = key_of(&server);
        let config = config_in_force(&server);
        assert!(config.contains("data.key") && !config.contains(&key), "{config}");
        assert!(kill_driver(&server));
        assert_eq!(session.read(900, PIECE), written, "the successor has the key too");
        drop(session);
        assert!(server.stop().success(), "{}", server.log());
        for path in server.disk().display().to_string().split(',') {
            let medium = fs::read(path).unwrap();
            assert!(medium.iter().any(|&byte| byte != 0));
            let shown = medium
                .chunks_exact(16)
                .any(|bytes| bytes != [0; 16] && bytes.iter().all(|byte| byte == &bytes[0]));
            assert!(!shown, "data in clear text");
        }
        assert!(!server.log().contains(&key));
        server.start_again();
        assert_eq!(Session::open(&server, wishes("two")).read(900, PIECE), written);
    }
}

#[test]
fn without_its_key_an_array_is_not_served() {
    let mut server = encrypted(Setup::file(BYTES)).start();
    Session::open(&server, wishes("one")).write(0, &data(1));
    assert!(server.stop().success());
    let (path, aside) = (server.folder().join("data.key"), server.folder().join("aside"));
    fs::rename(&path, &aside).unwrap();
    let refused = |server: &Server, words: &[&str]| {
        let status = server.run_again();
        let log = server.log();
        assert_eq!(status.code(), Some(1), "{log}");
        let last = log.lines().rev().take(3).collect::<String>();
        assert!(words.iter().all(|word| last.contains(word)), "{words:?}: {last}");
    };
    refused(&server, &["data.key is not there", "put it back"]);
    assert!(!path.exists(), "no new key is made");
    // Without the state directory, the data itself shows that there should be a key.
    let keys = server.folder().join("state/keys");
    fs::rename(&keys, server.folder().join("keys")).unwrap();
    refused(&server, &["data.key is not there", "for empty disks only"]);
    fs::rename(server.folder().join("keys"), &keys).unwrap();
    fs::copy(&aside, &path).unwrap();
    let other: String = key_of(&server).chars().rev().collect();
    fs::write(&path, other).unwrap();
    refused(&server, &["holds another key", "put the right file back"]);
    fs::rename(&aside, &path).unwrap();
    server.start_again();
    assert_eq!(Session::open(&server, wishes("two")).read(0, PIECE), data(1));
}

#[test]
fn an_erased_key_leaves_other_data_and_a_unit_that_works() {
    let mut server = encrypted(Setup::file(BYTES)).start();
    let mut session = Session::open(&server, wishes("one"));
    let options = ReportingOptions::ServiceAction;
    let report = build::report_supported_opcodes(options, opcode::SANITIZE, 3, false, 32);
    assert_eq!(session.good(&report, &[], 32)[1] & 7, 3);
    let key = key_of(&server);
    for immediate in [false, true] {
        session.write(0, &data(1));
        session.good(&erase(immediate), &[], 0);
        let until = Instant::now() + Duration::from_secs(10);
        while session.run(&build::test_unit_ready(), &[], 0).status != Status::Good.code() {
            assert!(immediate && Instant::now() < until, "it does not end");
        }
        let left = session.read(0, PIECE);
        assert_eq!(alike(&left, &data(1)), 0, "data that was erased");
        assert!(left.chunks_exact(BLOCK).all(|block| block != [0; BLOCK]), "nothing is written");
    }
    assert!(key_of(&server) != key);
    session.write(0, &data(2));
    assert_eq!(session.read(0, PIECE), data(2));
    drop(session);
    assert!(server.stop().success());
    server.start_again();
    assert_eq!(Session::open(&server, wishes("two")).read(0, PIECE), data(2));
}

#[test]
fn what_is_not_encrypted_has_no_key_to_erase() {
    let server = Setup::memory(BYTES).start();
    let mut session = Session::open(&server, wishes("one"));
    let refused = session.run(&erase(false), &[], 0);
    assert_eq!(refused.status, Status::CheckCondition.code());
    let options = ReportingOptions::ServiceAction;
    let report = build::report_supported_opcodes(options, opcode::SANITIZE, 3, false, 32);
    assert_eq!(session.good(&report, &[], 32)[1] & 7, 1);
}

#[test]
fn a_key_is_erased_under_load() {
    let server = encrypted(Setup::memory(BYTES)).start();
    let mut session = Session::open(&server, wishes("one"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loads: Vec<_> = (1..4_u64)
            .map(|number| {
                let (mut load, stop) =
                    (Session::open(&server, wishes(&format!("load{number}"))), &stop);
                scope.spawn(move || {
                    let (mut round, mut good, mut refused) = (0_u8, 0, 0);
                    while !stop.load(Ordering::Relaxed) {
                        round = round.wrapping_add(1);
                        let written = data(round);
                        let write = build::write_16(number * 8192, blocks(PIECE));
                        let read = build::read_16(number * 8192, blocks(PIECE));
                        match load.run(&write, &written, 0).status {
                            status if status == Status::Good.code() => {}
                            _ => {
                                refused += 1;
                                continue;
                            }
                        }
                        let read = load.run(&read, &[], PIECE as u32);
                        if read.status == Status::Good.code() {
                            // As it was written, or, with an erasure between, none of it.
                            let alike = alike(&read.data, &written);
                            assert!(alike == 0 || alike == PIECE / BLOCK, "a mix: {alike}");
                            good += 1;
                        }
                    }
                    (good, refused)
                })
            })
            .collect();
        for round in 0..8 {
            session.write(0, &data(round));
            session.good(&erase(false), &[], 0);
            assert_eq!(alike(&session.read(0, PIECE), &data(round)), 0);
        }
        stop.store(true, Ordering::Relaxed);
        for load in loads {
            let (good, refused) = load.join().unwrap();
            println!("{good} round trips, {refused} refused meanwhile");
            assert!(good > 0);
        }
    });
}

/// Sends CRYPTOGRAPHIC ERASE, and `disturb`s it: in even rounds after some time, more with each, in
/// odd ones as soon as the key file has the new key. Whether it ended with GOOD.
fn erase_and(server: &mut Server, round: u8, disturb: impl FnOnce(&mut Server)) -> bool {
    let session = Session::open(server, wishes("eraser"));
    let key = key_of(server);
    std::thread::scope(|scope| {
        let erasing = scope.spawn(move || {
            let mut session = session;
            let cdb = erase(false);
            session.client.command(session.lun, cdb.as_slice(), &[], 0)
        });
        if round.is_multiple_of(2) {
            std::thread::sleep(Duration::from_millis(u64::from(round) * 3));
        } else {
            let until = Instant::now() + Duration::from_secs(10);
            while key_of(server) == key {
                assert!(Instant::now() < until, "no new key");
            }
        }
        disturb(server);
        erasing.join().unwrap().is_ok_and(|ended| ended.status == Status::Good.code())
    })
}

#[test]
fn a_driver_that_dies_meanwhile_brings_no_key_back() {
    let mut server = encrypted(Setup::file(BYTES)).start();
    for round in 0..12_u8 {
        let mut session = Session::open(&server, wishes("one"));
        session.write(0, &data(round));
        let key = key_of(&server);
        let good = erase_and(&mut server, round, |server| {
            kill_driver(server);
        });
        assert!(good, "round {round}\n{}", server.log());
        assert!(key_of(&server) != key);
        assert_eq!(alike(&session.read(0, PIECE), &data(round)), 0, "round {round}");
    }
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn a_server_that_dies_meanwhile_has_the_one_key_or_the_other() {
    let mut server = encrypted(Setup::file(BYTES)).start();
    let mut outcomes = [0; 2];
    for round in 0..12_u8 {
        let mut session = Session::open(&server, wishes("one"));
        session.write(0, &data(round));
        session.good(&build::synchronize_cache_16(0, 0), &[], 0);
        drop(session);
        let good = erase_and(&mut server, round, Server::kill);
        server.start_again();
        let mut session = Session::open(&server, wishes("one"));
        let alike = alike(&session.read(0, PIECE), &data(round));
        assert!(alike == 0 || (!good && alike == PIECE / BLOCK), "round {round}: {good} {alike}");
        assert!(alike == 0 || round.is_multiple_of(2), "the new key was there already");
        outcomes[usize::from(alike == 0)] += 1;
        session.write(0, &data(99));
        assert_eq!(session.read(0, PIECE), data(99));
    }
    println!("{} times the old key, {} times the new one", outcomes[0], outcomes[1]);
    assert!(server.stop().success(), "{}", server.log());
}
