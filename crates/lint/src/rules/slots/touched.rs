//! Slots that are touched or completed again after they were given back.

use crate::model::flow::{self, Flow, mentions};
use crate::model::program::FnId;
use crate::rules::texts::slots::TOUCHED;
use crate::rules::{Check, Finding};
use crate::source::{Place, Span};
use crate::syntax::ast::{Decl, Expr, ExprKind, Function};

use super::{Scope, Side};

pub(super) fn check(
    cx: &Check<'_>,
    id: FnId,
    body: &Function,
    scope: &Scope<'_>,
    completes: &[Vec<usize>],
    out: &mut Vec<Finding>,
) {
    let mut flow = Touched { cx, id, scope, completes, found: Vec::new() };
    flow::run(&mut flow, &body.body, State::default());
    out.append(&mut flow.found);
}

#[derive(Clone, Default, PartialEq)]
struct State {
    /// Slots put into an array that is not yet completed.
    pending: Vec<(String, String)>,
    /// Slots given back, and where.
    done: Vec<(String, Span)>,
    /// Index arrays given back whole: `name[`, and where.
    arrays: Vec<(String, Span)>,
}

struct Touched<'a, 'p> {
    cx: &'a Check<'p>,
    id: FnId,
    scope: &'a Scope<'a>,
    completes: &'a [Vec<usize>],
    found: Vec<Finding>,
}

impl Touched<'_, '_> {
    fn give_back(&mut self, index: String, at: Span, state: &mut State) {
        if let Some((_, before)) = state.done.iter().find(|(i, _)| *i == index) {
            let before = *before;
            self.report(
                at,
                before,
                format!("slot `{index}` is completed twice"),
                "given back again here",
            );
        } else if state.done.len() < 16 {
            state.done.push((index, at));
        }
    }

    fn report(&mut self, at: Span, before: Span, message: String, label: &str) {
        let file = self.cx.function(self.id).file;
        let place = Place::new(file, at);
        if self.found.iter().all(|f| f.place != place) {
            self.found.push(
                Finding::new(&TOUCHED, place, message)
                    .label(label)
                    .related(Place::new(file, before), "the slot was given back here"),
            );
        }
    }

    fn changed(state: &mut State, name: &str) {
        state.done.retain(|(index, _)| !mentions(index, name));
        state.pending.retain(|(array, index)| !mentions(index, name) && array != name);
        state.arrays.retain(|(array, _)| !mentions(array, name));
    }
}

impl Flow for Touched<'_, '_> {
    type State = State;

    fn expr(&mut self, e: &Expr, state: &mut State) {
        match &e.kind {
            ExprKind::Assign(_, lhs, rhs) => {
                if let ExprKind::Index(base, _) = &lhs.kind {
                    let array = format!("{}[", base.key());
                    state.arrays.retain(|(a, _)| *a != array);
                    let index = self.scope.index(rhs);
                    if state.pending.len() < 32 {
                        state.pending.push((base.key(), index));
                    }
                } else if let ExprKind::Name(name) = &lhs.kind {
                    Self::changed(state, name);
                }
            }
            ExprKind::Step { of, .. } => {
                if let ExprKind::Name(name) = &of.kind {
                    // The counter of the index array is no slot.
                    state.done.retain(|(index, _)| !mentions(index, name));
                }
            }
            ExprKind::Call(_, args)
                if e.calls(&["BundledParallelTaskCompletion"]) && args.len() >= 2 =>
            {
                let array = args[1].key();
                let (now, later) = std::mem::take(&mut state.pending)
                    .into_iter()
                    .partition::<Vec<_>, _>(|(a, _)| *a == array);
                state.pending = later;
                let mut indices: Vec<String> = now.into_iter().map(|(_, index)| index).collect();
                indices.sort();
                indices.dedup();
                for index in indices {
                    self.give_back(index, e.span, state);
                }
                if state.arrays.len() < 8 {
                    state.arrays.push((format!("{array}["), e.span));
                }
            }
            ExprKind::Call(_, args) => {
                for target in self.cx.graph.targets(self.id, e) {
                    for at in &self.completes[*target] {
                        if let Some(arg) = args.get(*at) {
                            let index = self.scope.index(arg);
                            self.give_back(index, e.span, state);
                        }
                    }
                }
            }
            ExprKind::Member(object, _) if !state.done.is_empty() || !state.arrays.is_empty() => {
                let Some(slot) = self.scope.slot(object).filter(|s| !s.copy) else { return };
                let before =
                    state.done.iter().find(|(index, _)| *index == slot.index).or_else(|| {
                        state.arrays.iter().find(|(array, _)| slot.index.starts_with(array))
                    });
                if let Some((index, before)) = before.map(|(_, b)| (slot.index.clone(), *b)) {
                    let side = match slot.side {
                        Side::Command => "command",
                        Side::Response => "response",
                    };
                    self.report(
                        e.span,
                        before,
                        format!("the {side} slot `{index}` is touched after its completion"),
                        "the framework may have reused it",
                    );
                }
            }
            _ => {}
        }
    }

    fn decl(&mut self, decl: &Decl, state: &mut State) {
        Self::changed(state, &decl.name);
        if let Some(ExprKind::List(items)) = decl.init.as_ref().map(|i| &i.kind)
            && decl.ty.ends_with(']')
        {
            for item in items.iter().take(32) {
                state.pending.push((decl.name.to_string(), self.scope.index(item)));
            }
        }
    }
}
