//! Reads TOML files key by key. What is wrong is written down and reading goes on, so that one look
//! finds all mistakes, each with its line, the rule and the mend.
//!
//! | module | what |
//! |---|---|
//! | [`reader`] | tables and values |
//! | [`problem`] | what is wrong, and how it is shown |
//! | [`mod@nearest`] | the word that was probably meant |

#![forbid(unsafe_code)]

pub mod nearest;
pub mod problem;
pub mod reader;

pub use nearest::nearest;
pub use problem::{At, Found, Problem, locate, render};
pub use reader::{Fault, Problems, Section, Value, list};

use toml::de::DeTable;

/// Reads a text with `read`; what it made, and what was found wrong meanwhile.
///
/// # Errors
/// The text is no TOML at all.
pub fn read<T>(
    text: &str,
    read: impl FnOnce(Section<'_, '_>) -> T,
) -> Result<(T, Vec<Found>), Found> {
    let root = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(At::Whole, At::Span);
        let message = error.message().replace('\n', ", ");
        Found::new(at, "", message, "this is not TOML; see https://toml.io")
    })?;
    let problems = Problems::default();
    let start = root.span().start;
    let made = read(Section::new(&problems, "", root.get_ref(), start..start));
    Ok((made, problems.into_vec()))
}
