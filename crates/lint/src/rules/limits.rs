//! What the controller reports of itself: constraints, DMA, task count, target ids.

use std::collections::BTreeMap;

use crate::model::framework::{CONSTRAINT_KEYS, METHODS};
use crate::model::program::{Controller, FnId};
use crate::source::{Place, Span};
use crate::syntax::ast::{Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

use super::texts::limits::{CONTRADICT, ENDIAN, HIGHEST_ID, KEY_MISSING, NOT_REPORTED, TASK_COUNT};
use super::{Check, Finding, Severity, param};

type Values = BTreeMap<&'static str, Vec<(Option<u64>, Place)>>;

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    let values =
        if cx.program.controllers.is_empty() { Values::new() } else { constraint_values(cx) };
    for controller in &cx.program.controllers {
        constraints(cx, controller, &values, out);
        contradictions(cx, controller, &values, out);
        task_count(cx, controller, out);
        highest(cx, controller, out);
    }
}

/// The macro of a constraint key that an expression names.
fn key_of(e: &Expr) -> Option<&'static str> {
    let e = e.uncast();
    let found = |test: &dyn Fn(&(&str, &str)) -> bool| {
        CONSTRAINT_KEYS.iter().find(|k| test(k)).map(|k| k.0)
    };
    match &e.kind {
        ExprKind::Name(name) => found(&|k| *k.0 == **name),
        ExprKind::Str(text) => found(&|k| *k.1 == **text),
        // OSString::withCString(kKey) and the like.
        ExprKind::Call(_, args) if args.len() == 1 => key_of(&args[0]),
        _ => None,
    }
}

/// Every value given to every key, anywhere in the program.
fn constraint_values(cx: &Check<'_>) -> Values {
    let mut out = Values::new();
    for id in 0..cx.program.functions.len() {
        let function = cx.function(id);
        let mut pairs: Vec<(&'static str, Option<&Expr>, Span)> = Vec::new();
        walk::exprs(&function.body, &mut |e| match &e.kind {
            ExprKind::Call(_, items) | ExprKind::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    if let Some(key) = key_of(item) {
                        pairs.push((key, items.get(at + 1), item.span));
                    }
                }
            }
            ExprKind::Assign(_, _, rhs) => {
                if let Some(key) = key_of(rhs) {
                    pairs.push((key, None, rhs.span));
                }
            }
            ExprKind::Pair(_, value) => {
                if let Some(key) = key_of(value) {
                    pairs.push((key, None, value.span));
                }
            }
            _ => {}
        });
        for (key, value, span) in pairs {
            let number = value.and_then(|v| wrapped_number(cx, function, v, span));
            out.entry(key).or_default().push((number, Place::new(function.file, span)));
        }
    }
    for global in cx.program.globals.values() {
        let Some(init) = &global.init else { continue };
        walk::expr(init, true, &mut |e| {
            if let ExprKind::List(items) = &e.kind {
                for (at, item) in items.iter().enumerate() {
                    if let Some(key) = key_of(item) {
                        let number = items.get(at + 1).and_then(|v| cx.program.number(v, None));
                        let place = Place::new(global.file, item.span);
                        out.entry(key).or_default().push((number, place));
                    }
                }
            }
        });
    }
    out
}

/// A number, an `OSNumber::withNumber(n, bits)`, or a variable that was last given one.
fn wrapped_number(cx: &Check<'_>, function: &Function, e: &Expr, before: Span) -> Option<u64> {
    if let Some(number) = cx.program.number(e, Some(function)) {
        return Some(number);
    }
    match &e.peeled().kind {
        ExprKind::Call(_, args) if e.peeled().calls(&["withNumber"]) => {
            cx.program.number(args.first()?, Some(function))
        }
        ExprKind::Call(_, args) if args.len() <= 2 => {
            cx.program.number(args.first()?, Some(function))
        }
        ExprKind::Name(name) => {
            let mut last: Option<(u32, &Expr)> = None;
            let mut note = |at: Span, value| {
                if at.start < before.start && last.is_none_or(|(l, _)| l < at.start) {
                    last = Some((at.start, value));
                }
            };
            let mut decls = Vec::new();
            walk::stmts(&function.body, &mut |stmt| {
                if let StmtKind::Decl(decl) = &stmt.kind
                    && decl.name == *name
                    && let Some(init) = &decl.init
                {
                    decls.push((stmt.span, init));
                }
            });
            walk::exprs(&function.body, &mut |a| {
                if let ExprKind::Assign(_, lhs, rhs) = &a.kind
                    && matches!(&lhs.kind, ExprKind::Name(n) if n == name)
                {
                    decls.push((a.span, rhs));
                }
            });
            for (at, value) in decls {
                note(at, value);
            }
            let (_, value) = last?;
            match &value.peeled().kind {
                ExprKind::Call(_, args) if value.peeled().calls(&["withNumber"]) => {
                    cx.program.number(args.first()?, Some(function))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn constraints(cx: &Check<'_>, controller: &Controller, values: &Values, out: &mut Vec<Finding>) {
    let report = cx.find_call(&|e| e.calls(&["UserReportHBAConstraints"]));
    if let Some(init) = cx.program.body(controller, "UserInitializeController") {
        let direct = cx.program.bodies(controller, "UserInitializeController").any(|init| {
            cx.graph.reaches(init, &|_, c| c.expr.calls(&["UserReportHBAConstraints"]))
        });
        if !direct {
            let unknown = cx.graph.calls_unknown_helper(init, &|name| {
                METHODS.iter().any(|m| m.name == name)
                    || ["IO", "OS", "os_", "Set", "Copy", "Get", "Register"]
                        .iter()
                        .any(|p| name.starts_with(p))
                    || is_log_name(name)
            });
            let function = cx.function(init);
            let mut finding = Finding::new(
                &NOT_REPORTED,
                function.place(),
                format!("{} returns without calling UserReportHBAConstraints", function.title()),
            )
            .label("the constraints must be reported before it returns")
            .possible(unknown);
            if let Some((id, call)) = report {
                finding =
                    finding.related(cx.at(id, call), "called only here, not during initialisation");
            }
            out.push(finding);
        }
    }
    let Some((id, call)) = report else { return };
    let missing: Vec<&str> =
        CONSTRAINT_KEYS.iter().filter(|k| !values.contains_key(k.0)).map(|k| k.0).collect();
    if missing.is_empty() {
        return;
    }
    let none = missing.len() == CONSTRAINT_KEYS.len();
    out.push(
        Finding::new(
            &KEY_MISSING,
            cx.at(id, call),
            format!("the constraints lack {}", missing.join(", ")),
        )
        .label("all seven keys are mandatory")
        .possible(none && passes_unknown_dictionary(cx, id, call)),
    );
}

/// The dictionary does not come from `OSDictionary` in this function.
fn passes_unknown_dictionary(cx: &Check<'_>, id: FnId, call: &Expr) -> bool {
    let Some(arg) = call.args().first() else { return true };
    let mut made = false;
    walk::stmts(&cx.function(id).body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && arg.key() == *decl.name
        {
            made |= decl.init.as_ref().is_some_and(|i| i.qualifier() == Some("OSDictionary"));
        }
    });
    !made
}

fn is_log_name(name: &str) -> bool {
    name.to_lowercase().contains("log")
}

/// The constant that every path of a method gives to an out parameter.
fn reported(
    cx: &Check<'_>,
    controller: &Controller,
    method: &str,
    at: usize,
) -> Option<(u64, Place, FnId)> {
    let id = cx.program.body(controller, method)?;
    let function = cx.function(id);
    let name = param(function, at)?;
    let mut found: Vec<&Expr> = Vec::new();
    walk::exprs(&function.body, &mut |e| {
        if let ExprKind::Assign(op, lhs, rhs) = &e.kind
            && op.is_empty()
            && lhs.key() == name
        {
            found.push(rhs);
        }
    });
    let [value] = found.as_slice() else { return None };
    Some((cx.program.number(value, Some(function))?, cx.at(id, value), id))
}

fn single(values: &Values, key: &str) -> Option<(u64, Place)> {
    let list = values.get(key)?;
    let mut numbers: Vec<(u64, Place)> =
        list.iter().filter_map(|(n, p)| n.map(|n| (n, *p))).collect();
    numbers.dedup_by_key(|(n, _)| *n);
    match numbers.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

/// Where, what, the label, and the other place.
type Contradiction = (Place, String, String, Option<(Place, String)>);

fn contradictions(
    cx: &Check<'_>,
    controller: &Controller,
    values: &Values,
    out: &mut Vec<Finding>,
) {
    let mut found: Vec<Contradiction> = Vec::new();
    let max = reported(cx, controller, "UserGetDMASpecification", 0);
    for (side, count_key, bytes_key) in [
        ("read", "kIOMaximumSegmentCountReadKey", "kIOMaximumSegmentByteCountReadKey"),
        ("write", "kIOMaximumSegmentCountWriteKey", "kIOMaximumSegmentByteCountWriteKey"),
    ] {
        let (count, bytes) = (single(values, count_key), single(values, bytes_key));
        for (value, key) in [(count, count_key), (bytes, bytes_key)] {
            if let Some((0, place)) = value {
                found.push((place, format!("{key} is 0"), "no request fits".to_owned(), None));
            }
        }
        if let (Some((count, _)), Some((bytes, place)), Some((max, at, _))) = (count, bytes, max)
            && count > 0
            && bytes > 0
            && count.saturating_mul(bytes) > max
        {
            let product = count.saturating_mul(bytes);
            let known = found.iter().any(|f| f.0 == at);
            if !known {
                found.push((
                    at,
                    format!("maxTransferSize {max} is below {count} segments of {bytes} bytes ({side}), which is {product}"),
                    "too small for the constraints".to_owned(),
                    Some((place, "the constraint".to_owned())),
                ));
            }
        }
    }
    let pairs: [(usize, &str, &str, &str); 2] = [
        (1, "alignment", "kIOMinimumSegmentAlignmentByteCountKey", "segment alignment"),
        (2, "numAddressBits", "kIOMaximumSegmentAddressableBitCountKey", "addressable bits"),
    ];
    for (at, name, key, what) in pairs {
        let Some((value, place, _)) = reported(cx, controller, "UserGetDMASpecification", at)
        else {
            continue;
        };
        if let Some((constraint, other)) = single(values, key)
            && constraint != value
        {
            found.push((
                place,
                format!("{name} is {value}, but the constraints report {constraint}"),
                format!("the two places disagree on {what}"),
                Some((other, format!("{constraint} here"))),
            ));
        }
        if name == "alignment" && !value.is_power_of_two() {
            found.push((
                place,
                format!("alignment {value} is not a power of two"),
                "not an alignment".to_owned(),
                None,
            ));
        }
    }
    if let Some((mask, place)) = single(values, "kIOMinimumHBADataAlignmentMaskKey") {
        let bits = single(values, "kIOMaximumSegmentAddressableBitCountKey").map(|(b, _)| b);
        let width = u64::from(64 - mask.leading_zeros());
        if let Some(bits) = bits.filter(|b| *b <= 64 && *b > width) {
            found.push((
                place,
                format!("the data alignment mask {mask:#x} allows {width} address bits, but {bits} are reported"),
                "the mask has a bit for each address bit; only the low ones are clear, for alignment".to_owned(),
                None,
            ));
        }
    }
    if let Some(id) = cx.program.body(controller, "UserGetDMASpecification") {
        walk::exprs(&cx.function(id).body, &mut |e| {
            if let ExprKind::Name(name) = &e.kind
                && (name.ends_with("kDMAOutputSegmentBig32")
                    || name.ends_with("kDMAOutputSegmentBig64"))
            {
                out.push(
                    Finding::new(
                        &ENDIAN,
                        cx.at(id, e),
                        "the DMA segments are asked for in big-endian order",
                    )
                    .label("the first data command fails in the kernel"),
                );
            }
        });
    }
    for (place, message, label, related) in found {
        let mut finding = Finding::new(&CONTRADICT, place, message).label(label);
        if let Some((at, text)) = related {
            finding = finding.related(at, text);
        }
        out.push(finding);
    }
}

fn task_count(cx: &Check<'_>, controller: &Controller, out: &mut Vec<Finding>) {
    let Some((count, place, _)) = reported(cx, controller, "UserReportMaximumTaskCount", 0) else {
        return;
    };
    let (message, label, severity) = match count {
        0 => ("the maximum task count is 0".to_owned(), "matching fails", Severity::Error),
        1 => (
            "the maximum task count is 1".to_owned(),
            "nothing runs in parallel, and one lost completion is fatal",
            Severity::Warning,
        ),
        65_537.. => (
            format!("the maximum task count is {count}"),
            "slot indices of the bundled path are 16 bits wide",
            Severity::Error,
        ),
        _ => return,
    };
    out.push(Finding::new(&TASK_COUNT, place, message).label(label).severity(severity));
}

fn highest(cx: &Check<'_>, controller: &Controller, out: &mut Vec<Finding>) {
    let highest = reported(cx, controller, "UserReportHighestSupportedDeviceID", 0);
    let initiator = reported(cx, controller, "UserReportInitiatorIdentifier", 0);
    let mut created: Vec<(u64, Place)> = Vec::new();
    for id in 0..cx.program.functions.len() {
        for call in cx.graph.calls(id) {
            if call.expr.calls(&["UserCreateTargetForID"])
                && let Some(arg) = call.expr.args().first()
                && let Some(target) = cx.program.number(arg, Some(cx.function(id)))
            {
                created.push((target, cx.at(id, arg)));
            }
        }
    }
    if let Some((own, place, _)) = initiator
        && let Some((_, at)) = created.iter().find(|(t, _)| *t == own)
    {
        out.push(
            Finding::new(&HIGHEST_ID, *at, format!("target {own} has the initiator's own id"))
                .label("the kernel refuses it")
                .related(place, "the initiator's id"),
        );
    }
    let Some((highest, place, _)) = highest else { return };
    if let Some((target, at)) = created.iter().find(|(t, _)| *t > highest) {
        out.push(
            Finding::new(
                &HIGHEST_ID,
                place,
                format!("the highest target id is {highest}, but target {target} is created"),
            )
            .label("a target above it is never found")
            .related(*at, "created here"),
        );
    } else if highest == 0 {
        out.push(
            Finding::new(&HIGHEST_ID, place, "the highest target id is 0")
                .label("only target 0 exists, and the kernel's stop loop does not flush it")
                .severity(Severity::Warning)
                .possible(true),
        );
    } else if let Some((target, at)) = created.iter().find(|(t, _)| *t == highest) {
        out.push(
            Finding::new(&HIGHEST_ID, place, format!("target {target} is at the highest id"))
                .label("the kernel's stop loop ends one below it")
                .related(*at, "created here")
                .severity(Severity::Warning)
                .possible(true),
        );
    }
}
