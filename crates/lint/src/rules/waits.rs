//! Waiting where nothing may wait: Stop, SetPowerState, the task methods.

use crate::model::graph::{Call, Via};
use crate::model::program::FnId;
use crate::source::Place;

use super::texts::waits::{IN_POWER, IN_STOP, IN_TASK, POWER_NOT_FORWARDED};
use super::{Check, Finding, Rule, Severity};

/// How a call waits.
#[derive(Clone, Copy, PartialEq)]
enum Wait {
    /// For another queue, thread or event.
    Other,
    /// For time to pass: milliseconds, if known.
    Time(Option<u64>),
}

const WAITS: &[&str] = &[
    "DispatchSync",
    "DispatchSync_f",
    "dispatch_sync",
    "dispatch_async_and_wait",
    "RunAction",
    "IOLockSleep",
    "IOLockSleepDeadline",
    "SleepWithTimeout",
    "SleepWithDeadline",
    "dispatch_semaphore_wait",
    "dispatch_group_wait",
    "dispatch_block_wait",
    "semaphore_wait",
    "semaphore_timedwait",
    "pthread_join",
    "pthread_cond_wait",
    "pthread_cond_timedwait",
    "sem_wait",
    "wait_for",
    "wait_until",
];

fn wait(cx: &Check<'_>, id: FnId, call: &Call<'_>) -> Option<Wait> {
    let name = call.expr.callee()?;
    if WAITS.contains(&name) {
        return Some(Wait::Other);
    }
    let arg = || cx.program.number(call.expr.args().first()?, Some(cx.function(id)));
    match name {
        "IOSleep" | "IOSleepWithLeeway" => Some(Wait::Time(arg())),
        "sleep" => Some(Wait::Time(arg().map(|s| s.saturating_mul(1000)))),
        "usleep" | "IODelay" => match arg() {
            Some(us) if us < 1000 => None,
            None if name == "IODelay" => None,
            us => Some(Wait::Time(us.map(|us| us / 1000))),
        },
        // `queue->Sleep(event)`, `action->Wait()`, `condition.wait()`.
        "Sleep" if call.expr.receiver().is_some() => Some(Wait::Other),
        "Wait" | "wait" if call.expr.receiver().is_some() => Some(Wait::Other),
        _ => None,
    }
}

/// All waits that run when `entry` is called.
fn waits_below<'a>(cx: &'a Check<'_>, entry: FnId) -> Vec<(FnId, &'a Call<'a>, Wait, Vec<Place>)> {
    let mut out = Vec::new();
    for (id, path) in cx.graph.reach(entry) {
        for call in cx.graph.calls(id) {
            // A block that another queue runs does not make this method wait.
            if !matches!(call.via, Via::Direct | Via::Sync(_)) {
                continue;
            }
            if let Some(kind) = wait(cx, id, call) {
                out.push((id, call, kind, path.clone()));
            }
        }
    }
    out
}

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for controller in &cx.program.controllers {
        for stop in cx.program.bodies(controller, "Stop") {
            for (id, call, kind, path) in waits_below(cx, stop) {
                let (polls, long) = match kind {
                    Wait::Other => (false, true),
                    Wait::Time(ms) => (call.in_loop, ms.is_none_or(|ms| ms >= 1000)),
                };
                if polls || long {
                    let finding = found(cx, &IN_STOP, id, call, &path, "Stop");
                    let sure = kind == Wait::Other;
                    out.push(if sure { finding } else { softer(finding) });
                }
            }
        }
        for power in cx.program.bodies(controller, "SetPowerState") {
            power_change(cx, power, out);
        }
        for name in ["UserProcessParallelTask", "UserProcessBundledParallelTasks"] {
            for task in cx.program.bodies(controller, name) {
                for (id, call, kind, path) in waits_below(cx, task) {
                    let unsure = matches!(kind, Wait::Time(None));
                    out.push(found(cx, &IN_TASK, id, call, &path, name).possible(unsure));
                }
            }
        }
    }
}

fn power_change(cx: &Check<'_>, power: FnId, out: &mut Vec<Finding>) {
    for (id, call, kind, path) in waits_below(cx, power) {
        let matters = match kind {
            Wait::Other => true,
            Wait::Time(ms) => call.in_loop || ms.is_none_or(|ms| ms >= 100),
        };
        if matters {
            let unsure = matches!(kind, Wait::Time(ms) if ms.is_none_or(|ms| ms < 20_000));
            out.push(found(cx, &IN_POWER, id, call, &path, "SetPowerState").possible(unsure));
        }
    }
    // The acknowledgement may come later, from a block or a helper.
    let mut seen = vec![power];
    let mut next = 0;
    while next < seen.len() && seen.len() < 500 {
        for call in cx.graph.calls(seen[next]) {
            let to_super = call.expr.args().iter().any(|a| a.last_name() == Some("SUPERDISPATCH"))
                || call.expr.qualifier() == Some("super");
            if call.expr.calls(&["SetPowerState", "SetPowerState_Impl"]) && to_super {
                return;
            }
            for target in &call.targets {
                if !seen.contains(target) {
                    seen.push(*target);
                }
            }
        }
        next += 1;
    }
    let unknown = cx.graph.calls_unknown_helper(power, &|name| {
        name.starts_with("IO") || name.starts_with("OS") || name.starts_with("os_")
    });
    let function = cx.function(power);
    out.push(
        Finding::new(
            &POWER_NOT_FORWARDED,
            function.place(),
            format!("{} never calls super::SetPowerState", function.title()),
        )
        .label("the kernel waits 20 s for the acknowledgement, then panics")
        .possible(unknown),
    );
}

fn softer(finding: Finding) -> Finding {
    finding.severity(Severity::Warning).possible(true)
}

fn found(
    cx: &Check<'_>,
    rule: &'static Rule,
    id: FnId,
    call: &Call<'_>,
    path: &[Place],
    method: &str,
) -> Finding {
    let name = call.expr.callee().unwrap_or("?");
    let mut finding = Finding::new(rule, cx.at(id, call.expr), format!("{method} waits in {name}"))
        .label("blocks the queue of the method");
    for place in path {
        finding = finding.related(*place, format!("reached from {method} through this call"));
    }
    finding
}
