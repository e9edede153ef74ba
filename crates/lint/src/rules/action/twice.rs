//! Completing the same action twice on one path.

use crate::model::flow::{self, Flow, mentions};
use crate::model::program::FnId;
use crate::rules::bundled::RELEASE;
use crate::rules::texts::action::TWICE;
use crate::rules::{Check, Finding, bodies};
use crate::source::{Place, Span};
use crate::syntax::ast::{Decl, Expr, ExprKind, Stmt};

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    let completes: Vec<Vec<usize>> =
        (0..cx.program.functions.len()).map(|id| always_completes(cx, id)).collect();
    for id in 0..cx.program.functions.len() {
        let relevant = cx.graph.calls(id).iter().any(|c| {
            c.expr.calls(&["ParallelTaskCompletion"])
                || c.targets.iter().any(|t| !completes[*t].is_empty())
        });
        if !relevant {
            continue;
        }
        for body in bodies(cx.function(id)) {
            let mut flow = Twice { cx, id, completes: &completes, found: Vec::new() };
            flow::run(&mut flow, &body.body, Vec::new());
            out.append(&mut flow.found);
        }
    }
}

/// Parameters that a function completes on every path.
fn always_completes(cx: &Check<'_>, id: FnId) -> Vec<usize> {
    let function = cx.function(id);
    if !cx.graph.calls(id).iter().any(|c| c.expr.calls(&["ParallelTaskCompletion"])) {
        return Vec::new();
    }
    let mut flow = Always { done: None };
    flow::run(&mut flow, &function.body, Vec::new());
    let done = flow.done.unwrap_or_default();
    (0..function.params.len())
        .filter(|at| done.iter().any(|key| **key == *function.params[*at].name))
        .collect()
}

struct Always {
    /// Actions completed on all paths seen so far.
    done: Option<Vec<String>>,
}

impl Always {
    fn exit(&mut self, state: &[String]) {
        match &mut self.done {
            Some(done) => done.retain(|key| state.contains(key)),
            None => self.done = Some(state.to_vec()),
        }
    }
}

impl Flow for Always {
    type State = Vec<String>;

    fn expr(&mut self, e: &Expr, state: &mut Vec<String>) {
        if e.calls(&["ParallelTaskCompletion"])
            && let Some(action) = e.args().first()
        {
            state.push(action.key());
        }
    }

    fn leave(&mut self, _at: &Stmt, _value: Option<&Expr>, state: &mut Vec<String>) {
        self.exit(state);
    }

    fn end(&mut self, state: &mut Vec<String>) {
        self.exit(state);
    }
}

struct Twice<'a, 'p> {
    cx: &'a Check<'p>,
    id: FnId,
    completes: &'a [Vec<usize>],
    found: Vec<Finding>,
}

impl Twice<'_, '_> {
    fn completed(&mut self, action: &Expr, at: Span, state: &mut Vec<(String, Span)>) {
        let key = action.key();
        if matches!(action.uncast().kind, ExprKind::Num(_)) {
            return;
        }
        let file = self.cx.function(self.id).file;
        match state.iter().find(|(k, _)| *k == key) {
            Some((_, before)) => {
                let place = Place::new(file, at);
                if self.found.iter().all(|f| f.place != place) {
                    self.found.push(
                        Finding::new(
                            &TWICE,
                            place,
                            format!("`{key}` is completed a second time on this path"),
                        )
                        .label("second completion")
                        .related(Place::new(file, *before), "first completion"),
                    );
                }
            }
            None if state.len() < 16 => state.push((key, at)),
            None => {}
        }
    }
}

impl Flow for Twice<'_, '_> {
    type State = Vec<(String, Span)>;

    fn expr(&mut self, e: &Expr, state: &mut Self::State) {
        match &e.kind {
            ExprKind::Assign(_, lhs, _) => {
                let key = lhs.key();
                state.retain(|(k, _)| !mentions(k, &key));
            }
            ExprKind::Step { of, .. } => {
                let key = of.key();
                state.retain(|(k, _)| !mentions(k, &key));
            }
            ExprKind::Call(_, args) if e.calls(&["ParallelTaskCompletion"]) => {
                if let Some(action) = args.first() {
                    self.completed(action, e.span, state);
                }
            }
            ExprKind::Call(_, args) if e.calls(RELEASE) => {
                if let Some(arg) = args.first() {
                    let key = arg.key();
                    state.retain(|(k, _)| *k != key);
                }
            }
            ExprKind::Call(_, args) => {
                // A pointer that is handed out may be changed.
                for arg in args {
                    if let ExprKind::Unary(b'&', target) = &arg.uncast().kind {
                        let key = target.key();
                        state.retain(|(k, _)| !mentions(k, &key));
                    }
                }
                for target in self.cx.graph.targets(self.id, e) {
                    for at in &self.completes[*target] {
                        if let Some(action) = args.get(*at) {
                            self.completed(action, e.span, state);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn decl(&mut self, decl: &Decl, state: &mut Self::State) {
        state.retain(|(k, _)| !mentions(k, &decl.name));
    }
}
