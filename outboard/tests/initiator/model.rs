//! What the medium may hold: for each block every change that was asked for, when it was asked for
//! and when its initiator was told of its end.
//!
//! A block is read rightly if what it holds was written by a change that (a) began before the read
//! ended and (b) had not been overwritten for good before the read began, that is, no acknowledged
//! change began after it had ended and ended before the read began. Changes that overlap in time may
//! have been done in either order; one that failed or was aborted may have been done or not, block
//! by block, but not after its end was told.

use super::dice::mix;

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
}

impl Model {
    /// A medium of zeros.
    pub(crate) fn new(blocks: u64) -> Self {
        let content = Content::Zeroes;
        let fresh =
            Change { value: ZERO, content, began: 0, ended: Some(0), certain: true, cookie: 0 };
        Self { changes: vec![fresh], blocks: vec![vec![0]; blocks as usize] }
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// The value that the next change writes, unless it zeroes.
    pub(crate) fn next_value(&self) -> u64 {
        self.changes.len() as u64
    }

    /// A change begins: it may be seen from now on.
    pub(crate) fn begin(
        &mut self,
        now: u64,
        cookie: u64,
        content: Content,
        ranges: &[(u64, u64)],
    ) -> ChangeId {
        let id = self.changes.len();
        let value = if content == Content::Zeroes { ZERO } else { id as u64 };
        let change = Change { value, content, began: now, ended: None, certain: false, cookie };
        self.changes.push(change);
        for &(lba, blocks) in ranges {
            for block in lba..lba + blocks {
                if let Some(list) = self.blocks.get_mut(block as usize)
                    && list.last() != Some(&(id as u32))
                {
                    list.push(id as u32);
                }
            }
        }
        ChangeId(id)
    }

    /// Its initiator has been told of its end; `certain` if all its blocks hold it now.
    pub(crate) fn end(&mut self, now: u64, id: ChangeId, certain: bool) {
        if let Some(change) = self.changes.get_mut(id.0) {
            change.ended = Some(now);
            change.certain = certain;
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
        let value = identify(lba, bytes)?;
        if self.legal(lba, value, began, ended) {
            return Ok(());
        }
        let history: Vec<_> = self.of(lba).filter(|c| c.began < ended).collect();
        Err(format!(
            "block {lba} holds value {value} in a read from {began} to {ended}, which cannot be; its changes: {history:?}"
        ))
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
        let mut model = Model::new(4);
        let first = model.begin(1, 1, Content::Stamped, &[(0, 2)]);
        assert_eq!(model.possible(0, 2, 3), [0, 1], "under way");
        assert_eq!(model.possible(2, 2, 3), [0], "elsewhere");
        model.end(4, first, true);
        assert_eq!(model.possible(0, 5, 6), [1], "acknowledged");
        let lost = model.begin(7, 2, Content::Stamped, &[(0, 1)]);
        model.end(8, lost, false);
        assert_eq!(model.possible(0, 9, 10), [1, 2], "failed: either");
        let last = model.begin(11, 3, Content::Stamped, &[(0, 1)]);
        let beside = model.begin(12, 4, Content::Stamped, &[(0, 1)]);
        model.end(13, beside, true);
        model.end(14, last, true);
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
