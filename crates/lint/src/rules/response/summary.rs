//! Which fields of a response a helper sets, seen from its caller.

use crate::model::program::FnId;
use crate::rules::Check;
use crate::rules::bundled::{is_log, root};
use crate::rules::slots::Scope;
use crate::syntax::ast::{Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

use super::{ALL, bit_of, is_response_type};

/// What a function does to responses.
#[derive(Clone)]
pub(super) struct Summary {
    /// Fields set on each parameter, or on the slot that the parameter names.
    params: Vec<u8>,
    /// Fields set in the response that it returns.
    pub(super) returned: u8,
}

impl Summary {
    /// Fields set on a parameter.
    pub(super) fn param(&self, at: usize) -> u8 {
        self.params.get(at).copied().unwrap_or(0)
    }
}

/// The summaries of all functions.
pub(super) fn summaries(cx: &Check<'_>) -> Vec<Summary> {
    let functions = &cx.program.functions;
    let mut out: Vec<Summary> = functions
        .iter()
        .map(|f| Summary { params: vec![0; f.params.len()], returned: ALL })
        .collect();
    let scopes: Vec<Scope<'_>> = functions.iter().map(|f| Scope::new(cx.program, f)).collect();
    for (id, function) in functions.iter().enumerate() {
        walk::exprs(&function.body, &mut |e| {
            let ExprKind::Assign(_, lhs, _) = &e.kind else { return };
            match &lhs.kind {
                ExprKind::Member(object, field) => {
                    let bit = bit_of(field);
                    if bit != 0
                        && let Some(at) = named_param(function, &scopes[id], object)
                    {
                        out[id].params[at] |= bit;
                    }
                }
                // `*response = {...}` or `*response = Make(...)`.
                ExprKind::Unary(b'*', object) => {
                    if let Some(at) = named_param(function, &scopes[id], object) {
                        out[id].params[at] |= ALL;
                    }
                }
                _ => {}
            }
        });
        walk::exprs(&function.body, &mut |e| {
            if e.calls(&["memcpy", "__builtin_memcpy", "bcopy"])
                && let Some(at) =
                    e.args().first().and_then(|a| named_param(function, &scopes[id], a))
            {
                out[id].params[at] |= ALL;
            }
        });
    }
    for _ in 0..4 {
        let mut changed = false;
        for id in 0..functions.len() {
            for call in cx.graph.calls(id) {
                for target in &call.targets {
                    for (at, arg) in call.expr.args().iter().enumerate() {
                        let bits = out[*target].param(at);
                        if bits == 0 {
                            continue;
                        }
                        if let Some(own) = named_param(&functions[id], &scopes[id], arg)
                            && out[id].params[own] | bits != out[id].params[own]
                        {
                            out[id].params[own] |= bits;
                            changed = true;
                        }
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    for (id, function) in functions.iter().enumerate() {
        if is_response_type(&function.ret) && !function.ret.contains(['*', '&']) {
            out[id].returned = returned(cx, id, function, &out);
        }
    }
    out
}

/// Fields that a maker of responses sets; all, if that cannot be told.
fn returned(cx: &Check<'_>, id: FnId, function: &Function, summaries: &[Summary]) -> u8 {
    let mut bits = 0;
    let mut locals: Vec<&str> = Vec::new();
    walk::stmts(&function.body, &mut |stmt| match &stmt.kind {
        StmtKind::Decl(decl) if is_response_type(&decl.ty) => {
            locals.push(&decl.name);
            match decl.init.as_ref().map(|i| &i.uncast().kind) {
                None => {}
                Some(ExprKind::List(items)) => bits |= fields(items),
                Some(_) => bits |= ALL,
            }
        }
        StmtKind::Return(Some(value)) => match &value.uncast().kind {
            ExprKind::Name(_) => {}
            ExprKind::List(items) => bits |= fields(items),
            _ => bits |= ALL,
        },
        _ => {}
    });
    let is_local = |e: &Expr| root(e).is_some_and(|name| locals.contains(&name));
    walk::exprs(&function.body, &mut |e| match &e.kind {
        ExprKind::Assign(_, lhs, _) => match &lhs.kind {
            ExprKind::Member(object, field) if is_local(object) => bits |= bit_of(field),
            ExprKind::Name(_) if is_local(lhs) => bits |= ALL,
            _ => {}
        },
        ExprKind::Call(_, args) => {
            for (at, arg) in args.iter().enumerate() {
                let whole = matches!(arg.peeled().kind, ExprKind::Name(_)) && is_local(arg);
                match cx.graph.targets(id, e) {
                    _ if !whole || is_log(e) => {}
                    [] if e.calls(&["memset", "bzero"]) => {}
                    [] => bits |= ALL,
                    targets => bits |= targets.iter().fold(0, |b, t| b | summaries[*t].param(at)),
                }
            }
        }
        _ => {}
    });
    if bits == 0 { ALL } else { bits }
}

/// Fields set by a designated initialiser; all, if it is not designated.
fn fields(items: &[Expr]) -> u8 {
    items.iter().fold(0, |bits, item| match &item.kind {
        ExprKind::Pair(field, _) => bits | bit_of(field),
        ExprKind::Num(0) => bits,
        _ => ALL,
    })
}

/// The parameter that an object is, or whose value is the index of the slot it is.
fn named_param(function: &Function, scope: &Scope<'_>, object: &Expr) -> Option<usize> {
    let name = match scope.slot(object) {
        Some(slot) => slot.index,
        None => root(object)?.to_owned(),
    };
    function.params.iter().position(|p| *p.name == *name)
}
