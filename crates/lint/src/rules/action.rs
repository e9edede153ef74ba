//! Actions: kept with a reference, completed once, on every path.

mod kept;
mod paths;
mod twice;

use crate::model::program::FnId;
use crate::syntax::ast::{Function, StmtKind};

use self::kept::uses;
use super::bundled::{self, Answer, is_log};
use super::texts::action::NEVER;
use super::{Check, Finding, param};

const SINGLE: &str = "UserProcessParallelTask";
const BUNDLED: &str = "UserProcessBundledParallelTasks";
const COMPLETIONS: &[&str] = &["ParallelTaskCompletion", "BundledParallelTaskCompletion"];

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for controller in &cx.program.controllers {
        let answer = bundled::answer(cx, controller);
        for id in cx.program.bodies(controller, SINGLE) {
            kept::check(cx, id, out);
            paths::check(cx, controller, id, answer, out);
        }
        for id in cx.program.bodies(controller, BUNDLED) {
            kept::check(cx, id, out);
            if answer == Answer::Accepted {
                bundled_action(cx, id, out);
            }
        }
    }
    if !cx.program.controllers.is_empty() {
        twice::check(cx, out);
    }
}

fn bundled_action(cx: &Check<'_>, id: FnId, out: &mut Vec<Finding>) {
    let function = cx.function(id);
    let Some(action) = param(function, 2) else { return };
    let uses = uses(cx, id, action);
    let goes_on = uses.stored.is_some()
        || uses.completed
        || uses.given_unknown
        || uses.captured.is_some()
        || !uses.given.is_empty();
    let nowhere = !goes_on && !function.body.is_empty() && !only_void(function);
    let no_call = cx.find_call(&|e| e.calls(&["BundledParallelTaskCompletion"])).is_none();
    if nowhere || (goes_on && no_call && !uses.given_unknown) {
        let label = if nowhere {
            "it is neither kept nor completed"
        } else {
            "nothing calls BundledParallelTaskCompletion"
        };
        out.push(
            Finding::new(
                &NEVER,
                function.place(),
                format!("the tasks of {} can never be completed", function.name),
            )
            .label(label),
        );
    }
}

fn only_void(function: &Function) -> bool {
    function.body.iter().all(|s| match &s.kind {
        StmtKind::Expr(e) => bundled::is_void_cast(e) || is_log(e),
        StmtKind::Return(_) => true,
        _ => false,
    })
}
