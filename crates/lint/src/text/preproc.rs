//! Conditional compilation: which lines are read, and which alternatives stay visible to the grammar.
//!
//! A group whose branches are whole statements is left in place, so that two branches count as two alternatives. A group
//! that cuts through a statement is reduced to its first live branch.

use crate::source::Span;
use crate::text::lexer::{Directive, Kind, Lexed, Token};

/// A `#define`.
#[derive(Clone, Debug)]
pub(crate) struct Define {
    pub(crate) name: String,
    /// Parameter names; `None` for an object-like macro.
    pub(crate) params: Option<Vec<String>>,
    /// The replacement text.
    pub(crate) body: Span,
}

/// What the preprocessor lines of a file ask for.
#[derive(Default)]
pub(crate) struct Preprocessed {
    pub(crate) defines: Vec<Define>,
    /// Directives that stay in the text for the grammar; all others are blanked.
    pub(crate) kept: Vec<Span>,
    /// Text that is not read at all.
    pub(crate) dead: Vec<Span>,
}

struct Group {
    branches: Vec<Branch>,
    end: Option<Directive>,
    depth: i32,
}

struct Branch {
    directive: Directive,
    never: bool,
}

/// Reads the preprocessor lines of a file.
pub(crate) fn preprocess(text: &str, lexed: &Lexed) -> Preprocessed {
    let mut out = Preprocessed::default();
    // Only conditional compilation needs the balance of brackets.
    let conditional =
        lexed.directives.iter().any(|d| split_directive(text, d.span).0.starts_with("if"));
    let balance = if conditional { prefix_balance(&lexed.tokens) } else { Vec::new() };
    let mut open: Vec<Group> = Vec::new();
    for directive in &lexed.directives {
        let (word, rest) = split_directive(text, directive.span);
        match word {
            "define" => out.defines.extend(read_define(text, rest)),
            "if" | "ifdef" | "ifndef" => {
                let never = word == "if" && matches!(text[rest.range()].trim(), "0" | "false");
                open.push(Group {
                    branches: vec![Branch { directive: *directive, never }],
                    end: None,
                    depth: balance[directive.at as usize].iter().sum(),
                });
            }
            "elif" | "else" | "elifdef" | "elifndef" => {
                if let Some(group) = open.last_mut() {
                    group.branches.push(Branch { directive: *directive, never: false });
                }
            }
            "endif" => {
                if let Some(mut group) = open.pop() {
                    group.end = Some(*directive);
                    close_group(&group, lexed, &balance, &mut out);
                }
            }
            _ => {}
        }
    }
    out.dead.sort_unstable();
    out
}

fn close_group(group: &Group, lexed: &Lexed, balance: &[[i32; 3]], out: &mut Preprocessed) {
    let Some(end) = group.end else { return };
    let bound = |i: usize| group.branches.get(i).map_or(end, |b| b.directive);
    let mut whole = starts_statement(lexed, group.branches[0].directive.at);
    let mut balanced = true;
    for (i, branch) in group.branches.iter().enumerate() {
        let (from, to) = (branch.directive.at as usize, bound(i + 1).at as usize);
        balanced &= balance[from] == balance[to];
        whole &= from == to || starts_statement(lexed, to as u32);
        if branch.never {
            out.dead.push(Span { start: branch.directive.span.end, end: bound(i + 1).span.start });
        }
    }
    let live: Vec<usize> =
        (0..group.branches.len()).filter(|i| !group.branches[*i].never).collect();
    if balanced && whole {
        if group.depth > 0 && live.len() == group.branches.len() {
            out.kept.extend(group.branches.iter().map(|b| b.directive.span));
            out.kept.push(end.span);
        }
        return;
    }
    let first = live.iter().copied().find(|i| bound(*i).at != bound(*i + 1).at || live.len() == 1);
    for i in live {
        if Some(i) != first {
            out.dead.push(Span { start: bound(i).span.end, end: bound(i + 1).span.start });
        }
    }
}

/// Whether the token before index `at` ends a statement, a block or a label.
fn starts_statement(lexed: &Lexed, at: u32) -> bool {
    let Some(before) = (at as usize).checked_sub(1) else { return true };
    matches!(lexed.tokens[before].kind, Kind::Punct(b';' | b'{' | b'}' | b':'))
}

fn prefix_balance(tokens: &[Token]) -> Vec<[i32; 3]> {
    let mut sums = Vec::with_capacity(tokens.len() + 1);
    let mut now = [0i32; 3];
    sums.push(now);
    for token in tokens {
        match token.kind {
            Kind::Punct(b'{') => now[0] += 1,
            Kind::Punct(b'}') => now[0] -= 1,
            Kind::Punct(b'(') => now[1] += 1,
            Kind::Punct(b')') => now[1] -= 1,
            Kind::Punct(b'[') => now[2] += 1,
            Kind::Punct(b']') => now[2] -= 1,
            _ => {}
        }
        sums.push(now);
    }
    sums
}

/// The word after `#` and the span of what follows it.
fn split_directive(text: &str, span: Span) -> (&str, Span) {
    let line = &text[span.range()];
    let word_start =
        line[1..].find(|c: char| !matches!(c, ' ' | '\t')).map_or(line.len(), |i| i + 1);
    let word_end = line[word_start..]
        .find(|c: char| !c.is_ascii_alphanumeric())
        .map_or(line.len(), |i| word_start + i);
    let rest = Span { start: span.start + word_end as u32, end: span.end };
    (&line[word_start..word_end], rest)
}

fn read_define(text: &str, rest: Span) -> Option<Define> {
    let line = &text[rest.range()];
    let lead = line.len() - line.trim_start().len();
    let name_len = line[lead..]
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(line.len() - lead);
    if name_len == 0 {
        return None;
    }
    let name = line[lead..lead + name_len].to_owned();
    let mut body = lead + name_len;
    let mut params = None;
    if line[body..].starts_with('(') {
        let close = line[body..].find(')')? + body;
        let list =
            line[body + 1..close].split(',').map(|p| p.trim().trim_end_matches("...").trim());
        params = Some(list.filter(|p| !p.is_empty() && *p != "\\").map(str::to_owned).collect());
        body = close + 1;
    }
    // A comment at the end of the line is no part of the replacement.
    let mut body_end = line.len();
    if let Some(comment) = find_comment(&line[body..]) {
        body_end = body + comment;
    }
    Some(Define {
        name,
        params,
        body: Span { start: rest.start + body as u32, end: rest.start + body_end as u32 },
    })
}

fn find_comment(text: &str) -> Option<usize> {
    let mut quoted = false;
    let bytes = text.as_bytes();
    for i in 0..bytes.len() {
        match bytes[i] {
            b'"' if i == 0 || bytes[i - 1] != b'\\' => quoted = !quoted,
            b'/' if !quoted && bytes.get(i + 1) == Some(&b'/') => return Some(i),
            b'/' if !quoted && bytes.get(i + 1) == Some(&b'*') && !text[i..].contains("*/") => {
                return Some(i);
            }
            _ => {}
        }
    }
    None
}
