//! From a file to a [`Unit`]: mask, cut into declarations, parse each, lower each.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{ParseOptions, Parser};

use crate::source::{FileId, SourceFile, Span};
use crate::syntax::ast::{Name, Unit};
use crate::syntax::lower::{Chunk, Lower};
use crate::text::mask::Masked;
use crate::text::preproc::Define;
use crate::text::{chunk, lexer, mask, preproc};

/// Longest time that the parser may take for one declaration.
const CHUNK_TIME: Duration = Duration::from_millis(1500);
/// Longest declaration that is parsed whole.
const MAX_CHUNK: u32 = 1 << 20;
/// Longest time that the parser may take for one file; the rest of the file is then left unread.
const FILE_TIME: Duration = Duration::from_millis(4000);

/// A macro without any of these does nothing that a rule looks at.
const TELLING: &[&str] = &[
    "Dispatch",
    "Queue",
    "lock",
    "Lock",
    "Completion",
    "User",
    "retain",
    "release",
    "Sleep",
    "sleep",
    "Wait",
    "wait",
    "SUPERDISPATCH",
    "version",
    "->f",
    ".f",
    "kIO",
    "Retain",
    "Release",
    "return",
];

/// A file as read.
pub(crate) struct ParsedFile {
    pub(crate) unit: Unit,
    pub(crate) masked_macros: Vec<mask::MacroUse>,
    pub(crate) comments: Vec<Span>,
}

/// Words shared by all trees of a run.
#[derive(Default)]
pub(crate) struct Interner(RefCell<HashSet<Name>>);

impl Interner {
    /// The one copy of a word.
    pub(crate) fn name(&self, word: &str) -> Name {
        let mut set = self.0.borrow_mut();
        if let Some(known) = set.get(word) {
            return known.clone();
        }
        let name: Name = word.into();
        set.insert(name.clone());
        name
    }
}

/// Parses files one after another with one parser.
pub(crate) struct FileParser {
    parser: Parser,
    interner: Interner,
}

impl FileParser {
    /// A parser, or `None` if the grammar does not fit the tree-sitter library it is linked with.
    pub(crate) fn new() -> Option<Self> {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_cpp::LANGUAGE.into()).ok()?;
        Some(Self { parser, interner: Interner::default() })
    }

    /// Reads a C++ or `.iig` file.
    pub(crate) fn parse(&mut self, id: FileId, file: &SourceFile) -> ParsedFile {
        let mut lexed = lexer::lex(&file.text);
        let mut pre = preproc::preprocess(&file.text, &lexed);
        let defines = std::mem::take(&mut pre.defines);
        let mut masked = mask::mask(&file.text, file.kind, &mut lexed, &pre);
        let spans = chunk::chunks(&file.text, &mut masked);
        let mut unit = Unit::default();
        let deadline = Instant::now() + FILE_TIME;
        for span in spans {
            let mut span = span;
            if span.end - span.start > MAX_CHUNK {
                span.end = span.start + MAX_CHUNK;
                let why = format!(
                    "a declaration of more than {} KiB, the rest was not read",
                    MAX_CHUNK >> 10
                );
                unit.skipped.push((span.end, why));
            }
            let bytes = masked.bytes[span.range()].to_vec();
            let chunk = Chunk { bytes, base: i64::from(span.start), wrapped: false };
            self.lower(id, &chunk, &masked, deadline, &mut unit);
        }
        for define in &defines {
            self.macro_function(id, file, define, &masked, deadline, &mut unit);
        }
        unit.skipped.append(&mut masked.skipped);
        unit.skipped.sort();
        unit.skipped.dedup();
        ParsedFile { unit, masked_macros: masked.macros, comments: lexed.comments }
    }

    /// A function-like macro becomes a function of its name.
    fn macro_function(
        &mut self,
        id: FileId,
        file: &SourceFile,
        define: &Define,
        masked: &Masked,
        deadline: Instant,
        unit: &mut Unit,
    ) {
        let body = &file.text[define.body.range()];
        let Some(params) = &define.params else {
            self.macro_constant(id, body, define, masked, deadline, unit);
            return;
        };
        if !body.contains('(') || !TELLING.iter().any(|word| body.contains(word)) {
            return;
        }
        let head = format!("void {}({}){{", define.name, params.join(",int "));
        let mut bytes = head.clone().into_bytes();
        bytes.extend(mask::macro_body(body));
        bytes.extend(b"\n;}");
        let base = i64::from(define.body.start) - head.len() as i64;
        let before = unit.functions.len();
        let skipped = unit.skipped.len();
        self.lower(id, &Chunk { bytes, base, wrapped: true }, masked, deadline, unit);
        unit.skipped.truncate(skipped);
        for (i, function) in unit.functions[before..].iter_mut().enumerate() {
            function.is_macro = true;
            function.name_span = Span { start: define.body.start, end: define.body.start };
            if i == 0 {
                for (param, name) in function.params.iter_mut().zip(params) {
                    param.name = self.interner.name(name);
                }
            }
        }
    }

    /// An object-like macro becomes a constant.
    fn macro_constant(
        &mut self,
        id: FileId,
        body: &str,
        define: &Define,
        masked: &Masked,
        deadline: Instant,
        unit: &mut Unit,
    ) {
        if body.trim().is_empty() || body.len() > 400 {
            return;
        }
        let head = format!("static const auto {}=", define.name);
        let mut bytes = head.clone().into_bytes();
        bytes.extend(mask::macro_body(body));
        bytes.extend(b"\n;");
        let base = i64::from(define.body.start) - head.len() as i64;
        let skipped = unit.skipped.len();
        self.lower(id, &Chunk { bytes, base, wrapped: true }, masked, deadline, unit);
        unit.skipped.truncate(skipped);
    }

    fn lower(
        &mut self,
        id: FileId,
        chunk: &Chunk,
        masked: &Masked,
        deadline: Instant,
        unit: &mut Unit,
    ) {
        let start = Instant::now();
        let limit = deadline.min(start + CHUNK_TIME);
        if start >= deadline {
            if unit.skipped.last().is_none_or(|(_, why)| why != TOO_LONG) {
                unit.skipped.push((chunk.base.max(0) as u32, TOO_LONG.to_owned()));
            }
            return;
        }
        let parser = RefCell::new(&mut self.parser);
        let parse = |bytes: &[u8]| {
            let mut parser = parser.borrow_mut();
            let mut watch = |_: &tree_sitter::ParseState| {
                if Instant::now() >= limit {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let options = ParseOptions::new().progress_callback(&mut watch);
            let tree = parser.parse_with_options(
                &mut |at, _| bytes.get(at..).unwrap_or(&[]),
                None,
                Some(options),
            );
            if tree.is_none() {
                parser.reset();
            }
            tree
        };
        let mut lower = Lower::new(id, masked, &self.interner, &parse, unit);
        lower.chunk(chunk);
    }
}

const TOO_LONG: &str = "the file takes too long to parse; the rest was not read";
