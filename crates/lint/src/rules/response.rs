//! Responses: version, identifier, target, and statuses that fit together.

mod fix;
mod follow;
mod judge;
mod summary;

use std::collections::HashMap;

use crate::model::flow;
use crate::model::program::FnId;
use crate::source::{Place, Span};
use crate::syntax::ast::{Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

use self::summary::{Summary, summaries};
use super::slots::{Scope, Side};
use super::{Check, Finding, bodies};

const HAS_VERSION: u8 = 1;
const HAS_ID: u8 = 2;
const HAS_TARGET: u8 = 4;
const HAS_SERVICE: u8 = 8;
const HAS_STATUS: u8 = 16;
const ALL: u8 = 31;

fn bit_of(field: &str) -> u8 {
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
enum Home {
    /// A local structure, complete when it is handed over.
    Local,
    /// A slot of the response buffer, complete when the function ends.
    Slot,
    /// A parameter: the caller knows what is missing.
    Param,
}

#[derive(Clone, Debug, PartialEq)]
struct Object {
    key: String,
    bits: u8,
    service: Option<Known>,
    status: Option<Known>,
    home: Home,
    first: Span,
}

impl Object {
    fn new(key: String, home: Home, first: Span) -> Self {
        Self { key, bits: 0, service: None, status: None, home, first }
    }

    fn set(&mut self, field: &str, known: Option<Known>) {
        let bit = bit_of(field);
        self.bits |= bit;
        match bit {
            HAS_SERVICE => self.service = known,
            HAS_STATUS => self.status = known,
            _ => {}
        }
    }

    /// Fields are set, to what is not known.
    fn fill(&mut self, bits: u8) {
        self.bits |= bits;
        if bits & HAS_SERVICE != 0 {
            self.service = None;
        }
        if bits & HAS_STATUS != 0 {
            self.status = None;
        }
    }

    /// What it was is gone: it is a copy of another one, or has these fields.
    fn replace(&mut self, from: Option<Self>, bits: u8) {
        self.bits = from.as_ref().map_or(bits, |f| f.bits);
        (self.service, self.status) = from.map_or((None, None), |f| (f.service, f.status));
    }
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

fn is_response_type(ty: &str) -> bool {
    ty.contains("SCSIUserParallelResponse")
}

struct Responses<'a, 'p> {
    cx: &'a Check<'p>,
    id: FnId,
    body: &'a Function,
    scope: &'a Scope<'a>,
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
    fn object(&self, e: &Expr) -> Option<(String, Home)> {
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

    fn place(&self, span: Span) -> Place {
        Place::new(self.cx.function(self.id).file, span)
    }

    fn report(&mut self, finding: Finding) {
        let known = |f: &Finding| f.rule.id == finding.rule.id && f.place == finding.place;
        if !self.found.iter().any(known) {
            self.found.push(finding);
        }
    }
}
