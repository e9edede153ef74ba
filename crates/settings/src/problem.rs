//! What is wrong with a file of settings: where, the rule, the mend.

use std::fmt::{self, Write};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where something was said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum At {
    /// nowhere: it is a default, or about the whole
    #[default]
    Whole,
    /// bytes of the file
    Span(Range<usize>),
    /// on the command line
    Flag(String),
}

/// A thing said where.
#[derive(Clone, Debug)]
pub struct Found {
    /// where
    pub at: At,
    /// the key or flag
    pub key: String,
    /// what is wrong
    pub rule: String,
    /// what to write instead
    pub mend: String,
    /// the line may hold a secret, whatever its key is called
    pub is_secret: bool,
}

/// One thing that is wrong, or not advisable.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfigProblem)]
pub struct Problem {
    /// line of the file, from 1; none for flags and for what is about the whole
    pub line: Option<usize>,
    /// column in characters, from 1
    pub column: Option<usize>,
    /// the key, as `target.luns`, or the flag
    pub key: String,
    /// what is wrong
    pub rule: String,
    /// what to write instead
    pub mend: String,
    /// the line itself; empty if there is none, or if it may hold a secret
    pub excerpt: String,
    /// how many characters of it are meant
    pub width: usize,
}

impl Found {
    /// A thing that is wrong.
    pub fn new(
        at: At,
        key: impl Into<String>,
        rule: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let (key, rule, mend) = (key.into(), rule.into(), mend.into());
        Self { at, key, rule, mend, is_secret: false }
    }

    /// With line and column, from the text it was found in.
    pub fn locate(self, text: &str) -> Problem {
        let Self { at, key, rule, mend, is_secret } = self;
        let mut problem =
            Problem { line: None, column: None, key, rule, mend, excerpt: String::new(), width: 0 };
        match at {
            At::Whole => {}
            At::Flag(flag) => problem.key = flag,
            At::Span(span) => place(&mut problem, span, text, is_secret),
        }
        problem
    }
}

fn place(problem: &mut Problem, span: Range<usize>, text: &str, is_secret: bool) {
    let start = floor(text, span.start);
    let end = floor(text, span.end.max(start));
    let before = text.get(..start).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = text.get(line_start..).unwrap_or("").lines().next().unwrap_or("");
    problem.line = Some(before.matches('\n').count() + 1);
    problem.column = Some(text.get(line_start..start).unwrap_or("").chars().count() + 1);
    let says_secret = |(at, word): (usize, &str)| {
        !line.get(at + word.len()..).is_some_and(|rest| rest.starts_with("_file"))
    };
    if is_secret || line.match_indices("secret").any(says_secret) {
        return; // logs are read by more people than secrets
    }
    let line_end = line_start + line.len();
    problem.width = text.get(start..end.min(line_end)).unwrap_or("").chars().count().max(1);
    problem.excerpt = line.trim_end().replace(|c: char| c.is_control(), " ");
}

/// The last character boundary at or before `index`.
fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// With line and column, in the order of the text.
pub fn locate(found: Vec<Found>, text: &str) -> Vec<Problem> {
    let mut problems: Vec<Problem> = found.into_iter().map(|found| found.locate(text)).collect();
    problems.sort_by_key(|problem| (problem.line.unwrap_or(usize::MAX), problem.column));
    problems
}

/// All problems, one after the other, each with its line if there is one. No line break at the end.
pub fn render(kind: &str, path: Option<&Path>, problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        if !out.is_empty() {
            out.push('\n');
        }
        // writing to a string cannot fail
        let _ = problem.write(&mut out, kind, path);
    }
    out
}

impl Problem {
    /// As `kind: FILE:LINE:COLUMN: key: rule; mend`, with the line and a mark below.
    fn write(&self, out: &mut String, kind: &str, path: Option<&Path>) -> fmt::Result {
        write!(out, "{kind}: ")?;
        if let Some(path) = path {
            write!(out, "{}:", path.display())?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(out, "{line}:{column}:")?;
            }
            out.push(' ');
        }
        self.sentence(out)?;
        let (Some(line), Some(column)) = (self.line, self.column) else { return Ok(()) };
        if self.excerpt.is_empty() {
            return Ok(());
        }
        let number = line.to_string();
        write!(out, "\n{number} | {}", self.excerpt)?;
        let blank = number.len();
        let before = column - 1;
        let width = self.width.min(self.excerpt.chars().count().saturating_sub(before)).max(1);
        write!(out, "\n{:blank$} | {:before$}{}", "", "", "^".repeat(width))
    }

    fn sentence(&self, out: &mut String) -> fmt::Result {
        if !self.key.is_empty() {
            write!(out, "{}: ", self.key)?;
        }
        write!(out, "{}", self.rule)?;
        if !self.mend.is_empty() {
            write!(out, "; {}", self.mend)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        let mut text = String::new();
        self.sentence(&mut text)?;
        f.write_str(&text)
    }
}
