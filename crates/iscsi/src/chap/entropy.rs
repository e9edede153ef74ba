//! Where challenges come from.

/// A source of unpredictable bytes.
pub trait Entropy {
    /// Fills `bytes`; false if the source has none.
    #[must_use]
    fn fill(&mut self, bytes: &mut [u8]) -> bool;
}

/// The operating system's source, `getrandom(2)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Entropy for System {
    fn fill(&mut self, bytes: &mut [u8]) -> bool {
        getrandom::fill(bytes).is_ok()
    }
}
