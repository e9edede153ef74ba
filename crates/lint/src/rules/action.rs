//! Actions: kept with a reference, completed once, on every path.

use crate::model::flow::{self, Flow, mentions};
use crate::model::graph::Via;
use crate::model::program::{Controller, FnId};
use crate::source::{Place, Span};
use crate::syntax::ast::{Decl, Expr, ExprKind, Function, Stmt, StmtKind};
use crate::syntax::walk;

use super::bundled::{self, Answer, is_failure, is_log, root};
use super::texts::action::{NEVER, NO_RESPONSE, NOT_RETAINED, TWICE};
use super::{Check, Finding, bodies, param};

const SINGLE: &str = "UserProcessParallelTask";
const BUNDLED: &str = "UserProcessBundledParallelTasks";
const COMPLETIONS: &[&str] = &["ParallelTaskCompletion", "BundledParallelTaskCompletion"];

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for controller in &cx.program.controllers {
        let answer = bundled::answer(cx, controller);
        for id in cx.program.bodies(controller, SINGLE) {
            not_retained(cx, id, out);
            single_paths(cx, controller, id, answer, out);
        }
        for id in cx.program.bodies(controller, BUNDLED) {
            not_retained(cx, id, out);
            if answer == Answer::Accepted {
                bundled_action(cx, id, out);
            }
        }
    }
    if !cx.program.controllers.is_empty() {
        twice(cx, out);
    }
}

/// Where an action goes in one function.
#[derive(Default)]
struct Uses {
    stored: Option<Span>,
    retained: bool,
    completed: bool,
    /// Functions of the program that it is given to, with the position.
    given: Vec<(FnId, usize)>,
    given_unknown: bool,
    captured: Option<Span>,
}

fn uses(cx: &Check<'_>, id: FnId, action: &str) -> Uses {
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
            if let ExprKind::Call(_, args) = &rhs.uncast().kind {
                out.retained |= rhs.key().contains("retain") || rhs.key().contains("Retain");
                let _ = args;
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
            } else if !is_log(e) && !e.calls(bundled::RELEASE) {
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

fn not_retained(cx: &Check<'_>, id: FnId, out: &mut Vec<Finding>) {
    let function = cx.function(id);
    let Some(action) = param(function, 2) else { return };
    let Some((at, span, in_block)) = lost(cx, id, action, 0) else { return };
    let shared = is_shared_field(cx, at, span);
    if shared {
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

fn bundled_action(cx: &Check<'_>, id: FnId, out: &mut Vec<Finding>) {
    let function = cx.function(id);
    let Some(action) = param(function, 2) else { return };
    let uses = uses(cx, id, action);
    let goes_on = uses.stored.is_some()
        || uses.completed
        || uses.given_unknown
        || uses.captured.is_some()
        || !uses.given.is_empty();
    let nowhere = !goes_on && !function.body.is_empty() && !only_void(function);
    let no_call = cx.find_call(&|e| e.calls(&["BundledParallelTaskCompletion"])).is_none();
    if nowhere || (goes_on && no_call && !uses.given_unknown) {
        let label = if nowhere {
            "it is neither kept nor completed"
        } else {
            "nothing calls BundledParallelTaskCompletion"
        };
        out.push(
            Finding::new(
                &NEVER,
                function.place(),
                format!("the tasks of {} can never be completed", function.name),
            )
            .label(label),
        );
    }
}

fn only_void(function: &Function) -> bool {
    function.body.iter().all(|s| match &s.kind {
        StmtKind::Expr(e) => bundled::is_void_cast(e) || is_log(e),
        StmtKind::Return(_) => true,
        _ => false,
    })
}

fn single_paths(
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
            ExprKind::Call(_, args) if !is_log(e) && !e.calls(bundled::RELEASE) => {
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

/// Completing the same action twice on one path.
fn twice(cx: &Check<'_>, out: &mut Vec<Finding>) {
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
    let none: Vec<Vec<usize>> = Vec::new();
    let mut flow = Always { done: None };
    let _ = none;
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
            ExprKind::Call(_, args) if e.calls(bundled::RELEASE) => {
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
