//! What is compared: a path, and the resident path once more with two threads.

use core::fmt;
use core::str::FromStr;

use outboard_hba::Path;
use serde::{Serialize, Serializer};

/// One row of the result: a path and the host threads that drive it.
///
/// The bundled path keeps two cores busy, one of the host and one of the driver. The row
/// `resident-2` gives the resident path two as well, so that a second core is not mistaken for a
/// merit of the boundary.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Row {
    /// how tasks reach the driver
    pub path: Path,
    /// threads that submit, 1 or 2
    pub threads: u8,
    /// the driver is in its sandbox, as under `outboard serve`
    pub confined: bool,
}

impl Row {
    /// What all others are compared with.
    pub const RESIDENT: Self = Self::new(Path::Resident, 1, false);
    /// The resident path on two threads.
    pub const RESIDENT_2: Self = Self::new(Path::Resident, 2, false);
    /// One message a task.
    pub const SINGLE: Self = Self::new(Path::Single, 1, false);
    /// The same with the buffer mapped for each task.
    pub const SINGLE_MAP: Self = Self::new(Path::SingleMap, 1, false);
    /// Slot indices in a ring.
    pub const BUNDLED: Self = Self::new(Path::Bundled, 1, false);

    /// The same, with the driver in its sandbox.
    pub const SANDBOXED: Self = Self::new(Path::Bundled, 1, true);

    /// All rows in the order of the table; the reference first.
    pub const ALL: [Self; 6] = [
        Self::RESIDENT,
        Self::RESIDENT_2,
        Self::SINGLE,
        Self::SINGLE_MAP,
        Self::BUNDLED,
        Self::SANDBOXED,
    ];
    /// What is compared unless something else is asked for: what the boundary costs. The sandbox adds
    /// nothing that this could show, so it is asked for by name.
    pub const USUAL: [Self; 5] =
        [Self::RESIDENT, Self::RESIDENT_2, Self::SINGLE, Self::SINGLE_MAP, Self::BUNDLED];

    /// Those with one host thread: what the System test compares. Two threads that write one file
    /// to spinning disks keep them seeking, so that the row would measure seeks.
    pub const ONE_THREAD: [Self; 4] =
        [Self::RESIDENT, Self::SINGLE, Self::SINGLE_MAP, Self::BUNDLED];

    const fn new(path: Path, threads: u8, confined: bool) -> Self {
        Self { path, threads, confined }
    }

    /// As written on a command line, in the table and in JSON.
    pub const fn name(self) -> &'static str {
        match (self.path, self.threads, self.confined) {
            (Path::Resident, 2.., _) => "resident-2",
            (_, _, true) => "sandboxed",
            (path, ..) => path.name(),
        }
    }

    /// Its place in [`Row::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|row| row.name() == self.name()).unwrap_or_default()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Row {
    type Err = RowError;

    fn from_str(text: &str) -> Result<Self, RowError> {
        let known = Self::ALL.into_iter().find(|row| row.name() == text);
        known.ok_or_else(|| RowError { text: text.to_owned() })
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A text that names no row.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("path `{text}` is unknown; write one of {}", Row::ALL.map(Row::name).join(", "))]
pub struct RowError {
    /// what was said
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_ordered_as_in_the_table() {
        for (index, row) in Row::ALL.into_iter().enumerate() {
            assert_eq!(row.name().parse(), Ok(row));
            assert_eq!(row.index(), index);
        }
        assert!(Row::ALL.is_sorted());
        insta::assert_snapshot!("kext".parse::<Row>().unwrap_err());
    }
}
