//! Walks the paths of a body with a state per path.
//!
//! Loops are walked twice, forward `goto`s are followed, a condition that was decided before on the path is decided the
//! same way again. The number of states is bounded; what does not fit is dropped, which can only hide a finding.

use std::collections::{HashMap, HashSet};

use crate::syntax::ast::{Decl, Expr, ExprKind, Name, Stmt, StmtKind};
use crate::syntax::walk;

/// Most states followed at one point.
const MAX_STATES: usize = 48;
/// Statements after which only one path is followed, and after twice as many none.
const MAX_STEPS: usize = 40_000;

/// What a rule does at each step of a path.
pub(crate) trait Flow {
    /// What is known on one path.
    type State: Clone + PartialEq;

    /// An expression is evaluated; called for inner ones first.
    fn expr(&mut self, expr: &Expr, state: &mut Self::State);

    /// A variable is declared; its initial value was evaluated before.
    fn decl(&mut self, _decl: &Decl, _state: &mut Self::State) {}

    /// A path leaves the function.
    fn leave(&mut self, _at: &Stmt, _value: Option<&Expr>, _state: &mut Self::State) {}

    /// A path runs off the end of the body.
    fn end(&mut self, _state: &mut Self::State) {}

    /// A block of statements ends.
    fn close(&mut self, _body: &[Stmt], _state: &mut Self::State) {}

    /// A condition is known to hold or not.
    fn assume(&mut self, _cond: &Expr, _holds: bool, _state: &mut Self::State) {}
}

/// Walks all paths of a body from one state.
pub(crate) fn run<F: Flow>(flow: &mut F, body: &[Stmt], start: F::State) {
    let repeated = repeated_conditions(body);
    let mut walker = Walker { flow, labels: HashMap::new(), repeated, steps: 0 };
    let states = vec![Path { user: start, known: Vec::new() }];
    let mut exits = Exits { breaks: Vec::new(), continues: Vec::new() };
    let out = walker.body(body, states, &mut exits);
    for mut path in out {
        walker.flow.end(&mut path.user);
    }
}

#[derive(Clone, PartialEq)]
struct Path<S> {
    user: S,
    /// Conditions decided on this path.
    known: Vec<(String, bool)>,
}

/// The states at one point.
type Paths<F> = Vec<Path<<F as Flow>::State>>;

struct Exits<S> {
    breaks: Vec<Path<S>>,
    continues: Vec<Path<S>>,
}

struct Walker<'f, F: Flow> {
    flow: &'f mut F,
    labels: HashMap<Name, Vec<Path<F::State>>>,
    /// Conditions that occur more than once, so that it pays to remember how they were decided.
    repeated: HashSet<String>,
    steps: usize,
}

impl<F: Flow> Walker<'_, F> {
    fn body(
        &mut self,
        body: &[Stmt],
        mut states: Vec<Path<F::State>>,
        exits: &mut Exits<F::State>,
    ) -> Vec<Path<F::State>> {
        for stmt in body {
            states = self.stmt(stmt, states, exits);
        }
        for path in &mut states {
            self.flow.close(body, &mut path.user);
        }
        states
    }

    fn stmt(
        &mut self,
        stmt: &Stmt,
        mut states: Vec<Path<F::State>>,
        exits: &mut Exits<F::State>,
    ) -> Vec<Path<F::State>> {
        self.steps += 1;
        // A body with very many branches is followed on one path only.
        if self.steps > MAX_STEPS {
            states.truncate(1);
            if self.steps > 2 * MAX_STEPS {
                return states;
            }
        }
        match &stmt.kind {
            StmtKind::Expr(e) => {
                self.eval(e, &mut states);
                if let ExprKind::Call(..) = &e.kind
                    && e.calls(&[
                        "abort",
                        "panic",
                        "__builtin_trap",
                        "__builtin_unreachable",
                        "exit",
                    ])
                {
                    states.clear();
                }
                states
            }
            StmtKind::Decl(decl) => {
                if let Some(init) = &decl.init {
                    self.eval(init, &mut states);
                }
                for path in &mut states {
                    path.forget(&decl.name);
                    self.flow.decl(decl, &mut path.user);
                }
                states
            }
            StmtKind::If { arms, otherwise } => {
                let mut out = Vec::new();
                for (cond, body) in arms {
                    self.eval(cond, &mut states);
                    let (yes, no) = self.split(cond, states);
                    out.extend(self.body(body, yes, exits));
                    states = no;
                }
                match otherwise {
                    Some(body) => out.extend(self.body(body, states, exits)),
                    None => out.extend(states),
                }
                merged(out)
            }
            StmtKind::Either(arms) => {
                let mut out = Vec::new();
                for arm in arms {
                    out.extend(self.body(arm, states.clone(), exits));
                }
                merged(out)
            }
            StmtKind::Block(body) => self.body(body, states, exits),
            StmtKind::Loop { init, cond, step, body, post } => {
                let states = self.body(init, states, exits);
                self.repeat(cond.as_ref(), step.as_ref(), None, body, *post, states, exits)
            }
            StmtKind::Each { var, range, body } => {
                self.eval(range, &mut states);
                self.repeat(None, None, Some(var), body, false, states, exits)
            }
            StmtKind::Switch { on, arms, default } => {
                self.switch(on, arms, *default, states, exits)
            }
            StmtKind::Return(value) => {
                if let Some(value) = value {
                    self.eval(value, &mut states);
                }
                for path in &mut states {
                    self.flow.leave(stmt, value.as_ref(), &mut path.user);
                }
                Vec::new()
            }
            StmtKind::Break => {
                exits.breaks.append(&mut states);
                Vec::new()
            }
            StmtKind::Continue => {
                exits.continues.append(&mut states);
                Vec::new()
            }
            StmtKind::Goto(label) => {
                self.labels.entry(label.clone()).or_default().append(&mut states);
                Vec::new()
            }
            StmtKind::Label(label) => {
                if let Some(more) = self.labels.remove(label) {
                    states.extend(more);
                }
                merged(states)
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a loop")]
    fn repeat(
        &mut self,
        cond: Option<&Expr>,
        step: Option<&Expr>,
        var: Option<&Decl>,
        body: &[Stmt],
        post: bool,
        states: Vec<Path<F::State>>,
        exits: &mut Exits<F::State>,
    ) -> Vec<Path<F::State>> {
        let mut out = Vec::new();
        let mut now = states;
        let endless =
            cond.is_none_or(|c| matches!(c.kind, ExprKind::Num(n) if n != 0)) && var.is_none();
        let rounds = if self.steps > MAX_STEPS { 1 } else { 2 };
        for round in 0..rounds {
            if !(post && round == 0) {
                if let Some(cond) = cond {
                    self.eval(cond, &mut now);
                }
                if !endless {
                    out.extend(now.iter().cloned());
                }
            }
            for path in &mut now {
                // What was decided before the loop body may be decided otherwise in its next round.
                if round > 0 {
                    path.known.clear();
                }
                if let Some(var) = var {
                    path.forget(&var.name);
                    self.flow.decl(var, &mut path.user);
                }
            }
            let mut inner = Exits { breaks: Vec::new(), continues: Vec::new() };
            now = self.body(body, now, &mut inner);
            now.extend(inner.continues);
            now = merged(now);
            if let Some(step) = step {
                self.eval(step, &mut now);
            }
            out.extend(inner.breaks);
        }
        let _ = exits;
        if !endless {
            out.extend(now);
        }
        merged(out)
    }

    fn switch(
        &mut self,
        on: &Expr,
        arms: &[Vec<Stmt>],
        default: bool,
        mut states: Vec<Path<F::State>>,
        exits: &mut Exits<F::State>,
    ) -> Vec<Path<F::State>> {
        self.eval(on, &mut states);
        let mut inner = Exits { breaks: Vec::new(), continues: Vec::new() };
        let mut falling: Vec<Path<F::State>> = Vec::new();
        for arm in arms {
            let mut entering = states.clone();
            entering.append(&mut falling);
            falling = self.body(arm, merged(entering), &mut inner);
        }
        let mut out = falling;
        out.append(&mut inner.breaks);
        exits.continues.append(&mut inner.continues);
        if !default {
            out.extend(states);
        }
        merged(out)
    }

    /// Splits states by a condition.
    fn split(&mut self, cond: &Expr, states: Vec<Path<F::State>>) -> (Paths<F>, Paths<F>) {
        let (key, positive) = condition_key(cond);
        let constant = match &cond.kind {
            ExprKind::Num(value) => Some(*value != 0),
            _ => None,
        };
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        for path in states {
            let known = constant.or_else(|| {
                path.known.iter().find(|(k, _)| *k == key).map(|(_, v)| *v == positive)
            });
            if known != Some(false) {
                let mut taken = path.clone();
                taken.learn(&self.repeated, &key, positive);
                learn_parts(&self.repeated, cond, &mut taken, true);
                self.flow.assume(cond, true, &mut taken.user);
                yes.push(taken);
            }
            if known != Some(true) {
                let mut taken = path;
                taken.learn(&self.repeated, &key, !positive);
                learn_parts(&self.repeated, cond, &mut taken, false);
                self.flow.assume(cond, false, &mut taken.user);
                no.push(taken);
            }
        }
        (merged(yes), merged(no))
    }

    fn eval(&mut self, e: &Expr, states: &mut [Path<F::State>]) {
        if !matches!(e.kind, ExprKind::Lambda(_)) {
            for child in walk::children(e) {
                self.eval(child, states);
            }
        }
        let changed = match &e.kind {
            ExprKind::Assign(_, lhs, _) => Some(lhs),
            ExprKind::Step { of, .. } => Some(of),
            ExprKind::Unary(b'&', of) => Some(of),
            _ => None,
        };
        for path in states {
            if let Some(changed) = changed
                && !path.known.is_empty()
            {
                path.forget(&changed.key());
            }
            self.flow.expr(e, &mut path.user);
        }
    }
}

impl<S> Path<S> {
    fn learn(&mut self, repeated: &HashSet<String>, key: &str, value: bool) {
        if repeated.contains(key)
            && self.known.len() < 12
            && !self.known.iter().any(|(k, _)| k == key)
        {
            self.known.push((key.to_owned(), value));
        }
    }

    /// Drops what was decided about anything that `key` is part of.
    fn forget(&mut self, key: &str) {
        self.known.retain(|(known, _)| !mentions(known, key));
    }
}

/// `a && b` holds: both hold. `a || b` fails: both fail.
fn learn_parts<S>(repeated: &HashSet<String>, cond: &Expr, path: &mut Path<S>, holds: bool) {
    let wanted = if holds { "&&" } else { "||" };
    if let ExprKind::Binary(op, a, b) = &cond.kind
        && &**op == wanted
    {
        for part in [a, b] {
            let (key, positive) = condition_key(part);
            path.learn(repeated, &key, positive == holds);
            learn_parts(repeated, part, path, holds);
        }
    }
}

/// Texts of conditions that decide more than one branch.
fn repeated_conditions(body: &[Stmt]) -> HashSet<String> {
    fn note(cond: &Expr, once: &mut HashSet<String>, more: &mut HashSet<String>) {
        let (key, _) = condition_key(cond);
        if key.len() < 120 && !once.insert(key.clone()) {
            more.insert(key);
        }
        if let ExprKind::Binary(op, a, b) = &cond.kind
            && matches!(&**op, "&&" | "||")
        {
            note(a, once, more);
            note(b, once, more);
        }
    }
    let (mut once, mut more) = (HashSet::new(), HashSet::new());
    walk::stmts(body, &mut |stmt| {
        if let StmtKind::If { arms, .. } = &stmt.kind {
            for (cond, _) in arms {
                note(cond, &mut once, &mut more);
            }
        }
    });
    more
}

/// The text of a condition without negation, and whether it was not negated.
fn condition_key(cond: &Expr) -> (String, bool) {
    match &cond.kind {
        ExprKind::Unary(b'!', inner) => {
            let (key, positive) = condition_key(inner);
            (key, !positive)
        }
        ExprKind::Binary(op, a, b) if matches!(&**op, "==" | "!=") => {
            let same = &**op == "==";
            match b.kind {
                // `p != nullptr` and `p` are one condition.
                ExprKind::Num(0) => (a.key(), !same),
                _ => (format!("{}=={}", a.key(), b.key()), same),
            }
        }
        _ => (cond.key(), true),
    }
}

/// Whether `key` occurs in `text` as a whole word.
pub(crate) fn mentions(text: &str, key: &str) -> bool {
    if key.is_empty() {
        return false;
    }
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(key).any(|(at, _)| {
        !word(text[..at].chars().next_back()) && !word(text[at + key.len()..].chars().next())
    })
}

fn merged<S: PartialEq + Clone>(states: Vec<Path<S>>) -> Vec<Path<S>> {
    let mut out: Vec<Path<S>> = Vec::new();
    for state in states {
        if out.len() >= MAX_STATES {
            break;
        }
        if !out.contains(&state) {
            out.push(state);
        }
    }
    out
}
