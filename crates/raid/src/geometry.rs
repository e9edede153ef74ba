//! Where a byte of an array lies: pure arithmetic, no disks.
//!
//! An array is a row of *zones*. Within a zone, chunks go round its members, one chunk to each:
//! - **RAID 0** as Linux md does it: members are cut to whole chunks; the first zone stripes over
//!   all members up to the length of the shortest, the next over those that are longer, and so on.
//!   Members of one length give one zone.
//! - **Linear**: each member, cut to whole chunks, is a zone of width one.
//!
//! Whatever is contiguous in the array is contiguous on each of its members too, even across zones:
//! a member's part of zone *n + 1* begins where its part of zone *n* ends (linear arrays use a
//! member in one zone only).

use crate::error::RaidError;
use crate::spec::{ArraySpec, Level, ZoneLayout};

/// Most members of one array.
pub const MAX_MEMBERS: usize = 1024;

/// A contiguous range of one member and the range of the array that it holds, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// index of the member
    pub member: usize,
    /// first byte on the member
    pub member_offset: u64,
    /// first byte in the array
    pub offset: u64,
    /// length in bytes, never 0
    pub len: u64,
}

/// A range of a member without regard to the order of its chunks in the array, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// index of the member
    pub member: usize,
    /// first byte on the member
    pub member_offset: u64,
    /// length in bytes, never 0
    pub len: u64,
}

/// The mapping between an array and its members.
#[derive(Clone, Debug)]
pub struct Geometry {
    chunk_shift: u32,
    members: usize,
    len: u64,
    zones: Vec<Zone>,
    /// the zones' members, zone after zone
    columns: Vec<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Zone {
    /// first byte in the array
    start: u64,
    /// one past the last byte in the array
    end: u64,
    /// where the zone begins on each of its members
    member_start: u64,
    /// number of members
    width: u64,
    /// column of the zone's first chunk
    rotation: u64,
    /// where its members begin in `Geometry::columns`
    first_column: usize,
}

impl Geometry {
    /// The mapping for members of `member_lens` bytes.
    ///
    /// # Errors
    /// No members or more than [`MAX_MEMBERS`], a chunk that is no power of two, a member shorter
    /// than a chunk, a sum beyond 2^64 - 1 bytes.
    pub fn new(spec: &ArraySpec, member_lens: &[u64]) -> Result<Self, RaidError> {
        if member_lens.is_empty() {
            return Err(RaidError::NoMembers);
        }
        if member_lens.len() > MAX_MEMBERS {
            return Err(RaidError::TooManyMembers { members: member_lens.len() });
        }
        if !spec.chunk.is_power_of_two() {
            return Err(RaidError::ChunkNotPowerOfTwo { chunk: spec.chunk });
        }
        let chunk = u64::from(spec.chunk);
        let whole: Vec<u64> = member_lens.iter().map(|len| len / chunk * chunk).collect();
        if let Some(member) = whole.iter().position(|&len| len == 0) {
            return Err(RaidError::MemberTooSmall {
                member,
                len: member_lens.get(member).copied().unwrap_or(0),
                chunk: spec.chunk,
            });
        }
        let len = whole.iter().try_fold(0_u64, |sum, &len| sum.checked_add(len));
        let mut geometry = Self {
            chunk_shift: chunk.trailing_zeros(),
            members: whole.len(),
            len: len.ok_or(RaidError::TooLarge)?,
            zones: Vec::new(),
            columns: Vec::new(),
        };
        match spec.level {
            Level::Raid0 => geometry.stripe(&whole, spec.zone_layout),
            Level::Linear => geometry.concatenate(&whole),
        }
        Ok(geometry)
    }

    /// Length of the array in bytes, whole chunks.
    pub const fn len_bytes(&self) -> u64 {
        self.len
    }

    /// Number of members.
    pub const fn members(&self) -> usize {
        self.members
    }

    /// Members that the narrowest zone stripes over: 1 for a linear array.
    pub fn narrowest(&self) -> u64 {
        self.zones.iter().map(|zone| zone.width).min().unwrap_or(1)
    }

    /// Members that the widest zone stripes over.
    pub fn widest(&self) -> u64 {
        self.zones.iter().map(|zone| zone.width).max().unwrap_or(1)
    }

    /// The member and its offset that hold the whole range, if one extent does; `None` for an empty
    /// range and for one that leaves the array.
    #[inline]
    pub fn single(&self, offset: u64, len: u64) -> Option<(usize, u64)> {
        let zone = self.zone_at(offset)?;
        let extent = self.extent_in(zone, offset);
        (len != 0 && len <= extent.len).then_some((extent.member, extent.member_offset))
    }

    /// The extents of a range, in the order of the array. What lies beyond the array's end is left
    /// out.
    pub fn map(&self, offset: u64, len: u64) -> Extents<'_> {
        Extents { geometry: self, next: offset, end: offset.saturating_add(len).min(self.len) }
    }

    /// Appends the range's share of each member to `spans`, at most one per member, whatever the
    /// range's length: no walk over chunks.
    pub fn spans(&self, offset: u64, len: u64, spans: &mut Vec<Span>) {
        let end = offset.saturating_add(len).min(self.len);
        let begin = spans.len();
        for zone in &self.zones {
            let (from, to) = (offset.max(zone.start), end.min(zone.end));
            if from >= to {
                continue;
            }
            for column in 0..zone.width {
                let Some(span) = self.span_in(zone, column, from - zone.start, to - zone.start)
                else {
                    continue;
                };
                let known = spans.get_mut(begin..).unwrap_or_default();
                match known.iter_mut().find(|s| s.member == span.member) {
                    Some(known) => known.len += span.len,
                    None => spans.push(span),
                }
            }
        }
    }

    /// The array's byte that a member's byte holds; `None` if it is in no zone (the rest after the
    /// last whole chunk).
    pub fn offset_of(&self, member: usize, member_offset: u64) -> Option<u64> {
        for zone in &self.zones {
            let depth = (zone.end - zone.start) / zone.width;
            let Some(within) = member_offset.checked_sub(zone.member_start) else { continue };
            if within >= depth {
                continue;
            }
            let Some(column) = self.zone_columns(zone).position(|m| m == member) else { continue };
            let turn = (column as u64 + zone.width - zone.rotation) % zone.width;
            let chunk = (within >> self.chunk_shift) * zone.width + turn;
            return Some(zone.start + (chunk << self.chunk_shift) + (within & self.chunk_mask()));
        }
        None
    }

    #[inline]
    fn zone_at(&self, offset: u64) -> Option<&Zone> {
        self.zones.iter().find(|zone| offset < zone.end)
    }

    /// The extent at `offset` of `zone`, to the end of its chunk, or of the zone if that is on one
    /// member.
    #[inline]
    fn extent_in(&self, zone: &Zone, offset: u64) -> Extent {
        let within = offset - zone.start;
        if zone.width == 1 {
            return Extent {
                member: self.column(zone, 0),
                member_offset: zone.member_start + within,
                offset,
                len: zone.end - offset,
            };
        }
        let in_chunk = within & self.chunk_mask();
        let chunk = within >> self.chunk_shift;
        let stripe = chunk / zone.width;
        let mut column = chunk - stripe * zone.width + zone.rotation;
        if column >= zone.width {
            column -= zone.width;
        }
        Extent {
            member: self.column(zone, column),
            member_offset: zone.member_start + (stripe << self.chunk_shift) + in_chunk,
            offset,
            len: self.chunk_mask() + 1 - in_chunk,
        }
    }

    /// What the range `from..to` of `zone`, not empty and relative to the zone, has in `column`.
    fn span_in(&self, zone: &Zone, column: u64, from: u64, to: u64) -> Option<Span> {
        let (width, mask) = (zone.width, self.chunk_mask());
        let (first, last) = (from >> self.chunk_shift, (to - 1) >> self.chunk_shift);
        let turn = (column + width - zone.rotation) % width;
        let first_here = first + (turn + width - first % width) % width;
        if first_here > last {
            return None;
        }
        let last_here = last - (last % width + width - turn) % width;
        let skipped = if first_here == first { from & mask } else { 0 };
        let kept = if last_here == last { ((to - 1) & mask) + 1 } else { mask + 1 };
        let begin = ((first_here / width) << self.chunk_shift) + skipped;
        let end = ((last_here / width) << self.chunk_shift) + kept;
        Some(Span {
            member: self.column(zone, column),
            member_offset: zone.member_start + begin,
            len: end - begin,
        })
    }

    #[inline]
    fn column(&self, zone: &Zone, column: u64) -> usize {
        self.columns.get(zone.first_column + column as usize).map_or(0, |&m| usize::from(m))
    }

    fn zone_columns(&self, zone: &Zone) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().skip(zone.first_column).take(zone.width as usize);
        columns.map(|&m| usize::from(m))
    }

    #[inline]
    const fn chunk_mask(&self) -> u64 {
        (1 << self.chunk_shift) - 1
    }

    fn stripe(&mut self, whole: &[u64], layout: ZoneLayout) {
        let (mut start, mut member_start) = (0, 0);
        while let Some(shortest) = whole.iter().copied().filter(|&len| len > member_start).min() {
            let first_column = self.columns.len();
            self.columns
                .extend((0_u16..).zip(whole).filter(|&(_, &l)| l > member_start).map(|(m, _)| m));
            let width = (self.columns.len() - first_column) as u64;
            let end = start + (shortest - member_start) * width;
            let rotation = match layout {
                ZoneLayout::Original => (start >> self.chunk_shift) % width,
                ZoneLayout::Alternate => 0,
            };
            self.zones.push(Zone { start, end, member_start, width, rotation, first_column });
            (start, member_start) = (end, shortest);
        }
    }

    fn concatenate(&mut self, whole: &[u64]) {
        let mut start = 0;
        for (member, len) in (0_u16..).zip(whole) {
            let (end, first_column) = (start + len, self.columns.len());
            self.columns.push(member);
            self.zones.push(Zone {
                start,
                end,
                member_start: 0,
                width: 1,
                rotation: 0,
                first_column,
            });
            start = end;
        }
    }
}

/// The extents of a range: see [`Geometry::map`].
#[derive(Clone, Debug)]
pub struct Extents<'a> {
    geometry: &'a Geometry,
    next: u64,
    end: u64,
}

impl Iterator for Extents<'_> {
    type Item = Extent;

    fn next(&mut self) -> Option<Extent> {
        if self.next >= self.end {
            return None;
        }
        let zone = self.geometry.zone_at(self.next)?;
        let mut extent = self.geometry.extent_in(zone, self.next);
        extent.len = extent.len.min(self.end - self.next);
        self.next += extent.len;
        Some(extent)
    }
}

#[cfg(test)]
mod tests;
