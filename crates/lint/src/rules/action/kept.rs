//! Where an action goes, and whether it is kept with a reference.

use crate::model::graph::Via;
use crate::model::program::FnId;
use crate::rules::bundled::{RELEASE, is_log, root};
use crate::rules::texts::action::NOT_RETAINED;
use crate::rules::{Check, Finding, param};
use crate::source::{Place, Span};
use crate::syntax::ast::{Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

use super::COMPLETIONS;

/// An action that is kept without a reference.
pub(super) fn check(cx: &Check<'_>, id: FnId, out: &mut Vec<Finding>) {
    let function = cx.function(id);
    let Some(action) = param(function, 2) else { return };
    let Some((at, span, in_block)) = lost(cx, id, action, 0) else { return };
    if is_shared_field(cx, at, span) {
        return;
    }
    let what = if in_block { "captured by a block that runs later" } else { "stored" };
    let mut finding = Finding::new(
        &NOT_RETAINED,
        Place::new(cx.function(at).file, span),
        format!("the action `{action}` of {} is {what} without retain()", function.name),
    )
    .label("the framework's reference ends with the call");
    if at != id {
        finding = finding.related(function.place(), "handed in here");
    }
    out.push(finding);
}

/// Follows an action into helpers; the place where it is stored without a reference.
fn lost(cx: &Check<'_>, id: FnId, action: &str, depth: usize) -> Option<(FnId, Span, bool)> {
    let uses = uses(cx, id, action);
    if uses.retained || depth > 5 {
        return None;
    }
    if let Some(span) = uses.stored {
        return Some((id, span, false));
    }
    let in_block = uses.captured.filter(|span| {
        cx.graph
            .calls(id)
            .iter()
            .any(|c| matches!(c.via, Via::Async(_)) && span.contains(c.expr.span))
    });
    if let Some(span) = in_block {
        return Some((id, span, true));
    }
    uses.given.into_iter().find_map(|(target, at)| {
        let name = param(cx.function(target), at)?;
        lost(cx, target, name, depth + 1)
    })
}

/// Where an action goes in one function.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) stored: Option<Span>,
    retained: bool,
    pub(super) completed: bool,
    /// Functions of the program that it is given to, with the position.
    pub(super) given: Vec<(FnId, usize)>,
    pub(super) given_unknown: bool,
    pub(super) captured: Option<Span>,
}

pub(super) fn uses(cx: &Check<'_>, id: FnId, action: &str) -> Uses {
    let function = cx.function(id);
    let mut out = Uses::default();
    let mut names: Vec<String> = vec![action.to_owned()];
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && let Some(init) = &decl.init
            && is_one_of(init, &names)
        {
            if decl.ty.contains("SharedPtr") {
                out.retained = true;
            }
            names.push(decl.name.to_string());
        }
    });
    let locals = locals(function);
    walk::exprs_here(&function.body, &mut |e| match &e.kind {
        ExprKind::Assign(_, lhs, rhs) if carries(rhs, &names) => {
            let is_local = root(lhs).is_some_and(|r| locals.iter().any(|l| l == r))
                && matches!(lhs.kind, ExprKind::Name(_));
            if !is_local {
                out.stored.get_or_insert(e.span);
                names.push(lhs.key());
            }
            if matches!(rhs.uncast().kind, ExprKind::Call(..)) {
                out.retained |= rhs.key().contains("retain") || rhs.key().contains("Retain");
            }
        }
        ExprKind::Call(_, args) => {
            let on_it = e.receiver().is_some_and(|r| names.contains(&r.key()));
            if on_it {
                out.retained |= e.calls(&["retain"]);
                return;
            }
            let at = args.iter().position(|a| carries(a, &names));
            let Some(at) = at else { return };
            if e.calls(COMPLETIONS) {
                out.completed = true;
            } else if e.calls(&["OSRetain", "OSSafeRetain", "os_retain"]) {
                out.retained = true;
            } else if !is_log(e) && !e.calls(RELEASE) {
                match cx.graph.targets(id, e) {
                    [] => out.given_unknown = true,
                    targets => out.given.extend(targets.iter().map(|t| (*t, at))),
                }
            }
        }
        ExprKind::List(items) => {
            out.given_unknown |= items.iter().any(|i| match &i.kind {
                ExprKind::Pair(_, value) => is_one_of(value, &names),
                _ => is_one_of(i, &names),
            });
        }
        ExprKind::Lambda(lambda) => {
            walk::exprs(&lambda.body, &mut |inner| {
                if is_one_of(inner, &names) {
                    out.captured.get_or_insert(e.span);
                }
            });
        }
        _ => {}
    });
    out
}

fn locals(function: &Function) -> Vec<String> {
    let mut out = Vec::new();
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && !decl.ty.contains(['*', '&'])
            && !decl.is_static
        {
            out.push(decl.name.to_string());
        }
    });
    out
}

fn is_one_of(e: &Expr, names: &[String]) -> bool {
    matches!(e.uncast().kind, ExprKind::Name(_) | ExprKind::Member(..) | ExprKind::Index(..))
        && names.contains(&e.key())
}

/// The action itself, or a call that returns it with a reference.
fn carries(e: &Expr, names: &[String]) -> bool {
    is_one_of(e, names)
        || matches!(&e.uncast().kind, ExprKind::Call(_, args)
            if e.uncast().callee().is_some_and(|n| n.contains("etain")) && args.iter().any(|a| is_one_of(a, names)))
}

/// Whether the field that a statement assigns to counts references itself.
fn is_shared_field(cx: &Check<'_>, id: FnId, span: Span) -> bool {
    let mut shared = false;
    walk::exprs(&cx.function(id).body, &mut |e| {
        if let ExprKind::Assign(_, lhs, _) = &e.kind
            && e.span == span
            && let Some(name) = lhs.last_name()
        {
            let types = cx.program.field_types.get(name);
            shared |= types.is_some_and(|l| l.iter().any(|t| t.contains("SharedPtr")));
        }
    });
    shared
}
