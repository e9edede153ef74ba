//! What the medium may hold: for each block every change that was asked for, when it was asked for
//! and when its initiator was told of its end.
//!
//! A block is read rightly if what it holds was written by a change that (a) began before the read
//! ended and (b) had not been overwritten for good before the read began, that is, no acknowledged
//! change began after it had ended and ended before the read began. Changes that overlap in time may
//! have been done in either order; one that failed or was aborted may have been done or not, block
//! by block, but not after its end was told.
//!
//! Power loss takes back what was acknowledged and neither written through nor synchronized: such a
//! change may have been done or not. A block that a disk has spoiled without a word may hold anything
//! until it has been written again.

use crate::dice::mix;

/// Bytes of a logical block in these tests.
pub(crate) const BLOCK: usize = 512;
/// Value of a block of zeros: fresh, unmapped or zeroed.
pub(crate) const ZERO: u64 = 0;
/// Place in the stamp of a block that WRITE SAME puts anywhere.
const ANYWHERE: u64 = u64::MAX;

/// What a change puts down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    /// in each block its own stamp
    Stamped,
    /// in all blocks the same (WRITE SAME)
    Same,
    /// zeros
    Zeroes,
}

/// A change to the medium.
#[derive(Clone, Copy, Debug)]
struct Change {
    value: u64,
    content: Content,
    began: u64,
    ended: Option<u64>,
    /// acknowledged, and it leaves no block as it was
    certain: bool,
    /// a loss of power cannot take it back
    durable: bool,
    /// of the task, for messages
    cookie: u64,
}

/// Names one change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ChangeId(usize);

/// All changes, and for each block those that concern it.
pub(crate) struct Model {
    changes: Vec<Change>,
    blocks: Vec<Vec<u32>>,
    /// disks have volatile caches
    volatile: bool,
    /// acknowledged changes that a loss of power can take back, with their first and last range
    unsynced: Vec<(ChangeId, u64, u64)>,
    /// when each block was spoiled last; 0 = never
    damaged: Vec<u64>,
    /// the value that a COMPARE AND WRITE last found in each block, and that command
    replaced: Vec<Option<(u64, ChangeId)>>,
}

/// A block's changes beyond this are looked through for those that cannot be seen any more.
const LIST_LEN: usize = 12;

impl Model {
    /// A medium of zeros; `volatile` if writes may be lost until they are synchronized.
    pub(crate) fn new(blocks: u64, volatile: bool) -> Self {
        let fresh = Change {
            value: ZERO,
            content: Content::Zeroes,
            began: 0,
            ended: Some(0),
            certain: true,
            durable: true,
            cookie: 0,
        };
        let blocks = blocks as usize;
        Self {
            changes: vec![fresh],
            blocks: vec![vec![0]; blocks],
            volatile,
            unsynced: Vec::new(),
            damaged: vec![0; blocks],
            replaced: vec![None; blocks],
        }
    }

    /// The value that the next change writes, unless it zeroes.
    pub(crate) fn next_value(&self) -> u64 {
        self.changes.len() as u64
    }

    /// A change begins: it may be seen from now on. No read that is still to be judged began
    /// before `oldest`.
    pub(crate) fn begin(
        &mut self,
        now: u64,
        oldest: u64,
        cookie: u64,
        content: Content,
        ranges: &[(u64, u64)],
    ) -> ChangeId {
        let id = self.changes.len();
        let value = if content == Content::Zeroes { ZERO } else { id as u64 };
        let change = Change {
            value,
            content,
            began: now,
            ended: None,
            certain: false,
            durable: false,
            cookie,
        };
        self.changes.push(change);
        for &(lba, blocks) in ranges {
            for block in lba..lba + blocks {
                let Some(list) = self.blocks.get_mut(block as usize) else { continue };
                if list.last() == Some(&(id as u32)) {
                    continue;
                }
                if list.len() >= LIST_LEN {
                    forget(&self.changes, list, oldest);
                }
                list.push(id as u32);
            }
        }
        ChangeId(id)
    }

    /// Its initiator has been told of its end; `certain` if all its blocks hold it now, `through`
    /// if it went past every volatile cache. `range` covers its blocks: the first, and how many.
    pub(crate) fn end(
        &mut self,
        now: u64,
        id: ChangeId,
        certain: bool,
        through: bool,
        (lba, blocks): (u64, u64),
    ) {
        let Some(change) = self.changes.get_mut(id.0) else { return };
        change.ended = Some(now);
        change.certain = certain;
        change.durable = certain && (through || !self.volatile);
        if certain && !change.durable {
            self.unsynced.push((id, lba, blocks));
        }
    }

    /// It has not been done, and never will be.
    pub(crate) fn cancel(&mut self, id: ChangeId) {
        if let Some(change) = self.changes.get_mut(id.0) {
            change.began = u64::MAX;
            change.ended = Some(u64::MAX);
        }
    }

    /// SYNCHRONIZE CACHE of `blocks` from `lba` (0: to the end), received at `began`, has ended well.
    pub(crate) fn synchronized(&mut self, began: u64, lba: u64, blocks: u64) {
        let end = if blocks == 0 { u64::MAX } else { lba + blocks };
        let changes = &mut self.changes;
        self.unsynced.retain(|&(id, first, count)| {
            let Some(change) = changes.get_mut(id.0) else { return false };
            let covered = first >= lba && first + count <= end;
            let kept = covered && change.ended.is_some_and(|ended| ended < began);
            change.durable |= kept;
            !kept
        });
    }

    /// Power was lost: what was not synchronized may have been done or not.
    pub(crate) fn power_lost(&mut self) {
        for (id, ..) in std::mem::take(&mut self.unsynced) {
            if let Some(change) = self.changes.get_mut(id.0) {
                change.certain = false;
            }
        }
    }

    /// A disk has spoiled a block and said nothing.
    pub(crate) fn damage(&mut self, now: u64, lba: u64) {
        if let Some(when) = self.damaged.get_mut(lba as usize) {
            *when = now;
        }
    }

    /// A COMPARE AND WRITE has found `bytes` in a block and replaced them: nobody else may have
    /// found the same there.
    pub(crate) fn replaced(&mut self, lba: u64, bytes: &[u8], by: ChangeId) -> Result<(), String> {
        let Ok(value) = identify(lba, bytes) else { return Ok(()) };
        let Some(last) = self.replaced.get_mut(lba as usize) else { return Ok(()) };
        let before = last.replace((value, by));
        let Some((found, other)) = before else { return Ok(()) };
        if found != value || value == ZERO || self.damaged.get(lba as usize) != Some(&0) {
            return Ok(());
        }
        let changes = &self.changes;
        let (Some(other), Some(writer)) = (changes.get(other.0), changes.get(value as usize))
        else {
            return Ok(());
        };
        match other.certain && writer.ended.is_some_and(|ended| ended < other.began) {
            true => Err(format!(
                "block {lba}: task {} and a later COMPARE AND WRITE both replaced value {value}",
                other.cookie
            )),
            false => Ok(()),
        }
    }

    /// Whether a block read between `began` and `ended` may hold this.
    pub(crate) fn check(
        &self,
        lba: u64,
        bytes: &[u8],
        began: u64,
        ended: u64,
    ) -> Result<(), String> {
        if self.is_spoiled(lba, began) {
            return Ok(());
        }
        let value = identify(lba, bytes)?;
        if self.legal(lba, value, began, ended) {
            return Ok(());
        }
        let history: Vec<_> = self.of(lba).filter(|c| c.began < ended).collect();
        Err(format!(
            "block {lba} holds value {value} in a read from {began} to {ended}, which cannot be; its changes: {history:?}"
        ))
    }

    /// Whether a block may hold anything in a read that began at `began`.
    pub(crate) fn is_spoiled(&self, lba: u64, began: u64) -> bool {
        let Some(&when) = self.damaged.get(lba as usize) else { return false };
        let healed =
            |c: &Change| c.certain && c.began > when && c.ended.is_some_and(|ended| ended < began);
        when != 0 && !self.of(lba).any(healed)
    }

    /// The values that a block read between `began` and `ended` may hold.
    pub(crate) fn possible(&self, lba: u64, began: u64, ended: u64) -> Vec<u64> {
        let mut values: Vec<_> = self.of(lba).map(|c| c.value).collect();
        values.sort_unstable();
        values.dedup();
        values.retain(|&value| self.legal(lba, value, began, ended));
        values
    }

    /// A guess at what a block holds, its value and its bytes: what was acknowledged last.
    pub(crate) fn guess(&self, lba: u64) -> (u64, [u8; BLOCK]) {
        let Some(last) = self.of(lba).filter(|c| c.certain).max_by_key(|c| c.ended) else {
            return (ZERO, [0; BLOCK]);
        };
        (last.value, stamp(last.value, (last.content == Content::Stamped).then_some(lba)))
    }

    /// A change received after the task `cookie`, acknowledged, that overlaps `ranges`.
    pub(crate) fn overtaken(&self, cookie: u64, ranges: &[(u64, u64)]) -> Option<u64> {
        let blocks = ranges.iter().flat_map(|&(lba, blocks)| lba..lba + blocks);
        blocks
            .flat_map(|lba| self.of(lba))
            .find(|c| c.certain && c.cookie > cookie)
            .map(|c| c.cookie)
    }

    fn of(&self, lba: u64) -> impl Iterator<Item = &Change> {
        let list = self.blocks.get(lba as usize).map_or(&[][..], Vec::as_slice);
        list.iter().filter_map(|&id| self.changes.get(id as usize))
    }

    fn legal(&self, lba: u64, value: u64, began: u64, ended: u64) -> bool {
        self.of(lba).filter(|c| c.value == value && c.began < ended).any(|c| {
            let over_for_good = |w: &Change| {
                w.certain
                    && c.ended.is_some_and(|end| end < w.began)
                    && w.ended.is_some_and(|end| end < began)
            };
            !self.of(lba).any(over_for_good)
        })
    }
}

/// Takes out of a block's list what no read from `oldest` on can see, whatever power does.
fn forget(changes: &[Change], list: &mut Vec<u32>, oldest: u64) {
    let change = |id: &u32| changes.get(*id as usize);
    let firm = |c: &&Change| c.certain && c.durable && c.ended.is_some_and(|e| e < oldest);
    let last = list.iter().filter_map(change).filter(firm).map(|c| c.began).max();
    let Some(last) = last else { return };
    let seen = |c: &Change| c.began != u64::MAX && c.ended.is_none_or(|e| e >= last);
    list.retain(|id| change(id).is_some_and(seen));
}

/// A block that says which change wrote it and where it belongs.
pub(crate) fn stamp(value: u64, lba: Option<u64>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if value == ZERO {
        return block;
    }
    let place = lba.unwrap_or(ANYWHERE);
    let (words, _) = block.as_chunks_mut::<8>();
    for (i, word) in words.iter_mut().enumerate() {
        *word = match i {
            0 => value,
            1 => place,
            _ => mix(value ^ place.rotate_left(32) ^ (i as u64) << 48),
        }
        .to_le_bytes();
    }
    block
}

/// Which change wrote the block that was read at `lba`.
fn identify(lba: u64, bytes: &[u8]) -> Result<u64, String> {
    if bytes.iter().all(|b| *b == 0) {
        return Ok(ZERO);
    }
    let (words, _) = bytes.as_chunks::<8>();
    let word = |i: usize| words.get(i).map_or(0, |w| u64::from_le_bytes(*w));
    let (value, place) = (word(0), word(1));
    let whole = stamp(value, (place != ANYWHERE).then_some(place));
    if value == ZERO || bytes != whole {
        return Err(format!("block {lba} is torn or was never written so: value {value}"));
    }
    if place != ANYWHERE && place != lba {
        return Err(format!("block {lba} holds value {value} of block {place}"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_block_may_hold() {
        let mut model = Model::new(4, false);
        let first = model.begin(1, 0, 1, Content::Stamped, &[(0, 2)]);
        assert_eq!(model.possible(0, 2, 3), [0, 1], "under way");
        assert_eq!(model.possible(2, 2, 3), [0], "elsewhere");
        model.end(4, first, true, true, (0, 1));
        assert_eq!(model.possible(0, 5, 6), [1], "acknowledged");
        let lost = model.begin(7, 0, 2, Content::Stamped, &[(0, 1)]);
        model.end(8, lost, false, true, (0, 1));
        assert_eq!(model.possible(0, 9, 10), [1, 2], "failed: either");
        let last = model.begin(11, 0, 3, Content::Stamped, &[(0, 1)]);
        let beside = model.begin(12, 0, 4, Content::Stamped, &[(0, 1)]);
        model.end(13, beside, true, true, (0, 1));
        model.end(14, last, true, true, (0, 1));
        assert_eq!(model.possible(0, 15, 16), [3, 4], "both at a time: either");
        assert_eq!(model.overtaken(1, &[(0, 1)]), Some(3));
        assert_eq!(model.overtaken(1, &[(1, 1)]), None);
    }

    #[test]
    fn a_block_says_where_it_belongs() {
        let block = stamp(7, Some(3));
        assert_eq!(identify(3, &block), Ok(7));
        assert!(identify(4, &block).is_err());
        assert_eq!(identify(4, &stamp(7, None)), Ok(7));
        let mut torn = block;
        torn[300] ^= 1;
        assert!(identify(3, &torn).is_err());
        assert_eq!(identify(3, &[0; BLOCK]), Ok(ZERO));
    }
}
