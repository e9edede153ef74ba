//! Locks held over a call into the kernel.

use crate::model::flow::{self, Flow};
use crate::model::framework::KERNEL_CALLS;
use crate::model::graph::Via;
use crate::model::program::FnId;
use crate::source::Span;
use crate::syntax::ast::{Decl, Expr, ExprKind, Name, Stmt, StmtKind};

use super::texts::locks::HELD;
use super::{Check, Finding, bodies};

const TAKE: &[&str] = &[
    "IOLockLock",
    "IORecursiveLockLock",
    "IORWLockRead",
    "IORWLockWrite",
    "os_unfair_lock_lock",
    "pthread_mutex_lock",
    "IOSimpleLockLock",
];
const GIVE: &[&str] = &[
    "IOLockUnlock",
    "IORecursiveLockUnlock",
    "IORWLockUnlock",
    "os_unfair_lock_unlock",
    "pthread_mutex_unlock",
    "IOSimpleLockUnlock",
];

/// What a function of the program does with locks, seen from its caller.
#[derive(Clone, Copy, Default)]
struct Effect {
    takes: bool,
    gives: bool,
    /// A kernel call in it.
    calls: Option<(FnId, Span)>,
}

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    if cx.program.controllers.is_empty() {
        return;
    }
    let effects = effects(cx);
    for id in 0..cx.program.functions.len() {
        let relevant = cx
            .graph
            .calls(id)
            .iter()
            .any(|c| takes(c.expr) || c.targets.iter().any(|t| effects[*t].takes));
        let function = cx.function(id);
        for body in bodies(function) {
            if !relevant && !has_guard(&body.body) {
                continue;
            }
            let mut held = Held { cx, id, effects: &effects, found: Vec::new() };
            flow::run(&mut held, &body.body, Vec::new());
            out.append(&mut held.found);
        }
    }
}

fn effects(cx: &Check<'_>) -> Vec<Effect> {
    let count = cx.program.functions.len();
    let mut out = vec![Effect::default(); count];
    for (id, effect) in out.iter_mut().enumerate() {
        let (mut take, mut give) = (0, 0);
        for call in cx.graph.calls(id).iter().filter(|c| c.via == Via::Direct) {
            take += usize::from(takes(call.expr));
            give += usize::from(gives(call.expr));
            if is_kernel_call(call.expr) {
                effect.calls.get_or_insert((id, call.expr.span));
            }
        }
        effect.takes = take > 0 && give == 0;
        effect.gives = give > 0 && take == 0;
    }
    // A helper of a helper calls into the kernel too.
    for _ in 0..6 {
        let mut changed = false;
        for id in 0..count {
            if out[id].calls.is_some() {
                continue;
            }
            let inner = cx
                .graph
                .calls(id)
                .iter()
                .filter(|c| matches!(c.via, Via::Direct | Via::Sync(_)))
                .flat_map(|c| &c.targets)
                .find_map(|t| out[*t].calls);
            if inner.is_some() {
                out[id].calls = inner;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    out
}

fn takes(call: &Expr) -> bool {
    call.calls(TAKE)
        || (call.calls(&["lock"]) && call.receiver().is_some() && call.args().is_empty())
}

fn gives(call: &Expr) -> bool {
    call.calls(GIVE) || (call.calls(&["unlock"]) && call.receiver().is_some())
}

fn is_kernel_call(call: &Expr) -> bool {
    call.calls(KERNEL_CALLS)
}

fn is_guard(decl: &Decl) -> bool {
    let ty = decl.ty.to_lowercase();
    decl.init.is_some()
        && (ty.contains("lock_guard")
            || ty.contains("unique_lock")
            || ty.contains("scoped_lock")
            || ((ty.contains("guard")
                || ty.contains("locker")
                || ty.contains("autolock")
                || ty.contains("scopedlock"))
                && !ty.contains('*')
                && matches!(
                    decl.init.as_ref().map(|i| &i.kind),
                    Some(ExprKind::List(_) | ExprKind::Call(..))
                )))
}

fn has_guard(body: &[Stmt]) -> bool {
    let mut found = false;
    crate::syntax::walk::stmts(body, &mut |stmt| {
        found |= matches!(&stmt.kind, StmtKind::Decl(decl) if is_guard(decl));
    });
    found
}

struct Held<'a, 'p> {
    cx: &'a Check<'p>,
    id: FnId,
    effects: &'a [Effect],
    found: Vec<Finding>,
}

impl Flow for Held<'_, '_> {
    /// Locks held: name of the lock, where it was taken.
    type State = Vec<(Name, Span)>;

    fn expr(&mut self, expr: &Expr, state: &mut Self::State) {
        if !matches!(expr.kind, ExprKind::Call(..)) {
            return;
        }
        if takes(expr) {
            let lock = lock_name(expr);
            if state.len() < 8 {
                state.push((lock.into(), expr.span));
            }
        } else if gives(expr) {
            let lock = lock_name(expr);
            match state.iter().rposition(|(name, _)| **name == *lock) {
                Some(at) => drop(state.remove(at)),
                None => drop(state.pop()),
            }
        } else if is_kernel_call(expr) {
            self.report(expr, None, state);
        } else {
            for target in self.cx.graph.targets(self.id, expr) {
                let effect = self.effects[*target];
                if effect.takes {
                    state.push(("lock".into(), expr.span));
                } else if effect.gives {
                    state.pop();
                } else if effect.calls.is_some() {
                    self.report(expr, effect.calls, state);
                }
            }
        }
    }

    fn decl(&mut self, decl: &Decl, state: &mut Self::State) {
        if is_guard(decl) && state.len() < 8 {
            state.push((decl.name.clone(), decl.name_span));
        }
    }

    fn close(&mut self, body: &[Stmt], state: &mut Self::State) {
        for stmt in body {
            if let StmtKind::Decl(decl) = &stmt.kind {
                state.retain(|(name, _)| *name != decl.name);
            }
        }
    }
}

impl Held<'_, '_> {
    fn report(&mut self, expr: &Expr, inner: Option<(FnId, Span)>, state: &[(Name, Span)]) {
        let Some((lock, taken)) = state.last() else { return };
        let place = self.cx.at(self.id, expr);
        if self.found.iter().any(|f| f.place == place) {
            return;
        }
        let file = self.cx.function(self.id).file;
        let name = expr.callee().unwrap_or("?");
        let mut finding = Finding::new(
            &HELD,
            place,
            format!("lock `{lock}` is held over {name}, a call into the kernel"),
        )
        .label("the kernel may call back before it answers")
        .related(crate::source::Place::new(file, *taken), "taken here");
        if let Some((id, span)) = inner {
            let file = self.cx.function(id).file;
            finding =
                finding.related(crate::source::Place::new(file, span), "the call into the kernel");
        }
        self.found.push(finding);
    }
}

fn lock_name(call: &Expr) -> String {
    match (call.receiver(), call.args().first()) {
        (Some(receiver), _) => receiver.key(),
        (None, Some(arg)) => arg.key(),
        (None, None) => "lock".to_owned(),
    }
}
