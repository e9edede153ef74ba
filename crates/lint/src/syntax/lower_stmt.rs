//! Statements: from the tree-sitter tree to [`Stmt`].

use tree_sitter::Node;

use crate::syntax::ast::{Decl, Expr, ExprKind, Stmt, StmtKind};
use crate::syntax::lower::{Lower, last_named};

impl Lower<'_> {
    /// The statements of a `{ ... }` or of a single statement.
    pub(super) fn block_of(&mut self, node: Node<'_>) -> Vec<Stmt> {
        let mut out = Vec::new();
        if node.kind() == "compound_statement" {
            self.statements(node, &mut out);
        } else {
            self.statement(node, &mut out);
        }
        out
    }

    /// All children of a node as statements.
    fn statements(&mut self, node: Node<'_>, out: &mut Vec<Stmt>) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.statement(child, out);
        }
    }

    fn statement(&mut self, node: Node<'_>, out: &mut Vec<Stmt>) {
        if !self.enter(node) {
            return;
        }
        self.statement_here(node, out);
        self.leave();
    }

    fn statement_here(&mut self, node: Node<'_>, out: &mut Vec<Stmt>) {
        let span = self.span(node);
        let field = |name: &str| node.child_by_field_name(name);
        let kind = match node.kind() {
            "expression_statement" => match node.named_child(0) {
                Some(inner) => StmtKind::Expr(self.expr(inner)),
                None => return,
            },
            "declaration" => {
                let mut decls = Vec::new();
                self.declaration(node, &mut decls, true);
                out.extend(decls.into_iter().map(|d| Stmt { span, kind: StmtKind::Decl(d) }));
                return;
            }
            "compound_statement" => {
                let mut inner = Vec::new();
                self.statements(node, &mut inner);
                StmtKind::Block(inner)
            }
            "if_statement" => {
                let kind = self.if_chain(node, out);
                out.push(Stmt { span, kind });
                return;
            }
            "while_statement" | "do_statement" => StmtKind::Loop {
                init: Vec::new(),
                cond: field("condition").map(|c| self.expr(c)),
                step: None,
                body: field("body").map(|b| self.block_of(b)).unwrap_or_default(),
                post: node.kind() == "do_statement",
            },
            "for_statement" => {
                let mut init = Vec::new();
                if let Some(first) = field("initializer") {
                    if first.kind() == "declaration" {
                        self.statement(first, &mut init);
                    } else {
                        let e = self.expr(first);
                        init.push(Stmt { span: e.span, kind: StmtKind::Expr(e) });
                    }
                }
                StmtKind::Loop {
                    init,
                    cond: field("condition").map(|c| self.expr(c)),
                    step: field("update").map(|u| self.expr(u)),
                    body: field("body").map(|b| self.block_of(b)).unwrap_or_default(),
                    post: false,
                }
            }
            "for_range_loop" => {
                let mut decls = Vec::new();
                self.declaration(node, &mut decls, true);
                let range = field("right").map(|r| self.expr(r));
                let body = field("body").map(|b| self.block_of(b)).unwrap_or_default();
                match (decls.pop(), range) {
                    (Some(var), Some(range)) => StmtKind::Each { var, range, body },
                    _ => StmtKind::Block(body),
                }
            }
            "switch_statement" => self.switch(node),
            "return_statement" | "co_return_statement" => {
                StmtKind::Return(node.named_child(0).map(|e| self.expr(e)))
            }
            "break_statement" => StmtKind::Break,
            "continue_statement" => StmtKind::Continue,
            "goto_statement" => match field("label") {
                Some(label) => StmtKind::Goto(self.word(label)),
                None => return,
            },
            "labeled_statement" => {
                if let Some(label) = field("label") {
                    out.push(Stmt { span, kind: StmtKind::Label(self.word(label)) });
                }
                if let Some(inner) = last_named(node).filter(|n| n.kind() != "statement_identifier")
                {
                    self.statement(inner, out);
                }
                return;
            }
            "preproc_if" | "preproc_ifdef" => StmtKind::Either(self.alternatives(node)),
            "try_statement" => {
                let body = field("body").map(|b| self.block_of(b)).unwrap_or_default();
                StmtKind::Block(body)
            }
            "ERROR" => {
                self.skip(node, "not understood, not read");
                let mut inner = Vec::new();
                self.statements(node, &mut inner);
                out.append(&mut inner);
                return;
            }
            "class_specifier" | "struct_specifier" | "union_specifier" | "enum_specifier" => {
                self.item(node, None);
                return;
            }
            "comment"
            | "preproc_def"
            | "preproc_call"
            | "preproc_function_def"
            | "preproc_include"
            | "alias_declaration"
            | "using_declaration"
            | "static_assert_declaration"
            | "type_definition"
            | "attributed_declarator"
            | "catch_clause" => return,
            _ => {
                let e = self.expr(node);
                StmtKind::Expr(e)
            }
        };
        out.push(Stmt { span, kind });
    }

    /// An `if` with all its `else if`s, without recursion along the chain.
    fn if_chain(&mut self, first: Node<'_>, out: &mut Vec<Stmt>) -> StmtKind {
        let mut arms = Vec::new();
        let mut otherwise = None;
        let mut at = Some(first);
        while let Some(node) = at.take() {
            let clause = node.child_by_field_name("condition");
            if let Some(init) = clause.and_then(|c| c.child_by_field_name("initializer")) {
                self.init_statement(init, out);
            }
            let cond = match clause {
                Some(clause) => match clause.child_by_field_name("value") {
                    Some(value) if value.kind() == "declaration" => {
                        let mut decls = Vec::new();
                        self.declaration(value, &mut decls, true);
                        self.declared_condition(decls, out, value)
                    }
                    _ => self.expr(clause),
                },
                None => Expr { span: self.span(node), kind: ExprKind::Other(Vec::new()) },
            };
            let body = match node.child_by_field_name("consequence") {
                Some(body) => self.block_of(body),
                None => Vec::new(),
            };
            arms.push((cond, body));
            let next = node.child_by_field_name("alternative").and_then(last_named);
            match next {
                Some(next) if next.kind() == "if_statement" => at = Some(next),
                Some(next) => otherwise = Some(self.block_of(next)),
                None => {}
            }
        }
        StmtKind::If { arms, otherwise }
    }

    fn init_statement(&mut self, init: Node<'_>, out: &mut Vec<Stmt>) {
        let inner = init.named_child(0).filter(|n| n.kind() == "declaration").unwrap_or(init);
        if inner.kind() == "declaration" {
            self.statement(inner, out);
        }
    }

    /// `if (T * x = f())`: the declaration becomes a statement before, its name the condition.
    fn declared_condition(
        &mut self,
        decls: Vec<Decl>,
        out: &mut Vec<Stmt>,
        node: Node<'_>,
    ) -> Expr {
        let span = self.span(node);
        let mut kind = ExprKind::Other(Vec::new());
        for decl in decls {
            kind = ExprKind::Name(decl.name.clone());
            out.push(Stmt { span, kind: StmtKind::Decl(decl) });
        }
        Expr { span, kind }
    }

    fn switch(&mut self, node: Node<'_>) -> StmtKind {
        let on = match node.child_by_field_name("condition") {
            Some(cond) => self.expr(cond),
            None => Expr { span: self.span(node), kind: ExprKind::Other(Vec::new()) },
        };
        let mut arms = Vec::new();
        let mut default = false;
        if let Some(body) = node.child_by_field_name("body") {
            let mut cursor = body.walk();
            for case in body.named_children(&mut cursor) {
                if case.kind() != "case_statement" {
                    continue;
                }
                let value = case.child_by_field_name("value");
                default |= value.is_none();
                let mut arm = Vec::new();
                let mut inner = case.walk();
                for child in case.named_children(&mut inner) {
                    if Some(child) != value {
                        self.statement(child, &mut arm);
                    }
                }
                arms.push(arm);
            }
        }
        StmtKind::Switch { on, arms, default }
    }

    /// The branches of `#if` in a body, without recursion along `#elif`.
    fn alternatives(&mut self, first: Node<'_>) -> Vec<Vec<Stmt>> {
        let mut out = Vec::new();
        let mut at = Some(first);
        let mut closed = false;
        while let Some(node) = at.take() {
            let mut arm = Vec::new();
            let skip = [
                node.child_by_field_name("condition"),
                node.child_by_field_name("name"),
                node.child_by_field_name("alternative"),
            ];
            let mut cursor = node.walk();
            for child in node.named_children(&mut cursor) {
                if !skip.contains(&Some(child)) {
                    self.statement(child, &mut arm);
                }
            }
            out.push(arm);
            closed |= node.kind() == "preproc_else";
            at = node.child_by_field_name("alternative");
        }
        if !closed {
            out.push(Vec::new());
        }
        out
    }
}
