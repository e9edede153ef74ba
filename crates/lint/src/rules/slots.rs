//! Slots of the bundled path: the right one is answered, once, and not touched afterwards.

use std::collections::{HashMap, HashSet};

use crate::model::flow::{self, Flow, mentions};
use crate::model::program::{FnId, Program};
use crate::source::{Place, Span};
use crate::syntax::ast::{Decl, Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

use super::texts::slots::{OTHER_SLOT, TOUCHED};
use super::{Check, Finding, bodies};

/// Which of the two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Command,
    Response,
}

/// A slot named by an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) side: Side,
    /// Normalised text of the index.
    pub(super) index: String,
    /// A copy, not the slot itself.
    pub(super) copy: bool,
}

/// What the names of one function mean for slots.
pub(super) struct Scope<'p> {
    program: &'p Program,
    types: HashMap<&'p str, &'p str>,
    inits: HashMap<&'p str, &'p Expr>,
    aliases: HashMap<&'p str, Slot>,
}

impl<'p> Scope<'p> {
    pub(super) fn new(program: &'p Program, function: &'p Function) -> Self {
        let mut out =
            Self { program, types: HashMap::new(), inits: HashMap::new(), aliases: HashMap::new() };
        for param in &function.params {
            out.types.insert(&param.name, &param.ty);
        }
        let mut decls: Vec<&'p Decl> = Vec::new();
        walk::stmts(&function.body, &mut |stmt| match &stmt.kind {
            StmtKind::Decl(decl) => decls.push(decl),
            StmtKind::Each { var, .. } => decls.push(var),
            _ => {}
        });
        let mut assigned: HashSet<&str> = HashSet::new();
        walk::exprs_here(&function.body, &mut |e| {
            if let ExprKind::Assign(_, target, _) | ExprKind::Step { of: target, .. } = &e.kind
                && let ExprKind::Name(name) = &target.kind
            {
                assigned.insert(name);
            }
        });
        let mut declared: HashMap<&str, usize> = HashMap::new();
        for decl in &decls {
            *declared.entry(&decl.name).or_default() += 1;
        }
        for decl in &decls {
            out.types.insert(&decl.name, &decl.ty);
            if let Some(init) = &decl.init
                && !assigned.contains(&*decl.name)
                && declared[&*decl.name] == 1
            {
                out.inits.insert(&decl.name, init);
            }
        }
        for decl in decls {
            let Some(init) = &decl.init else { continue };
            let Some(mut slot) = out.slot(init) else { continue };
            let by_value = !decl.ty.contains('*')
                && !decl.ty.contains('&')
                && !matches!(init.uncast().kind, ExprKind::Unary(b'&', _))
                && (decl.ty.contains("SCSIUserParallel") || &*decl.ty == "auto");
            slot.copy |= by_value;
            out.aliases.insert(&decl.name, slot);
        }
        out
    }

    /// The slot that an expression names.
    pub(super) fn slot(&self, e: &Expr) -> Option<Slot> {
        match &e.kind {
            ExprKind::Cast(_, inner) | ExprKind::Unary(b'&' | b'*', inner) => self.slot(inner),
            ExprKind::Name(name) => self.aliases.get(&**name).cloned(),
            ExprKind::Index(base, index) => {
                let side = self.side(base)?;
                Some(Slot { side, index: self.index(index), copy: false })
            }
            ExprKind::Binary(op, base, index) if &**op == "+" => {
                let side = self.side(base)?;
                Some(Slot { side, index: self.index(index), copy: false })
            }
            ExprKind::Call(_, args) if args.len() == 1 => {
                let name = e.callee()?;
                let id = *self.program.by_name.get(name)?.first()?;
                let side = side_of_type(&self.program.functions[id].ret)?;
                Some(Slot { side, index: self.index(&args[0]), copy: false })
            }
            _ => None,
        }
    }

    /// Whether a name is a local, and its type.
    pub(super) fn type_of(&self, name: &str) -> Option<&'p str> {
        self.types.get(name).copied()
    }

    /// The text of an index, with locals that are set once replaced by what they are set to.
    pub(super) fn index(&self, e: &Expr) -> String {
        let mut at = e.uncast();
        for _ in 0..6 {
            match &at.kind {
                ExprKind::Name(name) if self.inits.contains_key(&**name) => {
                    at = self.inits[&**name].uncast();
                }
                _ => break,
            }
        }
        at.key()
    }

    /// The buffer that an expression is.
    fn side(&self, base: &Expr) -> Option<Side> {
        let base = base.uncast();
        let name = base.last_name()?;
        if let ExprKind::Name(name) = &base.kind
            && let Some(ty) = self.types.get(&**name)
        {
            return side_of_array(ty)
                .or_else(|| self.inits.get(&**name).and_then(|init| cast_side(init)));
        }
        self.program.field_types.get(name)?.iter().find_map(|ty| side_of_array(ty))
    }
}

fn side_of_type(ty: &str) -> Option<Side> {
    if ty.contains("SCSIUserParallelResponse") {
        Some(Side::Response)
    } else if ty.contains("SCSIUserParallelTask") {
        Some(Side::Command)
    } else {
        None
    }
}

fn side_of_array(ty: &str) -> Option<Side> {
    if ty.contains('*') { side_of_type(ty) } else { None }
}

fn cast_side(init: &Expr) -> Option<Side> {
    match &init.kind {
        ExprKind::Cast(ty, _) => side_of_array(ty),
        _ => None,
    }
}

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
            other_slot(cx, id, body, &scope, out);
            if relevant {
                let mut flow =
                    Touched { cx, id, scope: &scope, completes: &completes, found: Vec::new() };
                flow::run(&mut flow, &body.body, State::default());
                out.append(&mut flow.found);
            }
        }
    }
}

/// Parameters whose slot a function completes.
fn completed_params(program: &Program, function: &Function) -> Vec<usize> {
    let mut arrays = Vec::new();
    walk::exprs_here(&function.body, &mut |e| {
        if e.calls(&["BundledParallelTaskCompletion"])
            && let Some(array) = e.args().get(1)
        {
            arrays.push(array.key());
        }
    });
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

const IDENTITY: &[&str] = &["fControllerTaskIdentifier", "fTargetID"];

fn other_slot(
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
    let mut arrays = Vec::new();
    walk::exprs_here(&body.body, &mut |e| {
        if e.calls(&["BundledParallelTaskCompletion"])
            && let Some(array) = e.args().get(1)
        {
            arrays.push(array.key());
        }
    });
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
