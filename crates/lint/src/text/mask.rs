//! Text of equal length that the C++ grammar can read, and a side table of what was blanked.
//!
//! DriverKit's attribute words are replaced by spaces, `IMPL(Class, Method)` by `Class::Method`, a block literal by a one
//! letter name; offsets never change, so every span of the parsed tree is a span of the file.

use std::collections::HashMap;

use crate::source::{FileKind, Span};
use crate::text::lexer::{self, Kind, Lexed, Token};
use crate::text::preproc::Preprocessed;

/// Deepest nesting of brackets that is read.
pub(crate) const MAX_DEPTH: usize = 160;

/// An attribute macro of DriverKit's interface language, such as `QUEUENAME(AuxiliaryQueue)`.
#[derive(Clone, Debug)]
pub(crate) struct MacroUse {
    pub(crate) name: String,
    pub(crate) argument: String,
    pub(crate) span: Span,
}

/// An `IMPL(Class, Method)` head.
#[derive(Clone, Debug)]
pub(crate) struct ImplUse {
    pub(crate) span: Span,
    pub(crate) method: Span,
}

/// A block literal that was lifted out of its place.
#[derive(Clone, Debug)]
pub(crate) struct BlockText {
    pub(crate) span: Span,
    /// The text of the body with its braces, masked like the rest.
    pub(crate) text: Vec<u8>,
    /// Offset of the body in the file.
    pub(crate) base: u32,
}

/// The masked text of one file.
pub(crate) struct Masked {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tokens: Vec<Token>,
    /// For each opening bracket the index of its closing one, else `u32::MAX`.
    pub(crate) close: Vec<u32>,
    pub(crate) macros: Vec<MacroUse>,
    pub(crate) impls: Vec<ImplUse>,
    pub(crate) blocks: HashMap<u32, BlockText>,
    /// Places that were not read, and why.
    pub(crate) skipped: Vec<(u32, String)>,
}

const PLAIN: &[&str] = &[
    "KERNEL",
    "LOCAL",
    "LOCALONLY",
    "LOCALHOST",
    "REMOTE",
    "INVOKEREPLY",
    "PORTMAKESEND",
    "TARGET",
    "NATIVE",
    "IIG_KERNEL",
    "IIG_NATIVE",
    "SERVER",
];
const WITH_ARGUMENT: &[&str] = &["QUEUENAME", "TYPE", "EXTENDS", "WRAPTYPE", "ARRAYSIZE"];
const ANYWHERE: &[&str] = &[
    "__unused",
    "__block",
    "__weak",
    "__strong",
    "_Nullable",
    "_Nonnull",
    "_Null_unspecified",
    "__nullable",
    "__nonnull",
    "__kindof",
    "__restrict",
    "__inline",
    "__extension__",
];
const KEYWORDS: &[&str] = &[
    "if",
    "while",
    "for",
    "switch",
    "catch",
    "return",
    "sizeof",
    "alignof",
    "alignas",
    "decltype",
    "typeof",
    "__typeof__",
    "explicit",
    "noexcept",
    "template",
    "throw",
    "new",
    "delete",
    "case",
    "else",
    "do",
    "operator",
    "static_assert",
    "requires",
    "IMPL",
    "constexpr",
    "co_return",
    "using",
    "goto",
    "defined",
    "asm",
    "__asm__",
    "synchronized",
];

/// Masks a file.
pub(crate) fn mask(text: &str, kind: FileKind, lexed: &mut Lexed, pre: &Preprocessed) -> Masked {
    let mut m = Masker {
        text,
        bytes: text.as_bytes().to_vec(),
        tokens: Vec::new(),
        close: Vec::new(),
        out_macros: Vec::new(),
        impls: Vec::new(),
        blocks: HashMap::new(),
        skipped: Vec::new(),
    };
    for comment in &lexed.comments {
        m.blank(*comment);
    }
    let mut kept: Vec<Span> = pre.kept.clone();
    kept.sort_unstable();
    for directive in &lexed.directives {
        if kept.binary_search(&directive.span).is_err() {
            m.blank(directive.span);
        }
    }
    for dead in &pre.dead {
        m.blank(*dead);
    }
    // The tokens move: a file of ten megabytes may have as many.
    m.tokens = live_tokens(std::mem::take(&mut lexed.tokens), &pre.dead);
    m.match_brackets();
    m.attributes(kind);
    m.impl_heads();
    m.statement_macros();
    m.lift_blocks();
    Masked {
        bytes: m.bytes,
        tokens: m.tokens,
        close: m.close,
        macros: m.out_macros,
        impls: m.impls,
        blocks: m.blocks,
        skipped: m.skipped,
    }
}

struct Masker<'a> {
    text: &'a str,
    bytes: Vec<u8>,
    tokens: Vec<Token>,
    close: Vec<u32>,
    out_macros: Vec<MacroUse>,
    impls: Vec<ImplUse>,
    blocks: HashMap<u32, BlockText>,
    skipped: Vec<(u32, String)>,
}

impl Masker<'_> {
    /// Pairs brackets; text nested deeper than [`MAX_DEPTH`] is blanked.
    fn match_brackets(&mut self) {
        let mut stack: Vec<usize> = Vec::new();
        let mut deep: Vec<(usize, usize)> = Vec::new();
        let mut braces = 0usize;
        self.close = vec![u32::MAX; self.tokens.len()];
        for i in 0..self.tokens.len() {
            let Kind::Punct(byte) = self.tokens[i].kind else { continue };
            match byte {
                b'{' | b'(' | b'[' => {
                    braces += usize::from(byte == b'{');
                    stack.push(i);
                }
                b'}' | b')' | b']' => {
                    let want = match byte {
                        b'}' => b'{',
                        b')' => b'(',
                        _ => b'[',
                    };
                    if byte == b'}' && braces > 0 {
                        while stack.last().is_some_and(|top| !self.tokens[*top].is(b'{')) {
                            stack.pop();
                        }
                    }
                    if stack.last().is_some_and(|top| self.tokens[*top].is(want)) {
                        let depth = stack.len();
                        if let Some(open) = stack.pop() {
                            braces -= usize::from(byte == b'}');
                            self.close[open] = i as u32;
                            if depth == MAX_DEPTH {
                                deep.push((open, i));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        if stack.len() > MAX_DEPTH {
            deep.push((stack[MAX_DEPTH], self.tokens.len() - 1));
        }
        deep.retain(|(open, close)| close - open > 1);
        for (open, close) in deep {
            let span = Span { start: self.tokens[open].end, end: self.tokens[close].start };
            if span.start < span.end
                && self.bytes[span.range()].iter().any(|b| matches!(b, b'(' | b'{' | b'['))
            {
                self.blank(span);
                self.skipped.push((
                    span.start,
                    format!("nested deeper than {MAX_DEPTH} brackets, not read"),
                ));
            }
        }
    }

    /// Blanks the attribute words of the interface language and compiler annotations.
    fn attributes(&mut self, kind: FileKind) {
        let iig = kind == FileKind::Iig;
        let mut i = 0;
        while i < self.tokens.len() {
            let token = self.tokens[i];
            let next = self.tokens.get(i + 1).copied();
            if token.kind == Kind::Ident {
                let word = &self.text[token.span().range()];
                let called = next.is_some_and(|t| t.is(b'('));
                let closing = if called { self.close[i + 1] } else { u32::MAX };
                let attribute_place = iig || self.attribute_place(i);
                if PLAIN.contains(&word) && !called && attribute_place {
                    self.out_macros.push(MacroUse {
                        name: word.to_owned(),
                        argument: String::new(),
                        span: token.span(),
                    });
                    self.blank(token.span());
                } else if WITH_ARGUMENT.contains(&word) && closing != u32::MAX && attribute_place {
                    let end = self.tokens[closing as usize];
                    let inner = Span { start: self.tokens[i + 1].end, end: end.start };
                    let span = Span { start: token.start, end: end.end };
                    self.out_macros.push(MacroUse {
                        name: word.to_owned(),
                        argument: self.text[inner.range()].split_whitespace().collect(),
                        span,
                    });
                    self.blank(span);
                    i = closing as usize;
                } else if word == "__attribute__" && closing != u32::MAX {
                    self.blank(Span { start: token.start, end: self.tokens[closing as usize].end });
                    i = closing as usize;
                } else if ANYWHERE.contains(&word) {
                    self.blank(token.span());
                } else if i > 0 && is_loud(word) && self.unknown_attribute(i, closing) {
                    let last = if called { self.tokens[closing as usize] } else { token };
                    self.blank(Span { start: token.start, end: last.end });
                }
            }
            i += 1;
        }
    }

    /// In C++ files an attribute word counts only after `)`, `override`, `class` or another attribute.
    fn attribute_place(&self, i: usize) -> bool {
        let Some(before) = i.checked_sub(1).map(|b| self.tokens[b]) else { return false };
        let word = &self.text[before.span().range()];
        matches!(word, "override" | "final" | "const" | "class" | "LOCALONLY")
            || before.is(b')')
                && self.tokens.get(i + 1).is_some_and(|t| {
                    t.is(b';') || t.is(b'(') || t.is(b'=') || t.kind == Kind::Ident
                })
                && !self.text[self.tokens[i].span().range()].starts_with("IMPL")
    }

    /// A word in capitals between the end of a declaration and its `;`.
    fn unknown_attribute(&self, i: usize, closing: u32) -> bool {
        let before = self.tokens[i - 1];
        let before_word = &self.text[before.span().range()];
        let after = if closing == u32::MAX { i + 1 } else { closing as usize + 1 };
        let ends = self.tokens.get(after).is_some_and(|t| t.is(b';'));
        (before_word == "override" && ends)
            || (before_word == "class"
                && self.tokens.get(after).is_some_and(|t| t.kind == Kind::Ident)
                && self.tokens.get(after + 1).is_some_and(|t| t.is(b':') || t.is(b'{')))
    }

    /// Rewrites `IMPL(Class, Method)` to `Class::Method`, with `()` if no parameter list follows.
    fn impl_heads(&mut self) {
        for i in 0..self.tokens.len().saturating_sub(5) {
            if &self.text[self.tokens[i].span().range()] != "IMPL" || !self.tokens[i + 1].is(b'(') {
                continue;
            }
            let close = self.close[i + 1] as usize;
            let Some(end) = self.tokens.get(close).copied() else { continue };
            let comma = (i + 2..close).rev().find(|j| self.tokens[*j].is(b','));
            let Some(comma) = comma.filter(|c| *c + 1 < close && *c > i + 2) else { continue };
            let class =
                &self.text[self.tokens[i + 2].start as usize..self.tokens[comma - 1].end as usize];
            let method =
                Span { start: self.tokens[comma + 1].start, end: self.tokens[close - 1].end };
            let has_params = self.tokens.get(close + 1).is_some_and(|t| t.is(b'('));
            let tail = if has_params { "" } else { "()" };
            let head: String = class.split_whitespace().collect();
            let head = format!("{head}::{}{tail}", &self.text[method.range()]);
            let span = Span { start: self.tokens[i].start, end: end.end };
            if head.len() <= (span.end - span.start) as usize {
                self.blank(span);
                let at = span.end as usize - head.len();
                self.bytes[at..span.end as usize].copy_from_slice(head.as_bytes());
                self.impls.push(ImplUse { span, method });
            }
        }
    }

    /// Ends a macro call that stands as a statement without a semicolon.
    fn statement_macros(&mut self) {
        for i in 0..self.tokens.len() {
            let token = self.tokens[i];
            if token.kind != Kind::Ident || !self.tokens.get(i + 1).is_some_and(|t| t.is(b'(')) {
                continue;
            }
            let starts = i == 0
                || matches!(self.tokens[i - 1].kind, Kind::Punct(b';' | b'{' | b'}'))
                || self.bytes[self.tokens[i - 1].span().range()].iter().all(|b| *b == b' ');
            if !starts || KEYWORDS.contains(&&self.text[token.span().range()]) {
                continue;
            }
            let close = self.close[i + 1] as usize;
            let (Some(end), Some(next)) = (self.tokens.get(close), self.tokens.get(close + 1))
            else {
                continue;
            };
            let next_word = &self.text[next.span().range()];
            let follows = (next.kind == Kind::Ident
                && !matches!(next_word, "const" | "noexcept" | "override" | "and" | "or" | "try"))
                || next.is(b'}');
            let room = self.bytes.get(end.end as usize).is_some_and(u8::is_ascii_whitespace);
            if follows && room && self.bytes[token.start as usize] != b' ' {
                self.bytes[end.end as usize] = b';';
            }
        }
    }

    /// Lifts block literals out, innermost first, leaving a name in their place.
    fn lift_blocks(&mut self) {
        let mut budget = self.bytes.len() * 2 + 65_536;
        for i in (0..self.tokens.len()).rev() {
            if !self.tokens[i].is(b'^') || self.bytes[self.tokens[i].start as usize] != b'^' {
                continue;
            }
            if !self.block_may_start(i) {
                continue;
            }
            let Some(open) = self.block_body(i) else {
                if i > 0 && self.tokens[i - 1].is(b'(') {
                    self.bytes[self.tokens[i].start as usize] = b'*';
                }
                continue;
            };
            let close = self.close[open];
            if close == u32::MAX {
                continue;
            }
            let body =
                Span { start: self.tokens[open].start, end: self.tokens[close as usize].end };
            let span = Span { start: self.tokens[i].start, end: body.end };
            let len = (body.end - body.start) as usize;
            if len > budget {
                self.skipped.push((span.start, "blocks nested too deep, not read".to_owned()));
            } else {
                budget -= len;
                let text = self.bytes[body.range()].to_vec();
                self.blocks.insert(span.start, BlockText { span, text, base: body.start });
            }
            self.blank(span);
            self.bytes[span.start as usize] = b'_';
        }
    }

    fn block_may_start(&self, i: usize) -> bool {
        let Some(before) = i.checked_sub(1).map(|b| self.tokens[b]) else { return false };
        match before.kind {
            Kind::Punct(b')' | b']') | Kind::Number | Kind::Text => {
                // A cast may stand before a block; then a brace follows at once.
                before.is(b')') && self.tokens.get(i + 1).is_some_and(|t| t.is(b'{'))
            }
            Kind::Ident => &self.text[before.span().range()] == "return",
            Kind::Punct(_) => true,
        }
    }

    /// Index of the brace that opens the body of the block literal at `i`.
    fn block_body(&self, i: usize) -> Option<usize> {
        let mut at = i + 1;
        for _ in 0..8 {
            let token = self.tokens.get(at)?;
            match token.kind {
                Kind::Punct(b'{') => return Some(at),
                Kind::Punct(b'(') => {
                    let close = self.close[at];
                    if close == u32::MAX {
                        return None;
                    }
                    at = close as usize + 1;
                }
                Kind::Ident | Kind::Punct(b'*' | b'&' | b':') => at += 1,
                _ => return None,
            }
        }
        None
    }

    fn blank(&mut self, span: Span) {
        blank(&mut self.bytes, span);
    }
}

/// Replaces a span by spaces; line ends stay.
pub(crate) fn blank(bytes: &mut [u8], span: Span) {
    if let Some(part) = bytes.get_mut(span.range()) {
        part.iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    }
}

/// The replacement text of a function-like macro as a body that the grammar can read.
pub(crate) fn macro_body(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for i in 0..bytes.len() {
        if bytes[i] == b'\\' && bytes[i + 1..].iter().take(2).any(|b| *b == b'\n') {
            bytes[i] = b' ';
        }
    }
    for comment in lexer::lex(text).comments {
        blank(&mut bytes, comment);
    }
    bytes
}

fn is_loud(word: &str) -> bool {
    word.len() > 2
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn live_tokens(mut tokens: Vec<Token>, dead: &[Span]) -> Vec<Token> {
    let mut next = 0;
    let mut dead_until = 0;
    tokens.retain(|token| {
        while next < dead.len() && dead[next].start <= token.start {
            dead_until = dead_until.max(dead[next].end);
            next += 1;
        }
        token.start >= dead_until
    });
    tokens
}
