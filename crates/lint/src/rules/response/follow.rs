//! What each statement does to the responses of a function.

use crate::model::flow::Flow;
use crate::rules::Finding;
use crate::rules::bundled::is_log;
use crate::rules::texts::response::{IDENTIFIER, VERSION};
use crate::source::Span;
use crate::syntax::ast::{Decl, Expr, ExprKind, Stmt};

use super::{ALL, Home, Known, Object, Responses, is_response_type};

/// Responses of one function that are followed.
const MOST_OBJECTS: usize = 12;

impl Flow for Responses<'_, '_> {
    type State = Vec<Object>;

    fn expr(&mut self, e: &Expr, state: &mut Vec<Object>) {
        match &e.kind {
            ExprKind::Assign(_, lhs, rhs) => {
                if let ExprKind::Member(object, field) = &lhs.kind {
                    self.set(object, field, rhs, state);
                } else if self.object(lhs).is_some() {
                    if let Some((_, Home::Param)) = self.object(lhs) {
                        // An element of an array or somebody's structure: not followed further.
                        self.handed_over(rhs.uncast(), e.span, state);
                    }
                    let made = self.made(rhs);
                    let empty =
                        matches!(&rhs.uncast().kind, ExprKind::List(items) if items.is_empty());
                    let from = self.copy(rhs, state);
                    if let Some(object) = self.get(state, lhs) {
                        object.replace(from, if empty { 0 } else { made });
                    }
                } else if matches!(rhs.uncast().kind, ExprKind::Name(_)) {
                    // Copied into something that is not followed.
                    self.handed_over(rhs.uncast(), e.span, state);
                }
            }
            ExprKind::Call(..) => self.call(e, state),
            _ => {}
        }
    }

    fn decl(&mut self, decl: &Decl, state: &mut Vec<Object>) {
        state.retain(|o| o.key != *decl.name);
        if !is_response_type(&decl.ty) || decl.ty.contains(['*', '&', '[']) {
            return;
        }
        let mut object = Object::new(decl.name.to_string(), Home::Local, decl.name_span);
        let init = decl.init.as_ref().map(Expr::uncast);
        match init.map(|i| &i.kind) {
            Some(ExprKind::List(items)) => {
                for item in items {
                    match &item.kind {
                        ExprKind::Pair(field, value) => object.set(field, self.known(value)),
                        ExprKind::Num(0) => {}
                        _ => object.bits |= ALL,
                    }
                }
            }
            Some(_) => {
                let from = init.and_then(|i| self.copy(i, state));
                let made = init.map_or(ALL, |i| self.made(i));
                object.bits = from.map_or(made, |f| f.bits);
            }
            None => {}
        }
        state.push(object);
    }

    fn leave(&mut self, _at: &Stmt, value: Option<&Expr>, state: &mut Vec<Object>) {
        if let Some(value) = value.filter(|v| matches!(v.kind, ExprKind::Name(_))) {
            // A function that makes a response may leave the rest to its caller; only the pair is judged.
            if let Some(object) = self.copy(value, state) {
                self.judge_pair(&object);
            }
        }
        self.end(state);
    }

    fn end(&mut self, state: &mut Vec<Object>) {
        let judged: Vec<Object> = state.iter().filter(|o| o.home != Home::Local).cloned().collect();
        for object in judged {
            self.judge(&object, None);
        }
    }
}

impl Responses<'_, '_> {
    fn get<'s>(&self, state: &'s mut Vec<Object>, e: &Expr) -> Option<&'s mut Object> {
        let (key, home) = self.object(e)?;
        let is_known = state.iter().any(|o| o.key == key);
        (is_known || state.len() < MOST_OBJECTS).then(|| entry(state, key, home, e.span))
    }

    /// The response that an expression names, as it is now.
    fn copy(&self, e: &Expr, state: &[Object]) -> Option<Object> {
        let (key, _) = self.object(e)?;
        state.iter().find(|o| o.key == key).cloned()
    }

    /// The fields that are set in a response made by a call.
    fn made(&self, e: &Expr) -> u8 {
        match self.cx.graph.targets(self.id, e.uncast()) {
            [] => ALL,
            targets => targets.iter().fold(0, |bits, t| bits | self.summaries[*t].returned),
        }
    }

    fn known(&self, e: &Expr) -> Option<Known> {
        let value = self.cx.program.number(e, Some(self.body))?;
        let name = e.uncast().last_name().filter(|n| n.starts_with("kSCSI")).map(str::to_owned);
        Some(Known { value, name, span: e.span })
    }

    fn set(&mut self, object: &Expr, field: &str, value: &Expr, state: &mut Vec<Object>) {
        if field == "version"
            && self.object(object).is_some()
            && let Some(number) = self.cx.program.number(value, Some(self.body)).filter(|n| *n != 1)
        {
            self.report(
                Finding::new(
                    &VERSION,
                    self.place(value.span),
                    format!("the version of the response is set to {number}"),
                )
                .label("the kernel drops a completion with any version but 1"),
            );
        }
        if field == "fControllerTaskIdentifier"
            && self.object(object).is_some()
            && self.cx.program.number(value, Some(self.body)) == Some(0)
        {
            self.report(
                Finding::new(
                    &IDENTIFIER,
                    self.place(value.span),
                    "the controller task identifier is set to 0",
                )
                .label("0 means the head of the target's list"),
            );
        }
        let known = self.known(value);
        if let Some(object) = self.get(state, object) {
            object.set(field, known);
        }
    }

    fn call(&mut self, call: &Expr, state: &mut Vec<Object>) {
        let args = call.args();
        if call.calls(&["ParallelTaskCompletion"]) {
            if let Some(response) = args.get(1) {
                self.handed_over(response, call.span, state);
            }
            return;
        }
        if call.calls(&["memset", "bzero", "__builtin_memset", "memset_s"]) {
            if let Some(object) = args.first().and_then(|a| self.get(state, a)) {
                object.replace(None, 0);
            }
            return;
        }
        if call.calls(&["memcpy", "__builtin_memcpy", "memmove"]) {
            let from = args.get(1).and_then(|a| self.copy(a, state));
            if let Some(object) = args.first().and_then(|a| self.get(state, a)) {
                object.replace(from, ALL);
            }
            return;
        }
        if is_log(call) {
            return;
        }
        let targets = self.cx.graph.targets(self.id, call);
        for (at, arg) in args.iter().enumerate() {
            // A helper that is given a slot's index fills that slot.
            let index = format!("@{}", self.scope.index(arg));
            let bits = targets.iter().fold(0, |bits, t| bits | self.summaries[*t].param(at));
            if bits != 0 && self.object(arg).is_none() {
                entry(state, index, Home::Param, arg.span).fill(bits);
                continue;
            }
            if self.object(arg).is_none() || matches!(arg.kind, ExprKind::Member(..)) {
                continue;
            }
            let by_value = matches!(arg.kind, ExprKind::Name(_))
                && self.object(arg).is_some_and(|(_, home)| home == Home::Local)
                && targets.iter().all(|t| {
                    self.cx.program.functions[*t]
                        .params
                        .get(at)
                        .is_none_or(|p| !p.ty.contains(['&', '*']) && !p.ty.is_empty())
                });
            if by_value && !targets.is_empty() {
                self.handed_over(arg, call.span, state);
            } else if let Some(object) = self.get(state, arg) {
                object.fill(if targets.is_empty() { ALL } else { bits });
            }
        }
    }

    /// A local response leaves the function as it is now.
    fn handed_over(&mut self, response: &Expr, at: Span, state: &mut Vec<Object>) {
        let Some((key, home)) = self.object(response) else { return };
        if home != Home::Local || self.scope.type_of(&key).is_some_and(|ty| ty.contains('[')) {
            return;
        }
        let _ = self.get(state, response);
        if let Some(object) = state.iter().find(|o| o.key == key).cloned() {
            self.judge(&object, Some(at));
        }
    }
}

/// The response with a key; it begins here if it is new.
fn entry(state: &mut Vec<Object>, key: String, home: Home, first: Span) -> &mut Object {
    let known = state.iter().position(|o| o.key == key);
    let at = known.unwrap_or_else(|| {
        state.push(Object::new(key, home, first));
        state.len() - 1
    });
    &mut state[at]
}
