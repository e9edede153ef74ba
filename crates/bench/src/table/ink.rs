use std::env;
use std::io::IsTerminal;

use crate::text::{Grade, grade};

/// Colour, or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ink(bool);

impl Ink {
    /// No colour.
    pub const PLAIN: Self = Self(false);
    /// Colour.
    pub const COLOUR: Self = Self(true);

    /// Colour if `stream` is a terminal that has it and `NO_COLOR` is not set (or empty).
    pub fn of(stream: &impl IsTerminal) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(stream.is_terminal() && !refused)
    }

    /// Emphasis.
    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Less than the rest.
    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A ratio to the resident path: green from 0.99, yellow from 0.97, red below.
    pub(super) fn ratio(self, ratio: f64, text: &str) -> String {
        let code = match grade(ratio) {
            Grade::Good => "32",
            Grade::Fair => "33",
            Grade::Poor => "31",
        };
        self.paint(code, text)
    }

    /// A count that should be 0.
    pub(super) fn errors(self, errors: u64, text: &str) -> String {
        if errors == 0 { text.to_owned() } else { self.paint("1;31", text) }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
