//! The loads beside each other: one that checks every byte and bears nothing, one that bears
//! everything except what is another LUN's.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use outboard_iscsi::initiator::{Client, ClientError, Command, Wishes, task::lun};
use outboard_scsi::Status;
use outboard_scsi::command::build::{read_16, write_16};

use crate::iscsi::session::{BLOCK, Session, blocks, connect};

const BYTES: usize = 16 << 10;
const STEP: u64 = (BYTES / BLOCK) as u64;
const DEPTH: u64 = 8;
/// Of the hostile LUN: 4 MiB.
const PLACES: u64 = (4 << 20) / BYTES as u64;
/// What every 16 bytes of the healthy LUN begin with, and nothing else.
const MARK: [u8; 8] = *b"HEALTHY!";
/// So long is an answer of the hostile LUN waited for; then its session is given up.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two rounds on the hostile LUN, so that it asks for little of the processors.
const REST: Duration = Duration::from_millis(2);

/// What the healthy LUN did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Healthy {
    pub(crate) commands: u64,
    pub(crate) longest: Duration,
}

/// What the hostile one did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hostile {
    pub(crate) good: u64,
    pub(crate) failed: u64,
    pub(crate) sessions: u64,
}

/// What the healthy LUN has at a place after a round.
fn pattern(place: u64, round: u64) -> Vec<u8> {
    let mut unit = MARK.to_vec();
    unit.extend((round << 24 | place).to_le_bytes());
    unit.repeat(BYTES / unit.len())
}

/// Writes and reads in turn, at depth 8; all must be right.
pub(crate) fn healthy(session: &mut Session, stop: &AtomicBool) -> Healthy {
    let mut done = Healthy::default();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        for reads in [false, true] {
            let begun = Instant::now();
            let mut tags = Vec::new();
            for place in 0..DEPTH {
                let at = place * STEP;
                tags.push(match reads {
                    true => session.submit(&read_16(at, blocks(BYTES)), &[], BYTES as u32),
                    false => {
                        session.submit(&write_16(at, blocks(BYTES)), &pattern(place, round), 0)
                    }
                });
            }
            for _ in 0..DEPTH {
                let (tag, completion) = session.client.complete_any().unwrap();
                assert_eq!(completion.status, Status::Good.code(), "{completion:02x?}");
                let place = tags.iter().position(|known| *known == tag).unwrap() as u64;
                assert!(!reads || completion.data == pattern(place, round), "place {place}");
                done.commands += 1;
            }
            done.longest = done.longest.max(begun.elapsed());
        }
    }
    done
}

/// Reads and writes on the hostile LUN, whatever comes of it, with new sessions where one ends.
pub(crate) fn hostile(portal: SocketAddr, wishes: &Wishes, stop: &AtomicBool) -> Hostile {
    let mut done = Hostile::default();
    while !stop.load(Ordering::Relaxed) {
        done.sessions += 1;
        // Whatever ended it, the next one tries again.
        let _ = one_session(portal, wishes.clone(), stop, &mut done);
        std::thread::sleep(REST);
    }
    done
}

fn one_session(
    portal: SocketAddr,
    wishes: Wishes,
    stop: &AtomicBool,
    done: &mut Hostile,
) -> Result<(), ClientError> {
    let stream = connect(portal).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::login(stream, wishes)?;
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        for place in 0..4 {
            round += 1;
            let at = (round * 7 + place) % PLACES * STEP;
            let data = [0xee; BYTES];
            let (read, write) = (read_16(at, blocks(BYTES)), write_16(at, blocks(BYTES)));
            client.submit(&match place % 2 {
                0 => Command { data_out: &data, ..Command::new(lun(0), write.as_slice()) },
                _ => Command::read(lun(0), read.as_slice(), BYTES as u32),
            })?;
        }
        for _ in 0..4 {
            let (_, completion) = client.complete_any()?;
            let foreign = completion.data.chunks(8).any(|word| word == MARK);
            assert!(!foreign, "another LUN's data: {:02x?}", &completion.data[..64]);
            match completion.status == Status::Good.code() {
                true => done.good += 1,
                false => done.failed += 1,
            }
        }
        std::thread::sleep(REST);
    }
    Ok(())
}
