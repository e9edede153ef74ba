//! Persistent reservations that are kept over a power loss (APTPL, SPC-6 5.14.5): the whole server
//! is killed, started again, and initiators find what they left; a torn write of the state file
//! costs the last change and no more.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod iscsi;
mod scenario;

use std::fs;
use std::path::PathBuf;

use iscsi::MIB;
use iscsi::server::{Server, Setup};
use iscsi::session::{BLOCK, Session, wishes};
use outboard_scsi::Status;
use outboard_scsi::command::build::{persistent_reserve_in, persistent_reserve_out, write_16};
use outboard_scsi::command::{PersistentReserveInAction as In, PersistentReserveOutAction as Out};
use outboard_scsi::persistent_reserve::{ParameterList, ReservationType};

const KIND: ReservationType = ReservationType::WriteExclusive;
const KEY_A: u64 = 0xaaaa_0000_0000_0001;
const KEY_B: u64 = 0xbbbb_0000_0000_0002;
const NONE: [u64; 0] = [];

fn open(server: &Server, name: &str) -> Session {
    Session::open(server, wishes(name))
}

/// PERSISTENT RESERVE OUT.
#[track_caller]
fn out(session: &mut Session, action: Out, key: u64, action_key: u64, persist: bool) {
    let list = ParameterList { key, action_key, all_ports: false, persist, transport_ids: None };
    let mut bytes = [0; 24];
    list.encode(&mut bytes);
    session.good(&persistent_reserve_out(action, KIND.code(), 24), &bytes, 0);
}

/// The registered keys.
#[track_caller]
fn keys(session: &mut Session) -> Vec<u64> {
    let data = session.good(&persistent_reserve_in(In::ReadKeys, 1024), &[], 1024);
    let keys = data.get(8..).unwrap_or_default().chunks_exact(8);
    let mut keys: Vec<_> = keys.map(|key| u64::from_be_bytes(key.try_into().unwrap())).collect();
    keys.sort_unstable();
    keys
}

/// Key and type of the reservation.
#[track_caller]
fn reservation(session: &mut Session) -> Option<(u64, u8)> {
    let data = session.good(&persistent_reserve_in(In::ReadReservation, 256), &[], 256);
    let key = data.get(8..16)?;
    Some((u64::from_be_bytes(key.try_into().unwrap()), data[21] & 0x0f))
}

fn writes(session: &mut Session) -> u8 {
    session.run(&write_16(0, 1), &[7; BLOCK], 0).status
}

fn kill_and_start(server: &mut Server) {
    server.kill();
    server.start_again();
}

#[test]
fn a_reservation_survives_the_death_of_the_server() {
    let mut server = Setup::file(16 * MIB).start();
    let (mut a, mut b) = (open(&server, "a"), open(&server, "b"));
    out(&mut a, Out::Register, 0, KEY_A, true);
    out(&mut b, Out::Register, 0, KEY_B, true);
    out(&mut a, Out::Reserve, KEY_A, 0, false);
    assert_eq!(writes(&mut a), Status::Good.code());
    assert_eq!(writes(&mut b), Status::ReservationConflict.code());

    for _ in 0..3 {
        kill_and_start(&mut server);
        let (mut a, mut b) = (open(&server, "a"), open(&server, "b"));
        let mut stranger = open(&server, "c");
        assert_eq!(keys(&mut stranger), [KEY_A, KEY_B]);
        assert_eq!(reservation(&mut stranger), Some((KEY_A, KIND.code())));
        assert_eq!(writes(&mut stranger), Status::ReservationConflict.code());
        assert_eq!(writes(&mut b), Status::ReservationConflict.code());
        assert_eq!(writes(&mut a), Status::Good.code());
    }

    // What is given up stays given up.
    let mut a = open(&server, "a");
    out(&mut a, Out::Release, KEY_A, 0, false);
    kill_and_start(&mut server);
    let mut b = open(&server, "b");
    assert_eq!((keys(&mut b), reservation(&mut b)), (vec![KEY_A, KEY_B], None));
    assert_eq!(writes(&mut b), Status::Good.code());
    out(&mut b, Out::Clear, KEY_B, 0, false);
    kill_and_start(&mut server);
    assert_eq!(keys(&mut open(&server, "b")), NONE);
}

#[test]
fn without_aptpl_it_ends_with_the_server() {
    let mut server = Setup::file(16 * MIB).start();
    let mut a = open(&server, "a");
    out(&mut a, Out::Register, 0, KEY_A, false);
    out(&mut a, Out::Reserve, KEY_A, 0, false);
    kill_and_start(&mut server);
    let mut b = open(&server, "b");
    assert_eq!((keys(&mut b), reservation(&mut b)), (NONE.to_vec(), None));
    assert_eq!(writes(&mut b), Status::Good.code());

    // A registration that takes the persistence back takes all of it back (SPC-6 5.14.5).
    let mut a = open(&server, "a");
    out(&mut a, Out::Register, 0, KEY_A, true);
    out(&mut a, Out::Register, KEY_A, KEY_A, false);
    kill_and_start(&mut server);
    assert_eq!(keys(&mut open(&server, "b")), NONE);
}

#[test]
fn another_isid_is_another_nexus() {
    let mut server = Setup::file(16 * MIB).start();
    let mut a = open(&server, "a");
    out(&mut a, Out::Register, 0, KEY_A, true);
    out(&mut a, Out::Reserve, KEY_A, 0, false);
    kill_and_start(&mut server);
    let mut twin = wishes("a");
    twin.isid = [0x80, 0, 0, 0, 0, 9];
    assert_eq!(writes(&mut Session::open(&server, twin)), Status::ReservationConflict.code());
    assert_eq!(writes(&mut open(&server, "a")), Status::Good.code());
}

/// Reservations in the state folder, the most recently written first.
fn state_files(server: &Server) -> Vec<PathBuf> {
    fn walk(folder: PathBuf, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => walk(entry.path(), files),
                false => files.push(entry.path()),
            }
        }
    }
    let mut files = Vec::new();
    walk(server.folder().join("state"), &mut files);
    files.retain(|file| file.extension().is_some_and(|extension| extension == "reservations"));
    files.sort_by_key(|file| std::cmp::Reverse(fs::metadata(file).unwrap().modified().unwrap()));
    files
}

/// Where two versions of a file differ: from the first such byte to the last.
fn changed(before: &[u8], after: &[u8]) -> std::ops::Range<usize> {
    let differs = |at: &usize| before.get(*at) != after.get(*at);
    let length = before.len().max(after.len());
    let first = (0..length).find(differs).unwrap();
    first..(0..length).rfind(differs).unwrap() + 1
}

#[test]
fn a_torn_write_of_the_state_costs_the_last_change_alone() {
    let mut server = Setup::file(16 * MIB).start();
    let mut a = open(&server, "a");
    out(&mut a, Out::Register, 0, KEY_A, true);
    out(&mut a, Out::Reserve, KEY_A, 0, false);
    let file = state_files(&server).first().unwrap().clone();
    let before = fs::read(&file).unwrap();
    let mut b = open(&server, "b");
    out(&mut b, Out::Register, 0, KEY_B, true);
    server.kill();
    let after = fs::read(&file).unwrap();
    let newest = changed(&before, &after);

    // Torn at several places: the rest of the last write is what was there before.
    for part in [1, 3, 5, 7] {
        let cut = newest.start + newest.len() * part / 8;
        let mut torn = after.clone();
        for (at, byte) in torn.iter_mut().enumerate().take(newest.end).skip(cut) {
            *byte = before.get(at).copied().unwrap_or(0);
        }
        fs::write(&file, &torn).unwrap();
        server.start_again();
        let mut b = open(&server, "b");
        assert_eq!(keys(&mut b), [KEY_A], "torn after {part} of 8 parts");
        assert_eq!(reservation(&mut b), Some((KEY_A, KIND.code())));
        assert_eq!(writes(&mut b), Status::ReservationConflict.code());
        server.kill();
    }

    // Whole again, nothing is lost.
    fs::write(&file, &after).unwrap();
    server.start_again();
    assert_eq!(keys(&mut open(&server, "b")), [KEY_A, KEY_B]);
}
