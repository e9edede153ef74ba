//! The single path: a task that is accepted is answered, or its action goes on.

use crate::model::flow::{self, Flow};
use crate::model::program::{Controller, FnId};
use crate::rules::bundled::{Answer, RELEASE, is_failure, is_log};
use crate::rules::texts::action::{NEVER, NO_RESPONSE};
use crate::rules::{Check, Finding, param};
use crate::source::{Place, Span};
use crate::syntax::ast::{Decl, Expr, ExprKind, Function, Stmt};
use crate::syntax::walk;

use super::COMPLETIONS;
use super::kept::uses;

pub(super) fn check(
    cx: &Check<'_>,
    controller: &Controller,
    id: FnId,
    answer: Answer,
    out: &mut Vec<Finding>,
) {
    let function = cx.function(id);
    let Some(action) = param(function, 2) else { return };
    let response = param(function, 1).unwrap_or("response");
    let uses = uses(cx, id, action);
    let mut set = false;
    walk::exprs(&function.body, &mut |e| match &e.kind {
        ExprKind::Assign(_, lhs, _) => set |= lhs.key() == response,
        ExprKind::Call(_, args) => set |= !is_log(e) && args.iter().any(|a| a.key() == response),
        _ => {}
    });
    let mut flow = Paths { cx, function, action, response, dropped: None, succeeded: false };
    flow::run(&mut flow, &function.body, PathState::default());
    let (dropped, succeeded) = (flow.dropped, flow.succeeded);
    if !set && succeeded {
        out.push(
            Finding::new(
                &NO_RESPONSE,
                function.place(),
                format!("{} never sets *{response}", function.title()),
            )
            .label("the framework reads it when the method returns success"),
        );
    }
    if let Some(span) = dropped.filter(|_| set) {
        out.push(
            Finding::new(
                &NEVER,
                Place::new(function.file, span),
                format!("the task is accepted here, but `{action}` is neither kept nor completed"),
            )
            .label("returns with the task in process")
            .related(function.place(), "the action comes in here"),
        );
        return;
    }
    // Kept, but nothing in the whole driver completes anything.
    let kept = uses.stored.is_some() || !uses.given.is_empty();
    let completes = cx.find_call(&|e| e.calls(COMPLETIONS)).is_some();
    if kept && !completes && answer == Answer::Declined && cx.is_whole(controller) {
        out.push(
            Finding::new(
                &NEVER,
                function.place(),
                "the action is kept, but nothing calls ParallelTaskCompletion",
            )
            .label("no task ever ends"),
        );
    }
}

#[derive(Clone, PartialEq, Default)]
struct PathState {
    kept: bool,
    /// `Some(Some(0))` is Request_In_Process, `Some(None)` is not constant.
    response: Option<Option<u64>>,
}

struct Paths<'a, 'p> {
    cx: &'a Check<'p>,
    function: &'a Function,
    action: &'a str,
    response: &'a str,
    dropped: Option<Span>,
    succeeded: bool,
}

impl Flow for Paths<'_, '_> {
    type State = PathState;

    fn expr(&mut self, e: &Expr, state: &mut PathState) {
        match &e.kind {
            ExprKind::Assign(_, lhs, rhs) if lhs.key() == self.response => {
                state.response = Some(self.cx.program.number(rhs, Some(self.function)));
            }
            ExprKind::Assign(_, _, rhs) if self.is_action(rhs) => state.kept = true,
            ExprKind::Call(_, args) if !is_log(e) && !e.calls(RELEASE) => {
                state.kept |= args.iter().any(|a| self.is_action(a));
                if args.iter().any(|a| a.key() == self.response) {
                    state.response = Some(None);
                }
            }
            ExprKind::Lambda(lambda) => {
                walk::exprs(&lambda.body, &mut |inner| state.kept |= self.is_action(inner));
            }
            ExprKind::List(items) => state.kept |= items.iter().any(|i| self.is_action(i)),
            ExprKind::Pair(_, value) => state.kept |= self.is_action(value),
            _ => {}
        }
    }

    fn decl(&mut self, decl: &Decl, state: &mut PathState) {
        state.kept |= decl.init.as_ref().is_some_and(|i| self.is_action(i));
    }

    fn leave(&mut self, at: &Stmt, value: Option<&Expr>, state: &mut PathState) {
        let Some(value) = value else { return };
        let success = self.cx.program.number(value, Some(self.function)) == Some(0);
        if success {
            self.succeeded = true;
        }
        if is_failure(self.cx, value, self.function) || state.kept {
            return;
        }
        if state.response == Some(Some(0)) && success {
            self.dropped.get_or_insert(at.span);
        }
    }
}

impl Paths<'_, '_> {
    fn is_action(&self, e: &Expr) -> bool {
        matches!(&e.uncast().kind, ExprKind::Name(n) if &**n == self.action)
    }
}
