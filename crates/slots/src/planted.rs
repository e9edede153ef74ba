//! Deliberate mistakes, for a simulation that has to show that it finds them.
//!
//! The code that can make one asks [`is`] where it would make it. Without the feature `planted` the
//! answer is a constant `false` and nothing of it is compiled.

#[cfg(feature = "planted")]
mod switch {
    use core::cell::Cell;

    thread_local! {
        static PLANTED: Cell<&'static str> = const { Cell::new("") };
    }

    /// From now on this thread makes the mistake `name`, and no other; none if it is empty.
    pub fn plant(name: &'static str) {
        PLANTED.set(name);
    }

    /// Whether this thread makes the mistake `name`.
    #[inline]
    pub fn is(name: &str) -> bool {
        PLANTED.get() == name
    }
}

#[cfg(feature = "planted")]
pub use switch::{is, plant};

/// Whether this thread makes the mistake `name`.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is(_name: &str) -> bool {
    false
}
