//! Mends of responses: a field that is missing is set where the response begins.

use crate::model::framework::IDENTITY;
use crate::rules::slots::Side;
use crate::rules::{Finding, find_fix_line};
use crate::source::Span;
use crate::syntax::ast::{Decl, Expr, ExprKind, StmtKind};
use crate::syntax::walk;

use super::{Object, Responses};

impl Responses<'_, '_> {
    /// Adds the mend for a missing field, if it is plain where it belongs.
    pub(super) fn with_fix(&self, finding: Finding, object: &Object, field: &str) -> Finding {
        let key = &object.key;
        let file = self.cx.sources.file(self.cx.function(self.id).file);
        // The statement that declares the object, and the first that sets a field of it.
        let (mut declared, mut first_set, mut source) = (None, None, None);
        walk::stmts(&self.body.body, &mut |stmt| match &stmt.kind {
            StmtKind::Decl(decl)
                if (decl.name_span == object.first || self.is_decl_of(decl, key)) =>
            {
                declared.get_or_insert_with(|| {
                    (stmt.span, decl.name.to_string(), decl.ty.contains('*'))
                });
            }
            StmtKind::Expr(Expr { kind: ExprKind::Assign(_, lhs, rhs), .. }) => {
                if let ExprKind::Member(base, set) = &lhs.kind
                    && self.object(base).is_some_and(|(k, _)| k == *key)
                {
                    first_set.get_or_insert((stmt.span, base.span, lhs.span));
                    if IDENTITY.contains(&&**set)
                        && let ExprKind::Member(from, _) = &rhs.uncast().kind
                    {
                        source.get_or_insert_with(|| {
                            (stmt.span, base.span, lhs.span, from.span, rhs.uncast().span)
                        });
                    }
                }
            }
            _ => {}
        });
        let operator = |base: Span, whole: Span| {
            let rest = file.slice(Span { start: base.end, end: whole.end });
            if rest.trim_start().starts_with("->") { "->" } else { "." }
        };
        let place = |at: u32| self.place(Span { start: at, end: at });
        if field == "version" {
            let value = "kScsiUserParallelTaskResponseCurrentVersion1";
            if let Some((span, name, pointer)) = declared {
                let (indent, at) = find_fix_line(file, span);
                let dot = if pointer { "->" } else { "." };
                return finding.fix(place(at), format!("\n{indent}{name}{dot}version = {value};"));
            }
            if let Some((span, base, whole)) = first_set {
                let (indent, _) = find_fix_line(file, span);
                let object = file.slice(base);
                let dot = operator(base, whole);
                return finding
                    .fix(place(span.start), format!("{object}{dot}version = {value};\n{indent}"));
            }
            return finding;
        }
        if let Some((span, base, whole, from, from_whole)) = source {
            let (indent, at) = find_fix_line(file, span);
            let (object, task) = (file.slice(base), file.slice(from));
            let (dot, task_dot) = (operator(base, whole), operator(from, from_whole));
            return finding.fix(
                place(at),
                format!("\n{indent}{object}{dot}{field} = {task}{task_dot}{field};"),
            );
        }
        finding
    }

    fn is_decl_of(&self, decl: &Decl, key: &str) -> bool {
        &*decl.name == key
            || (decl.ty.contains(['*', '&'])
                && decl.init.as_ref().and_then(|i| self.scope.slot(i)).is_some_and(|s| {
                    s.side == Side::Response && key.strip_prefix('@') == Some(&*s.index)
                }))
    }
}
