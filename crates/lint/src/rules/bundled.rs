//! The bundled path: declined, accepted without work, mapping not kept, batches too long.

use std::collections::HashSet;

use crate::model::framework::MAX_BUNDLE;
use crate::model::program::{Controller, FnId};
use crate::source::Place;
use crate::syntax::ast::{Expr, ExprKind, Function, Stmt, StmtKind};
use crate::syntax::walk;

use super::texts::bundled::{DECLINED, EMPTY, MAPPING_LOST, TOO_MANY};
use super::{Check, Finding, param};

const MAP: &str = "UserMapBundledParallelTaskCommandAndResponseBuffers";
const PROCESS: &str = "UserProcessBundledParallelTasks";

/// What the map call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Only failures.
    Declined,
    /// Success on some path.
    Accepted,
    /// Cannot be told.
    Unknown,
}

/// Whether a controller takes the bundled path.
pub(super) fn answer(cx: &Check<'_>, controller: &Controller) -> Answer {
    let Some(id) = cx.program.body(controller, MAP) else { return Answer::Unknown };
    let function = cx.function(id);
    let mut values = Vec::new();
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Return(value) = &stmt.kind {
            values.push(value.as_ref());
        }
    });
    if values.is_empty() {
        return Answer::Unknown;
    }
    let failure = |value: &Option<&Expr>| match value {
        Some(e) => is_failure(cx, e, function),
        None => false,
    };
    if values.iter().all(failure) { Answer::Declined } else { Answer::Accepted }
}

/// Whether a returned value is a failure for sure.
pub(super) fn is_failure(cx: &Check<'_>, e: &Expr, scope: &Function) -> bool {
    match cx.program.number(e, Some(scope)) {
        Some(code) => code != 0,
        None => matches!(&e.uncast().kind, ExprKind::Name(n)
            if n.starts_with("kIOReturn") && &**n != "kIOReturnSuccess"),
    }
}

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for controller in &cx.program.controllers {
        let Some(map) = cx.program.body(controller, MAP) else { continue };
        match answer(cx, controller) {
            Answer::Declined => {
                // At the return, where a comment can say why.
                let function = cx.function(map);
                let mut span = function.name_span;
                walk::stmts(&function.body, &mut |stmt| {
                    if matches!(stmt.kind, StmtKind::Return(_)) {
                        span = stmt.span;
                    }
                });
                out.push(
                    Finding::new(
                        &DECLINED,
                        Place::new(function.file, span),
                        format!("{} declines the bundled path", controller.name),
                    )
                    .label("every return is a failure, so each task is a synchronous call"),
                );
            }
            Answer::Accepted => {
                for process in cx.program.bodies(controller, PROCESS) {
                    if does_nothing(cx.function(process)) {
                        out.push(
                            Finding::new(
                                &EMPTY,
                                cx.function(process).place(),
                                "the bundled path is accepted, but this method does nothing with the tasks",
                            )
                            .label("tasks that arrive here are never answered")
                            .related(cx.function(map).place(), "accepted here"),
                        );
                    }
                }
                for map in cx.program.bodies(controller, MAP) {
                    mapping(cx, map, out);
                }
            }
            Answer::Unknown => {}
        }
    }
    if !cx.program.controllers.is_empty() {
        too_many(cx, out);
    }
}

/// Whether a task method has no effect: only logging and casts to void.
fn does_nothing(function: &Function) -> bool {
    let indices = param(function, 0).unwrap_or("parallelRequestSlotIndices");
    let mut acts = false;
    let mut reads = false;
    walk::stmts(&function.body, &mut |stmt| match &stmt.kind {
        StmtKind::Expr(e) if is_void_cast(e) || is_log(e) => {}
        StmtKind::Return(_) | StmtKind::Block(_) => {}
        _ => {
            acts = true;
            for e in walk::own_exprs(stmt) {
                walk::expr(e, true, &mut |e| {
                    reads |= matches!(&e.kind, ExprKind::Name(n) if &**n == indices);
                });
            }
        }
    });
    !acts || !reads
}

/// Whether an expression only says that a value is not used.
pub(super) fn is_void_cast(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Cast(ty, inner)
        if &**ty == "void" && !matches!(inner.kind, ExprKind::Call(..)))
        || matches!(e.kind, ExprKind::Name(_))
}

/// Whether an expression is a call that only writes to a log.
pub(super) fn is_log(e: &Expr) -> bool {
    let Some(name) = e.callee() else { return false };
    let lower = name.to_lowercase();
    lower.contains("log")
        || lower.contains("trace")
        || lower == "printf"
        || lower.contains("assert")
}

fn mapping(cx: &Check<'_>, map: FnId, out: &mut Vec<Finding>) {
    let function = cx.function(map);
    let sides = [("command", param(function, 0)), ("response", param(function, 1))];
    let lost: Vec<&str> = sides
        .iter()
        .filter(|(_, name)| name.is_none_or(|name| !is_kept(function, name)))
        .map(|(side, _)| *side)
        .collect();
    if lost.is_empty() {
        return;
    }
    out.push(
        Finding::new(
            &MAPPING_LOST,
            function.place(),
            format!(
                "the bundled path is accepted without keeping a mapping of the {} buffer",
                lost.join(" and the ")
            ),
        )
        .label("this is the only call that hands the buffers over"),
    );
}

/// Whether something made from `name` outlives the function.
fn is_kept(function: &Function, name: &str) -> bool {
    let mut locals: HashSet<&str> = function.params.iter().map(|p| &*p.name).collect();
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && !decl.is_static
        {
            locals.insert(&decl.name);
        }
    });
    let mut from: HashSet<&str> = HashSet::from([name]);
    for _ in 0..4 {
        let before = from.len();
        let mut kept = false;
        walk::stmts(&function.body, &mut |stmt| {
            kept |= keeps(stmt, &locals, &mut from);
        });
        if kept {
            return true;
        }
        if from.len() == before {
            break;
        }
    }
    false
}

/// Follows `from` through one statement; true if it reaches something that is not local.
fn keeps<'a>(stmt: &'a Stmt, locals: &HashSet<&str>, from: &mut HashSet<&'a str>) -> bool {
    let mut kept = false;
    if let StmtKind::Decl(decl) = &stmt.kind
        && decl.init.as_ref().is_some_and(|init| mentions_any(init, from))
    {
        from.insert(&decl.name);
    }
    if let StmtKind::Return(Some(value)) = &stmt.kind {
        // A helper may take the descriptor and keep it.
        kept |= mentions_any(value, from)
            && matches!(value.kind, ExprKind::Call(..))
            && value.receiver().is_none();
    }
    for e in walk::own_exprs(stmt) {
        walk::expr(e, true, &mut |e| match &e.kind {
            ExprKind::Assign(_, lhs, rhs) if mentions_any(rhs, from) => match root(lhs) {
                Some(name) if locals.contains(name) => {
                    from.insert(name);
                }
                _ => kept = true,
            },
            ExprKind::Call(_, args) => {
                let on_it = e.receiver().is_some_and(|r| mentions_any(r, from));
                let given = args.iter().any(|a| mentions_any(a, from));
                if !(on_it || given) || e.calls(RELEASE) || is_log(e) {
                    return;
                }
                if given && !on_it && !e.calls(&["memset", "bzero"]) {
                    kept = true;
                }
                for arg in args {
                    let ExprKind::Unary(b'&', target) = &arg.uncast().kind else { continue };
                    match root(target) {
                        Some(name) if locals.contains(name) => {
                            from.insert(name);
                        }
                        _ => kept = true,
                    }
                }
            }
            _ => {}
        });
    }
    kept
}

/// Calls that give a reference back.
pub(super) const RELEASE: &[&str] =
    &["release", "OSSafeReleaseNULL", "OSSafeRelease", "OSSAFERELEASE"];

fn mentions_any(e: &Expr, names: &HashSet<&str>) -> bool {
    let mut found = false;
    walk::expr(e, true, &mut |e| {
        found |= matches!(&e.kind, ExprKind::Name(n) if names.contains(&**n));
    });
    found
}

/// The variable an expression starts from.
pub(super) fn root(e: &Expr) -> Option<&str> {
    let mut at = e;
    loop {
        match &at.kind {
            ExprKind::Name(name) => return Some(name),
            ExprKind::Member(base, _) | ExprKind::Index(base, _) | ExprKind::Cast(_, base) => {
                at = base;
            }
            ExprKind::Unary(b'&' | b'*', base) => at = base,
            _ => return None,
        }
    }
}

fn too_many(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for id in 0..cx.program.functions.len() {
        let function = cx.function(id);
        for call in cx.graph.calls(id) {
            let args = call.expr.args();
            if !call.expr.calls(&["BundledParallelTaskCompletion"]) || args.len() < 3 {
                continue;
            }
            if let Some(count) =
                cx.program.number(&args[2], Some(function)).filter(|n| *n > MAX_BUNDLE)
            {
                out.push(
                    Finding::new(
                        &TOO_MANY,
                        cx.at(id, &args[2]),
                        format!("a bundle of {count} slots is completed"),
                    )
                    .label("at most kMaxBundledParallelTasks = 32"),
                );
            } else if let Some(size) = array_size(cx, id, &args[1]).filter(|n| *n > MAX_BUNDLE) {
                out.push(
                    Finding::new(
                        &TOO_MANY,
                        cx.at(id, &args[1]),
                        format!("the index array of a bundle has room for {size} slots"),
                    )
                    .label("only the first kMaxBundledParallelTasks = 32 are sent")
                    .possible(cx.program.number(&args[2], Some(function)).is_none()),
                );
            }
        }
        if &*function.name == PROCESS {
            over_read(cx, id, out);
        }
    }
}

/// The declared size of the array an argument names.
fn array_size(cx: &Check<'_>, id: FnId, arg: &Expr) -> Option<u64> {
    let function = cx.function(id);
    let name = match &arg.uncast().kind {
        ExprKind::Name(name) | ExprKind::Member(_, name) => name.clone(),
        _ => return None,
    };
    let mut size = None;
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && decl.name == name
        {
            size = decl.size.as_ref();
        }
    });
    let fields = cx.program.classes.iter().flat_map(|c| &c.fields);
    let size = size.or_else(|| {
        let mut found = fields.filter(|f| f.name == name && f.size.is_some());
        let first = found.next()?;
        found.next().is_none().then_some(first.size.as_ref()).flatten()
    });
    cx.program.number(size?, Some(function))
}

/// A loop over the indices of a bundle with a constant bound above 32.
fn over_read(cx: &Check<'_>, id: FnId, out: &mut Vec<Finding>) {
    let function = cx.function(id);
    let indices = param(function, 0).unwrap_or("parallelRequestSlotIndices");
    walk::stmts(&function.body, &mut |stmt| {
        let StmtKind::Loop { cond: Some(cond), body, .. } = &stmt.kind else { return };
        let ExprKind::Binary(op, _, bound) = &cond.kind else { return };
        let Some(count) = cx.program.number(bound, Some(function)) else { return };
        let count = count + u64::from(&**op == "<=");
        let mut reads = false;
        walk::exprs(body, &mut |e| {
            if let ExprKind::Index(base, _) = &e.kind {
                reads |= base.key() == indices;
            }
        });
        if reads && count > MAX_BUNDLE && matches!(&**op, "<" | "<=" | "!=") {
            out.push(
                Finding::new(
                    &TOO_MANY,
                    cx.at(id, cond),
                    format!("{count} indices of a bundle are read"),
                )
                .label(
                    "only the first parallelRequestSlotIndicesCount entries, at most 32, are valid",
                ),
            );
        }
    });
}
