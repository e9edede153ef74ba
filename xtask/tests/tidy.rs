//! House rules that no compiler checks: see each test.

#![allow(clippy::unwrap_used, reason = "a tree that cannot be read ends the test")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file besides its tests: more are worth a word, still more are too many.
const LINES_WORTH_A_WORD: usize = 500;
const LINES_MAX: usize = 700;

/// Where `unsafe` may stand: the mappings, the typed views of them, sockets over them, io_uring.
const UNSAFE_ALLOWED: [&str; 9] = [
    "outboard/tests/debugging/debugger.rs",
    "crates/sandbox/examples/misbehave.rs",
    "crates/sandbox/src/sys.rs",
    "crates/slots/src/inherited.rs",
    "crates/slots/src/memory.rs",
    "crates/slots/src/region.rs",
    "crates/slots/src/socket.rs",
    "crates/slots/src/wait.rs",
    "crates/disk/src/uring",
];

/// Macros that are for the time of writing only.
const UNFINISHED: [&str; 3] = ["dbg", "todo", "unimplemented"];

/// Lines above an `unsafe` in which its reason must stand.
const REASON_WITHIN_LINES: usize = 8;

#[test]
fn files_are_short() {
    let mut complaints = Complaints::default();
    for file in sources().iter().filter(|file| !file.is_test()) {
        match file.own_lines() {
            lines if lines > LINES_MAX => {
                complaints.add(file, lines, format!("has {lines} lines; at most {LINES_MAX}"));
            }
            lines if lines > LINES_WORTH_A_WORD => println!("{}: {lines} lines", file.path),
            _ => {}
        }
    }
    complaints.end();
}

#[test]
fn nothing_is_left_unfinished() {
    let mut complaints = Complaints::default();
    for file in &sources() {
        for (number, line) in file.lines() {
            let code = code_of(line);
            for name in UNFINISHED {
                if code.contains(&format!("{name}!(")) {
                    complaints.add(file, number, format!("{name}! is left"));
                }
            }
        }
    }
    complaints.end();
}

#[test]
fn unsafe_code_stands_where_it_may_and_has_a_reason() {
    let mut complaints = Complaints::default();
    for file in &sources() {
        let allowed = UNSAFE_ALLOWED.iter().any(|prefix| file.path.starts_with(prefix));
        let lines: Vec<_> = file.text.lines().collect();
        for (number, line) in file.lines() {
            if !words(&code_of(line)).any(|word| word == "unsafe") {
                continue;
            }
            if !allowed {
                complaints.add(file, number, "unsafe code; see UNSAFE_ALLOWED in this test");
            }
            let first = number.saturating_sub(1 + REASON_WITHIN_LINES);
            let above = &lines[first..number];
            if !above.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety")) {
                complaints.add(file, number, "unsafe code without a SAFETY comment above");
            }
        }
    }
    complaints.end();
}

#[test]
fn lines_end_with_a_character() {
    let mut complaints = Complaints::default();
    for file in &files(&["rs", "toml", "md"]) {
        for (number, line) in file.lines() {
            if line.ends_with([' ', '\t', '\r']) {
                complaints.add(file, number, "ends with white space");
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            complaints.add(file, file.text.lines().count(), "the last line does not end");
        }
    }
    complaints.end();
}

#[test]
fn every_crate_says_what_it_is() {
    let mut complaints = Complaints::default();
    for file in &sources() {
        let is_root = ["src/lib.rs", "src/main.rs"].iter().any(|end| file.path.ends_with(end));
        if is_root && !file.text.starts_with("//! ") {
            complaints.add(file, 1, "a crate begins with what it is: //!");
        }
    }
    complaints.end();
}

#[test]
fn nothing_is_left_over() {
    let mut complaints = Complaints::default();
    for file in &files(&["new", "orig", "rej", "bak"]) {
        complaints.add(file, 1, "is left over from an edit or a snapshot test");
    }
    complaints.end();
}

#[test]
fn comments_and_strings_are_no_code() {
    assert_eq!(code_of("let a = b; // unsafe"), "let a = b; ");
    assert_eq!(code_of("say(\"unsafe \\\" // {}\", x); y('\"')"), "say(, x); y()");
    assert_eq!(code_of("fn f<'a>(x: &'a u8) {}"), "fn f<'a>(x: &'a u8) {}");
    assert!(!words("#![deny(unsafe_code)]").any(|word| word == "unsafe"));
}

/// A text file, by its path from the root.
struct File {
    path: String,
    text: String,
}

impl File {
    /// Lines with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let folder = |folder| self.path.split('/').any(|part| part == folder);
        name.ends_with("tests.rs") || folder("tests") || folder("benches")
    }

    /// Lines before the tests at its end.
    fn own_lines(&self) -> usize {
        self.text.lines().take_while(|line| *line != "#[cfg(test)]").count()
    }
}

/// What is found, to be said at once.
#[derive(Default)]
struct Complaints(String);

impl Complaints {
    fn add(&mut self, file: &File, line: usize, what: impl AsRef<str>) {
        writeln!(self.0, "{}:{line}: {}", file.path, what.as_ref()).unwrap();
    }

    fn end(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn sources() -> Vec<File> {
    files(&["rs"])
}

/// Every file of ours with one of these extensions.
fn files(extensions: &[&str]) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut paths = Vec::new();
    walk(root, &mut paths);
    let wanted = |path: &PathBuf| {
        path.extension().is_some_and(|own| extensions.iter().any(|wanted| own == *wanted))
    };
    let mut files: Vec<_> = paths
        .into_iter()
        .filter(wanted)
        .map(|path| File {
            path: path.strip_prefix(root).unwrap().to_string_lossy().into_owned(),
            text: fs::read_to_string(&path).unwrap(),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!files.is_empty() || !extensions.contains(&"rs"), "no file of ours was found");
    files
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let ours = !name.starts_with('.')
                && !["artifacts", "corpus", "coverage", "target"].contains(&name.as_str());
            if ours {
                walk(&path, paths);
            }
        } else {
            paths.push(path);
        }
    }
}

/// A line without its comment, its strings and its characters.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            break;
        }
        let literal = match first {
            '"' => string_len(rest),
            '\'' => character_len(rest),
            _ => None,
        };
        match literal {
            Some(len) => rest = &rest[len..],
            None => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    code
}

/// Bytes of the string at the beginning, up to the line's end if it goes on.
fn string_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// Bytes of the character at the beginning; `None` for a lifetime.
fn character_len(text: &str) -> Option<usize> {
    let body = text[1..].chars().next()?;
    let end = match body {
        '\\' => 2 + text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'')?.0,
        _ => 1 + body.len_utf8(),
    };
    text[end..].starts_with('\'').then_some(end + 1)
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}
