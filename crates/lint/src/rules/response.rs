//! Responses: version, identifier, target, and statuses that fit together.

use std::collections::HashMap;

use crate::model::flow::{self, Flow};
use crate::model::framework::DELIVERY_STATUS;
use crate::model::program::FnId;
use crate::source::{Place, Span};
use crate::syntax::ast::{Decl, Expr, ExprKind, Function, Stmt, StmtKind};
use crate::syntax::walk;

use super::bundled::is_log;
use super::response_summary::{Summary, summaries};
use super::slots::{Scope, Side};
use super::texts::response::{IDENTIFIER, MISFIT, TARGET, VERSION};
use super::{Check, Finding, Rule, bodies};

const HAS_VERSION: u8 = 1;
const HAS_ID: u8 = 2;
const HAS_TARGET: u8 = 4;
const HAS_SERVICE: u8 = 8;
const HAS_STATUS: u8 = 16;
pub(super) const ALL: u8 = 31;

pub(super) fn bit_of(field: &str) -> u8 {
    match field {
        "version" => HAS_VERSION,
        "fControllerTaskIdentifier" => HAS_ID,
        "fTargetID" => HAS_TARGET,
        "fServiceResponse" => HAS_SERVICE,
        "fCompletionStatus" => HAS_STATUS,
        _ => 0,
    }
}

/// What a constant status is: its value, its name if it was named, where it was set.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    value: u64,
    name: Option<String>,
    span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Home {
    /// A local structure, complete when it is handed over.
    Local,
    /// A slot of the response buffer, complete when the function ends.
    Slot,
    /// A parameter: the caller knows what is missing.
    Param,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub(super) key: String,
    bits: u8,
    service: Option<Known>,
    status: Option<Known>,
    home: Home,
    pub(super) first: Span,
}

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    if cx.program.controllers.is_empty() {
        return;
    }
    let summaries = summaries(cx);
    for id in 0..cx.program.functions.len() {
        for body in bodies(cx.function(id)) {
            let scope = Scope::new(cx.program, body);
            let mut flow = Responses {
                cx,
                id,
                body,
                scope: &scope,
                summaries: &summaries,
                pointees: pointees(body),
                found: Vec::new(),
            };
            if flow.is_relevant() {
                flow::run(&mut flow, &body.body, Vec::new());
                out.append(&mut flow.found);
            }
        }
    }
}

pub(super) fn is_response_type(ty: &str) -> bool {
    ty.contains("SCSIUserParallelResponse")
}

pub(super) struct Responses<'a, 'p> {
    pub(super) cx: &'a Check<'p>,
    pub(super) id: FnId,
    pub(super) body: &'a Function,
    pub(super) scope: &'a Scope<'a>,
    summaries: &'a [Summary],
    /// Where the response pointers of the body point to.
    pointees: HashMap<&'a str, Home>,
    found: Vec<Finding>,
}

/// A pointer made from something named like a response slot points to one; others may point to anybody's structure.
fn pointees(body: &Function) -> HashMap<&str, Home> {
    let mut out = HashMap::new();
    walk::stmts(&body.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && is_response_type(&decl.ty)
            && let Some(init) = &decl.init
            && matches!(
                init.peeled().kind,
                ExprKind::Call(..) | ExprKind::Index(..) | ExprKind::Binary(..)
            )
            && init.key().to_lowercase().contains("response")
        {
            out.insert(&*decl.name, Home::Slot);
        }
    });
    out
}

impl Responses<'_, '_> {
    fn is_relevant(&self) -> bool {
        let mut found = self.body.params.iter().any(|p| is_response_type(&p.ty));
        walk::stmts(&self.body.body, &mut |stmt| {
            if let StmtKind::Decl(decl) = &stmt.kind {
                found |= is_response_type(&decl.ty);
            }
        });
        walk::exprs_here(&self.body.body, &mut |e| {
            found |= matches!(&e.kind, ExprKind::Member(_, f) if &**f == "fServiceResponse" || &**f == "fCompletionStatus");
        });
        found
    }

    /// The response that an expression names: its key and where it lives.
    pub(super) fn object(&self, e: &Expr) -> Option<(String, Home)> {
        let e = e.peeled();
        if let Some(slot) = self.scope.slot(e).filter(|s| s.side == Side::Response) {
            if let (true, ExprKind::Name(name)) = (slot.copy, &e.kind) {
                return Some((name.to_string(), Home::Local));
            }
            return Some((format!("@{}", slot.index), Home::Slot));
        }
        match &e.kind {
            ExprKind::Name(name) => {
                let ty = self.scope.type_of(name)?;
                if !is_response_type(ty) {
                    return None;
                }
                let is_param = self.body.params.iter().any(|p| p.name == *name);
                let home = match (is_param, ty.contains('*') || ty.contains('&')) {
                    (true, _) => Home::Param,
                    (false, true) => self.pointees.get(&**name).copied().unwrap_or(Home::Param),
                    (false, false) => Home::Local,
                };
                Some((name.to_string(), home))
            }
            ExprKind::Index(base, _) => {
                let ty = self.scope.type_of(base.last_name()?)?;
                is_response_type(ty).then(|| (e.key(), Home::Param))
            }
            _ => None,
        }
    }

    fn get<'s>(&self, state: &'s mut Vec<Object>, e: &Expr) -> Option<&'s mut Object> {
        let (key, home) = self.object(e)?;
        let at = match state.iter().position(|o| o.key == key) {
            Some(at) => at,
            None => {
                if state.len() >= 12 {
                    return None;
                }
                state.push(Object {
                    key,
                    bits: 0,
                    service: None,
                    status: None,
                    home,
                    first: e.span,
                });
                state.len() - 1
            }
        };
        Some(&mut state[at])
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
        let bit = bit_of(field);
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
        let Some(object) = self.get(state, object) else { return };
        object.bits |= bit;
        match bit {
            HAS_SERVICE => object.service = known,
            HAS_STATUS => object.status = known,
            _ => {}
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
                (object.bits, object.service, object.status) = (0, None, None);
            }
            return;
        }
        if call.calls(&["memcpy", "__builtin_memcpy", "memmove"]) {
            let from = args
                .get(1)
                .and_then(|a| self.object(a))
                .and_then(|(key, _)| state.iter().find(|o| o.key == key).cloned());
            if let Some(object) = args.first().and_then(|a| self.get(state, a)) {
                object.bits = from.as_ref().map_or(ALL, |f| f.bits);
                object.service = from.as_ref().and_then(|f| f.service.clone());
                object.status = from.and_then(|f| f.status);
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
                let at = match state.iter().position(|o| o.key == index) {
                    Some(at) => at,
                    None => {
                        state.push(Object {
                            key: index,
                            bits: 0,
                            service: None,
                            status: None,
                            home: Home::Param,
                            first: arg.span,
                        });
                        state.len() - 1
                    }
                };
                filled(&mut state[at], bits);
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
                filled(object, if targets.is_empty() { ALL } else { bits });
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

    fn judge(&mut self, object: &Object, at: Option<Span>) {
        self.judge_pair(object);
        if object.home == Home::Param
            || (object.home == Home::Slot && object.bits & (HAS_SERVICE | HAS_STATUS) == 0)
        {
            return;
        }
        let missing = !object.bits & !self.set_by_callers(object);
        let name = object.key.trim_start_matches('@');
        let what = match object.home {
            Home::Slot => format!("response slot `{name}`"),
            _ => format!("response `{name}`"),
        };
        let rules: [(u8, &'static Rule, &str); 3] = [
            (HAS_VERSION, &VERSION, "version"),
            (HAS_ID, &IDENTIFIER, "fControllerTaskIdentifier"),
            (HAS_TARGET, &TARGET, "fTargetID"),
        ];
        for (bit, rule, field) in rules {
            if missing & bit == 0 {
                continue;
            }
            let mut finding = Finding::new(
                rule,
                self.place(object.first),
                format!("{what} is completed without {field}"),
            )
            .label(format!("{field} is not set on every path"));
            if let Some(at) = at {
                finding = finding.related(self.place(at), "completed here");
            }
            let finding = self.with_fix(finding, object, field);
            self.report(finding);
        }
        if missing & HAS_SERVICE != 0 && object.bits & HAS_STATUS != 0 {
            self.report(
                Finding::new(
                    &MISFIT,
                    self.place(object.first),
                    format!("{what} is completed without fServiceResponse"),
                )
                .label("0 means Request_In_Process: the task does not end"),
            );
        }
    }

    fn judge_pair(&mut self, object: &Object) {
        if object.bits & HAS_SERVICE == 0 {
            return;
        }
        let Some(service) = &object.service else { return };
        if service.value == 0 && object.home != Home::Param {
            self.report(
                Finding::new(
                    &MISFIT,
                    self.place(service.span),
                    "a response is completed with service response Request_In_Process",
                )
                .label("0 says that the task goes on"),
            );
            return;
        }
        if object.bits & HAS_STATUS == 0 {
            return;
        }
        let Some(status) = &object.status else { return };
        let delivery_name = status.name.as_deref().map(|n| DELIVERY_STATUS.contains(&n));
        let is_delivery = match (delivery_name, status.value) {
            (Some(named), _) => Some(named),
            (None, 1 | 3 | 5 | 0xff) => Some(true),
            (None, 2 | 4) => None,
            (None, _) => Some(false),
        };
        let shown = status.name.clone().unwrap_or_else(|| format!("{:#04x}", status.value));
        let (message, possible) = match (service.value, is_delivery) {
            (2, Some(true)) => (
                format!("{shown} is a failed delivery, but the service response is TASK_COMPLETE"),
                false,
            ),
            (1, Some(false)) => (
                format!(
                    "{shown} is an answer of the device, but the service response is SERVICE_DELIVERY_OR_TARGET_FAILURE"
                ),
                false,
            ),
            (1, None) => (
                format!(
                    "status {shown} has two meanings, and with SERVICE_DELIVERY_OR_TARGET_FAILURE it is not the device's"
                ),
                true,
            ),
            _ => return,
        };
        let finding = Finding::new(&MISFIT, self.place(status.span), message)
            .label("completion status")
            .related(self.place(service.span), "service response")
            .possible(possible);
        self.report(finding);
    }

    /// Fields that every caller sets on the slot that it names to this function.
    fn set_by_callers(&self, object: &Object) -> u8 {
        let Some(index) = object.key.strip_prefix('@') else { return 0 };
        let function = self.cx.function(self.id);
        if !function.params.iter().any(|p| &*p.name == index) {
            return 0;
        }
        let mut common = ALL;
        let mut any = false;
        for (caller, _) in self.cx.graph.callers(self.id) {
            any = true;
            let mut bits = 0;
            walk::exprs(&self.cx.function(caller).body, &mut |e| {
                if let ExprKind::Assign(_, lhs, _) = &e.kind
                    && let ExprKind::Member(_, field) = &lhs.kind
                {
                    bits |= bit_of(field);
                }
            });
            common &= bits;
        }
        if any { common } else { 0 }
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place::new(self.cx.function(self.id).file, span)
    }

    fn report(&mut self, finding: Finding) {
        let known = |f: &Finding| f.rule.id == finding.rule.id && f.place == finding.place;
        if !self.found.iter().any(known) {
            self.found.push(finding);
        }
    }
}

pub(super) const IDENTITY: &[&str] = &["fControllerTaskIdentifier", "fTargetID"];

fn filled(object: &mut Object, bits: u8) {
    object.bits |= bits;
    if bits & HAS_SERVICE != 0 {
        object.service = None;
    }
    if bits & HAS_STATUS != 0 {
        object.status = None;
    }
}

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
                    let from = self
                        .object(rhs)
                        .and_then(|(k, _)| state.iter().find(|o| o.key == k).cloned());
                    if let Some(object) = self.get(state, lhs) {
                        object.bits =
                            if empty { 0 } else { from.as_ref().map_or(made, |f| f.bits) };
                        object.service = from.as_ref().and_then(|f| f.service.clone());
                        object.status = from.and_then(|f| f.status);
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
        let mut object = Object {
            key: decl.name.to_string(),
            bits: 0,
            service: None,
            status: None,
            home: Home::Local,
            first: decl.name_span,
        };
        match decl.init.as_ref().map(|i| &i.uncast().kind) {
            Some(ExprKind::List(items)) => {
                for item in items {
                    match &item.kind {
                        ExprKind::Pair(field, value) => {
                            let known = self.known(value);
                            object.bits |= bit_of(field);
                            match bit_of(field) {
                                HAS_SERVICE => object.service = known,
                                HAS_STATUS => object.status = known,
                                _ => {}
                            }
                        }
                        ExprKind::Num(0) => {}
                        _ => object.bits |= ALL,
                    }
                }
            }
            Some(_) => {
                let init = decl.init.as_ref().map(Expr::uncast);
                let from = init
                    .and_then(|i| self.object(i))
                    .and_then(|(k, _)| state.iter().find(|o| o.key == k).cloned());
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
            if let Some((key, _)) = self.object(value)
                && let Some(object) = state.iter().find(|o| o.key == key).cloned()
            {
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
