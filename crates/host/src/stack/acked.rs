//! The last acknowledged writes: what a replay must not undo.
//!
//! After a driver's death an unanswered write is submitted again. If a write received later has
//! been acknowledged and overlaps it, repeating the older one would bring old data back.

/// A ring of the last acknowledged writes.
#[derive(Debug)]
pub(super) struct AckedWrites {
    ring: Vec<Acked>,
    next: usize,
    /// highest order of reception that the ring has forgotten
    forgotten: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Acked {
    order: u64,
    lun: u16,
    lba: u64,
    blocks: u64,
}

impl AckedWrites {
    pub(super) fn new(capacity: usize) -> Self {
        Self { ring: Vec::with_capacity(capacity.max(1)), next: 0, forgotten: None }
    }

    /// A write was acknowledged.
    #[inline]
    pub(super) fn note(&mut self, order: u64, lun: u16, (lba, blocks): (u64, u64)) {
        let acked = Acked { order, lun, lba, blocks };
        if self.ring.len() < self.ring.capacity() {
            self.ring.push(acked);
            return;
        }
        let slot = &mut self.ring[self.next];
        self.forgotten = self.forgotten.max(Some(slot.order));
        *slot = acked;
        self.next = (self.next + 1) % self.ring.len();
    }

    /// Whether a write received after `order` and acknowledged since overlaps the range. "Yes"
    /// where the ring has forgotten too much to tell.
    pub(super) fn overtook(&self, order: u64, lun: u16, (lba, blocks): (u64, u64)) -> bool {
        if self.forgotten.is_some_and(|f| f > order) {
            return true;
        }
        self.ring.iter().any(|a| {
            a.order > order
                && a.lun == lun
                && a.lba < lba.saturating_add(blocks)
                && lba < a.lba.saturating_add(a.blocks)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_later_overlapping_writes_of_the_lun_count() {
        let mut acked = AckedWrites::new(8);
        acked.note(5, 0, (100, 8));
        assert!(acked.overtook(4, 0, (104, 8)));
        assert!(!acked.overtook(6, 0, (104, 8)), "received before");
        assert!(!acked.overtook(4, 1, (104, 8)), "another LUN");
        assert!(!acked.overtook(4, 0, (108, 8)), "beside");
        assert!(!acked.overtook(4, 0, (92, 8)), "beside");
    }

    #[test]
    fn what_is_forgotten_counts_as_overlapping() {
        let mut acked = AckedWrites::new(2);
        for order in 10..14 {
            acked.note(order, 0, (0, 1));
        }
        assert!(acked.overtook(10, 0, (500, 1)));
        assert!(!acked.overtook(11, 0, (500, 1)));
    }
}
