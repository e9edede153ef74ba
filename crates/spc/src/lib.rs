//! The host side of a logical unit.
