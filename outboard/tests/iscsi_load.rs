//! `outboard serve` under load and under clients that come and go: a mixed load that checks every
//! byte, connections that are cut at each step, half-open ones, readers that do not read. What the
//! server holds afterwards is what it held before.
//!
//! In short here; `cargo xtask soak` runs the same for longer, by these variables:
//! `OUTBOARD_SOAK_SECONDS`, `OUTBOARD_SOAK_CYCLES`, `OUTBOARD_SOAK_HALF_OPEN`.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use iscsi::MIB;
use iscsi::mixed::{Mixed, Part};
use iscsi::server::{Server, Setup, Usage};
use iscsi::session::{BLOCK, Session, connect, wishes};
use outboard_iscsi::initiator::Wishes;
use outboard_iscsi::pdu::{Bhs, LogoutReason};
use outboard_scsi::command::build::{read_16, write_16};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use scenario::leftovers::within;

const SESSIONS: u64 = 8;
const DEPTH: usize = 8;

/// What the server may have more afterwards, KiB: allocators keep what they have been given.
const GROWTH_MAX_KIB: usize = 4096;

/// A number from the environment, for longer runs.
fn setting(name: &str, short: u64) -> u64 {
    std::env::var(name).map_or(short, |text| text.parse().unwrap())
}

/// Sessions that negotiate differently, so that data moves in every way.
fn variety(session: u64) -> Wishes {
    let wishes = wishes(&format!("load{session}"));
    match session % 8 {
        0 => wishes,
        1 => wishes.with("HeaderDigest", "CRC32C").with("DataDigest", "CRC32C"),
        2 => wishes.with("ImmediateData", "No").with("InitialR2T", "Yes"),
        3 => wishes.with("InitialR2T", "Yes").with("MaxOutstandingR2T", "1"),
        4 => wishes
            .with("MaxRecvDataSegmentLength", "4096")
            .with("MaxBurstLength", "16384")
            .with("FirstBurstLength", "16384"),
        5 => wishes.with("ImmediateData", "No").with("FirstBurstLength", "8192"),
        6 => wishes
            .with("DataDigest", "CRC32C")
            .with("MaxBurstLength", "65536")
            .with("FirstBurstLength", "65536"),
        _ => wishes.with("HeaderDigest", "CRC32C").with("FirstBurstLength", "512"),
    }
}

fn mixed_load(server: &mut Server, bytes: u64) {
    let time = Duration::from_secs(setting("OUTBOARD_SOAK_SECONDS", 5));
    let units = bytes / 4096 / SESSIONS;
    let begun = Instant::now();
    let all: Vec<_> = std::thread::scope(|scope| {
        let shared = &*server;
        let start = |session| {
            let part = Part { session, first: session * units, units };
            scope.spawn(move || Mixed::new(shared, variety(session), part, DEPTH).run(time))
        };
        let threads: Vec<_> = (0..SESSIONS).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let [commands, bytes, logins] = [
        all.iter().map(|done| done.commands).sum::<u64>(),
        all.iter().map(|done| done.bytes).sum(),
        all.iter().map(|done| done.logins).sum(),
    ];
    println!(
        "{commands} commands, {} MiB, {logins} logins in {:.1} s",
        bytes / MIB,
        begun.elapsed().as_secs_f64()
    );
    assert!(all.iter().all(|done| done.commands > 100), "a session starved: {all:?}");
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn every_byte_of_a_mixed_load_is_right_in_a_file() {
    mixed_load(&mut Setup::file(128 * MIB).start(), 128 * MIB);
}

#[test]
fn every_byte_of_a_mixed_load_is_right_in_memory() {
    mixed_load(&mut Setup::memory(64 * MIB).start(), 64 * MIB);
}

#[test]
fn a_driver_that_dies_under_load_costs_no_byte() {
    let mut server = Setup::file(64 * MIB).start();
    let time = Duration::from_secs(setting("OUTBOARD_SOAK_SECONDS", 5));
    let units = 64 * MIB / 4096 / 4;
    let mut deaths = 0;
    std::thread::scope(|scope| {
        let shared = &server;
        let start = |session| {
            let part = Part { session, first: session * units, units };
            scope.spawn(move || Mixed::new(shared, variety(session), part, DEPTH).run(time))
        };
        let threads: Vec<_> = (0..4).map(start).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(900));
            for driver in shared.drivers() {
                let pid = Pid::from_raw(driver.cast_signed()).unwrap();
                deaths += usize::from(kill_process(pid, Signal::KILL).is_ok());
            }
        }
        for thread in threads {
            let done = thread.join().unwrap();
            assert!(done.commands > 50, "{done:?}");
        }
    });
    println!("{deaths} drivers killed");
    assert!(deaths >= 3, "{deaths} drivers killed");
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn a_session_without_work_costs_nothing() {
    let server = Setup::memory(64 * MIB).start();
    let mut sessions: Vec<_> =
        (0..4).map(|index| Session::open(&server, wishes(&format!("idle{index}")))).collect();
    sessions[0].write(0, &[1; BLOCK]);
    std::thread::sleep(Duration::from_millis(500));
    let (before, begun) = (server.cpu(), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let ran = server.cpu().saturating_sub(before);
    let percent = ran.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    println!("{percent:.3} % of a processor");
    assert!(percent < 1.0, "{percent:.3} % of a processor");
    assert_eq!(sessions[0].read(0, BLOCK), [1; BLOCK]);
}

#[test]
fn two_connections_of_a_session_see_one_disk() {
    let server = Setup::memory(64 * MIB).start();
    let mut first = Session::open(&server, wishes("two"));
    if first.client.parameters().max_connections < 2 {
        return scenario::skipped("two connections of a session: MaxConnections=1 was agreed");
    }
    let joining = wishes("two").joining(first.client.tsih(), 1);
    let mut second = Session::try_open(&server, joining).unwrap();
    for round in 0..200u64 {
        let data = [round as u8; 8 * BLOCK];
        second.client.cmd_sn = first.client.cmd_sn;
        second.write(round * 8, &data);
        first.client.cmd_sn = second.client.cmd_sn;
        assert_eq!(first.read(round * 8, data.len()), data);
    }
    // One logs out; the other stays.
    second.client.cmd_sn = first.client.cmd_sn;
    first.client.logout(LogoutReason::CloseConnection, 0).unwrap();
    drop(first);
    assert_eq!(second.read(8, BLOCK), [1; BLOCK]);
}

/// Waits until the server holds what it held before; what it holds in the end.
#[track_caller]
fn assert_back(server: &Server, before: Usage) -> Usage {
    let back = |usage: &Usage| {
        usage.descriptors <= before.descriptors
            && usage.threads <= before.threads
            && usage.kib <= before.kib + GROWTH_MAX_KIB
    };
    within(Duration::from_secs(40), || back(&server.usage()));
    let after = server.usage();
    println!("before {before:?}, after {after:?}");
    assert!(back(&after), "before {before:?}, after {after:?}");
    after
}

/// The first bytes of a login: a header that promises text which does not come.
const HALF_LOGIN: [u8; 48] = {
    let mut header = [0; 48];
    header[0] = 0x43; // Login Request, immediate
    header[1] = 0x87; // transit, from operational to full feature
    header[6] = 0x01; // 256 bytes of text
    header[8] = 0x80;
    header
};

/// A client that goes away at one of the steps of its life.
fn cut_at(server: &Server, step: u64, cycle: u64) {
    let name = format!("cycle{}", cycle % 7);
    if step == 0 {
        drop(connect(server.portal()).unwrap());
        return;
    }
    if step == 1 {
        let mut stream = connect(server.portal()).unwrap();
        stream.write_all(&HALF_LOGIN[..(cycle % 48) as usize + 1]).unwrap();
        return;
    }
    let mut session = Session::try_open(server, wishes(&name)).unwrap();
    let lba = cycle % 1000 * 64;
    match step {
        // Nothing more than the login.
        2 => {}
        // Reads that nobody takes.
        3 => {
            for _ in 0..8 {
                session.submit(&read_16(lba, 64), &[], 64 * BLOCK as u32);
            }
        }
        // A write whose data is asked for and does not come: more than the first burst.
        4 => {
            let data = vec![1; 600 << 10];
            session.submit(&write_16(0, (data.len() / BLOCK) as u32), &data, 0);
        }
        // In the middle of a header.
        5 => session.client.pdus().write_raw(&[1; 20]).unwrap(),
        // Half of what was promised.
        6 => {
            let data = vec![1; 64 << 10];
            let mut bytes = Vec::new();
            let mut header = Bhs([0; 48]);
            header.0[0] = 0x01;
            header.0[1] = 0xa0;
            header.0[16..20].copy_from_slice(&77u32.to_be_bytes());
            header.0[20..24].copy_from_slice(&(64u32 << 10).to_be_bytes());
            header.0[24..28].copy_from_slice(&session.client.cmd_sn.to_be_bytes());
            header.0[32..48].copy_from_slice(write_16(lba, 128).bytes());
            session.client.pdus().encode(header, &[], &data, &mut bytes).unwrap();
            session.client.pdus().write_raw(&bytes[..bytes.len() / 2]).unwrap();
        }
        // Properly, in the end.
        _ => {
            session.client.logout(LogoutReason::CloseSession, 0).unwrap();
        }
    }
    // Some go with a reset, the others with a FIN.
    if cycle.is_multiple_of(2) {
        let _ = session.client.stream().shutdown(Shutdown::Both);
    }
}

#[test]
fn connections_that_are_cut_leave_nothing_behind() {
    const STEPS: u64 = 8;
    let mut server = Setup::memory(64 * MIB).start();
    let cycles = setting("OUTBOARD_SOAK_CYCLES", 800);
    for cycle in 0..STEPS * 10 {
        cut_at(&server, cycle % STEPS, cycle);
    }
    std::thread::sleep(Duration::from_millis(500));
    let before = server.usage();
    let begun = Instant::now();
    for cycle in 0..cycles {
        cut_at(&server, cycle % STEPS, cycle);
    }
    println!("{cycles} cycles in {:.1} s", begun.elapsed().as_secs_f64());
    assert_back(&server, before);
    let mut session = Session::open(&server, wishes("after"));
    session.write(0, &[5; BLOCK]);
    assert_eq!(session.read(0, BLOCK), [5; BLOCK]);
    drop(session);
    assert!(server.stop().success(), "{}", server.log());
}

#[test]
fn half_open_connections_are_bounded_and_end() {
    let wanted = setting("OUTBOARD_SOAK_HALF_OPEN", 1000) as usize;
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let server = Setup::memory(64 * MIB).start();
    let mut session = Session::open(&server, wishes("working"));
    session.write(0, &[9; 64 * BLOCK]);
    let before = server.usage();

    let mut half_open = Vec::with_capacity(wanted);
    for index in 0..wanted {
        // A full backlog may refuse for a moment.
        let Ok(mut stream) = TcpStream::connect(server.portal()) else { continue };
        let _ = stream.write_all(&HALF_LOGIN[..index % 49]);
        half_open.push(stream);
    }
    assert!(half_open.len() > wanted * 9 / 10, "{} of {wanted} connected", half_open.len());
    let during = server.usage();
    println!("{} half-open: before {before:?}, during {during:?}", half_open.len());
    assert!(during.kib <= before.kib + 32 * 1024, "{before:?} {during:?}");
    // Who is logged in goes on.
    for _ in 0..100 {
        assert_eq!(session.read(0, 64 * BLOCK), [9; 64 * BLOCK]);
    }
    // Nobody waits for ever: the login timeout ends them all, from the server's side.
    let begun = Instant::now();
    for stream in &mut half_open {
        let left = Duration::from_secs(60).saturating_sub(begun.elapsed());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
        let mut rest = [0; 512];
        loop {
            match stream.read(&mut rest) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("a half-open connection is kept: {error}"),
            }
        }
    }
    println!("all ended after {:.1} s", begun.elapsed().as_secs_f64());
    drop(half_open);
    assert_back(&server, before);
    Session::open(&server, wishes("after")).read(0, BLOCK);
    assert_eq!(session.read(0, BLOCK), [9; BLOCK]);
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody() {
    let server = Setup::memory(64 * MIB).start();
    let mut working = Session::open(&server, wishes("working"));
    working.write(0, &[3; 64 * BLOCK]);
    let before = server.usage();
    let mut slow: Vec<_> =
        (0..4).map(|index| Session::open(&server, wishes(&format!("slow{index}")))).collect();
    for session in &mut slow {
        // As many as its window allows, at most 32 MiB.
        let window = session.client.max_cmd_sn().wrapping_sub(session.client.cmd_sn) + 1;
        for index in 0..u64::from(window.min(32)) {
            session.submit(&read_16(index * 2048, 2048), &[], 1 << 20);
        }
    }
    let begun = Instant::now();
    let mut reads = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(working.read(0, 64 * BLOCK), [3; 64 * BLOCK]);
        reads += 1;
    }
    let during = server.usage();
    println!("{reads} reads beside readers that do not read; before {before:?}, during {during:?}");
    assert!(reads > 200, "{reads} reads in two seconds");
    assert!(during.kib <= before.kib + 32 * 1024, "{before:?} {during:?}");
    // They get their data once they want it.
    for session in &mut slow {
        while session.client.outstanding() > 0 {
            let (_, completion) = session.client.complete_any().unwrap();
            assert_eq!((completion.status, completion.data.len()), (0, 1 << 20));
        }
    }
}
