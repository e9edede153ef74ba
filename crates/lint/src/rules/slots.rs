//! Slots of the bundled path: the right one is answered, once, and not touched afterwards.

mod other;
mod scope;
mod touched;

use crate::model::program::Program;
use crate::syntax::ast::{Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

pub(super) use self::scope::{Scope, Side};
use super::{Check, Finding, bodies};

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    if cx.program.controllers.is_empty() {
        return;
    }
    let completes: Vec<Vec<usize>> =
        cx.program.functions.iter().map(|f| completed_params(cx.program, f)).collect();
    for id in 0..cx.program.functions.len() {
        let mut relevant = false;
        for call in cx.graph.calls(id) {
            relevant |= call.expr.calls(&["BundledParallelTaskCompletion"])
                || call.targets.iter().any(|t| !completes[*t].is_empty());
        }
        for body in bodies(cx.function(id)) {
            let scope = Scope::new(cx.program, body);
            other::check(cx, id, body, &scope, out);
            if relevant {
                touched::check(cx, id, body, &scope, &completes, out);
            }
        }
    }
}

/// Parameters whose slot a function completes.
fn completed_params(program: &Program, function: &Function) -> Vec<usize> {
    let arrays = completed_arrays(function);
    if arrays.is_empty() {
        return Vec::new();
    }
    let scope = Scope::new(program, function);
    let mut out = Vec::new();
    for_array_values(function, &mut |array, value| {
        if arrays.iter().any(|a| a == array) {
            let index = scope.index(value);
            out.extend(function.params.iter().position(|p| *p.name == *index));
        }
    });
    out
}

/// Index arrays that are completed here.
fn completed_arrays(function: &Function) -> Vec<String> {
    let mut arrays = Vec::new();
    walk::exprs_here(&function.body, &mut |e| {
        if e.calls(&["BundledParallelTaskCompletion"])
            && let Some(array) = e.args().get(1)
        {
            arrays.push(array.key());
        }
    });
    arrays
}

/// Every value put into an array: by assignment or by its initialiser.
fn for_array_values<'a>(function: &'a Function, visit: &mut dyn FnMut(&str, &'a Expr)) {
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && decl.ty.ends_with(']')
            && let Some(ExprKind::List(items)) = decl.init.as_ref().map(|i| &i.kind)
        {
            for item in items {
                visit(&decl.name, item);
            }
        }
    });
    walk::exprs_here(&function.body, &mut |e| {
        if let ExprKind::Assign(_, lhs, rhs) = &e.kind
            && let ExprKind::Index(base, _) = &lhs.kind
        {
            visit(&base.key(), rhs);
        }
    });
}
