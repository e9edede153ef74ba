//! Whether a response that is handed over is complete, and whether its statuses fit together.

use crate::model::framework::DELIVERY_STATUS;
use crate::rules::texts::response::{IDENTIFIER, MISFIT, TARGET, VERSION};
use crate::rules::{Finding, Rule};
use crate::source::Span;
use crate::syntax::ast::ExprKind;
use crate::syntax::walk;

use super::{
    ALL, HAS_ID, HAS_SERVICE, HAS_STATUS, HAS_TARGET, HAS_VERSION, Home, Object, Responses, bit_of,
};

impl Responses<'_, '_> {
    pub(super) fn judge(&mut self, object: &Object, at: Option<Span>) {
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

    pub(super) fn judge_pair(&mut self, object: &Object) {
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
}
