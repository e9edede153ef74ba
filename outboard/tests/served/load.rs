//! A load on one LUN: writes and reads in turn, each byte checked; what the LUN told beside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use outboard_iscsi::initiator::ClientError;
use outboard_scsi::Status;
use outboard_scsi::command::build::{Cdb, read_16, write_16};

use crate::iscsi::session::{BLOCK, Session, blocks};

const BYTES: usize = 16 << 10;
const DEPTH: u64 = 8;
const STEP: u64 = (BYTES / BLOCK) as u64;

/// What a load came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) commands: u64,
    /// the longest time without an answer
    pub(crate) pause: Duration,
    /// additional sense codes of unit attentions, in order
    pub(crate) attentions: Vec<(u8, u8)>,
    /// how the connection ended, if it did
    pub(crate) ended: Option<ClientError>,
    /// commands without an answer then
    pub(crate) lost: usize,
}

/// Runs until `stop`, or until the connection ends. From block `first` on the LUN is this load's
/// alone.
pub(crate) fn run(mut session: Session, first: u64, stop: &AtomicBool) -> Outcome {
    let mut outcome = Outcome::default();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) && outcome.ended.is_none() {
        round += 1;
        if let Err(error) = turn(&mut session, first, round, &mut outcome) {
            outcome.lost = session.client.outstanding();
            outcome.ended = Some(error);
        }
    }
    outcome
}

fn turn(
    session: &mut Session,
    first: u64,
    round: u64,
    outcome: &mut Outcome,
) -> Result<(), ClientError> {
    let data = |index: u64| {
        let word = (round << 16 | index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word.to_le_bytes().repeat(BYTES / 8)
    };
    let writes: Vec<_> = (0..DEPTH)
        .map(|index| (write_16(first + index * STEP, blocks(BYTES)), data(index)))
        .collect();
    all(session, &writes, 0, outcome)?;
    let reads: Vec<_> = (0..DEPTH)
        .map(|index| (read_16(first + index * STEP, blocks(BYTES)), Vec::new()))
        .collect();
    let read = all(session, &reads, BYTES as u32, outcome)?;
    for (index, read) in (0..).zip(read) {
        assert!(read == data(index), "round {round}: command {index} reads something else");
    }
    Ok(())
}

/// Has commands done, again after a unit attention; what they read.
fn all(
    session: &mut Session,
    commands: &[(Cdb, Vec<u8>)],
    room: u32,
    outcome: &mut Outcome,
) -> Result<Vec<Vec<u8>>, ClientError> {
    let mut read = vec![Vec::new(); commands.len()];
    let mut left: Vec<usize> = (0..commands.len()).collect();
    while !left.is_empty() {
        let mut tags = Vec::new();
        for index in left.drain(..) {
            let (cdb, data) = &commands[index];
            let command = outboard_iscsi::initiator::Command::new(session.lun, cdb.as_slice());
            let command =
                outboard_iscsi::initiator::Command { data_out: data, expected_in: room, ..command };
            tags.push((session.client.submit(&command)?, index));
        }
        let mut since = Instant::now();
        while !tags.is_empty() {
            let (tag, completion) = session.client.complete_any()?;
            outcome.pause = outcome.pause.max(since.elapsed());
            since = Instant::now();
            let at = tags.iter().position(|(known, _)| *known == tag).unwrap();
            let (_, index) = tags.swap_remove(at);
            outcome.commands += 1;
            if completion.status == Status::Good.code() {
                read[index] = completion.data;
                continue;
            }
            let sense = &completion.sense;
            assert_eq!(sense[2] & 0xf, 6, "no unit attention: {completion:02x?}");
            outcome.attentions.push((sense[12], sense[13]));
            left.push(index);
        }
    }
    Ok(read)
}
