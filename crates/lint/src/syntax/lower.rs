//! Expressions: from the tree-sitter tree to [`Expr`].

use std::rc::Rc;

use tree_sitter::{Node, Tree};

use crate::source::{FileId, Span};
use crate::syntax::ast::{Expr, ExprKind, Function, Name, Unit};
use crate::syntax::parse::Interner;
use crate::text::mask::Masked;

/// Deepest nesting of statements and expressions that is read.
const MAX_NESTING: usize = 150;

/// A piece of masked text to parse by itself.
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// Offset of the first byte in the file.
    pub(super) base: i64,
    /// Text was put around it, so spans outside the file may occur.
    pub(super) wrapped: bool,
}

type ParseFn<'a> = &'a dyn Fn(&[u8]) -> Option<Tree>;

/// Lowers the declarations of one file.
pub(super) struct Lower<'a> {
    pub(super) id: FileId,
    pub(super) masked: &'a Masked,
    interner: &'a Interner,
    parse: ParseFn<'a>,
    pub(super) unit: &'a mut Unit,
    /// Text of the chunk being lowered.
    pub(super) bytes: Rc<Vec<u8>>,
    base: i64,
    depth: usize,
}

impl<'a> Lower<'a> {
    pub(super) fn new(
        id: FileId,
        masked: &'a Masked,
        interner: &'a Interner,
        parse: ParseFn<'a>,
        unit: &'a mut Unit,
    ) -> Self {
        Self { id, masked, interner, parse, unit, bytes: Rc::default(), base: 0, depth: 0 }
    }

    /// Parses and lowers a chunk; the results go to the unit.
    pub(super) fn chunk(&mut self, chunk: &Chunk) {
        let Some(mut tree) = (self.parse)(&chunk.bytes) else {
            self.unit
                .skipped
                .push((chunk.base.max(0) as u32, "takes too long to parse, not read".to_owned()));
            return;
        };
        let mut bytes = chunk.bytes.clone();
        if tree.root_node().has_error() && !chunk.wrapped && keep_first_branches(&mut bytes) {
            match (self.parse)(&bytes) {
                Some(again) => tree = again,
                None => return,
            }
        }
        self.bytes = Rc::new(bytes);
        self.base = chunk.base;
        self.items(tree.root_node(), None);
    }

    /// Lowers a block literal lifted out at `offset`.
    fn block(&mut self, offset: u32) -> Option<Function> {
        let block = self.masked.blocks.get(&offset)?;
        let head = b"void _()";
        let mut bytes = head.to_vec();
        bytes.extend_from_slice(&block.text);
        let mut tree = (self.parse)(&bytes)?;
        if tree.root_node().has_error() && keep_first_branches(&mut bytes) {
            tree = (self.parse)(&bytes)?;
        }
        let outer = (
            std::mem::replace(&mut self.bytes, Rc::new(bytes)),
            std::mem::replace(&mut self.base, i64::from(block.base) - head.len() as i64),
        );
        let body = find_body(tree.root_node()).map(|body| self.block_of(body)).unwrap_or_default();
        (self.bytes, self.base) = outer;
        Some(Function {
            class: None,
            name: self.name("block"),
            ret: self.name("void"),
            params: Vec::new(),
            params_written: true,
            body,
            file: self.id,
            span: block.span,
            name_span: Span { start: block.span.start, end: block.span.start + 1 },
            is_macro: false,
        })
    }

    /// Lowers an expression.
    pub(super) fn expr(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(node);
        if self.depth >= MAX_NESTING {
            self.skip(node, "nested too deep, not read");
            return Expr { span, kind: ExprKind::Other(Vec::new()) };
        }
        self.depth += 1;
        let out = self.expr_kind(node);
        self.depth -= 1;
        match out {
            Ok(kind) => Expr { span, kind },
            Err(inner) => inner,
        }
    }

    /// The kind of an expression, or a whole expression where the node is only a wrapper.
    fn expr_kind(&mut self, node: Node<'_>) -> Result<ExprKind, Expr> {
        let field = |name: &str| node.child_by_field_name(name);
        Ok(match node.kind() {
            "identifier"
            | "field_identifier"
            | "type_identifier"
            | "primitive_type"
            | "namespace_identifier"
            | "this"
            | "auto" => {
                let offset = self.span(node).start;
                if self.text(node) == "_" && self.masked.blocks.contains_key(&offset) {
                    match self.block(offset) {
                        Some(block) => ExprKind::Lambda(Rc::new(block)),
                        None => ExprKind::Other(Vec::new()),
                    }
                } else {
                    ExprKind::Name(self.word(node))
                }
            }
            "qualified_identifier" => ExprKind::Name(self.squeezed(node)),
            "template_function" | "template_method" => match field("name") {
                Some(name) => ExprKind::Name(self.word(name)),
                None => ExprKind::Name(self.squeezed(node)),
            },
            "number_literal" => match parse_number(&self.text(node)) {
                Some(value) => ExprKind::Num(value),
                None => ExprKind::Other(Vec::new()),
            },
            "char_literal" => {
                let text = self.text(node);
                ExprKind::Num(text.as_bytes().get(1).copied().map_or(0, u64::from))
            }
            "true" => ExprKind::Num(1),
            "false" | "null" | "nullptr" => ExprKind::Num(0),
            "string_literal" | "raw_string_literal" | "concatenated_string" => {
                let text = self.string(node);
                ExprKind::Str(self.name(&text))
            }
            "parenthesized_expression" | "condition_clause" => {
                let inner = field("value").or_else(|| last_named(node));
                match inner {
                    Some(inner) => return Err(self.expr(inner)),
                    None => ExprKind::Other(Vec::new()),
                }
            }
            "field_expression" => match (field("argument"), field("field")) {
                (Some(base), Some(member)) => {
                    let base = Box::new(self.expr(base));
                    let name = member.child_by_field_name("name").unwrap_or(member);
                    ExprKind::Member(base, self.word(name))
                }
                _ => self.other(node),
            },
            "subscript_expression" => {
                let index =
                    field("indices").and_then(|n| n.named_child(0)).or_else(|| field("index"));
                match (field("argument"), index) {
                    (Some(base), Some(index)) => {
                        let base = Box::new(self.expr(base));
                        ExprKind::Index(base, Box::new(self.expr(index)))
                    }
                    _ => self.other(node),
                }
            }
            "call_expression" => self.call(node),
            "assignment_expression" => match (field("left"), field("right")) {
                (Some(left), Some(right)) => {
                    let op = field("operator").map_or(String::new(), |op| self.text(op));
                    let op = self.name(op.trim_end_matches('='));
                    let left = Box::new(self.expr(left));
                    ExprKind::Assign(op, left, Box::new(self.expr(right)))
                }
                _ => self.other(node),
            },
            "update_expression" => match (field("argument"), field("operator")) {
                (Some(of), Some(op)) => ExprKind::Step {
                    prefix: op.start_byte() < of.start_byte(),
                    up: self.text(op) == "++",
                    of: Box::new(self.expr(of)),
                },
                _ => self.other(node),
            },
            "unary_expression" | "pointer_expression" => {
                match (field("argument"), field("operator")) {
                    (Some(of), Some(op)) => {
                        let op = self.text(op).bytes().next().unwrap_or(b'?');
                        ExprKind::Unary(op, Box::new(self.expr(of)))
                    }
                    _ => self.other(node),
                }
            }
            "binary_expression" => match (field("left"), field("right")) {
                (Some(left), Some(right)) => {
                    let op = field("operator").map_or(String::new(), |op| self.text(op));
                    let op = self.name(&op);
                    let left = Box::new(self.expr(left));
                    ExprKind::Binary(op, left, Box::new(self.expr(right)))
                }
                _ => self.other(node),
            },
            "conditional_expression" => {
                match (field("condition"), field("consequence"), field("alternative")) {
                    (Some(a), Some(b), Some(c)) => {
                        let cond = Box::new(self.expr(a));
                        let yes = Box::new(self.expr(b));
                        ExprKind::Cond(cond, yes, Box::new(self.expr(c)))
                    }
                    _ => self.other(node),
                }
            }
            "cast_expression" | "compound_literal_expression" => {
                match (field("type"), field("value")) {
                    (Some(ty), Some(value)) => {
                        let ty = self.squeezed(ty);
                        ExprKind::Cast(ty, Box::new(self.expr(value)))
                    }
                    _ => self.other(node),
                }
            }
            "lambda_expression" => ExprKind::Lambda(Rc::new(self.lambda(node))),
            "initializer_list" | "argument_list" => ExprKind::List(self.list(node)),
            "initializer_pair" => {
                let name = field("designator").and_then(|d| d.named_child(0));
                match (name, field("value")) {
                    (Some(name), Some(value)) => {
                        let name = self.word(name);
                        ExprKind::Pair(name, Box::new(self.expr(value)))
                    }
                    _ => self.other(node),
                }
            }
            "ERROR" => {
                self.skip(node, "not understood, not read");
                self.other(node)
            }
            _ => self.other(node),
        })
    }

    fn call(&mut self, node: Node<'_>) -> ExprKind {
        let (Some(function), Some(arguments)) =
            (node.child_by_field_name("function"), node.child_by_field_name("arguments"))
        else {
            return self.other(node);
        };
        let args = self.list(arguments);
        if function.kind() == "template_function"
            && let (Some(name), Some(types)) =
                (function.child_by_field_name("name"), function.child_by_field_name("arguments"))
            && matches!(
                self.text(name).as_str(),
                "static_cast" | "reinterpret_cast" | "const_cast" | "dynamic_cast" | "bit_cast"
            )
            && args.len() == 1
        {
            let ty = self.squeezed(types);
            let ty = self.name(ty.trim_start_matches('<').trim_end_matches('>'));
            let inner = args.into_iter().next().unwrap_or_else(|| Expr {
                span: self.span(node),
                kind: ExprKind::Other(Vec::new()),
            });
            return ExprKind::Cast(ty, Box::new(inner));
        }
        let callee = self.expr(function);
        ExprKind::Call(Box::new(callee), args)
    }

    fn lambda(&mut self, node: Node<'_>) -> Function {
        let params = node
            .child_by_field_name("declarator")
            .and_then(|d| d.child_by_field_name("parameters"))
            .map(|p| self.params(p))
            .unwrap_or_default();
        let body = node.child_by_field_name("body").map(|b| self.block_of(b)).unwrap_or_default();
        let span = self.span(node);
        Function {
            class: None,
            name: self.name("lambda"),
            ret: self.name("auto"),
            params,
            params_written: true,
            body,
            file: self.id,
            span,
            name_span: Span { start: span.start, end: span.start + 1 },
            is_macro: false,
        }
    }

    pub(super) fn list(&mut self, node: Node<'_>) -> Vec<Expr> {
        let mut cursor = node.walk();
        node.named_children(&mut cursor)
            .filter(|n| n.kind() != "comment" && !n.kind().starts_with("preproc"))
            .map(|n| self.expr(n))
            .collect()
    }

    fn other(&mut self, node: Node<'_>) -> ExprKind {
        ExprKind::Other(self.list(node))
    }

    fn string(&self, node: Node<'_>) -> String {
        let mut out = String::new();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            match child.kind() {
                "string_content" | "raw_string_content" | "escape_sequence" => {
                    out.push_str(&self.text(child));
                }
                "string_literal" | "raw_string_literal" => out.push_str(&self.string(child)),
                "identifier" => out.push('?'),
                _ => {}
            }
        }
        out
    }

    /// The span of a node in the file.
    pub(super) fn span(&self, node: Node<'_>) -> Span {
        let at = |offset: usize| (self.base + offset as i64).max(0) as usize;
        Span::new(at(node.start_byte()), at(node.end_byte()))
    }

    /// The text of a node.
    pub(super) fn text(&self, node: Node<'_>) -> String {
        let bytes = self.bytes.get(node.start_byte()..node.end_byte()).unwrap_or(&[]);
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The text of a node, interned.
    pub(super) fn word(&self, node: Node<'_>) -> Name {
        let bytes = self.bytes.get(node.start_byte()..node.end_byte()).unwrap_or(&[]);
        match std::str::from_utf8(bytes) {
            Ok(text) => self.interner.name(text),
            Err(_) => self.interner.name("?"),
        }
    }

    /// The text of a node without spaces, interned.
    pub(super) fn squeezed(&self, node: Node<'_>) -> Name {
        let text: String = self.text(node).split_whitespace().collect();
        self.interner.name(&text)
    }

    pub(super) fn name(&self, word: &str) -> Name {
        self.interner.name(word)
    }

    /// Enters one level of nesting; `false` if that is too deep.
    pub(super) fn enter(&mut self, node: Node<'_>) -> bool {
        if self.depth >= MAX_NESTING {
            self.skip(node, "nested too deep, not read");
            return false;
        }
        self.depth += 1;
        true
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn skip(&mut self, node: Node<'_>, why: &str) {
        let at = self.span(node).start;
        self.unit.skipped.push((at, why.to_owned()));
    }
}

pub(super) fn last_named(node: Node<'_>) -> Option<Node<'_>> {
    node.named_child_count().checked_sub(1).and_then(|i| node.named_child(i as _))
}

fn find_body(root: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = root.walk();
    let function = root.children(&mut cursor).find(|n| n.kind() == "function_definition")?;
    function.child_by_field_name("body")
}

/// Blanks the preprocessor lines of a chunk and all branches but the first of each group.
fn keep_first_branches(bytes: &mut [u8]) -> bool {
    let mut changed = false;
    let mut dead: Vec<bool> = Vec::new();
    let mut dead_groups = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| at + i);
        let line = bytes[at..end].trim_ascii_start();
        let mut drop = dead_groups > 0;
        if let Some(rest) = line.strip_prefix(b"#") {
            let rest = rest.trim_ascii_start();
            if rest.starts_with(b"if") {
                dead.push(false);
            } else if rest.starts_with(b"el") {
                if let Some(top) = dead.last_mut() {
                    dead_groups += usize::from(!*top);
                    *top = true;
                }
            } else if rest.starts_with(b"endif") {
                dead_groups -= usize::from(dead.pop() == Some(true));
            }
            drop = true;
        }
        if drop {
            changed |= !bytes[at..end].trim_ascii().is_empty();
            bytes[at..end].fill(b' ');
        }
        at = end + 1;
    }
    changed
}

/// The value of an integer literal with its suffix and separators.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let clean: String = text.chars().filter(|c| *c != '\'').collect();
    let clean = clean.to_ascii_lowercase();
    let (digits, radix) = if let Some(hex) = clean.strip_prefix("0x") {
        (hex, 16)
    } else if let Some(binary) = clean.strip_prefix("0b") {
        (binary, 2)
    } else if clean.len() > 1 && clean.starts_with('0') && !clean.contains('.') {
        (&clean[1..], 8)
    } else {
        (clean.as_str(), 10)
    };
    let digits = digits.trim_end_matches(['u', 'l', 'z']);
    if digits.is_empty() {
        return (radix == 8).then_some(0);
    }
    u64::from_str_radix(digits, radix).ok()
}
