//! Tasks: their identifiers and their data buffers.

use std::collections::HashSet;

use crate::model::graph::Via;
use crate::model::program::FnId;
use crate::syntax::ast::{Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

use super::texts::task::{DATA_BUFFER, ID_REPEATED, ID_ZERO, IOVM};
use super::{Check, Finding, param};

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for controller in &cx.program.controllers {
        for id in cx.program.bodies(controller, "UserMapHBAData") {
            identifier(cx, id, out);
        }
    }
    if !cx.program.controllers.is_empty() {
        iovm(cx, out);
        data_buffer(cx, out);
    }
}

/// How a value is made from a counter.
enum Counted<'e> {
    /// The old value is used, then the counter grows.
    Before(&'e Expr),
    /// The counter grows first.
    After,
    /// The counter's value as it is.
    Plain(&'e Expr),
    Constant(u64),
    Unknown,
}

fn counted<'e>(cx: &Check<'_>, function: &'e Function, e: &'e Expr, depth: usize) -> Counted<'e> {
    if let Some(value) = cx.program.number(e, Some(function)) {
        return Counted::Constant(value);
    }
    match &e.uncast().kind {
        ExprKind::Step { prefix: true, .. } => Counted::After,
        ExprKind::Step { prefix: false, of, .. } => Counted::Before(of),
        ExprKind::Assign(..) => Counted::After,
        ExprKind::Call(_, args) => match e.uncast().callee().unwrap_or("") {
            "__atomic_fetch_add"
            | "atomic_fetch_add"
            | "atomic_fetch_add_explicit"
            | "__sync_fetch_and_add"
            | "__c11_atomic_fetch_add" => {
                args.first().map_or(Counted::Unknown, |a| Counted::Before(a.peeled()))
            }
            "fetch_add" => e.uncast().receiver().map_or(Counted::Unknown, Counted::Before),
            "OSIncrementAtomic" => {
                args.first().map_or(Counted::Unknown, |a| Counted::Before(a.peeled()))
            }
            _ => Counted::Unknown,
        },
        ExprKind::Name(name) if depth < 4 => {
            let mut init = None;
            walk::stmts(&function.body, &mut |stmt| {
                if let StmtKind::Decl(decl) = &stmt.kind
                    && decl.name == *name
                    && !decl.is_static
                {
                    init = decl.init.as_ref();
                }
            });
            match init {
                Some(init) => counted(cx, function, init, depth + 1),
                None => Counted::Plain(e.uncast()),
            }
        }
        ExprKind::Member(..) => Counted::Plain(e.uncast()),
        _ => Counted::Unknown,
    }
}

fn identifier(cx: &Check<'_>, id: FnId, out: &mut Vec<Finding>) {
    let function = cx.function(id);
    let Some(target) = param(function, 0) else { return };
    let mut values: Vec<(&Expr, &Expr)> = Vec::new();
    let mut given_away = false;
    walk::exprs(&function.body, &mut |e| match &e.kind {
        ExprKind::Assign(op, lhs, rhs) if op.is_empty() && lhs.key() == target => {
            values.push((e, rhs));
        }
        ExprKind::Call(_, args) => {
            given_away |= !super::bundled::is_log(e) && args.iter().any(|a| a.key() == target);
        }
        _ => {}
    });
    if values.is_empty() && !given_away {
        let returns_failure = function.body.iter().any(|s| {
            matches!(&s.kind, StmtKind::Return(Some(v))
            if super::bundled::is_failure(cx, v, function))
        });
        if !returns_failure {
            out.push(
                Finding::new(
                    &ID_ZERO,
                    function.place(),
                    format!("UserMapHBAData never sets *{target}"),
                )
                .label("the identifier stays what it was"),
            );
        }
        return;
    }
    for (assign, value) in &values {
        let place = cx.at(id, value);
        match counted(cx, function, value, 0) {
            Counted::Constant(0) => out.push(
                Finding::new(&ID_ZERO, place, "UserMapHBAData hands out the identifier 0")
                    .label("0 means the head of the outstanding list"),
            ),
            Counted::Constant(constant) if values.len() == 1 => out.push(
                Finding::new(
                    &ID_REPEATED,
                    place,
                    format!("UserMapHBAData hands out the identifier {constant} every time"),
                )
                .label("every task gets the same identifier"),
            ),
            Counted::Before(counter) if !starts_above_zero(cx, function, counter) => {
                out.push(
                    Finding::new(
                        &ID_ZERO,
                        place,
                        format!("the first identifier from `{}` is 0", counter.key()),
                    )
                    .label("the value before the increment; nothing sets it to 1 first"),
                );
            }
            Counted::Plain(counter) => match step_of(function, counter) {
                None => {
                    let passed = is_param_or_changed(cx, id, counter);
                    if !passed && values.len() == 1 {
                        out.push(
                            Finding::new(
                                &ID_REPEATED,
                                place,
                                format!("`{}` never changes here", counter.key()),
                            )
                            .label("every task gets the same identifier"),
                        );
                    }
                }
                Some(step)
                    if step > assign.span.start && !starts_above_zero(cx, function, counter) =>
                {
                    out.push(
                        Finding::new(
                            &ID_ZERO,
                            place,
                            format!("the first identifier from `{}` is 0", counter.key()),
                        )
                        .label("it grows only afterwards; nothing sets it to 1 first"),
                    );
                }
                Some(_) => {}
            },
            _ => {}
        }
    }
}

/// Where a function changes a counter.
fn step_of(function: &Function, counter: &Expr) -> Option<u32> {
    let key = counter.key();
    let mut at = None;
    walk::exprs(&function.body, &mut |e| match &e.kind {
        ExprKind::Step { of, .. } if of.key() == key => at = at.or(Some(e.span.start)),
        ExprKind::Assign(_, lhs, _) if lhs.key() == key => at = at.or(Some(e.span.start)),
        ExprKind::Call(_, args)
            if args
                .iter()
                .any(|a| matches!(a.uncast().kind, ExprKind::Unary(b'&', _)) && a.key() == key) =>
        {
            at = at.or(Some(e.span.start));
        }
        _ => {}
    });
    at
}

/// Whether a counter may be changed by something that the function calls.
fn is_param_or_changed(cx: &Check<'_>, id: FnId, counter: &Expr) -> bool {
    let key = counter.key();
    cx.graph
        .reach(id)
        .iter()
        .skip(1)
        .any(|(helper, _)| step_of(cx.function(*helper), counter).is_some())
        || cx.function(id).params.iter().any(|p| *p.name == *key)
        || cx.graph.calls_unknown_helper(id, &|name| {
            name.starts_with("IO")
                || name.starts_with("OS")
                || name.starts_with("os_")
                || name.starts_with("__")
        })
}

/// Whether a counter is given a value above 0 before it is used.
fn starts_above_zero(cx: &Check<'_>, function: &Function, counter: &Expr) -> bool {
    let name = counter.last_name().unwrap_or("");
    let mut above = false;
    let mut local = false;
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && &*decl.name == name
        {
            local = true;
            above |=
                decl.init.as_ref().and_then(|i| cx.program.number(i, None)).is_some_and(|n| n > 0);
        }
    });
    if local {
        return above;
    }
    if let Some(global) = cx.program.globals.get(name) {
        above |=
            global.init.as_ref().and_then(|i| cx.program.number(i, None)).is_some_and(|n| n > 0);
    }
    for field in cx.program.classes.iter().flat_map(|c| &c.fields).filter(|f| &*f.name == name) {
        above |=
            field.init.as_ref().and_then(|i| cx.program.number(i, None)).is_some_and(|n| n > 0);
    }
    for (other, rhs) in cx.assigned.get(name).into_iter().flatten() {
        above |= cx.program.number(rhs, Some(cx.function(*other))).is_none_or(|n| n > 0);
    }
    above
}

const FIELD: &str = "fBufferIOVMAddr";
const COPIES: &[&str] =
    &["memcpy", "memmove", "memset", "bcopy", "bzero", "__builtin_memcpy", "__builtin_memset"];

fn iovm(cx: &Check<'_>, out: &mut Vec<Finding>) {
    // Fields that the address is kept in.
    let mut kept: HashSet<String> = HashSet::new();
    for function in &cx.program.functions {
        walk::exprs(&function.body, &mut |e| {
            if let ExprKind::Assign(_, lhs, rhs) = &e.kind
                && is_address(rhs, &HashSet::new())
                && let ExprKind::Member(_, name) = &lhs.kind
            {
                kept.insert(name.to_string());
            }
        });
    }
    for id in 0..cx.program.functions.len() {
        let function = cx.function(id);
        let mut locals: HashSet<String> = HashSet::new();
        walk::stmts(&function.body, &mut |stmt| {
            if let StmtKind::Decl(decl) = &stmt.kind
                && decl.init.as_ref().is_some_and(|i| is_address(i, &HashSet::new()))
                && !decl.ty.contains('*')
            {
                locals.insert(decl.name.to_string());
            }
        });
        walk::exprs(&function.body, &mut |e| {
            let used = match &e.kind {
                ExprKind::Cast(ty, inner) if ty.contains('*') => Some(&**inner),
                ExprKind::Call(_, args) if e.calls(COPIES) => {
                    // A cast argument is found as a cast.
                    args.iter()
                        .take(2)
                        .find(|a| !matches!(a.kind, ExprKind::Cast(..)) && sure(a, &locals))
                }
                _ => None,
            };
            let Some(used) = used else { return };
            let certain = sure(used, &locals);
            let through_field =
                matches!(&used.uncast().kind, ExprKind::Member(_, n) if kept.contains(&**n));
            let again = out.iter().any(|f| f.place == cx.at(id, e));
            if (certain || through_field) && !again {
                out.push(
                    Finding::new(&IOVM, cx.at(id, e), format!("{FIELD} is used as a pointer"))
                        .label("an address for the device's DMA; nothing is mapped there")
                        .possible(!certain),
                );
            }
        });
    }
}

fn sure(e: &Expr, locals: &HashSet<String>) -> bool {
    is_address(e, locals)
}

fn is_address(e: &Expr, locals: &HashSet<String>) -> bool {
    match &e.uncast().kind {
        ExprKind::Member(_, name) => &**name == FIELD,
        ExprKind::Name(name) => locals.contains(&**name),
        ExprKind::Binary(op, a, b) if matches!(&**op, "+" | "-") => {
            is_address(a, locals) || is_address(b, locals)
        }
        _ => false,
    }
}

fn data_buffer(cx: &Check<'_>, out: &mut Vec<Finding>) {
    const TASK: &str = "UserProcessParallelTask";
    for id in 0..cx.program.functions.len() {
        for call in cx.graph.calls(id) {
            if !call.expr.calls(&["UserGetDataBuffer"]) {
                continue;
            }
            let mut finding = Finding::new(
                &DATA_BUFFER,
                cx.at(id, call.expr),
                "UserGetDataBuffer is called outside UserProcessParallelTask",
            );
            match &call.via {
                Via::Async(_) => {
                    out.push(finding.label("in a block that runs after the method has returned"));
                    continue;
                }
                Via::Unknown => continue,
                Via::Direct | Via::Sync(_) => {}
            }
            let entries = roots(cx, id);
            let deferred = cx.graph.callers(id).find(|(_, c)| matches!(c.via, Via::Async(_)));
            let other = entries.iter().find(|e| &*cx.function(**e).name != TASK);
            if let Some((caller, deferred)) = deferred {
                finding = finding
                    .label("runs after the method has returned")
                    .related(cx.graph.place(caller, deferred), "dispatched here");
            } else if let Some(other) = other {
                let name = cx.function(*other).title();
                let bundled = &*cx.function(*other).name == "UserProcessBundledParallelTasks";
                finding = finding
                    .label(format!("reached from {name}"))
                    .possible(bundled || !is_entry(cx, *other));
                if *other != id {
                    finding = finding.related(cx.function(*other).place(), "from here");
                }
            } else {
                continue;
            }
            out.push(finding);
        }
    }
}

/// The outermost functions that run a function at once.
fn roots(cx: &Check<'_>, id: FnId) -> Vec<FnId> {
    let mut seen = vec![id];
    let mut out = Vec::new();
    let mut next = 0;
    while next < seen.len() && seen.len() < 1000 {
        let at = seen[next];
        next += 1;
        let mut called = false;
        for (caller, call) in cx.graph.callers(at) {
            if matches!(call.via, Via::Direct | Via::Sync(_)) && !seen.contains(&caller) {
                seen.push(caller);
            }
            called |= caller != at;
        }
        if !called || is_entry(cx, at) {
            out.push(at);
        }
    }
    out
}

fn is_entry(cx: &Check<'_>, id: FnId) -> bool {
    cx.contexts.get(&id).is_some_and(|l| l.iter().any(|r| r.entry == id))
}
