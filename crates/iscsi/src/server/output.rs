//! What waits to be sent on a connection: bytes of its own and ranges of the region, in order.

use std::collections::VecDeque;

use super::Piece;

/// Sent bytes that may stay at the front of the buffer before the rest is moved down.
const SLACK: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
enum Segment {
    /// the next bytes of the buffer
    Bytes(usize),
    /// a range of the region
    Buffer { offset: u64, len: u64 },
    /// all before it was the last that was sent from this slot's buffer
    Finish(u16),
}

#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// where the unsent part of `bytes` begins
    head: usize,
    segments: VecDeque<Segment>,
    /// what waits, bytes
    waiting: u64,
    /// all that was ever sent, bytes
    pub(super) total: u64,
}

impl Output {
    pub(super) const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// What waits of the server's own bytes.
    #[inline]
    pub(super) const fn own_bytes(&self) -> usize {
        self.bytes.len() - self.head
    }

    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        self.waiting += bytes.len() as u64;
        match self.segments.back_mut() {
            Some(Segment::Bytes(len)) => *len += bytes.len(),
            _ => self.segments.push_back(Segment::Bytes(bytes.len())),
        }
    }

    #[inline]
    pub(super) fn buffer(&mut self, offset: u64, len: u64) {
        if len != 0 {
            self.waiting += len;
            self.segments.push_back(Segment::Buffer { offset, len });
        }
    }

    #[inline]
    pub(super) fn finish(&mut self, slot: u16) {
        self.segments.push_back(Segment::Finish(slot));
    }

    /// What waits, from the front.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut at = self.head;
        self.segments.iter().filter_map(move |segment| match *segment {
            Segment::Bytes(len) => {
                let bytes = self.bytes.get(at..at + len)?;
                at += len;
                Some(Piece::Bytes(bytes))
            }
            Segment::Buffer { offset, len } => Some(Piece::Buffer { offset, len }),
            Segment::Finish(_) => None,
        })
    }

    /// The first `count` bytes have left; `finished` hears of the slots whose data is all gone.
    pub(super) fn sent(&mut self, count: usize, mut finished: impl FnMut(u16)) {
        let mut left = (count as u64).min(self.waiting);
        self.waiting -= left;
        self.total += left;
        while let Some(segment) = self.segments.front_mut() {
            match segment {
                Segment::Bytes(len) => {
                    let gone = left.min(*len as u64) as usize;
                    self.head += gone;
                    *len -= gone;
                    left -= gone as u64;
                    if *len != 0 {
                        break;
                    }
                }
                Segment::Buffer { offset, len } => {
                    let gone = left.min(*len);
                    *offset += gone;
                    *len -= gone;
                    left -= gone;
                    if *len != 0 {
                        break;
                    }
                }
                Segment::Finish(slot) => finished(*slot),
            }
            self.segments.pop_front();
        }
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head >= SLACK && self.head >= self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }

    /// Nothing will be sent any more.
    pub(super) fn discard(&mut self, mut finished: impl FnMut(u16)) {
        for segment in self.segments.drain(..) {
            if let Segment::Finish(slot) = segment {
                finished(slot);
            }
        }
        self.bytes.clear();
        self.head = 0;
        self.waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_finished_when_its_data_has_left() {
        let mut output = Output::default();
        output.bytes(b"head");
        output.buffer(4096, 10);
        output.finish(7);
        output.bytes(b"tail");
        let pieces: Vec<_> = output.pieces().collect();
        assert_eq!(
            pieces,
            [Piece::Bytes(b"head"), Piece::Buffer { offset: 4096, len: 10 }, Piece::Bytes(b"tail")]
        );
        let mut finished = Vec::new();
        output.sent(9, |slot| finished.push(slot));
        assert!(finished.is_empty());
        assert_eq!(output.pieces().next(), Some(Piece::Buffer { offset: 4101, len: 5 }));
        output.sent(5, |slot| finished.push(slot));
        assert_eq!(finished, [7]);
        output.sent(100, |_| unreachable!());
        assert!(output.waiting() == 0 && output.pieces().next().is_none());
        assert_eq!(output.total, 18);
    }
}
