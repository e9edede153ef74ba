//! EXTENDED COPY: piece by piece a READ(16) from the source and a WRITE(16) to the destination,
//! segment after segment.

use outboard_scsi::command::build;
use outboard_scsi::{Direction, Lun, Sense, SenseKey};
use outboard_spc::copy::{Extent, Piece, Plan};
use outboard_spc::{NexusId, Response};

use super::{Outcome, Stack, Step, Task};

/// Most bytes of a piece.
const PIECE_BYTES: u64 = 512 << 10;

/// A copy in progress.
#[derive(Debug)]
pub(super) struct Copying {
    plan: Plan,
    /// which segment is next, or in process
    at: usize,
    /// bytes of it that are copied
    done: u64,
    /// bytes of all segments that are copied
    written: u64,
    /// the piece in process
    piece: Option<Piece>,
    /// it has been read
    read: bool,
    /// a disk that it was to read or write is not there any more
    lost: bool,
}

impl Copying {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, at: 0, done: 0, written: 0, piece: None, read: false, lost: false }
    }

    /// Who asked for it.
    pub(super) fn nexus(&self) -> NexusId {
        self.plan.nexus
    }

    /// The disk at `lun` has gone. What comes in its place is not what was meant.
    pub(super) fn lose_disk(&mut self, lun: Lun) {
        let left = self.plan.segments.iter().skip(self.at);
        self.lost |= left.flat_map(|s| [s.source.lun, s.destination.lun]).any(|end| end == lun);
    }

    pub(super) fn step(
        &mut self,
        stack: &mut Stack,
        outcome: Option<Outcome>,
        aborted: bool,
        slot: Option<u16>,
    ) -> Step {
        if self.lost {
            return self.end(stack, Some(Sense::COPY_TARGET_DEVICE_NOT_REACHABLE));
        }
        match outcome {
            Some(Outcome::Good) if self.read => self.piece_written(stack),
            Some(Outcome::Good) => self.read = true,
            Some(Outcome::Failed(sense)) if sense.key == SenseKey::NotReady => {
                return self.end(stack, Some(Sense::COPY_TARGET_DEVICE_NOT_REACHABLE));
            }
            Some(_) => return self.end(stack, Some(Sense::THIRD_PARTY_DEVICE_FAILURE)),
            // Nothing has been begun, or the same again. A write goes out again from the buffer: its
            // source may have changed under it.
            None => {}
        }
        if aborted {
            return self.end(stack, None);
        }
        if self.read
            && let Some(piece) = self.piece
        {
            return match stack.target.copy_refused(self.plan.nexus, &piece) {
                Some(sense) => self.end(stack, Some(sense)),
                None => Step::Start(write(stack, &piece.destination)),
            };
        }
        self.next(stack, slot)
    }

    /// The read of the next piece, or the end.
    fn next(&mut self, stack: &mut Stack, slot: Option<u16>) -> Step {
        let segment = loop {
            let Some(segment) = self.plan.segments.get(self.at) else {
                return self.end(stack, None);
            };
            if self.done < segment.source.len() {
                break *segment;
            }
            self.at += 1;
            self.done = 0;
        };
        if let Some(sense) = stack.target.copy_refused(self.plan.nexus, &segment) {
            return self.end(stack, Some(sense));
        }
        // A piece is whole blocks at both ends.
        let unit = common_multiple(segment.source.block_size, segment.destination.block_size);
        let Some(buffer) = slot.and_then(|slot| stack.ledger.record(slot)).map(|r| r.buffer.len)
        else {
            return Step::Place { bytes: PIECE_BYTES.max(unit), least: unit };
        };
        let most = [segment.source, segment.destination]
            .iter()
            .map(|extent| stack.max_transfer(extent))
            .fold(buffer, u64::min);
        let whole = most - most % unit;
        if whole == 0 {
            return self.end(stack, Some(Sense::COPY_ABORTED.with_segment(segment.number)));
        }
        let bytes = whole.min(segment.source.len() - self.done);
        // What is written must not be what is still to be read.
        let at = match is_moved_up(&segment) {
            true => segment.source.len() - self.done - bytes,
            false => self.done,
        };
        let piece = Piece {
            number: segment.number,
            source: segment.source.part(at, bytes),
            destination: segment.destination.part(at, bytes),
        };
        self.piece = Some(piece);
        stack.target.copy_progress(&self.plan, segment.number + 1, self.written);
        Step::Start(read(&piece.source))
    }

    fn piece_written(&mut self, stack: &mut Stack) {
        self.read = false;
        let Some(piece) = self.piece.take() else { return };
        self.done += piece.source.len();
        self.written += piece.source.len();
        stack.target.copy_progress(&self.plan, piece.number + 1, self.written);
    }

    fn end(&mut self, stack: &mut Stack, error: Option<Sense>) -> Step {
        let number = self.plan.segments.get(self.at).map_or(0, |segment| segment.number);
        let error = error.map(|sense| sense.with_segment(number));
        if error.is_none() {
            let segments = u16::try_from(self.plan.segments.len()).unwrap_or(u16::MAX);
            stack.target.copy_progress(&self.plan, segments, self.written);
        }
        stack.target.copy_ended(&self.plan, error);
        Step::End(error.map_or(Response::good(Vec::new()), Response::from))
    }
}

impl Stack {
    /// Bytes of the largest READ or WRITE of a unit.
    fn max_transfer(&self, extent: &Extent) -> u64 {
        let blocks =
            self.target.unit(extent.lun).map_or(0, |unit| unit.config().limits.max_transfer);
        u64::from(blocks) * u64::from(extent.block_size)
    }
}

fn read(extent: &Extent) -> Task {
    Task {
        lun: extent.lun,
        cdb: build::read_16(extent.lba, blocks(extent)),
        direction: Direction::FromDevice,
        bytes: extent.len(),
        range: (extent.lba, extent.blocks),
        writes: false,
        through: false,
    }
}

fn write(stack: &Stack, extent: &Extent) -> Task {
    Task {
        cdb: build::write_16(extent.lba, blocks(extent)),
        direction: Direction::ToDevice,
        writes: true,
        through: stack.target.unit(extent.lun).is_some_and(|unit| unit.write_through()),
        ..read(extent)
    }
}

/// A piece is no longer than a buffer.
fn blocks(extent: &Extent) -> u32 {
    u32::try_from(extent.blocks).unwrap_or(u32::MAX)
}

/// Whether source and destination overlap such that the last blocks are to be copied first.
fn is_moved_up(segment: &Piece) -> bool {
    let Piece { source, destination, .. } = segment;
    let end = source.lba.saturating_add(source.blocks);
    source.lun == destination.lun && source.lba < destination.lba && destination.lba < end
}

/// Least common multiple of two block lengths.
fn common_multiple(a: u32, b: u32) -> u64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    u64::from(a / x.max(1)) * u64::from(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_blocks_at_both_ends() {
        assert_eq!(common_multiple(512, 4096), 4096);
        assert_eq!(common_multiple(1536, 1024), 3072);
        assert_eq!(common_multiple(512, 512), 512);
    }
}
