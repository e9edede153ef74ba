//! Encryption: a disk whose medium holds nothing but ciphertext.
//!
//! AES-256-XTS, each logical block a data unit of its own whose number is the tweak. There is no room
//! for check data, so that an altered block is not noticed, and equal writes to one block look alike.
//!
//! **Holes.** A block of zeroes on the medium is one that nobody has written, and reads as zeroes: a
//! new disk does, and so does a range that was given back. No key turns data into such a block (the
//! chance is 2^-4096 for 512 bytes). So thin disks stay thin, at the price that the medium shows
//! which blocks are in use. A disk that gives nothing back writes zeroes like all other data.
//!
//! **Memory.** A read is decrypted where it is. What is to be written belongs to the caller, who may
//! want to write it again: it is encrypted into pages of scratch memory. A write for which there are
//! none waits for its turn.

mod key;
mod pages;
mod xts;

use std::collections::VecDeque;

use outboard_slots::Time;

use crate::contract::{
    Allocation, Completion, Disk, DiskError, Limits, Op, Rejected, Request, Segment,
};
use crate::engine::Engine;
use pages::Pages;
use xts::{Way, Xts};

pub use key::{EqualHalves, Key};
pub use pages::{MIN_SCRATCH_BYTES, ScratchTooSmall};

/// Bytes that are worked on at a time, in memory of this process alone: they stay in its nearest
/// cache. A multiple of every logical block.
const PIECE_BYTES: usize = 8 << 10;

/// `inner`, encrypted.
pub struct Crypt {
    inner: Box<dyn Disk>,
    limits: Limits,
    xts: Xts,
    pages: Pages,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// writes that have no pages yet, in their order
    waiting: VecDeque<u32>,
    fresh: Vec<Completion>,
    piece: Box<[u8; PIECE_BYTES]>,
}

/// A request from its acceptance to its end.
#[derive(Debug, Default)]
struct Slot {
    tag: u64,
    work: Work,
    offset: u64,
    len: u64,
    fua: bool,
    /// the caller's
    segments: Vec<Segment>,
    /// what of the scratch memory it has
    taken: Vec<Segment>,
}

/// What a request still needs when the disk inside has done its part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Work {
    #[default]
    Nothing,
    Decrypt,
    /// its pages go back
    Encrypted,
}

impl Crypt {
    /// `inner` under `key`, on an engine of this depth, with `len` bytes of the engine's memory from
    /// `offset` (a multiple of 512) for what is being written.
    ///
    /// # Errors
    /// [`ScratchTooSmall`].
    pub fn new(
        inner: Box<dyn Disk>,
        key: &Key,
        depth: u32,
        (offset, len): (u64, u64),
    ) -> Result<Self, ScratchTooSmall> {
        let pages = Pages::new(offset, len)?;
        let block = u64::from(inner.limits().block_size);
        let max_transfer = inner.limits().max_transfer.min(pages.largest()) / block * block;
        // Zeroes that are only noted are not encrypted.
        let write_zeroes = inner.limits().write_zeroes && inner.limits().discard.is_some();
        let limits = Limits { max_transfer, write_zeroes, ..*inner.limits() };
        Ok(Self {
            inner,
            limits,
            xts: Xts::new(key),
            pages,
            slots: (0..depth).map(|_| Slot::default()).collect(),
            free: (0..depth).rev().collect(),
            waiting: VecDeque::with_capacity(depth as usize),
            fresh: Vec::with_capacity(depth as usize),
            piece: Box::new([0; PIECE_BYTES]),
        })
    }

    /// Encrypts the data of a write that has its pages, and submits it.
    fn write(&mut self, engine: &mut Engine, index: u32) -> Result<(), DiskError> {
        let Some(slot) = self.slots.get(index as usize) else { return Err(DiskError::Busy) };
        let ends = Ends { from: &slot.segments, to: &slot.taken };
        work(
            &mut self.xts,
            Way::Encrypt,
            engine,
            slot.offset,
            &self.limits,
            ends,
            &mut self.piece,
        )?;
        let request = Request {
            tag: u64::from(index),
            op: Op::Write { fua: slot.fua },
            offset: slot.offset,
            len: slot.len,
            segments: &slot.taken,
        };
        self.inner.submit(engine, request).map_err(|rejected| rejected.error)
    }

    /// Starts what waits, in order, as far as there are pages.
    fn start_waiting(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        while let Some(&index) = self.waiting.front() {
            let Some(slot) = self.slots.get_mut(index as usize) else { return };
            if slot.taken.is_empty() && !self.pages.take(slot.len, &mut slot.taken) {
                return;
            }
            match self.write(engine, index) {
                Ok(()) => {}
                Err(DiskError::Busy) if self.inner.in_flight() > 0 => return,
                Err(error) => done.extend(self.end(index, Err(error))),
            }
            self.waiting.pop_front();
        }
    }

    /// Frees the slot of a request that has ended.
    fn end(&mut self, index: u32, result: Result<(), DiskError>) -> Option<Completion> {
        let slot = self.slots.get_mut(index as usize)?;
        self.pages.give_back(&mut slot.taken);
        slot.segments.clear();
        self.free.push(index);
        Some(Completion { tag: slot.tag, result })
    }
}

impl Disk for Crypt {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.limits.check(&request)?;
        let refuse = |error| Rejected { tag: request.tag, error };
        let index = self.free.pop().ok_or_else(|| refuse(DiskError::Busy))?;
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return Err(refuse(DiskError::Busy));
        };
        (slot.tag, slot.offset, slot.len) = (request.tag, request.offset, request.len);
        slot.segments.extend_from_slice(request.segments);
        slot.work = match request.op {
            Op::Read => Work::Decrypt,
            Op::Write { .. } if request.len > 0 => Work::Encrypted,
            _ => Work::Nothing,
        };
        if let (Work::Encrypted, Op::Write { fua }) = (slot.work, request.op) {
            slot.fua = fua;
            if !self.waiting.is_empty() || !self.pages.take(request.len, &mut slot.taken) {
                self.waiting.push_back(index);
                return Ok(());
            }
            return self.write(engine, index).map_err(|error| {
                self.end(index, Err(error));
                refuse(error)
            });
        }
        let inner = Request { tag: u64::from(index), ..request };
        self.inner.submit(engine, inner).map_err(|rejected| {
            self.end(index, Err(rejected.error));
            refuse(rejected.error)
        })
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        let mut fresh = std::mem::take(&mut self.fresh);
        self.inner.poll(engine, &mut fresh);
        for Completion { tag, mut result } in fresh.drain(..) {
            let Ok(index) = u32::try_from(tag) else { continue };
            let Some(slot) = self.slots.get(index as usize) else { continue };
            if slot.work == Work::Decrypt && result.is_ok() {
                let ends = Ends { from: &slot.segments, to: &slot.segments };
                let (xts, piece) = (&mut self.xts, &mut self.piece);
                result = work(xts, Way::Decrypt, engine, slot.offset, &self.limits, ends, piece);
            }
            done.extend(self.end(index, result));
        }
        self.fresh = fresh;
        if !self.waiting.is_empty() {
            self.start_waiting(engine, done);
        }
    }

    fn next_event(&self) -> Time {
        // Without a request inside, nothing but the next poll starts what waits.
        match self.inner.in_flight() == 0 && !self.waiting.is_empty() {
            true => Time::ZERO,
            false => self.inner.next_event(),
        }
    }

    fn in_flight(&self) -> u32 {
        (self.slots.len() - self.free.len()) as u32
    }

    fn allocation(&self, offset: u64) -> Allocation {
        self.inner.allocation(offset)
    }
}

/// Where bytes come from and where they go; both are equally long.
#[derive(Clone, Copy)]
struct Ends<'a> {
    from: &'a [Segment],
    to: &'a [Segment],
}

/// Encrypts or decrypts what begins at `offset` of the disk, piece by piece through `piece`, whole
/// blocks each.
fn work(
    xts: &mut Xts,
    way: Way,
    engine: &Engine,
    offset: u64,
    limits: &Limits,
    ends: Ends<'_>,
    piece: &mut [u8; PIECE_BYTES],
) -> Result<(), DiskError> {
    let (memory, unit) = (engine.memory(), limits.block_size as usize);
    let (mut from, mut to) = (Cursor::new(ends.from), Cursor::new(ends.to));
    let mut number = offset / u64::from(limits.block_size);
    loop {
        let len = from.left().min(to.left()).min(PIECE_BYTES as u64) as usize;
        let Some(bytes) = piece.get_mut(..len).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        memory.read(from.at(), bytes).map_err(|_| DiskError::OutOfRange)?;
        match way {
            Way::Encrypt => xts.apply(way, number, unit, bytes),
            Way::Decrypt => decrypt(xts, number, unit, bytes),
        }
        memory.write(to.at(), bytes).map_err(|_| DiskError::OutOfRange)?;
        from.advance(len as u64);
        to.advance(len as u64);
        number += (len / unit) as u64;
    }
}

/// Decrypts all blocks but those that nobody has written, in runs.
fn decrypt(xts: &mut Xts, first: u64, unit: usize, bytes: &mut [u8]) {
    let is_hole = |block: &[u8]| block.iter().all(|&byte| byte == 0);
    let mut begin = 0;
    while begin < bytes.len() {
        let rest = bytes.get_mut(begin..).unwrap_or_default();
        let hole = rest.chunks_exact(unit).next().is_none_or(is_hole);
        let run = rest.chunks_exact(unit).take_while(|block| is_hole(block) == hole).count();
        let len = (run * unit).max(unit).min(rest.len());
        if let (false, Some(run)) = (hole, rest.get_mut(..len)) {
            xts.apply(Way::Decrypt, first + (begin / unit) as u64, unit, run);
        }
        begin += len;
    }
}

/// A place in a list of segments.
struct Cursor<'a> {
    segments: &'a [Segment],
    done: u64,
}

impl<'a> Cursor<'a> {
    fn new(segments: &'a [Segment]) -> Self {
        let mut cursor = Self { segments, done: 0 };
        cursor.advance(0);
        cursor
    }

    /// Bytes up to the end of this segment; 0 at the end of all.
    fn left(&self) -> u64 {
        self.segments.first().map_or(0, |segment| u64::from(segment.len) - self.done)
    }

    fn at(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.offset + self.done)
    }

    /// At most [`Self::left`].
    fn advance(&mut self, len: u64) {
        self.done += len;
        while self.left() == 0
            && let Some((_, rest)) = self.segments.split_first()
        {
            (self.segments, self.done) = (rest, 0);
        }
    }
}

#[cfg(test)]
mod tests;
