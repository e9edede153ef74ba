//! Dispatch queues: bound by `QUEUENAME`, made by `Create`, registered by `SetDispatchQueue`.

use std::collections::BTreeMap;

use crate::model::framework::{ACTION_METHODS, AUXILIARY_QUEUE, DEFAULT_QUEUE, INTERRUPT_QUEUE};
use crate::model::graph::queue_key;
use crate::model::program::{Controller, DeclaredMethod};
use crate::model::queues::QueueCall;
use crate::source::{Place, Span};
use crate::syntax::ast::{ExprKind, StmtKind};
use crate::syntax::walk;

use super::texts::queues::{
    AUXILIARY_MISSING, INTERRUPT_MISSING, NAMES_DIFFER, NEVER_MADE, NOT_BOUND, NOT_REGISTERED,
    NOT_USED, ON_ACTION_METHOD,
};
use super::{Check, Finding, Severity, find_fix_line};

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for controller in &cx.program.controllers {
        on_action_method(cx, controller, out);
        bindings(cx, controller, out);
        auxiliary(cx, controller, out);
    }
    if !cx.program.controllers.is_empty() {
        not_bound(cx, out);
        not_used(cx, out);
        interrupt(cx, out);
    }
}

fn binding(method: &DeclaredMethod) -> Option<(&str, Place)> {
    let queue = method.queue.as_ref()?;
    let name = queue.argument.trim_matches('"');
    (name != DEFAULT_QUEUE && !name.is_empty()).then_some((name, queue.place))
}

fn on_action_method(cx: &Check<'_>, controller: &Controller, out: &mut Vec<Finding>) {
    for method in &controller.methods {
        let Some((queue, place)) = binding(method) else { continue };
        if !ACTION_METHODS.contains(&&*method.name) {
            continue;
        }
        let mut finding = Finding::new(
            &ON_ACTION_METHOD,
            place,
            format!(
                "{} takes part in OSAction completion and is moved to queue `{queue}`",
                method.name
            ),
        )
        .label("this method already has its queue: Default")
        .fix(with_space_before(cx, place), "");
        let makes = cx.queues.created.iter().find(|c| c.name.as_deref() == Some(queue));
        if let Some(made) = makes {
            finding = finding.related(made.place, "the queue is made here");
        }
        out.push(finding);
    }
}

/// A span with the white space before it, so that nothing is left behind.
fn with_space_before(cx: &Check<'_>, place: Place) -> Place {
    let text = &cx.sources.file(place.file).text;
    let before = text[..place.span.start as usize].trim_end().len();
    Place::new(place.file, Span { start: before as u32, end: place.span.end })
}

/// Every name bound by a method must be registered.
fn bindings(cx: &Check<'_>, controller: &Controller, out: &mut Vec<Finding>) {
    if !cx.has_startup(controller) {
        return;
    }
    let mut bound: BTreeMap<&str, Vec<(&DeclaredMethod, Place)>> = BTreeMap::new();
    for method in &controller.methods {
        if let Some((queue, place)) = binding(method) {
            bound.entry(queue).or_default().push((method, place));
        }
    }
    for (queue, methods) in bound {
        let (method, place) = &methods[0];
        if cx.queues.is_registered(queue) || cx.queues.maybe_registered.contains(queue) {
            continue;
        }
        let dropped = methods.iter().all(|(m, _)| ACTION_METHODS.contains(&&*m.name));
        let made = cx.queues.created.iter().find(|c| c.name.as_deref() == Some(queue));
        let other = near_name(&cx.queues.registered, cx, queue, made)
            .or_else(|| near_name(&cx.queues.created, cx, queue, None).filter(|_| made.is_none()));
        if let Some(other) = other {
            let name = other.name.as_deref().unwrap_or("?");
            out.push(
                Finding::new(
                    &NAMES_DIFFER,
                    other.place,
                    format!(
                        "the queue is named `{name}` here, but {} is bound to `{queue}`",
                        method.name
                    ),
                )
                .label(format!("`{name}` here"))
                .related(*place, format!("`{queue}` here"))
                .help(format!("use one name: SetDispatchQueue(\"{queue}\", ...)")),
            );
        } else if let Some(made) = made {
            let finding = Finding::new(
                &NOT_REGISTERED,
                made.place,
                format!("queue `{queue}` is made here and never given to SetDispatchQueue"),
            )
            .label("this only makes a queue object")
            .related(*place, format!("{} is bound to it here", method.name))
            .help(format!("after Create succeeded: SetDispatchQueue(\"{queue}\", queue)"));
            out.push(if dropped {
                finding.help("with QUEUENAME dropped the queue is not needed; otherwise register it with SetDispatchQueue")
            } else {
                with_registration(cx, made, queue, finding)
            });
        } else if !cx.queues.maybe_created.contains(queue) {
            out.push(
                Finding::new(
                    &NEVER_MADE,
                    *place,
                    format!("{} is bound to queue `{queue}`, which nothing makes", method.name),
                )
                .label("no queue of this name is made or registered")
                .possible(
                    !cx.is_whole(controller) && cx.program.body(controller, &method.name).is_none(),
                ),
            );
        }
    }
}

/// A call whose name no method binds: it was meant for the one that is missing.
fn near_name<'a, 'p>(
    calls: &'a [QueueCall<'p>],
    cx: &Check<'_>,
    wanted: &str,
    made: Option<&QueueCall<'_>>,
) -> Option<&'a QueueCall<'p>> {
    calls.iter().find(|c| {
        c.name.as_deref().is_some_and(|name| {
            let same_queue = made.is_some_and(|made| made.key == c.key);
            !cx.program.bound_queues.contains(name)
                && !is_known(name)
                && (same_queue || alike(name, wanted))
        })
    })
}

/// Whether two names are so close that one is probably a slip for the other.
fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let tail = a.rsplit(['.', '_']).next().unwrap_or(&a);
    a == b
        || tail == b
        || (a.len() > 4 && b.contains(&a))
        || (b.len() > 4 && a.contains(&b))
        || distance(&a, &b) <= 2 + b.len() / 8
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(80).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(80).enumerate() {
        let mut last = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (last + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            last = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

fn is_known(name: &str) -> bool {
    [DEFAULT_QUEUE, AUXILIARY_QUEUE, INTERRUPT_QUEUE].contains(&name) || name.starts_with("IO")
}

/// Adds the mend: register the queue right after the statement that makes it.
fn with_registration(
    cx: &Check<'_>,
    made: &QueueCall<'_>,
    name: &str,
    finding: Finding,
) -> Finding {
    if made.through_helper {
        return finding;
    }
    let function = cx.function(made.function);
    let mut target = None;
    walk::stmts(&function.body, &mut |stmt| {
        let (expr, result) = match &stmt.kind {
            StmtKind::Expr(e) => match &e.kind {
                ExprKind::Assign(op, lhs, rhs) if op.is_empty() => (&**rhs, Some(lhs.key())),
                _ => (e, None),
            },
            StmtKind::Decl(decl) => match &decl.init {
                Some(init) => (init, Some(decl.name.to_string())),
                None => return,
            },
            _ => return,
        };
        if expr.uncast().span == made.expr.span {
            target = Some((stmt.span, result));
        }
    });
    let Some((span, result)) = target else { return finding };
    let file = cx.sources.file(function.file);
    let queue = cx.text(made.function, made.expr.args()[3].peeled());
    let (indent, at) = find_fix_line(file, span);
    let text = match result {
        Some(result) => format!(
            "\n{indent}if ({result} == kIOReturnSuccess) {{\n{indent}    {result} = SetDispatchQueue(\"{name}\", {queue});\n{indent}}}"
        ),
        None => format!("\n{indent}(void)SetDispatchQueue(\"{name}\", {queue});"),
    };
    finding.fix(Place::new(function.file, Span { start: at, end: at }), text)
}

fn auxiliary(cx: &Check<'_>, controller: &Controller, out: &mut Vec<Finding>) {
    let registered = cx.queues.is_registered(AUXILIARY_QUEUE)
        || cx.queues.maybe_registered.contains(AUXILIARY_QUEUE);
    let bound = cx.program.bound_queues.contains(AUXILIARY_QUEUE);
    if registered || !cx.has_startup(controller) {
        return;
    }
    if let Some(made) =
        cx.queues.created.iter().find(|c| c.name.as_deref() == Some(AUXILIARY_QUEUE))
    {
        if !bound {
            let finding = Finding::new(
                &NOT_REGISTERED,
                made.place,
                format!(
                    "queue `{AUXILIARY_QUEUE}` is made here and never given to SetDispatchQueue"
                ),
            )
            .label("this only makes a queue object")
            .help(format!(
                "after Create succeeded: SetDispatchQueue(\"{AUXILIARY_QUEUE}\", queue)"
            ));
            out.push(with_registration(cx, made, AUXILIARY_QUEUE, finding));
        }
        return;
    }
    if bound || cx.queues.maybe_created.contains(AUXILIARY_QUEUE) {
        return;
    }
    let create = cx.find_call(&|e| e.calls(&["UserCreateTargetForID"]));
    let start = ["UserInitializeController", "Start", "UserStartController"]
        .iter()
        .find_map(|name| cx.program.body(controller, name));
    let Some(start) = start else { return };
    let function = cx.function(start);
    let finding = Finding::new(
        &AUXILIARY_MISSING,
        function.place(),
        format!("{} never makes and registers queue `{AUXILIARY_QUEUE}`", controller.name),
    )
    .label("make and register it here");
    match create {
        Some((id, call)) => out.push(
            finding.related(cx.at(id, call), "this call is sent through it and would never return"),
        ),
        // The dext says that it makes the targets itself, and how is not seen.
        None if manages_targets(cx, controller) => {
            out.push(finding.severity(Severity::Advice).possible(true));
        }
        None => {}
    }
}

fn manages_targets(cx: &Check<'_>, controller: &Controller) -> bool {
    let method = "UserDoesHBAPerformDeviceManagement";
    cx.program.bodies(controller, method).any(|id| {
        let function = cx.function(id);
        let mut yes = false;
        walk::exprs(&function.body, &mut |e| {
            if let ExprKind::Assign(_, _, rhs) = &e.kind {
                yes |= cx.program.number(rhs, Some(function)) == Some(1);
            }
        });
        yes
    })
}

fn not_bound(cx: &Check<'_>, out: &mut Vec<Finding>) {
    if cx.program.controllers.iter().any(|c| c.declared.is_none()) {
        return;
    }
    for call in &cx.queues.registered {
        let Some(name) = call.name.as_deref() else { continue };
        let taken = out.iter().any(|f| f.rule.id == NAMES_DIFFER.id && f.place == call.place);
        if is_known(name) || cx.program.bound_queues.contains(name) || taken {
            continue;
        }
        out.push(
            Finding::new(
                &NOT_BOUND,
                call.place,
                format!("no method binds queue `{name}`, so SetDispatchQueue refuses it"),
            )
            .label("returns kIOReturnBadArgument")
            .possible(true),
        );
    }
}

fn not_used(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for call in &cx.queues.created {
        let Some(name) = call.name.as_deref() else { continue };
        let registered = cx.queues.is_registered(name)
            || cx.queues.registered.iter().any(|r| r.key == call.key || r.name.is_none());
        let reported = out.iter().any(|f| f.place == call.place);
        if is_known(name) || registered || reported || cx.queues.is_used(call) {
            continue;
        }
        out.push(
            Finding::new(
                &NOT_USED,
                call.place,
                format!("nothing is registered for queue `{name}` or dispatched to it"),
            )
            .label("made here"),
        );
    }
}

fn interrupt(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for id in 0..cx.program.functions.len() {
        for call in cx.graph.calls(id) {
            let args = call.expr.args();
            let source =
                call.expr.qualifier().is_some_and(|q| q.ends_with("IOInterruptDispatchSource"));
            if !source || !call.expr.calls(&["Create"]) || args.len() < 4 {
                continue;
            }
            let queue = args[2].peeled();
            let key = queue_key(queue, id, cx.program);
            let name = cx.queues.name_of(&key);
            let on_default = matches!(name.as_deref(), Some(DEFAULT_QUEUE))
                || queue.calls(&["GetDispatchQueue", "GetDefaultQueue"]);
            if !on_default {
                continue;
            }
            out.push(
                Finding::new(
                    &INTERRUPT_MISSING,
                    cx.at(id, queue),
                    "the interrupt source is served by the Default queue",
                )
                .label(format!("expected the queue named `{INTERRUPT_QUEUE}`")),
            );
        }
    }
}
