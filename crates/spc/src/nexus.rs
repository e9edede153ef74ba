//! I_T nexuses (SAM-6 clause 4): which initiator port reaches the target through which target port.

use crate::error::SpcError;

/// Handle of an open nexus: an entry of the table and its generation, so that the handle of a
/// closed nexus is recognised after the entry has been given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NexusId {
    index: u16,
    generation: u32,
}

/// One I_T nexus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nexus {
    /// Name of the initiator port, such as `iqn.1994-05.com.example:c,i,0x00023d000001`.
    pub initiator_port: String,
    /// Relative identifier of the target port.
    pub target_port: u16,
}

/// All nexuses of a target. The number of entries is fixed; a closed entry is used again.
#[derive(Clone, Debug)]
pub struct NexusTable {
    entries: Box<[Entry]>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    generation: u32,
    nexus: Option<Nexus>,
}

impl NexusId {
    /// The entry of the nexus table, below the table's capacity.
    #[inline]
    #[must_use]
    pub const fn index(self) -> u16 {
        self.index
    }

    /// As a number, for front ends that name nexuses by numbers.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 16 | self.index as u64
    }

    /// What [`Self::to_bits`] made a number of. Any other number is a nexus that is not open.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u16, generation: (bits >> 16) as u32 }
    }
}

impl NexusTable {
    /// A table of `capacity` entries.
    #[must_use]
    pub fn new(capacity: u16) -> Self {
        Self { entries: vec![Entry::default(); usize::from(capacity)].into() }
    }

    /// Opens a nexus.
    ///
    /// # Errors
    /// [`SpcError::TooManyNexuses`] if no entry is free.
    pub fn open(&mut self, nexus: Nexus) -> Result<NexusId, SpcError> {
        let free = (0..).zip(&mut self.entries).find(|(_, entry)| entry.nexus.is_none());
        let Some((index, entry)) = free else {
            return Err(SpcError::TooManyNexuses(self.capacity()));
        };
        entry.nexus = Some(nexus);
        Ok(NexusId { index, generation: entry.generation })
    }

    /// Closes a nexus and returns it; `None` if it is not open.
    pub fn close(&mut self, id: NexusId) -> Option<Nexus> {
        let entry = self.entries.get_mut(usize::from(id.index))?;
        if entry.generation != id.generation {
            return None;
        }
        let nexus = entry.nexus.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        Some(nexus)
    }

    /// The nexus, if it is open.
    #[must_use]
    pub fn nexus(&self, id: NexusId) -> Option<&Nexus> {
        let entry = self.entries.get(usize::from(id.index))?;
        entry.nexus.as_ref().filter(|_| entry.generation == id.generation)
    }

    /// Whether the nexus is open.
    #[inline]
    #[must_use]
    pub fn is_open(&self, id: NexusId) -> bool {
        // Closing raises the generation, so that a matching one is an open nexus.
        self.entries
            .get(usize::from(id.index))
            .is_some_and(|entry| entry.generation == id.generation)
    }

    /// The open nexus of entry `index`.
    #[must_use]
    pub fn at(&self, index: u16) -> Option<NexusId> {
        let entry = self.entries.get(usize::from(index))?;
        entry.nexus.is_some().then_some(NexusId { index, generation: entry.generation })
    }

    /// All open nexuses.
    pub fn iter(&self) -> impl Iterator<Item = (NexusId, &Nexus)> {
        (0..).zip(&self.entries).filter_map(|(index, entry)| {
            let id = NexusId { index, generation: entry.generation };
            Some((id, entry.nexus.as_ref()?))
        })
    }

    /// Number of entries.
    #[must_use]
    pub fn capacity(&self) -> u16 {
        u16::try_from(self.entries.len()).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nexus(initiator_port: &str) -> Nexus {
        Nexus { initiator_port: initiator_port.to_owned(), target_port: 1 }
    }

    #[test]
    fn a_closed_handle_stays_closed() {
        let mut table = NexusTable::new(1);
        let first = table.open(nexus("a")).unwrap();
        assert!(table.is_open(first));
        assert_eq!(table.close(first), Some(nexus("a")));
        assert_eq!(table.close(first), None);

        let second = table.open(nexus("b")).unwrap();
        assert_eq!(second.index(), first.index());
        assert!(table.is_open(second) && !table.is_open(first));
        assert_eq!(table.nexus(first), None);
        assert_eq!(table.close(first), None);
        assert_eq!(table.nexus(second), Some(&nexus("b")));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = NexusTable::new(2);
        let first = table.open(nexus("a")).unwrap();
        table.open(nexus("b")).unwrap();
        assert!(matches!(table.open(nexus("c")), Err(SpcError::TooManyNexuses(2))));
        table.close(first);
        table.open(nexus("c")).unwrap();
        let names: Vec<_> = table.iter().map(|(_, nexus)| nexus.initiator_port.as_str()).collect();
        assert_eq!(names, ["c", "b"]);
    }
}
