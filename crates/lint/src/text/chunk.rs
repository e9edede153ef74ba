//! Top-level declarations of a file, found by their brackets, so that an error in one does not spoil the next.

use crate::source::Span;
use crate::text::lexer::{Kind, Token};
use crate::text::mask::Masked;

/// Finds the top-level declarations. Namespaces and `extern "C"` are entered.
pub(crate) fn chunks(text: &str, masked: &mut Masked) -> Vec<Span> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < masked.tokens.len() {
        let token = masked.tokens[at];
        if blanked(masked, token) || token.is(b'}') || token.is(b';') {
            at += 1;
            continue;
        }
        if let Some(inside) = namespace_body(text, masked, at) {
            at = inside;
            continue;
        }
        let last = chunk_end(text, masked, at);
        out.push(Span { start: token.start, end: masked.tokens[last].end });
        at = last + 1;
    }
    out
}

/// Index after the brace that opens a namespace or linkage block beginning at `at`.
fn namespace_body(text: &str, masked: &Masked, at: usize) -> Option<usize> {
    let word = |i: usize| masked.tokens.get(i).map_or("", |t| &text[t.span().range()]);
    let mut i = at;
    if word(i) == "inline" {
        i += 1;
    }
    match word(i) {
        "namespace" => {
            for j in i + 1..i + 12 {
                match masked.tokens.get(j)?.kind {
                    Kind::Punct(b'{') => return Some(j + 1),
                    Kind::Punct(b'=' | b';') => return None,
                    _ => {}
                }
            }
            None
        }
        "extern" if masked.tokens.get(i + 1)?.kind == Kind::Text => {
            masked.tokens.get(i + 2)?.is(b'{').then_some(i + 3)
        }
        _ => None,
    }
}

/// Index of the last token of the declaration that begins at `at`.
fn chunk_end(text: &str, masked: &mut Masked, at: usize) -> usize {
    let last = masked.tokens.len() - 1;
    let first = &text[masked.tokens[at].span().range()];
    let type_like = matches!(first, "class" | "struct" | "union" | "enum" | "typedef" | "template");
    let mut parens = false;
    let mut i = at;
    while i <= last {
        let token = masked.tokens[i];
        match token.kind {
            Kind::Punct(b';') => return i,
            Kind::Punct(b'}') => return i.saturating_sub(1).max(at),
            Kind::Punct(b'(' | b'[') if masked.close[i] != u32::MAX => {
                parens |= token.is(b'(') && !blanked(masked, token);
                i = masked.close[i] as usize;
            }
            Kind::Punct(b'{') => {
                let Some(end) = closing(text, masked, i, last) else { return last };
                let next = masked.tokens.get(end + 1).copied();
                match next.map(|t| t.kind) {
                    Some(Kind::Punct(b';')) => return end + 1,
                    Some(Kind::Punct(b',' | b'=' | b'{')) => i = end,
                    Some(Kind::Ident | Kind::Punct(b'*')) if type_like && !parens => i = end,
                    _ => return end,
                }
            }
            _ => {}
        }
        i += 1;
    }
    last
}

/// The brace that closes the one at `open`; if there is none, the declaration is cut before the next method head.
fn closing(text: &str, masked: &mut Masked, open: usize, last: usize) -> Option<usize> {
    let close = masked.close[open];
    if close != u32::MAX && !swallows_heads(text, masked, open, close as usize) {
        return Some(close as usize);
    }
    let cut = next_head(text, masked, open + 1, last)?;
    let line = masked.tokens[open].start;
    masked
        .skipped
        .push((line, "a brace opened here is not closed; read up to the next method".to_owned()));
    Some(cut)
}

/// Whether a body that seems closed holds the head of another method, so that a brace is missing.
fn swallows_heads(text: &str, masked: &Masked, open: usize, close: usize) -> bool {
    if masked.impls.is_empty() {
        return false;
    }
    let (from, to) = (masked.tokens[open].start, masked.tokens[close].end);
    let first = masked.impls.partition_point(|u| u.span.start < from);
    masked.impls.get(first).is_some_and(|u| u.span.start < to) && !text.is_empty()
}

/// The token before the return type of the next `IMPL` head.
fn next_head(text: &str, masked: &Masked, from: usize, last: usize) -> Option<usize> {
    let start = masked.tokens.get(from)?.start;
    let next = masked.impls.partition_point(|u| u.span.start < start);
    let head = masked.impls.get(next)?.span.start;
    let mut at = masked.tokens.partition_point(|t| t.start < head).min(last);
    while at > from {
        let before = masked.tokens[at - 1];
        if matches!(before.kind, Kind::Punct(b';' | b'}' | b'{')) {
            break;
        }
        at -= 1;
    }
    let _ = text;
    Some(at.saturating_sub(1).max(from))
}

fn blanked(masked: &Masked, token: Token) -> bool {
    masked.bytes[token.start as usize] == b' '
}
