//! From one request over an array to as few requests over its members as possible.
//!
//! The chunks that a member has of a contiguous range are contiguous on it, so each member gets one
//! request, however many chunks the range has: only the memory is scattered, and is named by a
//! gathered segment list. A member gets more than one request only where its share exceeds its
//! limits or the list [`MAX_SEGMENTS`].

use outboard_disk::Segment;

use crate::geometry::{Extent, Geometry, Span};

/// Most segments in one request to a member: `IOV_MAX` of Linux.
pub const MAX_SEGMENTS: usize = 1024;

/// One request to a member.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// index of the member
    pub member: usize,
    /// first byte on the member
    pub offset: u64,
    /// bytes
    pub len: u64,
    /// where the data is or goes; none for requests without data
    pub segments: &'a [Segment],
}

/// Makes plans. Its lists are kept from plan to plan: nothing is allocated once it has been used.
#[derive(Debug)]
pub struct Planner {
    lanes: Vec<Lane>,
    spans: Vec<Span>,
}

/// What a member is to get.
#[derive(Debug)]
struct Lane {
    max_transfer: u64,
    offset: u64,
    len: u64,
    segments: Vec<Segment>,
}

impl Planner {
    /// A planner for members that take at most `max_transfers[member]` bytes of data in one
    /// request: multiples of the array's block, never 0.
    pub fn new(max_transfers: impl IntoIterator<Item = u64>) -> Self {
        let lane = |max_transfer| Lane {
            max_transfer,
            offset: 0,
            len: 0,
            segments: Vec::with_capacity(MAX_SEGMENTS),
        };
        let lanes: Vec<Lane> = max_transfers.into_iter().map(lane).collect();
        Self { spans: Vec::with_capacity(lanes.len()), lanes }
    }

    /// Plans a request with data: `segments` add up to `len`. Calls `emit` for each request; stops
    /// at its first error.
    pub fn data<E>(
        &mut self,
        geometry: &Geometry,
        offset: u64,
        len: u64,
        segments: &[Segment],
        mut emit: impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.lanes.iter_mut().for_each(Lane::clear);
        let mut memory = Cursor { segments, used: 0 };
        for extent in geometry.map(offset, len) {
            let Some(lane) = self.lanes.get_mut(extent.member) else { continue };
            lane.add(extent, &mut memory, &mut emit)?;
        }
        for (member, lane) in self.lanes.iter_mut().enumerate() {
            lane.cut(member, &mut emit)?;
        }
        Ok(())
    }

    /// Plans a request without data, such as a discard, of which members take `max_bytes` at once.
    /// Calls `emit` for each request; stops at its first error.
    pub fn dataless<E>(
        &mut self,
        geometry: &Geometry,
        offset: u64,
        len: u64,
        max_bytes: u64,
        mut emit: impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.spans.clear();
        geometry.spans(offset, len, &mut self.spans);
        for &Span { member, mut member_offset, mut len } in &self.spans {
            while len > 0 {
                let now = len.min(max_bytes.max(1));
                emit(Part { member, offset: member_offset, len: now, segments: &[] })?;
                (member_offset, len) = (member_offset + now, len - now);
            }
        }
        Ok(())
    }
}

impl Lane {
    fn clear(&mut self) {
        self.len = 0;
        self.segments.clear();
    }

    /// Takes the memory of `extent` from `memory`.
    fn add<E>(
        &mut self,
        extent: Extent,
        memory: &mut Cursor<'_>,
        emit: &mut impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = extent.member_offset;
        let end = at + extent.len;
        while at < end {
            if self.len == self.max_transfer || self.offset + self.len != at {
                self.cut(extent.member, emit)?;
            }
            let most = (end - at).min(self.max_transfer - self.len);
            let Some(piece) = memory.take(most) else { break };
            if !self.merge(piece) {
                if self.segments.len() == MAX_SEGMENTS {
                    self.cut(extent.member, emit)?;
                }
                self.segments.push(piece);
            }
            if self.len == 0 {
                self.offset = at;
            }
            self.len += u64::from(piece.len);
            at += u64::from(piece.len);
        }
        Ok(())
    }

    /// Whether `piece` goes on where the last segment ends, and now is part of it.
    fn merge(&mut self, piece: Segment) -> bool {
        let Some(last) = self.segments.last_mut() else { return false };
        let joined = last.len.checked_add(piece.len);
        match joined {
            Some(joined) if last.offset + u64::from(last.len) == piece.offset => {
                last.len = joined;
                true
            }
            _ => false,
        }
    }

    /// Emits what has been gathered, if anything.
    fn cut<E>(
        &mut self,
        member: usize,
        emit: &mut impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.len > 0 {
            emit(Part { member, offset: self.offset, len: self.len, segments: &self.segments })?;
            self.clear();
        }
        Ok(())
    }
}

/// A place in a segment list.
struct Cursor<'a> {
    segments: &'a [Segment],
    /// bytes of the first segment that are taken
    used: u32,
}

impl Cursor<'_> {
    /// The next bytes that are contiguous, at most `most` of them; `None` at the end of the list.
    fn take(&mut self, most: u64) -> Option<Segment> {
        loop {
            let (first, rest) = self.segments.split_first()?;
            let left = first.len - self.used;
            if left == 0 {
                (self.segments, self.used) = (rest, 0);
                continue;
            }
            let len = u32::try_from(most).unwrap_or(u32::MAX).min(left);
            let piece = Segment { offset: first.offset + u64::from(self.used), len };
            self.used += len;
            return Some(piece);
        }
    }
}

#[cfg(test)]
mod tests;
