//! A command answered in the slot of another one.

use crate::model::framework::IDENTITY;
use crate::model::program::FnId;
use crate::rules::texts::slots::OTHER_SLOT;
use crate::rules::{Check, Finding};
use crate::source::{Place, Span};
use crate::syntax::ast::{ExprKind, Function};
use crate::syntax::walk;

use super::{Scope, Side, completed_arrays, for_array_values};

pub(super) fn check(
    cx: &Check<'_>,
    id: FnId,
    body: &Function,
    scope: &Scope<'_>,
    out: &mut Vec<Finding>,
) {
    let place = |span: Span| Place::new(cx.function(id).file, span);
    let mut written: Vec<(String, Span)> = Vec::new();
    let mut reported = false;
    walk::exprs_here(&body.body, &mut |e| {
        let ExprKind::Assign(_, lhs, rhs) = &e.kind else { return };
        let ExprKind::Member(object, _) = &lhs.kind else { return };
        let Some(to) = scope.slot(object).filter(|s| s.side == Side::Response && !s.copy) else {
            return;
        };
        written.push((to.index.clone(), lhs.span));
        let ExprKind::Member(source, field) = &rhs.uncast().kind else { return };
        if !IDENTITY.contains(&&**field) || reported {
            return;
        }
        let Some(from) = scope.slot(source).filter(|s| s.side == Side::Command) else { return };
        if from.index != to.index {
            reported = true;
            out.push(
                Finding::new(
                    &OTHER_SLOT,
                    place(lhs.span),
                    format!(
                        "the command of slot `{}` is answered in slot `{}`",
                        from.index, to.index
                    ),
                )
                .label(format!("response slot `{}`", to.index))
                .related(place(rhs.span), format!("command slot `{}`", from.index)),
            );
        }
    });
    let first = written.first().map(|(index, span)| (index.clone(), *span));
    let Some((index, span)) = first.filter(|(i, _)| written.iter().all(|(j, _)| i == j)) else {
        return;
    };
    let arrays = completed_arrays(body);
    let mut values: Vec<(String, Span)> = Vec::new();
    for_array_values(body, &mut |array, value| {
        if arrays.iter().any(|a| a == array) {
            values.push((scope.index(value), value.span));
        }
    });
    if let [(value, at)] = values.as_slice()
        && *value != index
        && !reported
    {
        out.push(
            Finding::new(
                &OTHER_SLOT,
                place(*at),
                format!("slot `{value}` is completed, but the response is in slot `{index}`"),
            )
            .label(format!("completes slot `{value}`"))
            .related(place(span), format!("response written to slot `{index}`")),
        );
    }
}
