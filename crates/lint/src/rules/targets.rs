//! Creating and destroying targets: which queue may do it.

use crate::model::framework::{AUXILIARY_QUEUE, DEFAULT_QUEUE};
use crate::model::graph::{Call, Reached, Via, chain};
use crate::model::program::FnId;

use super::texts::targets::{DESTROY_IN_STOP, FROM_AUXILIARY, FROM_DEFAULT};
use super::{Check, Finding};

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for id in 0..cx.program.functions.len() {
        for call in cx.graph.calls(id) {
            if call.expr.calls(&["UserCreateTargetForID"]) {
                create(cx, id, call, out);
            }
        }
    }
    for controller in &cx.program.controllers {
        for stop in cx.program.bodies(controller, "Stop") {
            for (id, path) in cx.graph.reach(stop) {
                for call in cx.graph.calls(id) {
                    let now = matches!(call.via, Via::Direct | Via::Sync(_));
                    if !now || !call.expr.calls(&["UserDestroyTargetForID"]) {
                        continue;
                    }
                    let mut finding = Finding::new(
                        &DESTROY_IN_STOP,
                        cx.at(id, call.expr),
                        "UserDestroyTargetForID is called while the controller stops",
                    )
                    .label("re-enters the framework's own termination");
                    for place in path.clone() {
                        finding = finding.related(place, "reached from Stop through this call");
                    }
                    out.push(finding);
                }
            }
        }
    }
}

fn create(cx: &Check<'_>, id: FnId, call: &Call<'_>, out: &mut Vec<Finding>) {
    let reached: &[Reached] = cx.contexts.get(&id).map_or(&[], Vec::as_slice);
    let on = |queue: &str| reached.iter().find(|r| r.queue.as_deref() == Some(queue));
    let named = |key: &str| cx.queues.name_of(key);
    let mut sync_on = None;
    let (default, auxiliary) = match &call.via {
        Via::Direct => (on(DEFAULT_QUEUE), on(AUXILIARY_QUEUE).is_some()),
        Via::Sync(key) => {
            sync_on = Some(key);
            (on(DEFAULT_QUEUE), named(key).as_deref() == Some(AUXILIARY_QUEUE))
        }
        Via::Async(key) => {
            if named(key).as_deref() == Some(DEFAULT_QUEUE) {
                out.push(from_default(cx, id, call).label("dispatched to the Default queue"));
            }
            (None, named(key).as_deref() == Some(AUXILIARY_QUEUE))
        }
        Via::Unknown => (None, false),
    };
    if let Some(reached) = default {
        let entry = cx.function(reached.entry);
        let what = if sync_on.is_some() { "waits for this on" } else { "runs on" };
        let mut finding = from_default(cx, id, call)
            .label(format!("{} {what} the Default queue", entry.title()))
            .related(entry.place(), "called on the Default queue");
        for place in chain(&cx.contexts, reached) {
            finding = finding.related(place, "through this call");
        }
        out.push(finding);
    }
    if auxiliary && default.is_none() {
        out.push(
            Finding::new(
                &FROM_AUXILIARY,
                cx.at(id, call.expr),
                format!("UserCreateTargetForID is called from queue `{AUXILIARY_QUEUE}`"),
            )
            .label("the call is sent through the queue that it occupies")
            .possible(true),
        );
    }
}

fn from_default(cx: &Check<'_>, id: FnId, call: &Call<'_>) -> Finding {
    Finding::new(
        &FROM_DEFAULT,
        cx.at(id, call.expr),
        "UserCreateTargetForID is reached from the Default queue and waits for it",
    )
}
