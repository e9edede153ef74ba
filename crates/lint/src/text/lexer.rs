//! Tokens, comments and preprocessor lines of a C++ file, in one pass over the bytes.

use crate::source::Span;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ident,
    Number,
    Text,
    Punct(u8),
}

/// A token: a word, a literal or one byte of punctuation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Token {
    pub(crate) fn span(self) -> Span {
        Span { start: self.start, end: self.end }
    }

    pub(crate) fn is(self, punct: u8) -> bool {
        self.kind == Kind::Punct(punct)
    }
}

/// A preprocessor line with its continuation lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directive {
    pub(crate) span: Span,
    /// Number of tokens before it.
    pub(crate) at: u32,
}

/// What one pass over a file finds.
#[derive(Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) comments: Vec<Span>,
    pub(crate) directives: Vec<Directive>,
}

/// Splits `text` into tokens. Never fails: an unclosed literal ends with its line, an unclosed comment with the file.
pub(crate) fn lex(text: &str) -> Lexed {
    Lexer { bytes: text.as_bytes(), at: 0, line_start: true, out: Lexed::default() }.run()
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line_start: bool,
    out: Lexed,
}

impl Lexer<'_> {
    fn run(mut self) -> Lexed {
        while let Some(byte) = self.peek(0) {
            let start = self.at;
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.line_start = true;
                    continue;
                }
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {
                    self.at += 1;
                    continue;
                }
                b'\\' if matches!(self.peek(1), Some(b'\n' | b'\r')) => {
                    self.at += 2;
                    continue;
                }
                b'/' if self.peek(1) == Some(b'/') => {
                    self.skip_line_comment();
                    self.out.comments.push(Span::new(start, self.at));
                    continue;
                }
                b'/' if self.peek(1) == Some(b'*') => {
                    self.skip_block_comment();
                    self.out.comments.push(Span::new(start, self.at));
                    continue;
                }
                b'#' if self.line_start => {
                    self.directive(start);
                    continue;
                }
                _ => {}
            }
            self.line_start = false;
            let kind = self.token(byte);
            self.out.tokens.push(Token { kind, start: start as u32, end: self.at as u32 });
        }
        self.out
    }

    fn token(&mut self, byte: u8) -> Kind {
        if byte == b'"' || byte == b'\'' {
            self.skip_quoted(byte);
            return Kind::Text;
        }
        if byte.is_ascii_digit()
            || (byte == b'.' && self.peek(1).is_some_and(|b| b.is_ascii_digit()))
        {
            self.skip_number();
            return Kind::Number;
        }
        if is_word(byte) {
            let start = self.at;
            while self.peek(0).is_some_and(is_word) {
                self.at += 1;
            }
            let word = &self.bytes[start..self.at];
            if self.peek(0) == Some(b'"') && word.len() <= 3 {
                if word.ends_with(b"R") {
                    self.skip_raw_string();
                    return Kind::Text;
                }
                if matches!(word, b"L" | b"u" | b"U" | b"u8") {
                    self.skip_quoted(b'"');
                    return Kind::Text;
                }
            }
            return Kind::Ident;
        }
        self.at += 1;
        Kind::Punct(byte)
    }

    fn directive(&mut self, start: usize) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\n' => break,
                b'\\' if self.peek(1) == Some(b'\n') => self.at += 2,
                b'\\' if self.peek(1) == Some(b'\r') && self.peek(2) == Some(b'\n') => self.at += 3,
                b'/' if self.peek(1) == Some(b'/') => {
                    let comment = self.at;
                    self.skip_line_comment();
                    self.out.comments.push(Span::new(comment, self.at));
                    break;
                }
                b'/' if self.peek(1) == Some(b'*') => {
                    let comment = self.at;
                    self.skip_block_comment();
                    self.out.comments.push(Span::new(comment, self.at));
                }
                b'"' => self.skip_quoted(b'"'),
                _ => self.at += 1,
            }
        }
        let at = self.out.tokens.len() as u32;
        self.out.directives.push(Directive { span: Span::new(start, self.at), at });
    }

    fn skip_line_comment(&mut self) {
        while let Some(byte) = self.peek(0) {
            if byte == b'\n' && self.bytes[self.at - 1] != b'\\' {
                break;
            }
            self.at += 1;
        }
    }

    fn skip_block_comment(&mut self) {
        self.at += 2;
        while self.at < self.bytes.len() {
            if self.bytes[self.at..].starts_with(b"*/") {
                self.at += 2;
                return;
            }
            self.at += 1;
        }
    }

    fn skip_quoted(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\n' => return,
                b'\\' => self.at = (self.at + 2).min(self.bytes.len()),
                _ => {
                    self.at += 1;
                    if byte == quote {
                        return;
                    }
                }
            }
        }
    }

    fn skip_raw_string(&mut self) {
        let delimiter_start = self.at + 1;
        let Some(open) = self.bytes[delimiter_start..]
            .iter()
            .take(17)
            .position(|b| *b == b'(')
            .map(|i| delimiter_start + i)
        else {
            self.skip_quoted(b'"');
            return;
        };
        let mut close = vec![b')'];
        close.extend_from_slice(&self.bytes[delimiter_start..open]);
        close.push(b'"');
        let rest = &self.bytes[open..];
        self.at = rest
            .windows(close.len())
            .position(|w| w == close)
            .map_or(self.bytes.len(), |i| open + i + close.len());
    }

    fn skip_number(&mut self) {
        while let Some(byte) = self.peek(0) {
            let separator = byte == b'\'' && self.peek(1).is_some_and(|b| b.is_ascii_hexdigit());
            let sign = matches!(byte, b'+' | b'-')
                && matches!(self.bytes[self.at - 1], b'e' | b'E')
                && !self.out_is_hex();
            if !(is_word(byte) || byte == b'.' || separator || sign) {
                return;
            }
            self.at += 1;
        }
    }

    fn out_is_hex(&self) -> bool {
        let line = &self.bytes[self.at.saturating_sub(24)..self.at];
        line.windows(2).any(|w| matches!(w, b"0x" | b"0X"))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}
