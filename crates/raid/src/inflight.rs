//! Requests that went to more than one member, until the last of them has answered.

use outboard_disk::{Completion, DiskError};

use crate::array::MAX_DEPTH;

/// Set in the tags of requests that have an entry. It is below `TAG_LIMIT` of the disk contract, so
/// that members see ordinary tags; callers' tags that have it get an entry too.
const ENTRY: u64 = 1 << 47;
/// An entry's tag: [`ENTRY`], 16 bits of generation, 15 of part, 16 of index.
const GENERATION_SHIFT: u32 = 31;
const PART_SHIFT: u32 = 16;
/// Most member requests of one request.
const MAX_PARTS: u32 = 1 << (GENERATION_SHIFT - PART_SHIFT);
const NONE: u32 = u32::MAX;

const _: () = assert!(MAX_DEPTH <= 1 << PART_SHIFT && GENERATION_SHIFT + 16 == 47);

/// Whether a caller's tag may be passed to a member as it is.
#[inline]
pub(crate) const fn passes(tag: u64) -> bool {
    tag < ENTRY
}

/// A table of fixed size. An entry is named by a tag that holds its index and a generation, so that
/// an answer that comes twice finds nobody.
#[derive(Debug)]
pub(crate) struct InFlight {
    entries: Vec<Entry>,
    free: u32,
    used: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// the caller's tag
    tag: u64,
    /// member requests that have not ended
    pending: u32,
    /// member requests that were accepted
    parts: u32,
    generation: u16,
    used: bool,
    error: Option<DiskError>,
    next_free: u32,
}

const FREE: Entry = Entry {
    tag: 0,
    pending: 0,
    parts: 0,
    generation: 0,
    used: false,
    error: None,
    next_free: NONE,
};

impl InFlight {
    pub(crate) fn new(depth: u32) -> Self {
        let entry = |n| Entry { next_free: if n + 1 == depth { NONE } else { n + 1 }, ..FREE };
        Self { entries: (0..depth).map(entry).collect(), free: 0, used: 0 }
    }

    /// An entry for the caller's request `tag`: its own tag, or `None` if all are in use.
    pub(crate) fn open(&mut self, tag: u64) -> Option<u64> {
        let index = self.free;
        let entry = self.entries.get_mut(index as usize)?;
        self.free = entry.next_free;
        self.used += 1;
        *entry = Entry { tag, used: true, generation: entry.generation.wrapping_add(1), ..FREE };
        Some(ENTRY | (u64::from(entry.generation) << GENERATION_SHIFT) | u64::from(index))
    }

    /// The tag for the next member request of the entry `tag`; `None` after [`MAX_PARTS`].
    pub(crate) fn next_part(&mut self, tag: u64) -> Option<u64> {
        let parts = self.find(tag)?.parts;
        (parts < MAX_PARTS).then_some(tag | (u64::from(parts) << PART_SHIFT))
    }

    /// A member has accepted the request with the tag of [`InFlight::next_part`].
    pub(crate) fn accepted(&mut self, tag: u64) {
        if let Some(entry) = self.find(tag) {
            entry.pending += 1;
            entry.parts += 1;
        }
    }

    /// A part was refused and no further one follows: the entry ends with `error` when the parts
    /// accepted so far have ended. False if there are none: the entry is closed.
    pub(crate) fn refused(&mut self, tag: u64, error: DiskError) -> bool {
        let Some(entry) = self.find(tag) else { return false };
        note(&mut entry.error, error);
        let waits = entry.pending > 0;
        if !waits {
            self.close(tag);
        }
        waits
    }

    /// A member has ended a request of this entry. The whole request's end, if it was the last.
    pub(crate) fn ended(&mut self, tag: u64, result: Result<(), DiskError>) -> Option<Completion> {
        let entry = self.find(tag)?;
        if let Err(error) = result {
            note(&mut entry.error, error);
        }
        entry.pending = entry.pending.saturating_sub(1);
        let whole = Completion { tag: entry.tag, result: entry.error.map_or(Ok(()), Err) };
        if entry.pending > 0 {
            return None;
        }
        self.close(tag);
        Some(whole)
    }

    /// Entries in use.
    pub(crate) const fn len(&self) -> u32 {
        self.used
    }

    fn close(&mut self, tag: u64) {
        let free = self.free;
        let Some(entry) = self.find(tag) else { return };
        (entry.used, entry.next_free) = (false, free);
        self.free = u32::from(tag as u16);
        self.used -= 1;
    }

    fn find(&mut self, tag: u64) -> Option<&mut Entry> {
        let generation = (tag >> GENERATION_SHIFT) as u16;
        let entry = self.entries.get_mut(usize::from(tag as u16))?;
        (entry.used && entry.generation == generation).then_some(entry)
    }
}

/// The first error is the request's; of medium errors the one that comes first on the medium, as
/// SBC-4 4.18 wants it reported.
fn note(known: &mut Option<DiskError>, error: DiskError) {
    match (*known, error) {
        (None, _) => *known = Some(error),
        (Some(DiskError::Medium { at: known_at }), DiskError::Medium { at }) if at < known_at => {
            *known = Some(error);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_with_its_last_part_and_its_first_error() {
        let mut table = InFlight::new(2);
        let tag = table.open(7).unwrap();
        assert!(!passes(tag) && tag < outboard_disk::contract::TAG_LIMIT);
        let parts: Vec<u64> = (0..3)
            .map(|_| {
                let part = table.next_part(tag).unwrap();
                table.accepted(tag);
                part
            })
            .collect();
        assert!(parts[0] != parts[1] && parts[1] != parts[2], "tags of parts are unique");
        assert_eq!(table.ended(parts[2], Ok(())), None);
        assert_eq!(table.ended(parts[0], Err(DiskError::Gone)), None);
        let end = table.ended(parts[1], Err(DiskError::NoSpace));
        assert_eq!(end, Some(Completion { tag: 7, result: Err(DiskError::Gone) }));
        assert_eq!(table.len(), 0);
        assert_eq!(table.ended(tag, Ok(())), None, "an answer too many finds nobody");
    }

    #[test]
    fn the_lowest_medium_error_is_reported() {
        let mut table = InFlight::new(1);
        let tag = table.open(1).unwrap();
        for _ in 0..2 {
            table.accepted(tag);
        }
        assert_eq!(table.ended(tag, Err(DiskError::Medium { at: 4096 })), None);
        let end = table.ended(tag, Err(DiskError::Medium { at: 512 })).unwrap();
        assert_eq!(end.result, Err(DiskError::Medium { at: 512 }));
    }

    #[test]
    fn a_refused_part_ends_the_request_once() {
        let mut table = InFlight::new(1);
        let tag = table.open(1).unwrap();
        assert!(!table.refused(tag, DiskError::Busy));
        assert_eq!(table.len(), 0);
        let tag = table.open(2).unwrap();
        table.accepted(tag);
        assert!(table.refused(tag, DiskError::Busy));
        let end = table.ended(tag, Ok(()));
        assert_eq!(end, Some(Completion { tag: 2, result: Err(DiskError::Busy) }));
    }

    #[test]
    fn the_table_is_bounded_and_entries_come_back() {
        let mut table = InFlight::new(3);
        let tags: Vec<u64> = (0..3).map(|tag| table.open(tag).unwrap()).collect();
        assert_eq!(table.open(3), None);
        assert!(!table.refused(tags[1], DiskError::Busy));
        let again = table.open(4).unwrap();
        assert_eq!(again as u16, tags[1] as u16);
        assert_ne!(again, tags[1]);
        assert_eq!(table.open(5), None);
    }
}
